internal import COpenSSL

/// Random bytes for nonces, keys and secrets.
package enum SecureRandom {
    /// Thread: any. Ends the process when the system has no randomness: then no secret may be made.
    package static func bytes(_ count: Int) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: max(0, count))
        guard out.isEmpty || RAND_bytes(&out, Int32(clamping: out.count)) == 1 else {
            preconditionFailure("the system has no random bytes")
        }
        return out
    }
}
