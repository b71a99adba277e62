import Authentication
import EventLoop
import Glibc
import Handoff
import PostgresProtocol
import Telemetry
import Tenancy

@testable import Proxy

// The room's map, for who changes it:
//  - Simulation plays one seed: the real ProxyWorkers over SimulatedKernel, stepped in turn by one
//    thread in virtual time, with ModelClients on one side and ModelServers on the other.
//  - SimulationPlan is what the seed decided. Exchange is a request that carries its own answer.
//  - The oracles are where the facts are: ModelClient and ModelServer compare each byte with what
//    the other end sent, SimulatedKernel watches descriptors, Simulation+oracles looks at the end.
// Nothing in it may depend on the real time, addresses or the order of a dictionary: a seed must
// repeat.

/// One run of one seed.
final class Simulation {
    static let nobody = -1
    static let modelScratchBytes = 64 * 1024
    static let password = Array("secret".utf8)
    static let verifier: ScramVerifier = {
        do {
            return try ScramVerifier.derive(
                password: password, salt: Array("0123456789abcdef".utf8), iterations: 1)
        } catch {
            preconditionFailure("\(error)")
        }
    }()
    private static let second: UInt64 = 1_000_000_000
    /// Steps of a worker that change nothing, one after the other.
    private static let idleStepsMax = 400
    private static let stepsMax = 300_000

    let seed: UInt64
    var plan: SimulationPlan
    var random: SeededRandom
    private(set) lazy var kernel = SimulatedKernel(
        world: self, random: SeededRandom(seed: seed ^ 0xABCD))
    let modelPipe = TLSPipe()
    let modelScratch = UnsafeMutableRawPointer.allocate(
        byteCount: modelScratchBytes, alignment: 16)
    private(set) var failures: [String] = []
    private(set) var lines: [String] = []
    private let isTracing: Bool

    var clusters: [ModelCluster] = []
    var clients: [ModelClient] = []
    private(set) var cancellers: [ModelCanceller] = []
    private var peers: [ModelPeer] = []
    private var events = EventHeap()
    private var healTime: UInt64 = 0
    private(set) var hasDrained = false

    private(set) var telemetry = Mailbox<TelemetryEvent>(capacity: 4_096)
    private(set) lazy var shared = ProxyShared(
        workers: plan.workers, telemetry: telemetry, mockSecret: [1, 2, 3], peers: nil)
    private(set) var workers: [ProxyWorker] = []
    private(set) var gauges: [TenantGauges] = []
    private(set) var listeners: [(descriptor: Int32, listener: SimulatedListener)] = []
    private var records = 0

    init(seed: UInt64, isTracing: Bool = false, plantedBug: PlantedBug? = nil) {
        self.seed = seed
        self.isTracing = isTracing
        random = SeededRandom(seed: seed)
        plan = SimulationPlan(random: &random)
        kernel.plantedBug = plantedBug
        healTime = kernel.now + UInt64(random.within(1...4)) * Self.second
        trace("\(plan)")
    }

    deinit { modelScratch.deallocate() }

    // For everybody in the simulation.

    var isFaulty: Bool { kernel.now < healTime }
    var hasRightCancels: Bool { cancellers.contains { $0.usesRightKey } }

    func fail(_ text: String) {
        trace("FAILURE: \(text)")
        if failures.count < 5 { failures.append(text) }
    }

    func trace(_ text: @autoclosure () -> String) {
        if isTracing { lines.append("\(kernel.now / 1_000) us: \(text())") }
    }

    func delay() -> UInt64 {
        guard isFaulty else { return 10_000 }
        let jitter = plan.jitterMicroseconds
        return UInt64(plan.latencyMicroseconds + random.below(jitter + 1)) * 1_000
    }

    func schedule(_ time: UInt64, _ peer: Int) { events.insert(time, peer) }

    /// The proxy has read from a connection: its peer may have waited for that.
    func roomMade(_ connection: SimulatedConnection) {
        guard connection.peerIndex >= 0, peers[connection.peerIndex].hasOutgoing else { return }
        schedule(kernel.now, connection.peerIndex)
    }

    func clientFaulted(_ connection: SimulatedConnection) {
        if connection.peerIndex >= 0 { peers[connection.peerIndex].wasCut = true }
    }

    /// False when nobody listens any more.
    func connectClient(_ peer: ModelPeer) -> Bool {
        let open = listeners.filter { !$0.listener.isClosed }
        guard !open.isEmpty else { return false }
        let target = plan.clients > 5 ? open[0] : open[random.below(open.count)]
        let connection = SimulatedConnection(
            isUnix: false, peerIndex: peer.index, address: 0x0A09_0000 + UInt32(peer.index),
            bufferBytes: plan.bufferBytes)
        peer.connection = connection
        chooseCut(peer, plan.clientCutPerMille)
        let arrival = max(kernel.now + delay(), target.listener.queue.last?.time ?? 0)
        target.listener.queue.append((arrival, connection))
        schedule(arrival, Self.nobody)
        return true
    }

    private func chooseCut(_ peer: ModelPeer, _ perMille: Int) {
        guard isFaulty, random.perMille(perMille) else { return }
        peer.cutAt = random.chance(oneIn: 3) ? random.size(upTo: 400) : 300 + random.below(6_000)
        peer.cut = [.reset, .close, .halfClose][random.below(3)]
    }

    /// nil when nobody is there.
    func connect(to address: SocketAddress) -> SimulatedConnection? {
        guard let tenant = SimulatedAddresses.tenant(address), clusters.indices.contains(tenant)
        else {
            return nil
        }
        let cluster = clusters[tenant]
        let server = ModelServer(index: peers.count, world: self, cluster: cluster)
        let connection = SimulatedConnection(
            isUnix: address.isUnix, peerIndex: server.index, address: 0,
            bufferBytes: plan.bufferBytes)
        server.connection = connection
        chooseCut(server, plan.serverCutPerMille)
        if server.cutAt != nil { cluster.hadFault = true }
        var wait = address.isUnix ? 0 : delay()
        if isFaulty, random.perMille(plan.connectFaultPerMille) {
            if random.chance(oneIn: 2) {
                connection.connectError = [ECONNREFUSED, EHOSTUNREACH, EAGAIN][random.below(3)]
                cluster.hadFault = true
            } else {
                wait = UInt64(random.below(14_000)) * 1_000_000
                if wait > 9 * Self.second { cluster.hadFault = true }
            }
        }
        connection.connectTime = kernel.now + wait
        schedule(kernel.now + wait, Self.nobody)
        if connection.connectError == 0 { peers.append(server) } else { return refused(connection) }
        return connection
    }

    private func refused(_ connection: SimulatedConnection) -> SimulatedConnection {
        let other = SimulatedConnection(
            isUnix: connection.isUnix, peerIndex: Self.nobody, address: 0, bufferBytes: 0)
        other.connectTime = connection.connectTime
        other.connectError = connection.connectError
        return other
    }

    // The run.

    /// Plays the seed. What went wrong is in `failures`.
    func run() {
        build()
        loop()
        if failures.isEmpty { finish() }
    }

    private func build() {
        clusters = (0..<plan.tenants).map { ModelCluster(tenant: $0) }
        gauges = (0..<plan.tenants).map { _ in TenantGauges(workers: plan.workers) }
        for session in 0..<plan.clients {
            let client = ModelClient(index: peers.count, world: self, session: session)
            clients.append(client)
            peers.append(client)
            schedule(client.startTime, client.index)
        }
        for _ in 0..<plan.cancellers {
            let target = clients[random.below(clients.count)]
            let canceller = ModelCanceller(index: peers.count, world: self, target: target)
            cancellers.append(canceller)
            peers.append(canceller)
            schedule(canceller.time, canceller.index)
        }
        let snapshot = makeSnapshot(generation: 1)
        for index in 0..<plan.workers {
            do {
                let worker = try ProxyWorker(
                    index: index, kernel: kernel, shared: shared, snapshot: snapshot)
                workers.append(worker)
            } catch {
                fail("\(error)")
            }
            let (descriptor, listener) = kernel.addListener()
            listeners.append((descriptor, listener))
            shared.mailboxes[index].post(
                .listen(
                    WorkerListener(
                        descriptor: descriptor, listener: Listener(address: "10.9.9.9", port: 1))))
        }
        for time in [plan.drainAt, plan.swapAt, plan.stopAt].compactMap({ $0 }) {
            schedule(kernel.now + time, Self.nobody)
        }
    }

    private func loop() {
        let start = kernel.now
        var idleSteps = 0
        for _ in 0..<Self.stepsMax where failures.isEmpty {
            control(kernel.now - start)
            var wakes = 0
            while let peer = events.popDue(kernel.now), wakes < 10_000 {
                if peer >= 0 { peers[peer].wake() }
                idleSteps = 0
                wakes += 1
            }
            var isBusy = false
            for worker in workers where !worker.isStopped {
                let before = kernel.activity
                let timers = worker.timers.count
                worker.step()
                if worker.timers.count < timers { isBusy = true }
                guard kernel.lastEventCount > 0 else { continue }
                isBusy = true
                idleSteps = kernel.activity == before ? idleSteps + 1 : 0
            }
            if idleSteps > Self.idleStepsMax { return fail("a worker spins") }
            if workers.allSatisfy(\.isStopped) { return }
            if isBusy {
                kernel.now += UInt64(1 + random.below(20)) * 1_000
                continue
            }
            if events.isEmpty && kernel.openConnections == 0 && clients.allSatisfy(\.isOver) {
                return
            }
            guard let next = nextTime() else { return }
            kernel.now = max(kernel.now, next)
            if kernel.now > start + 400 * Self.second { return }
        }
        if failures.isEmpty { fail("the run does not end") }
    }

    private func nextTime() -> UInt64? {
        let timers = workers.filter { !$0.isStopped }.compactMap(\.timers.nextDeadlineNanoseconds)
        return ([events.nextTime].compactMap { $0 } + timers).min()
    }

    /// What the control part does at its moments.
    private func control(_ time: UInt64) {
        if let moment = plan.drainAt, time >= moment, !hasDrained {
            hasDrained = true
            trace("drain")
            for mailbox in shared.mailboxes { mailbox.post(.drain) }
        }
        if let moment = plan.swapAt, time >= moment {
            plan.swapAt = nil
            trace("new snapshot")
            let snapshot = makeSnapshot(generation: 2)
            for mailbox in shared.mailboxes { mailbox.post(.snapshot(snapshot)) }
        }
        if let moment = plan.stopAt, time >= moment, !workers.contains(where: \.isStopped) {
            trace("stop")
            for mailbox in shared.mailboxes { mailbox.post(.stop) }
        }
    }

    private func makeSnapshot(generation: UInt64) -> ProxySnapshot {
        var configuration = ServiceConfiguration()
        configuration.timeouts.clientStall = plan.clientStallMilliseconds
        configuration.timeouts.idleSession = plan.idleMilliseconds
        var tenants: [Tenant] = []
        for index in 0..<plan.tenants {
            var tenant = Tenant(name: "t\(index)")
            var backend = Backend(
                endpoint: plan.usesUnixSocket
                    ? .unix(directory: "/sim/\(index)", port: 5432)
                    : .tcp(host: "localhost", port: 5432))
            backend.tls.mode = plan.usesTLS ? .verifyFull : seed % 2 == 0 ? .disable : .prefer
            tenant.backends = [backend]
            tenant.limits.sessions = plan.tenantSessionsMax
            switch plan.authentication {
            case .trust, .cleartext, .scramRelayed: tenant.authentication.mode = .relay
            case .scramBoth:
                for session in 0..<plan.clients {
                    tenant.authentication.verifiers["u\(session)"] = Self.verifier.text
                }
            case .lookup:
                tenant.authentication.lookup = VerifierLookup()
                tenant.authentication.lookup?.password = String(
                    decoding: Self.password, as: UTF8.self)
            }
            tenants.append(tenant)
        }
        let routes = RouteTable(
            configuration: configuration, tenants: tenants, generation: generation)
        let runtimes = tenants.enumerated().map { index, tenant in
            TenantRuntime(
                tenant: tenant, backend: tenant.backends[0],
                addresses: SimulatedAddresses.all(
                    index, isUnix: plan.usesUnixSocket, generation: generation, seed: seed),
                serverTLS: plan.usesUnixSocket || !plan.usesTLS && seed % 2 == 0
                    ? nil : LegCertificate.shared.clientContext,
                clientVerifier: nil, gauges: gauges[index])
        }
        return ProxySnapshot(
            generation: generation, configuration: configuration, routes: routes,
            clientTLS: plan.usesTLS ? LegCertificate.shared.serverContexts : nil,
            tenants: runtimes)
    }
}

/// Where the clusters are: the third byte is the tenant, the fourth the document's generation.
enum SimulatedAddresses {
    private static let nowhere = SocketAddress.ipv4(0x0AFF_0000, port: 5432)

    static func all(
        _ tenant: Int, isUnix: Bool, generation: UInt64, seed: UInt64
    ) -> [SocketAddress] {
        if isUnix { return [.unix(Array("/sim/\(tenant)/.s.PGSQL.5432".utf8))] }
        let address = SocketAddress.ipv4(
            0x0A00_0000 | UInt32(tenant) << 8 | UInt32(generation), port: 5432)
        return seed % 3 == 0 ? [nowhere, address] : [address]
    }

    static func tenant(_ address: SocketAddress) -> Int? {
        switch address {
        case .ipv4(let value, _) where value >> 16 == 0x0A00: Int(value >> 8 & 0xFF)
        case .unix(let path) where path.count > 5: Int(path[5]) - 0x30
        default: nil
        }
    }
}

/// When whom to wake; equal times in the order of insertion.
struct EventHeap {
    private struct Entry {
        var time: UInt64
        var order: UInt64
        var peer: Int

        func isBefore(_ other: Entry) -> Bool {
            time == other.time ? order < other.order : time < other.time
        }
    }

    private var entries: [Entry] = []
    private var count: UInt64 = 0

    var isEmpty: Bool { entries.isEmpty }
    var nextTime: UInt64? { entries.first?.time }

    mutating func insert(_ time: UInt64, _ peer: Int) {
        count += 1
        entries.append(Entry(time: time, order: count, peer: peer))
        var child = entries.count - 1
        while child > 0, entries[child].isBefore(entries[(child - 1) / 2]) {
            entries.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func popDue(_ now: UInt64) -> Int? {
        guard let first = entries.first, first.time <= now else { return nil }
        let last = entries.removeLast()
        guard !entries.isEmpty else { return first.peer }
        entries[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count {
                if entries[child].isBefore(entries[least]) { least = child }
            }
            if least == parent { return first.peer }
            entries.swapAt(parent, least)
            parent = least
        }
    }
}
