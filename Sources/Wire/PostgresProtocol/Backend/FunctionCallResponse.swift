/// FunctionCallResponse: what a FunctionCall returned.
///
/// - Shape: 4-byte length and so many bytes, or -1 for null.
package struct FunctionCallResponse: Equatable, Sendable {
    package var value: [UInt8]?

    package init(value: [UInt8]?) { self.value = value }

    init(_ body: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: BackendType.functionCallResponse)
        value = try reader.value(body)
        try reader.finish(body)
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(backend: BackendType.functionCallResponse) {
            (writer) throws(EncodingError) in
            try writer.append(value: value)
        }
    }
}
