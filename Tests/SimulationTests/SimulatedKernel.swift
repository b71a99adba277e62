import CLinux
@testable import EventLoop
import Glibc

/// What a kernel may do wrong on purpose, so that tests can show that the oracles see it.
enum PlantedBug: CaseIterable {
    case duplicatedBurst, lostByte, swappedLeg, corruptedByte, forgottenEnd
}

/// The system calls of the data plane in virtual time: sockets are pairs of pipes, and the seed
/// decides how much of each call succeeds.
///
/// Descriptors are reused lowest first as Linux does, which is what makes stale events dangerous.
/// The mailboxes' eventfds are real: they are asked with poll(2).
final class SimulatedKernel: Kernel, @unchecked Sendable {
    enum Object {
        case free
        case poller(SimulatedPoller)
        case listener(SimulatedListener)
        case connection(SimulatedConnection)
    }

    static let base: Int32 = 1 << 20
    unowned let world: Simulation
    private(set) var objects: [Object] = []
    var random: SeededRandom
    var now: UInt64 = 1_000_000_000
    /// Grows whenever a call changed something: a worker that wakes without it spins.
    var activity = 0
    private(set) var lastEventCount = 0
    private(set) var openConnections = 0
    private(set) var accepted = 0
    var plantedBug: PlantedBug?
    var pieces: Int

    init(world: Simulation, random: SeededRandom) {
        self.world = world
        self.random = random
        pieces = world.plan.pieceBudget
        super.init()
    }

    // Descriptors.

    private func open(_ object: Object) -> Int32 {
        for index in objects.indices {
            if case .free = objects[index] {
                objects[index] = object
                return Self.base + Int32(index)
            }
        }
        objects.append(object)
        return Self.base + Int32(objects.count - 1)
    }

    private func object(_ descriptor: Int32, _ call: String) -> Object {
        let index = Int(descriptor - Self.base)
        guard objects.indices.contains(index) else {
            world.fail("\(call) on descriptor \(descriptor), which never was")
            return .free
        }
        if case .free = objects[index] { world.fail("\(call) on a closed descriptor") }
        return objects[index]
    }

    private func connection(_ descriptor: Int32, _ call: String) -> SimulatedConnection? {
        guard case .connection(let connection) = object(descriptor, call) else { return nil }
        return connection
    }

    var openDescriptors: Int {
        objects.reduce(0) { count, object in
            if case .free = object { count } else { count + 1 }
        }
    }

    override func close(_ descriptor: Int32) {
        let closed = object(descriptor, "close")
        activity += 1
        for case .poller(let poller) in objects { poller.forget(descriptor) }
        let index = Int(descriptor - Self.base)
        if objects.indices.contains(index) { objects[index] = .free }
        switch closed {
        case .connection(let connection): closeConnection(connection, descriptor)
        case .listener(let listener):
            listener.isClosed = true
            for entry in listener.queue { resetByProxy(entry.connection) }
            listener.queue = []
        case .poller, .free: break
        }
    }

    private func closeConnection(_ connection: SimulatedConnection, _ descriptor: Int32) {
        world.trace("close \(descriptor)")
        openConnections -= 1
        connection.isClosedByProxy = true
        let isUnread = connection.toProxy.bytes.count > connection.toProxy.taken
        // Linux answers with a reset when bytes were left unread; what was sent still arrives.
        let end = connection.fromProxy.finish(now: now, delay: world.delay())
        if isUnread { connection.resetToPeer = end }
        world.schedule(end, connection.peerIndex)
    }

    private func resetByProxy(_ connection: SimulatedConnection) {
        connection.isClosedByProxy = true
        connection.resetToPeer = connection.fromProxy.finish(now: now, delay: world.delay())
        world.schedule(connection.resetToPeer ?? now, connection.peerIndex)
    }

    // epoll.

    override func makePoller() -> Int32 { open(.poller(SimulatedPoller())) }

    override func watch(
        _ poller: Int32, _ operation: Int32, _ descriptor: Int32, _ events: UInt32, _ token: UInt64
    ) -> Int32 {
        guard case .poller(let poller) = object(poller, "epoll_ctl") else { return -EBADF }
        if descriptor >= Self.base, case .free = object(descriptor, "epoll_ctl") { return -EBADF }
        return poller.control(operation, descriptor, events, token)
    }

    override func poll(
        _ poller: Int32, _ events: UnsafeMutablePointer<epoll_event>, _ count: Int32,
        timeoutMilliseconds: Int32
    ) -> Int32 {
        guard case .poller(let poller) = object(poller, "epoll_wait") else { return -EBADF }
        var ready: [epoll_event] = []
        for watched in poller.watched {
            let seen = readiness(watched.descriptor) & (watched.events | 0x18)
            if seen != 0 {
                ready.append(
                    epoll_event(events: seen, data: epoll_data(u64: planted(watched.token))))
            }
        }
        shuffle(&ready)
        if world.isFaulty, world.plan.pollSubset, ready.count > 1 {
            ready.removeLast(random.below(ready.count))
        }
        lastEventCount = ready.count
        for event in ready {
            let token = EventToken(raw: event.data.u64)
            world.trace("event \(event.events) of leg \(token.kind), slot \(token.slot)")
        }
        for (index, event) in ready.enumerated() where index < count { events[index] = event }
        return min(count, Int32(ready.count))
    }

    private func shuffle(_ ready: inout [epoll_event]) {
        guard ready.count > 1 else { return }
        for index in ready.indices.dropLast() {
            ready.swapAt(index, index + random.below(ready.count - index))
        }
    }

    private func planted(_ token: UInt64) -> UInt64 {
        var token = EventToken(raw: token)
        guard plantedBug == .swappedLeg, token.kind < 2, random.chance(oneIn: 40) else {
            return token.raw
        }
        let slot = UInt32(token.slot) ^ 1
        token = EventToken(kind: 1 - token.kind, slot: slot, generation: token.generation)
        return token.raw
    }

    private func readiness(_ descriptor: Int32) -> UInt32 {
        guard descriptor >= Self.base else {
            var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            return Glibc.poll(&request, 1, 0) > 0 ? 1 : 0
        }
        switch objects[Int(descriptor - Self.base)] {
        case .free, .poller: return 0
        case .listener(let listener): return listener.isReadable(now) ? 1 : 0
        case .connection(let connection): return readiness(connection)
        }
    }

    private func readiness(_ connection: SimulatedConnection) -> UInt32 {
        if connection.isConnecting(now) { return 0 }
        if connection.connectError != 0 { return 0x1 | 0x4 | 0x8 | 0x10 }
        if connection.isReset(now) { return 0x1 | 0x4 | 0x8 | 0x10 }
        var seen: UInt32 = 0
        let inbound = connection.toProxy
        let hasEnd = inbound.endTime.map { $0 <= now } ?? false
        if inbound.available(now) > 0 || hasEnd { seen |= 0x1 }
        // A unix socket whose peer has closed is hung up at once.
        if connection.isUnix && hasEnd && connection.isClosedByPeer { seen |= 0x10 | 0x4 }
        if connection.fromProxy.room > 0 || connection.isClosedByPeer { seen |= 0x4 }
        return seen
    }

    // Sockets.

    func addListener() -> (Int32, SimulatedListener) {
        let listener = SimulatedListener()
        return (open(.listener(listener)), listener)
    }

    override func accept(_ listener: Int32) -> Int32 {
        guard case .listener(let listener) = object(listener, "accept") else { return -EBADF }
        guard listener.isReadable(now) else { return -EAGAIN }
        if world.isFaulty, random.perMille(world.plan.acceptFaultPerMille) {
            world.trace("accept fails")
            if random.chance(oneIn: 2) {
                world.clientFaulted(listener.queue[0].connection)
                resetByProxy(listener.queue.removeFirst().connection)
                activity += 1
                return -ECONNABORTED
            }
            return random.chance(oneIn: 2) ? -EMFILE : -ENFILE
        }
        activity += 1
        accepted += 1
        let connection = listener.queue.removeFirst().connection
        openConnections += 1
        let descriptor = open(.connection(connection))
        world.trace("accept \(descriptor) of peer \(connection.peerIndex)")
        return descriptor
    }

    override func connect(to address: SocketAddress) -> Int32 {
        activity += 1
        guard let connection = world.connect(to: address) else { return -ECONNREFUSED }
        if connection.connectError != 0 && connection.isUnix {
            world.trace("connect to \(address): errno \(connection.connectError)")
            return -connection.connectError
        }
        openConnections += 1
        let descriptor = open(.connection(connection))
        world.trace("connect \(descriptor) to \(address), peer \(connection.peerIndex)")
        return descriptor
    }

    override func connectResult(_ descriptor: Int32) -> Int32 {
        guard let connection = connection(descriptor, "getsockopt") else { return EBADF }
        if connection.isConnecting(now) {
            world.fail("a connect's result was asked before it was there")
        }
        activity += 1
        if connection.connectError == 0 && connection.isReset(now) { return ECONNRESET }
        return connection.connectError
    }

    override func receive(
        _ descriptor: Int32, _ buffer: UnsafeMutableRawPointer, _ count: Int
    ) -> Int {
        guard let connection = connection(descriptor, "recv") else { return -Int(EBADF) }
        if connection.isConnecting(now) { return -Int(EAGAIN) }
        if connection.connectError != 0 { return -Int(connection.connectError) }
        let pipe = connection.toProxy
        let available = pipe.available(now)
        if available == 0 {
            if pipe.isExhausted(now) {
                if plantedBug == .forgottenEnd { return -Int(EAGAIN) }
                world.trace("recv \(descriptor): end")
                return 0
            }
            if connection.isReset(now) {
                world.trace("recv \(descriptor): reset")
                return -Int(ECONNRESET)
            }
            return -Int(EAGAIN)
        }
        if world.isFaulty, random.perMille(world.plan.againPerMille) { return -Int(EAGAIN) }
        let length = piece(min(available, count), world.plan.shortReadPerMille)
        pipe.take(buffer, length)
        activity += 1
        world.trace("recv \(descriptor): \(length) of \(available)")
        world.roomMade(connection)
        return length
    }

    override func send(_ descriptor: Int32, _ buffer: UnsafeRawPointer, _ count: Int) -> Int {
        guard let connection = connection(descriptor, "send") else { return -Int(EBADF) }
        if connection.isConnecting(now) { return -Int(EAGAIN) }
        if connection.connectError != 0 { return -Int(connection.connectError) }
        if connection.isReset(now) {
            world.trace("send \(descriptor): broken pipe")
            return -Int(EPIPE)
        }
        if connection.isClosedByPeer {
            activity += 1
            if connection.isUnix { return -Int(EPIPE) }
            // The peer's kernel answers with a reset.
            if connection.resetToProxy == nil {
                connection.resetToProxy = max(
                    now + 2 * world.delay(), connection.toProxy.endTime ?? 0)
                world.schedule(connection.resetToProxy ?? now, connection.peerIndex)
            }
            return count
        }
        let room = connection.fromProxy.room
        if room == 0 { return -Int(EAGAIN) }
        if world.isFaulty, random.perMille(world.plan.againPerMille) { return -Int(EAGAIN) }
        let length = piece(min(room, count), world.plan.shortSendPerMille)
        activity += 1
        world.trace("send \(descriptor): \(length) of \(count)")
        deliver(UnsafeRawBufferPointer(start: buffer, count: length), connection)
        return length
    }

    private func deliver(_ bytes: UnsafeRawBufferPointer, _ connection: SimulatedConnection) {
        let pipe = connection.fromProxy
        var copy = Array(bytes)
        if random.chance(oneIn: 30) {
            switch plantedBug {
            case .duplicatedBurst: copy += copy
            case .lostByte: copy.removeLast()
            case .corruptedByte: copy[copy.count / 2] ^= 1
            default: break
            }
        }
        let arrival = copy.withUnsafeBytes { pipe.write($0, now: now, delay: world.delay()) }
        world.schedule(arrival, connection.peerIndex)
    }

    private func piece(_ length: Int, _ perMille: Int) -> Int {
        guard world.isFaulty, pieces > 0, length > 1 else { return length }
        if world.plan.isSplitting {
            pieces -= 1
            return 1
        }
        guard random.perMille(perMille) else { return length }
        pieces -= 1
        return 1 + random.size(upTo: length - 1)
    }

    override func peerAddress(_ descriptor: Int32) -> SocketAddress? {
        guard let connection = connection(descriptor, "getpeername") else { return nil }
        return .ipv4(connection.address, port: 40_000)
    }

    override func nowNanoseconds() -> UInt64 { now }
}

/// One epoll instance.
final class SimulatedPoller {
    private(set) var watched: [(descriptor: Int32, events: UInt32, token: UInt64)] = []

    func forget(_ descriptor: Int32) { watched.removeAll { $0.descriptor == descriptor } }

    func control(
        _ operation: Int32, _ descriptor: Int32, _ events: UInt32, _ token: UInt64
    ) -> Int32 {
        let index = watched.firstIndex { $0.descriptor == descriptor }
        switch operation {
        case EPOLL_CTL_ADD:
            guard index == nil else { return -EEXIST }
            watched.append((descriptor, events, token))
        case EPOLL_CTL_MOD:
            guard let index else { return -ENOENT }
            watched[index] = (descriptor, events, token)
        default:
            guard let index else { return -ENOENT }
            watched.remove(at: index)
        }
        return 0
    }
}

/// A listening socket with the connections that nobody has accepted yet.
final class SimulatedListener {
    var queue: [(time: UInt64, connection: SimulatedConnection)] = []
    var isClosed = false

    func isReadable(_ now: UInt64) -> Bool { queue.first.map { $0.time <= now } ?? false }
}
