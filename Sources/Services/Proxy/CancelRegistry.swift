internal import Authentication
internal import EventLoop
internal import PostgresProtocol
internal import Synchronization

/// Which session a cancel key belongs to, over all workers of this process.
///
/// The client gets the cluster's true process ID and a secret of our own: 4 bytes in protocol 3.0,
/// 32 in 3.2. The top four bits of the first byte are the instance's number, so that a request
/// which reached another instance on the same port finds its way; the rest is random.
///
/// - Thread: any; a lock is taken at a login, an end and a cancel request, never while relaying.
final class CancelRegistry: Sendable {
    struct Target: Sendable {
        var worker: Int
        var token: UInt64
    }

    /// Process ID and the first four bytes of the secret. That it is looked up by a hash is no way
    /// to guess it: the hash has a key of its own in each process.
    private struct Key: Hashable {
        var processID: Int32
        var head: UInt32
    }

    private struct Entry {
        var tail: [UInt8]
        var target: Target
    }

    private let entries = Mutex<[Key: Entry]>([:])
    let instance: UInt8

    init(instance: UInt8) { self.instance = instance & 0xF }

    /// A secret that no other session with this process ID has.
    func register(processID: Int32, length: Int, target: Target) -> CancelSecret {
        while true {
            var bytes = SecureRandom.bytes(max(4, length))
            bytes[0] = instance << 4 | bytes[0] & 0xF
            let secret = CancelSecret(bytes)
            let key = Key(processID: processID, head: secret.head)
            let isNew = entries.withLock { entries in
                guard entries[key] == nil else { return false }
                entries[key] = Entry(tail: secret.tail, target: target)
                return true
            }
            if isNew { return secret }
        }
    }

    func remove(processID: Int32, secret: CancelSecret) {
        entries.withLock { $0[Key(processID: processID, head: secret.head)] = nil }
    }

    func find(_ request: CancelRequest) -> Target? {
        guard request.secret.count >= 4 else { return nil }
        let secret = CancelSecret(request.secret)
        let key = Key(processID: request.processID, head: secret.head)
        return entries.withLock { entries in
            guard let entry = entries[key], Self.equal(entry.tail, secret.tail) else { return nil }
            return entry.target
        }
    }

    /// The instance that made a key.
    static func instance(of request: CancelRequest) -> UInt8? {
        request.secret.first.map { $0 >> 4 }
    }

    /// In a time that does not depend on where the two differ.
    private static func equal(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        guard one.count == other.count else { return false }
        var difference: UInt8 = 0
        for index in one.indices { difference |= one[index] ^ other[index] }
        return difference == 0
    }
}

/// A cancel key's secret. Those of protocol 3.0, four bytes, take no memory of their own: there is
/// one for each leg of each session.
struct CancelSecret: Sendable {
    let head: UInt32
    let tail: [UInt8]

    /// Shorter secrets than four bytes don't exist in the protocol; they become zeros.
    init(_ bytes: [UInt8]) {
        head = bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
        tail = bytes.count > 4 ? Array(bytes[4...]) : []
    }

    var bytes: [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: head >> UInt32($0)) } + tail
    }
}
