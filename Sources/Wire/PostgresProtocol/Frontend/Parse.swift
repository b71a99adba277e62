/// Parse: prepare a statement; the unnamed one when `statement` is empty.
///
/// - Shape: statement name, string; query, string; count, 2 bytes; so many type OIDs, 4 bytes each,
///   0 for "not given".
package struct Parse: Equatable, Sendable {
    package var statement: [UInt8]
    package var query: [UInt8]
    package var parameterTypes: [UInt32]

    package init(statement: [UInt8], query: [UInt8], parameterTypes: [UInt32] = []) {
        self.statement = statement
        self.query = query
        self.parameterTypes = parameterTypes
    }

    init(_ body: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: FrontendType.parse)
        statement = try reader.string(body)
        query = try reader.string(body)
        parameterTypes = try reader.uint32List(body)
        try reader.finish(body)
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(frontend: FrontendType.parse) { (writer) throws(EncodingError) in
            try writer.append(string: statement)
            try writer.append(string: query)
            try writer.append(list: parameterTypes)
        }
    }
}
