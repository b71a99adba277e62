/// ParameterStatus: the value of a setting that the server reports.
///
/// - Shape: name, string; value, string.
package struct ParameterStatus: Equatable, Sendable {
    package var name: [UInt8]
    package var value: [UInt8]

    package init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }

    init(_ body: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: BackendType.parameterStatus)
        name = try reader.string(body)
        value = try reader.string(body)
        try reader.finish(body)
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(backend: BackendType.parameterStatus) { (writer) throws(EncodingError) in
            try writer.append(string: name)
            try writer.append(string: value)
        }
    }
}
