/// Bind: make a portal from a statement and values.
///
/// - Shape: portal, string; statement, string; parameter formats, values and result formats, each
///   behind a 2-byte count. A format is 0 for text, 1 for binary; none means all text, one means
///   that all have it. A value is a 4-byte length and so many bytes, or -1 for null.
package struct Bind: Equatable, Sendable {
    package var portal: [UInt8]
    package var statement: [UInt8]
    package var parameterFormats: [Int16]
    package var parameters: [[UInt8]?]
    package var resultFormats: [Int16]

    package init(
        portal: [UInt8], statement: [UInt8], parameterFormats: [Int16] = [],
        parameters: [[UInt8]?] = [], resultFormats: [Int16] = []
    ) {
        self.portal = portal
        self.statement = statement
        self.parameterFormats = parameterFormats
        self.parameters = parameters
        self.resultFormats = resultFormats
    }

    init(_ body: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: FrontendType.bind)
        portal = try reader.string(body)
        statement = try reader.string(body)
        parameterFormats = try reader.int16List(body)
        parameters = try reader.valueList(body)
        resultFormats = try reader.int16List(body)
        try reader.finish(body)
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(frontend: FrontendType.bind) { (writer) throws(EncodingError) in
            try writer.append(string: portal)
            try writer.append(string: statement)
            try writer.append(list: parameterFormats)
            try writer.append(list: parameters)
            try writer.append(list: resultFormats)
        }
    }
}
