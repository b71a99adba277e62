/// Why a message can't be written. Its cause is a caller's value, never a peer's bytes.
package enum EncodingError: Error, Equatable, Sendable {
    /// A string of the wire that holds a zero byte, which would end it early.
    case zeroByteInString
    /// A name that must not be empty: an empty one would end its list.
    case emptyName
    /// More items than the count's 16 or 32 bits can say.
    case tooManyItems
    /// Longer than `MessageLimits` allows for the type; type 0 is a packet without a type byte.
    case messageTooLong(type: UInt8)
    /// A value that the message has no way to say, such as an error field of code 0.
    case invalidField(type: UInt8)

    package var text: String {
        switch self {
        case .zeroByteInString: "string contains a zero byte"
        case .emptyName: "name is empty"
        case .tooManyItems: "too many items for one message"
        case .messageTooLong: "message is too long"
        case .invalidField: "field cannot be written"
        }
    }
}
