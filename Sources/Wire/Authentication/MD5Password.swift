/// MD5 password messages, for clusters that still ask for them.
///
/// - Source: manual, protocol-flow (AuthenticationMD5Password).
package enum MD5Password {
    /// `md5` and 32 hexadecimal digits; nil where the system's OpenSSL has no MD5.
    ///
    /// - Parameter user: the name that the cluster knows: it is part of the hash.
    package static func response(
        password: [UInt8], user: [UInt8], salt: [UInt8]
    ) -> [UInt8]? {
        guard let inner = Digest.md5(password + user),
            let outer = Digest.md5(hexadecimal(inner) + salt)
        else { return nil }
        return Array("md5".utf8) + hexadecimal(outer)
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    }
}
