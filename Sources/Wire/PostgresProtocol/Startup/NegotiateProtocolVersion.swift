/// NegotiateProtocolVersion: the newest version that the server speaks and the options that it does
/// not know. Sent once, before any authentication request.
///
/// - Shape: version, 4 bytes, the full number (3.0 is 196608); count, 4 bytes; so many strings.
/// - Bounds: libpq accepts it up to a length word of 2,000.
/// - Source: manual, protocol-message-formats; fe-protocol3.c pqGetNegotiateProtocolVersion3.
package struct NegotiateProtocolVersion: Equatable, Sendable {
    package var version: ProtocolVersion
    package var unrecognized: [[UInt8]]

    package init(version: ProtocolVersion, unrecognized: [[UInt8]]) {
        self.version = version
        self.unrecognized = unrecognized
    }

    init(_ body: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: BackendType.negotiateProtocolVersion)
        version = ProtocolVersion(code: try reader.uint32(body))
        let count = try reader.int32(body)
        if count < 0 { throw .invalidField(type: reader.type) }
        unrecognized = []
        unrecognized.reserveCapacity(reader.capacity(Int(count), itemBytes: 1, body))
        for _ in 0..<count { unrecognized.append(try reader.string(body)) }
        try reader.finish(body)
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        // A client may ask for more options than libpq would accept an answer about.
        try writer.message(
            BackendType.negotiateProtocolVersion, lengthMax: UInt32(MessageLimits.startupPacket)
        ) { (writer) throws(EncodingError) in
            writer.append(version.code)
            writer.append(UInt32(unrecognized.count))
            for name in unrecognized { try writer.append(string: name) }
        }
    }
}
