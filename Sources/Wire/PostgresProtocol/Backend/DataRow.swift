/// DataRow: one row.
///
/// - Shape: count, 2 bytes; so many values, each a 4-byte length and so many bytes, or -1 for null.
package struct DataRow: Equatable, Sendable {
    package var values: [[UInt8]?]

    package init(values: [[UInt8]?]) { self.values = values }

    init(_ body: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: BackendType.dataRow)
        values = try reader.valueList(body)
        try reader.finish(body)
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(backend: BackendType.dataRow) { (writer) throws(EncodingError) in
            try writer.append(list: values)
        }
    }
}
