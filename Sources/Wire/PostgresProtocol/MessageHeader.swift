/// The five bytes before the body of every message with a type.
///
/// For whoever collects whole messages: logins, replay, tests. The relay uses `FrameScanner`.
///
/// - Shape: type, 1 byte; length, 4 bytes big-endian, counts itself but not the type.
/// - Invariant: `4 <= length <= MessageLimits.lengthMax(side, type)`.
/// - Source: manual, protocol-overview; pqcomm.c pq_getmessage.
package struct MessageHeader: Equatable, Sendable {
    package static let byteCount = 5

    package let type: UInt8
    package let length: UInt32

    package var bodyCount: Int { Int(length) - 4 }
    package var totalCount: Int { Int(length) + 1 }

    /// nil while fewer than 5 bytes are there.
    ///
    /// - Errors: `unknownMessageType`, `lengthTooShort`, `lengthTooLong`.
    package static func read(
        _ bytes: RawSpan, from side: Side
    ) throws(ProtocolViolation) -> MessageHeader? {
        guard bytes.byteCount >= byteCount else { return nil }
        let type = bytes.byteUnchecked(0)
        let length = bytes.uint32Unchecked(1)
        guard let lengthMax = MessageLimits.lengthMax(side, type) else {
            throw .unknownMessageType(type)
        }
        if length < MessageLimits.lengthMin { throw .lengthTooShort(type: type, length: length) }
        if length > lengthMax { throw .lengthTooLong(type: type, length: length) }
        return MessageHeader(type: type, length: length)
    }
}
