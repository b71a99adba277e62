// The room's map: ScramServerExchange is our side towards clients, ScramClientExchange towards
// clusters; both are values without I/O, and read messages by ScramAttributes. ScramVerifier is
// what a cluster stores, MockVerifier stands in for users that don't exist. SecretKey32 is the type
// of every key, proof and signature: what is secret is compared by `matches` only. All of OpenSSL's
// hashing is behind Digest and ChannelBinding.

/// What is the same on both sides of SCRAM.
///
/// - Source: RFC 5802, RFC 7677; manual, sasl-authentication.
enum Scram {
    static let mechanism = Array("SCRAM-SHA-256".utf8)
    static let mechanismPlus = Array("SCRAM-SHA-256-PLUS".utf8)
    static let bindingType = Array("tls-server-end-point".utf8)
    static let bindingHeader = Array("p=tls-server-end-point,,".utf8)
    /// The longest message of a client: auth-scram.c reads a length word of up to 1,024.
    static let clientMessageMax = 1020
    /// The longest message of a server: libpq reads an authentication request of up to 2,000.
    static let serverMessageMax = 1992
    static let comma = UInt8(ascii: ",")

    /// A decimal number without sign or leading zero, at most 9 digits.
    static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard (1...9).contains(digits.count), digits.first != UInt8(ascii: "0") else { return nil }
        var value = 0
        for digit in digits {
            guard digit >= 0x30, digit <= 0x39 else { return nil }
            value = value * 10 + Int(digit - 0x30)
        }
        return value
    }

    static func isNonce(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.allSatisfy { $0 >= 0x21 && $0 <= 0x7E && $0 != comma }
    }
}

/// A message that does not have the form of SCRAM's; the text is PostgreSQL's errdetail.
struct ScramFault: Error {
    let detail: String

    init(_ detail: String) { self.detail = detail }
}

/// Reads the attributes of a SCRAM message from its front to its end, with the strictness and the
/// words of PostgreSQL's own reader.
///
/// - Shape: `a=value`, separated by commas; a value may be empty and may hold `=`.
/// - Invariant: `0 <= offset <= message.count`.
/// - Source: auth-scram.c read_attr_value, read_any_attr.
struct ScramAttributes {
    let message: [UInt8]
    private(set) var offset = 0

    init(_ message: [UInt8]) { self.message = message }

    var isAtEnd: Bool { offset == message.count }

    /// The byte at the position; 0 at the end, as in a C string.
    var next: UInt8 { isAtEnd ? 0 : message[offset] }

    var rest: ArraySlice<UInt8> { message[offset...] }

    mutating func skip() { if !isAtEnd { offset += 1 } }

    mutating func value(of name: UInt8) throws(ScramFault) -> ArraySlice<UInt8> {
        guard next == name, !isAtEnd else {
            throw ScramFault(
                "Expected attribute \"\(Self.letter(name))\" but found \"\(Self.shown(next))\".")
        }
        skip()
        return try value(after: name)
    }

    /// The next attribute, whichever it is.
    mutating func any() throws(ScramFault) -> (name: UInt8, value: ArraySlice<UInt8>) {
        let name = next
        guard !isAtEnd else { throw ScramFault("Attribute expected, but found end of string.") }
        guard Self.isLetter(name) else {
            throw ScramFault(
                "Attribute expected, but found invalid character \"\(Self.shown(name))\".")
        }
        skip()
        return (name, try value(after: name))
    }

    private mutating func value(after name: UInt8) throws(ScramFault) -> ArraySlice<UInt8> {
        guard next == UInt8(ascii: "=") else {
            throw ScramFault("Expected character \"=\" for attribute \"\(Self.letter(name))\".")
        }
        skip()
        let start = offset
        let end = message[start...].firstIndex(of: Scram.comma) ?? message.count
        offset = min(end + 1, message.count)
        return message[start..<end]
    }

    /// How PostgreSQL shows a byte of a stranger.
    static func shown(_ byte: UInt8) -> String {
        if byte >= 0x21 && byte <= 0x7E { return "'\(letter(byte))'" }
        let digits = Array("0123456789abcdef")
        return "0x\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
    }

    /// How PostgreSQL shows a string of a stranger: 30 bytes, `?` for what is not printable.
    static func shown(_ bytes: ArraySlice<UInt8>) -> String {
        let safe = bytes.prefix(30).map { $0 >= 0x21 && $0 <= 0x7E ? $0 : UInt8(ascii: "?") }
        return String(decoding: safe, as: UTF8.self)
    }

    private static func letter(_ byte: UInt8) -> Character { Character(UnicodeScalar(byte)) }

    private static func isLetter(_ byte: UInt8) -> Bool {
        let lower = byte | 0x20
        return lower >= UInt8(ascii: "a") && lower <= UInt8(ascii: "z")
    }
}
