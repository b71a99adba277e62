/// Where a packet without a type byte ends, and what it holds. Nothing is allocated before the
/// length has been checked, so a stranger's four bytes can't reserve memory.
package enum InitialPacketFraming {
    /// The packet's total length, as soon as 4 bytes are there; nil while more are needed.
    ///
    /// - Bounds: 8 for requests for encryption, 13...268 for cancel requests, 9...10,004 for
    ///   startup messages; 8...10,004 until the code is there.
    /// - Errors: `initialPacketLength`.
    package static func packetLength(_ bytes: RawSpan) throws(ProtocolViolation) -> Int? {
        guard bytes.byteCount >= 4 else { return nil }
        let length = bytes.uint32Unchecked(0)
        let total = Int(length)
        var bounds = MessageLimits.initialPacketMin...MessageLimits.startupPacket
        if bytes.byteCount >= 8 {
            bounds = Self.bounds(code: bytes.uint32Unchecked(4))
        }
        guard bounds.contains(total) else { throw .initialPacketLength(length) }
        return total
    }

    /// The packet, which must be exactly as long as `packetLength` says.
    ///
    /// - Errors: `initialPacketLength`, `initialPacketIncomplete`, and those of `StartupMessage`.
    package static func decode(_ packet: RawSpan) throws(ProtocolViolation) -> InitialPacket {
        guard packet.byteCount >= MessageLimits.initialPacketMin,
            let length = try packetLength(packet), length == packet.byteCount
        else { throw .initialPacketIncomplete }
        switch packet.uint32Unchecked(4) {
        case RequestCode.ssl: return .sslRequest
        case RequestCode.gssEncryption: return .gssEncRequest
        case RequestCode.cancel: return .cancelRequest(try CancelRequest(packet: packet))
        default: return .startup(try StartupMessage(packet: packet))
        }
    }

    private static func bounds(code: UInt32) -> ClosedRange<Int> {
        switch code {
        case RequestCode.ssl, RequestCode.gssEncryption: 8...8
        case RequestCode.cancel: 13...12 + MessageLimits.cancelKey
        // A startup message of 8 bytes lacks its terminator, which is the better thing to say.
        default: MessageLimits.initialPacketMin...MessageLimits.startupPacket
        }
    }
}
