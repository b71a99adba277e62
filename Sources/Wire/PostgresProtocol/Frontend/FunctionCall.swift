/// FunctionCall: call a function by its OID, without SQL.
///
/// - Shape: OID, 4 bytes; argument formats and arguments as in Bind; result format, 2 bytes.
package struct FunctionCall: Equatable, Sendable {
    package var function: UInt32
    package var argumentFormats: [Int16]
    package var arguments: [[UInt8]?]
    package var resultFormat: Int16

    package init(
        function: UInt32, argumentFormats: [Int16], arguments: [[UInt8]?], resultFormat: Int16
    ) {
        self.function = function
        self.argumentFormats = argumentFormats
        self.arguments = arguments
        self.resultFormat = resultFormat
    }

    init(_ body: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: FrontendType.functionCall)
        function = try reader.uint32(body)
        argumentFormats = try reader.int16List(body)
        arguments = try reader.valueList(body)
        resultFormat = try reader.int16(body)
        try reader.finish(body)
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(frontend: FrontendType.functionCall) { (writer) throws(EncodingError) in
            writer.append(function)
            try writer.append(list: argumentFormats)
            try writer.append(list: arguments)
            writer.append(resultFormat)
        }
    }
}
