/// A TLS server name (SNI), made comparable: ASCII letters lower case, one trailing dot gone.
///
/// Bytes that no host name has (NUL, spaces, UTF-8) stay in it, so that such a name equals no
/// configured one. Names in other scripts arrive in their `xn--` form and are compared as that.
enum ServerName {
    /// Longest host name in its text form (RFC 1035 §2.3.4: 255 bytes on the wire).
    static let bytesMax = 253

    /// nil when the name is empty or too long to be one.
    static func normalized(_ raw: [UInt8]) -> [UInt8]? {
        var name = raw
        if name.last == dot { name.removeLast() }
        guard !name.isEmpty, name.count <= bytesMax else { return nil }
        for index in name.indices { name[index] = lowered(name[index]) }
        return name
    }

    /// Whether this is a host name in normal form: labels of 1 to 63 of a-z, 0-9, `-` and `_`, with
    /// no `-` at a label's ends. The last label has a letter and is no hexadecimal number: what
    /// inet_aton(3) takes for an address is no name.
    static func isHostName(_ name: some Collection<UInt8>) -> Bool {
        guard !name.isEmpty, name.count <= bytesMax else { return false }
        var lastHasLetter = false
        for label in name.split(separator: dot, omittingEmptySubsequences: false) {
            guard !label.isEmpty, label.count <= 63, label.first != dash else { return false }
            var last: UInt8 = 0
            lastHasLetter = false
            let isHexadecimal =
                label.starts(with: "0x".utf8)
                && label.dropFirst(2).allSatisfy { isDigit($0) || ($0 >= 0x61 && $0 <= 0x66) }
            for byte in label {
                guard isLower(byte) || isDigit(byte) || byte == dash || byte == underscore else {
                    return false
                }
                if isLower(byte), !isHexadecimal { lastHasLetter = true }
                last = byte
            }
            if last == dash { return false }
        }
        return lastHasLetter
    }
}
