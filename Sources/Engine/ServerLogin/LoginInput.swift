internal import PostgresProtocol

/// Collects the cluster's messages of a login from bytes in any pieces.
///
/// - Bounds: `totalMax` bytes of whole messages before ReadyForQuery (S-56), and no message is
///   waited for that could not fit into them; R and v as long as libpq allows.
struct LoginInput {
    static let totalMax = 256 * 1024
    /// Source: fe-connect.c, the bounds of R, and of what is a message at all.
    private static let loginLengthMin = 8
    private static let errorLength = 8...30_000
    private static let quotedMax = 200

    private var bytes: [UInt8] = []
    private var offset = 0
    /// Of the messages that were taken.
    private var total = 0

    mutating func append(_ more: [UInt8]) {
        if offset > 0 {
            bytes.removeFirst(offset)
            offset = 0
        }
        bytes += more
    }

    /// What no message was made of.
    var leftover: [UInt8] { Array(bytes[offset...]) }

    /// nil until a message is whole.
    ///
    /// - Parameter isAuthenticating: before AuthenticationOk, where an error may have the form of
    ///   protocol 2.
    mutating func next(
        isAuthenticating: Bool
    ) throws(ServerLoginFailure) -> (type: UInt8, body: [UInt8])? {
        guard bytes.count - offset >= MessageHeader.byteCount else { return nil }
        let type = bytes[offset]
        let length = bytes[(offset + 1)..<(offset + 5)].reduce(0) { $0 << 8 | Int($1) }
        if type == BackendType.errorResponse {
            // Servers before 14, and all whose fork failed: a text instead of a message.
            guard Self.errorLength.contains(length) else {
                throw isAuthenticating ? oldError() : Self.badLength(type, length)
            }
        }
        guard let lengthMax = MessageLimits.lengthMax(backend: type) else {
            throw ServerLoginFailure(
                .protocolViolation, ProtocolViolation.unknownMessageType(type).text)
        }
        let isBounded =
            type == BackendType.authentication || type == BackendType.negotiateProtocolVersion
        guard length >= (isBounded ? Self.loginLengthMin : 4), length <= Int(lengthMax) else {
            throw Self.badLength(type, length)
        }
        guard total + 1 + length <= Self.totalMax else {
            throw ServerLoginFailure(
                .protocolViolation, "the cluster's answer to the login is too long")
        }
        guard bytes.count - offset > length else { return nil }
        let body = Array(bytes[(offset + 5)..<(offset + 1 + length)])
        offset += 1 + length
        total += 1 + length
        return (type, body)
    }

    private static func badLength(_ type: UInt8, _ length: Int) -> ServerLoginFailure {
        let length = UInt32(clamping: length)
        let violation: ProtocolViolation =
            length < 8
            ? .lengthTooShort(type: type, length: length)
            : .lengthTooLong(type: type, length: length)
        return ServerLoginFailure(.protocolViolation, violation.text)
    }

    /// The text is for the log only; nothing says that it is from the cluster.
    private func oldError() -> ServerLoginFailure {
        let text = bytes[(offset + 1)...].prefix { $0 != 0 }.prefix(Self.quotedMax)
        let safe = text.map { $0 >= 0x20 && $0 <= 0x7E ? $0 : UInt8(ascii: "?") }
        return ServerLoginFailure(
            .closed,
            "the cluster refused the connection before the protocol began: "
                + String(decoding: safe, as: UTF8.self))
    }
}
