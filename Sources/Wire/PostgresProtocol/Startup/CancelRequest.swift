/// CancelRequest: stop what the session with this key is doing. It comes on a connection of its
/// own.
///
/// - Shape: process ID, 4 bytes; secret, the rest.
/// - Bounds: `1 <= secret.count <= 256`; exactly 4 bytes in protocol 3.0.
package struct CancelRequest: Equatable, Sendable {
    package var processID: Int32
    package var secret: [UInt8]

    package init(processID: Int32, secret: [UInt8]) {
        self.processID = processID
        self.secret = secret
    }

    /// `packet` has passed `InitialPacketFraming.packetLength`.
    init(packet: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: 0)
        _ = try reader.uint32(packet)
        _ = try reader.uint32(packet)
        processID = try reader.int32(packet)
        secret = reader.rest(packet)
    }

    package func encoded() throws(EncodingError) -> [UInt8] {
        if secret.isEmpty { throw .invalidField(type: 0) }
        if secret.count > MessageLimits.cancelKey { throw .messageTooLong(type: 0) }
        return bigEndian(UInt32(12 + secret.count)) + bigEndian(RequestCode.cancel)
            + bigEndian(UInt32(bitPattern: processID)) + secret
    }
}
