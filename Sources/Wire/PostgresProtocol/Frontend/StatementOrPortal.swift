/// What Describe and Close name.
///
/// - Shape: `S` or `P`; name, string, empty for the unnamed one.
package struct StatementOrPortal: Equatable, Sendable {
    package enum Kind: UInt8, Sendable {
        case statement = 0x53  // S
        case portal = 0x50  // P
    }

    package var kind: Kind
    package var name: [UInt8]

    package init(_ kind: Kind, _ name: [UInt8]) {
        self.kind = kind
        self.name = name
    }

    init(_ body: RawSpan, type: UInt8) throws(ProtocolViolation) {
        var reader = WireReader(type: type)
        guard let kind = Kind(rawValue: try reader.uint8(body)) else {
            throw .invalidField(type: type)
        }
        self.kind = kind
        name = try reader.string(body)
        try reader.finish(body)
    }

    func encode(_ type: UInt8, into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(frontend: type) { (writer) throws(EncodingError) in
            writer.append(kind.rawValue)
            try writer.append(string: name)
        }
    }
}
