/// CopyFail: the client gives a COPY up.
///
/// - Shape: reason, string.
package struct CopyFail: Equatable, Sendable {
    package var reason: [UInt8]

    package init(reason: [UInt8]) { self.reason = reason }

    init(_ body: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: FrontendType.copyFail)
        reason = try reader.string(body)
        try reader.finish(body)
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(frontend: FrontendType.copyFail) { (writer) throws(EncodingError) in
            try writer.append(string: reason)
        }
    }
}
