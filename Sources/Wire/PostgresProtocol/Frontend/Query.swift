/// Query: one string of statements, to be parsed and run at once.
///
/// - Shape: string.
package struct Query: Equatable, Sendable {
    package var query: [UInt8]

    package init(query: [UInt8]) { self.query = query }

    package init(_ query: String) { self.query = [UInt8](query.utf8) }

    init(_ body: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: FrontendType.query)
        query = try reader.string(body)
        try reader.finish(body)
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(frontend: FrontendType.query) { (writer) throws(EncodingError) in
            try writer.append(string: query)
        }
    }
}
