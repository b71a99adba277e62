/// CopyInResponse, CopyOutResponse, CopyBothResponse: a COPY begins.
///
/// - Shape: overall format, 1 byte, 0 for text, 1 for binary; count, 2 bytes; so many column
///   formats, 2 bytes each.
package struct CopyResponse: Equatable, Sendable {
    package var format: Int8
    package var columnFormats: [Int16]

    package init(format: Int8, columnFormats: [Int16]) {
        self.format = format
        self.columnFormats = columnFormats
    }

    init(_ body: RawSpan, type: UInt8) throws(ProtocolViolation) {
        var reader = WireReader(type: type)
        format = Int8(bitPattern: try reader.uint8(body))
        columnFormats = try reader.int16List(body)
        try reader.finish(body)
    }

    func encode(_ type: UInt8, into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(backend: type) { (writer) throws(EncodingError) in
            writer.append(UInt8(bitPattern: format))
            try writer.append(list: columnFormats)
        }
    }
}
