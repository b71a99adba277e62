/// What a peer sent that the protocol forbids. A case names the fault; whoever throws it knows the
/// peer. No payload allocates.
package enum ProtocolViolation: Error, Equatable, Sendable {
    /// A first packet whose length word is below 8 or above 10,004, or impossible for its code.
    case initialPacketLength(UInt32)
    /// A first packet that is longer or shorter than its own length word.
    case initialPacketIncomplete
    /// A StartupMessage of a major version other than 3, or a request code at a wrong time.
    case unsupportedVersion(code: UInt32)
    /// A StartupMessage whose last byte is not the terminator of its list, or that ends in a
    /// string.
    case startupTerminator
    /// Two values for one of `user`, `database`, `options`, `replication`: which one counts is not
    /// the same for every reader, so none does.
    case duplicateStartupParameter(StartupMessage.Routed)
    /// A type byte that the sender's side does not have.
    case unknownMessageType(UInt8)
    /// A message that its sender may not send at this time, such as a password after the login.
    case unexpectedMessage(UInt8)
    /// A length word below 4.
    case lengthTooShort(type: UInt8, length: UInt32)
    /// A length word above the limit for its type.
    case lengthTooLong(type: UInt8, length: UInt32)
    /// A body that ends before its contents do.
    case bodyTooShort(type: UInt8)
    /// A body that goes on after its contents.
    case bodyTooLong(type: UInt8)
    /// A string without its terminating zero.
    case unterminatedString(type: UInt8)
    /// A value outside of what the message's field can hold, such as a negative count.
    case invalidField(type: UInt8)
    /// A ReadyForQuery whose byte is not `I`, `T` or `E`.
    case transactionStatus(UInt8)

    /// What PostgreSQL itself answers to such a packet.
    package var sqlState: StaticString {
        if case .unsupportedVersion = self { "0A000" } else { "08P01" }
    }

    /// For error messages and logs: lower case, no full stop.
    package var text: String {
        switch self {
        case .initialPacketLength(let length): "invalid length of startup packet: \(length)"
        case .initialPacketIncomplete: "startup packet does not end where its length says"
        case .unsupportedVersion(let code):
            "unsupported frontend protocol \(ProtocolVersion(code: code)): "
                + "server supports 3.0 to 3.2"
        case .startupTerminator:
            "invalid startup packet layout: expected terminator as last byte"
        case .duplicateStartupParameter(let name):
            "startup packet has more than one \"\(name.rawValue)\""
        case .unknownMessageType(let type): "invalid message type \(Self.name(type))"
        case .unexpectedMessage(let type): "unexpected message type \(Self.name(type))"
        case .lengthTooShort(let type, let length), .lengthTooLong(let type, let length):
            "invalid message length \(length) for message type \(Self.name(type))"
        case .bodyTooShort(let type):
            "insufficient data left in message of type \(Self.name(type))"
        case .bodyTooLong(let type): "message contents do not agree with length in message type "
            + Self.name(type)
        case .unterminatedString(let type):
            "invalid string in message of type \(Self.name(type))"
        case .invalidField(let type): "invalid field in message of type \(Self.name(type))"
        case .transactionStatus(let byte): "invalid transaction status \(Self.name(byte))"
        }
    }

    /// A printable byte in quotes, any other as a number.
    private static func name(_ type: UInt8) -> String {
        if type > 0x20 && type < 0x7F { return "\"\(Character(UnicodeScalar(type)))\"" }
        return "\(type)"
    }
}
