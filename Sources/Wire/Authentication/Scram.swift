/// The pieces of SCRAM messages that both sides use (RFC 5802, RFC 7677; manual: sasl-authentication).
enum Scram {
    static let mechanism = Array("SCRAM-SHA-256".utf8)
    static let mechanismPlus = Array("SCRAM-SHA-256-PLUS".utf8)
    static let bindingHeader = Array("p=tls-server-end-point,,".utf8)
    /// Longest nonce that is looked at (S-27).
    static let nonceMax = 1024
    static let comma = UInt8(ascii: ",")

    /// A decimal number without sign or leading zero.
    static func number(_ digits: some Collection<UInt8>) -> Int? {
        guard (1...9).contains(digits.count), digits.first != UInt8(ascii: "0") else { return nil }
        var value = 0
        for digit in digits {
            guard digit >= 0x30, digit <= 0x39 else { return nil }
            value = value * 10 + Int(digit - 0x30)
        }
        return value
    }

    /// `x=value` → value.
    static func value(_ attribute: UInt8, _ part: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard part.count >= 2, part.first == attribute,
            part[part.startIndex + 1] == UInt8(ascii: "=")
        else { return nil }
        return part.dropFirst(2)
    }

    static func isNonce(_ bytes: ArraySlice<UInt8>) -> Bool {
        !bytes.isEmpty && bytes.count <= nonceMax
            && bytes.allSatisfy { $0 >= 0x21 && $0 <= 0x7E && $0 != comma }
    }

    static func parts(_ message: [UInt8]) -> [ArraySlice<UInt8>] {
        message.split(separator: comma, omittingEmptySubsequences: false)
    }
}
