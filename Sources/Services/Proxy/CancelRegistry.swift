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

    private struct Entry {
        var secret: [UInt8]
        var target: Target
    }

    private let entries = Mutex<[Int32: [Entry]]>([:])
    let instance: UInt8

    init(instance: UInt8) { self.instance = instance & 0xF }

    /// A secret that no other session with this process ID has.
    func register(processID: Int32, length: Int, target: Target) -> [UInt8] {
        while true {
            var secret = SecureRandom.bytes(max(4, length))
            secret[0] = instance << 4 | secret[0] & 0xF
            let isNew = entries.withLock { entries in
                let same = entries[processID, default: []]
                guard !same.contains(where: { Self.equal($0.secret, secret) }) else { return false }
                entries[processID, default: []].append(Entry(secret: secret, target: target))
                return true
            }
            if isNew { return secret }
        }
    }

    func remove(processID: Int32, secret: [UInt8]) {
        entries.withLock { entries in
            entries[processID]?.removeAll { Self.equal($0.secret, secret) }
            if entries[processID]?.isEmpty == true { entries[processID] = nil }
        }
    }

    func find(_ request: CancelRequest) -> Target? {
        entries.withLock { entries in
            entries[request.processID]?.first { Self.equal($0.secret, request.secret) }?.target
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
