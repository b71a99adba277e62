/// ParameterDescription: the types of a statement's parameters.
///
/// - Shape: count, 2 bytes; so many type OIDs, 4 bytes each.
package struct ParameterDescription: Equatable, Sendable {
    package var types: [UInt32]

    package init(types: [UInt32]) { self.types = types }

    init(_ body: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: BackendType.parameterDescription)
        types = try reader.uint32List(body)
        try reader.finish(body)
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(backend: BackendType.parameterDescription) {
            (writer) throws(EncodingError) in
            try writer.append(list: types)
        }
    }
}
