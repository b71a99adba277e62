/// One direction of a connection: all bytes ever written, of which some are still on their way.
///
/// - Invariant: `taken <= arrived <= bytes.count`; arrival times never decrease.
final class SimulatedPipe {
    private(set) var bytes: [UInt8] = []
    private(set) var taken = 0
    private var arrived = 0
    private var flights: [(time: UInt64, end: Int)] = []
    private var landed = 0
    private var lastArrival: UInt64 = 0
    private(set) var endTime: UInt64?
    let capacity: Int

    init(capacity: Int) { self.capacity = capacity }

    var room: Int { max(0, capacity - (bytes.count - taken)) }

    /// Returns when the bytes arrive.
    func write(_ source: UnsafeRawBufferPointer, now: UInt64, delay: UInt64) -> UInt64 {
        bytes.append(contentsOf: source)
        lastArrival = max(lastArrival, now + delay)
        flights.append((lastArrival, bytes.count))
        return lastArrival
    }

    func finish(now: UInt64, delay: UInt64) -> UInt64 {
        if let endTime { return endTime }
        lastArrival = max(lastArrival, now + delay)
        endTime = lastArrival
        return lastArrival
    }

    func available(_ now: UInt64) -> Int {
        while landed < flights.count, flights[landed].time <= now {
            arrived = flights[landed].end
            landed += 1
        }
        return arrived - taken
    }

    func take(_ target: UnsafeMutableRawPointer, _ count: Int) {
        bytes.withUnsafeBytes {
            if let base = $0.baseAddress {
                target.copyMemory(from: base + taken, byteCount: count)
            }
        }
        taken += count
    }

    func take(_ count: Int) -> [UInt8] {
        defer { taken += count }
        return Array(bytes[taken..<(taken + count)])
    }

    /// The end has arrived and everything before it is read.
    func isExhausted(_ now: UInt64) -> Bool {
        guard let endTime, endTime <= now else { return false }
        return taken == bytes.count
    }
}

/// A connection between the proxy and a model peer.
final class SimulatedConnection {
    let isUnix: Bool
    let toProxy: SimulatedPipe
    let fromProxy: SimulatedPipe
    /// Who is woken when something arrives on the far end.
    let peerIndex: Int
    var address: UInt32
    /// When a connect that the proxy made is decided, and how; nil for accepted ones.
    var connectTime: UInt64?
    var connectError: Int32 = 0
    var isClosedByProxy = false
    /// The peer has closed its descriptor: what is sent to it answers with a reset.
    var isClosedByPeer = false
    /// When a reset by the peer reaches the proxy, and when one of the proxy reaches the peer.
    var resetToProxy: UInt64?
    var resetToPeer: UInt64?

    init(isUnix: Bool, peerIndex: Int, address: UInt32, bufferBytes: Int) {
        self.isUnix = isUnix
        self.peerIndex = peerIndex
        self.address = address
        toProxy = SimulatedPipe(capacity: bufferBytes)
        fromProxy = SimulatedPipe(capacity: bufferBytes)
    }

    func isReset(_ now: UInt64) -> Bool { resetToProxy.map { $0 <= now } ?? false }

    func isConnecting(_ now: UInt64) -> Bool { connectTime.map { $0 > now } ?? false }
}
