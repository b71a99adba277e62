internal import COpenSSL

/// SHA-256, HMAC-SHA-256 and PBKDF2 by OpenSSL. The algorithms are fetched once per process: a fetch
/// takes a lock in OpenSSL 3.0.
enum Digest {
    /// Made once, then only read.
    private struct Algorithms: @unchecked Sendable {
        static let shared = Algorithms()
        let sha256 = EVP_MD_fetch(nil, "SHA256", nil)
        let md5 = EVP_MD_fetch(nil, "MD5", nil)
    }

    static func sha256(_ bytes: [UInt8]) -> SecretKey32 {
        SecretKey32(digest(Algorithms.shared.sha256, bytes)) ?? SecretKey32()
    }

    static func md5(_ bytes: [UInt8]) -> [UInt8] { digest(Algorithms.shared.md5, bytes) }

    static func sha256(_ key: SecretKey32) -> SecretKey32 { sha256(key.array) }

    /// RFC 2104, from its definition, so that no context of OpenSSL is made.
    static func hmac(_ key: [UInt8], _ message: [UInt8]) -> SecretKey32 {
        var block = key.count > 64 ? sha256(key).array : key
        block += [UInt8](repeating: 0, count: 64 - block.count)
        let inner = sha256(block.map { $0 ^ 0x36 } + message)
        return sha256(block.map { $0 ^ 0x5C } + inner.array)
    }

    static func hmac(_ key: SecretKey32, _ message: [UInt8]) -> SecretKey32 {
        hmac(key.array, message)
    }

    /// RFC 8018. Slow on purpose: never on a worker's thread.
    static func pbkdf2(_ password: [UInt8], _ salt: [UInt8], iterations: Int) -> SecretKey32 {
        var out = [UInt8](repeating: 0, count: 32)
        let result = password.withUnsafeBytes { password in
            PKCS5_PBKDF2_HMAC(
                password.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(password.count),
                salt, Int32(salt.count), Int32(iterations), Algorithms.shared.sha256, 32, &out)
        }
        return result == 1 ? SecretKey32(out) ?? SecretKey32() : SecretKey32()
    }

    private static func digest(_ algorithm: OpaquePointer?, _ bytes: [UInt8]) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        guard EVP_Digest(bytes, bytes.count, &out, &length, algorithm, nil) == 1 else { return [] }
        return Array(out[..<Int(length)])
    }
}

/// Random bytes for nonces, keys and secrets.
package enum SecureRandom {
    package static func bytes(_ count: Int) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: max(0, count))
        guard RAND_bytes(&out, Int32(out.count)) == 1 else {
            // Without randomness no secret may be made; OpenSSL then has no entropy at all.
            preconditionFailure("the system has no random bytes")
        }
        return out
    }
}

/// MD5 password messages, for clusters that still ask for them (manual: protocol-flow).
package enum MD5Password {
    /// `md5` and 32 hexadecimal digits.
    package static func response(password: [UInt8], user: [UInt8], salt: [UInt8]) -> [UInt8] {
        let inner = hexadecimal(Digest.md5(password + user))
        return Array("md5".utf8) + hexadecimal(Digest.md5(inner + salt))
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    }
}
