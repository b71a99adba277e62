internal import COpenSSL
import Synchronization

/// Random bytes for nonces, keys and secrets.
package enum SecureRandom {
    /// Made in advance, since a call of OpenSSL's generator costs as much as a kilobyte of it. What
    /// has been given out is wiped. Nothing here forks without exec, which would give two processes
    /// the same store.
    private static let store = Mutex<[UInt8]>([])
    private static let storeBytes = 1024

    /// Thread: any. Ends the process when the system has no randomness: then no secret may be made.
    package static func bytes(_ count: Int) -> [UInt8] {
        guard count > 0 else { return [] }
        guard count <= storeBytes / 4 else { return generate(count) }
        return store.withLock { store in
            if store.count < count { store = generate(storeBytes) }
            let taken = Array(store.suffix(count))
            for index in (store.count - count)..<store.count { store[index] = 0 }
            store.removeLast(count)
            return taken
        }
    }

    private static func generate(_ count: Int) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: count)
        guard RAND_bytes(&out, Int32(clamping: out.count)) == 1 else {
            preconditionFailure("the system has no random bytes")
        }
        return out
    }
}
