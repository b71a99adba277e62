internal import COpenSSL

/// SHA-256, HMAC-SHA-256, PBKDF2 and MD5 by OpenSSL. The algorithms are fetched once per process: a
/// fetch takes a lock in OpenSSL 3.0.
///
/// A hash that fails (no such algorithm, no memory) ends the process. No input can cause it, and
/// the alternative would be a key that everybody knows.
enum Digest {
    /// Made once by whichever thread comes first, then only read.
    private struct Algorithms: @unchecked Sendable {
        static let shared = Algorithms()
        let sha256 = EVP_MD_fetch(nil, "SHA256", nil)
        /// nil where the system's OpenSSL allows approved algorithms only.
        let md5 = EVP_MD_fetch(nil, "MD5", nil)
    }

    private static let blockBytes = 64

    static func sha256(_ bytes: [UInt8]) -> SecretKey32 { sha256(bytes, []) }

    static func sha256(_ key: SecretKey32) -> SecretKey32 { sha256(key.array, []) }

    /// Of two pieces, so that nobody has to join them. OpenSSL's low-level functions: the general
    /// ones make a context on the heap for each hash, which costs more than a short hash itself.
    private static func sha256(_ first: [UInt8], _ second: [UInt8]) -> SecretKey32 {
        var hash = SecretKey32.zero
        let result = hash.withMutableBytes {
            pgtee_SHA256(first, first.count, second, second.count, $0)
        }
        precondition(result == 1, "OpenSSL cannot compute SHA-256")
        return hash
    }

    static func md5(_ bytes: [UInt8]) -> [UInt8]? { digest(Algorithms.shared.md5, bytes) }

    /// RFC 2104 from its definition: two hashes, and no context that would have to be kept.
    static func hmac(_ key: [UInt8], _ message: [UInt8]) -> SecretKey32 {
        let short = key.count > blockBytes ? sha256(key).array : key
        var inner = [UInt8](repeating: 0x36, count: blockBytes)
        var outer = [UInt8](repeating: 0x5C, count: blockBytes)
        for (index, byte) in short.enumerated() {
            inner[index] ^= byte
            outer[index] ^= byte
        }
        return sha256(outer, sha256(inner, message).array)
    }

    static func hmac(_ key: SecretKey32, _ message: [UInt8]) -> SecretKey32 {
        hmac(key.array, message)
    }

    /// RFC 8018. Slow on purpose (0.3 ms per 1,000 rounds): never on a worker's thread.
    ///
    /// - Invariant: `iterations >= 1`.
    static func pbkdf2(_ password: [UInt8], _ salt: [UInt8], iterations: Int) -> SecretKey32 {
        var out = [UInt8](repeating: 0, count: 32)
        let result = password.withUnsafeBytes { password in
            PKCS5_PBKDF2_HMAC(
                password.baseAddress?.assumingMemoryBound(to: CChar.self),
                Int32(clamping: password.count), salt, Int32(clamping: salt.count),
                Int32(clamping: iterations), Algorithms.shared.sha256, 32, &out)
        }
        guard result == 1, let key = SecretKey32(out) else {
            preconditionFailure("OpenSSL cannot compute PBKDF2")
        }
        return key
    }

    private static func digest(_ algorithm: OpaquePointer?, _ bytes: [UInt8]) -> [UInt8]? {
        guard let algorithm else { return nil }
        var out = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        guard EVP_Digest(bytes, bytes.count, &out, &length, algorithm, nil) == 1 else { return nil }
        return Array(out.prefix(Int(length)))
    }
}
