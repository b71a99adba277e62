/// What a seed decided: how many of everything, and which faults are on (swarm testing: each seed
/// has another subset, so that faults do not hide one another).
struct SimulationPlan {
    enum Authentication: CaseIterable { case trust, cleartext, scramRelayed, scramBoth, lookup }

    var workers = 1
    var tenants = 1
    var clients = 1
    var exchangesMax = 3
    var clientThinkMilliseconds = 0
    var payloadMax = 2_000
    var authentication = Authentication.trust
    var usesTLS = false
    var usesUnixSocket = false
    var isEager = false

    // The network, both legs.
    var latencyMicroseconds = 200
    var jitterMicroseconds = 0
    var bufferBytes = 256 * 1024
    var shortReadPerMille = 0
    var shortSendPerMille = 0
    var againPerMille = 0
    var isSplitting = false
    var pollSubset = false
    /// Operations that may still be cut short, so that tiny pieces end some time.
    var pieceBudget = 400

    // Ends and refusals.
    var clientCutPerMille = 0
    var serverCutPerMille = 0
    var connectFaultPerMille = 0
    var acceptFaultPerMille = 0
    var fatalPerMille = 0
    var clientViolationPerMille = 0
    var serverViolationPerMille = 0
    var pausePerMille = 0
    var thinkMicroseconds = 0
    var cancellers = 0
    var drainAt: UInt64?
    var swapAt: UInt64?
    var stopAt: UInt64?
    var tenantSessionsMax = 0
    var clientStallMilliseconds = 0
    var idleMilliseconds = 0

    static let millisecond: UInt64 = 1_000_000

    init(random: inout SeededRandom) {
        workers = random.chance(oneIn: 3) ? 2 : 1
        tenants = random.within(1...3)
        clients = random.chance(oneIn: 12) ? random.within(6...10) : random.within(1...4)
        exchangesMax = random.within(1...7)
        clientThinkMilliseconds = random.chance(oneIn: 2) ? random.within(1...60) : 0
        authentication =
            random.chance(oneIn: 8)
            ? Authentication.allCases[random.within(1...4)] : .trust
        usesTLS = random.chance(oneIn: 20)
        usesUnixSocket = random.chance(oneIn: 4)
        isEager = random.chance(oneIn: 4)
        latencyMicroseconds = [0, 20, 200, 2_000, 20_000][random.below(5)]
        jitterMicroseconds = [0, 0, 100, 5_000][random.below(4)]
        chooseNetwork(&random)
        chooseEnds(&random)
        chooseControl(&random)
        payloadMax = choosePayload(&random)
        if clientStallMilliseconds > 0 {
            bufferBytes = 4_096
            payloadMax = 20_000
            pausePerMille = 900
        }
    }

    private mutating func chooseNetwork(_ random: inout SeededRandom) {
        if random.chance(oneIn: 3) { shortReadPerMille = random.within(50...900) }
        if random.chance(oneIn: 3) { shortSendPerMille = random.within(50...900) }
        if random.chance(oneIn: 3) { againPerMille = random.within(20...300) }
        isSplitting = random.chance(oneIn: 8)
        pollSubset = random.chance(oneIn: 5)
        bufferBytes = [512, 4_096, 40_000, 256 * 1024, 256 * 1024][random.below(5)]
    }

    private mutating func chooseEnds(_ random: inout SeededRandom) {
        if random.chance(oneIn: 4) { clientCutPerMille = random.within(100...800) }
        if random.chance(oneIn: 4) { serverCutPerMille = random.within(100...800) }
        if random.chance(oneIn: 8) { connectFaultPerMille = random.within(100...600) }
        if random.chance(oneIn: 10) { acceptFaultPerMille = random.within(50...400) }
        if random.chance(oneIn: 6) { fatalPerMille = random.within(50...400) }
        if random.chance(oneIn: 10) { clientViolationPerMille = random.within(200...800) }
        if random.chance(oneIn: 10) { serverViolationPerMille = random.within(100...500) }
        if random.chance(oneIn: 5) { pausePerMille = random.within(100...700) }
        if random.chance(oneIn: 3) { thinkMicroseconds = random.within(1...50_000) }
    }

    private mutating func chooseControl(_ random: inout SeededRandom) {
        func moment() -> UInt64 { UInt64(random.within(0...400)) * Self.millisecond }
        if random.chance(oneIn: 5) { cancellers = random.within(1...4) }
        if random.chance(oneIn: 8) { drainAt = moment() }
        if random.chance(oneIn: 8) { swapAt = moment() }
        if random.chance(oneIn: 15) { stopAt = moment() }
        if random.chance(oneIn: 15) { tenantSessionsMax = random.within(1...2) }
        if random.chance(oneIn: 12) { clientStallMilliseconds = random.within(20...2_000) }
        if random.chance(oneIn: 20) { idleMilliseconds = random.within(5...60) }
    }

    private func choosePayload(_ random: inout SeededRandom) -> Int {
        if isSplitting { return 200 }
        if bufferBytes <= 4_096 { return 12_000 }
        return random.chance(oneIn: 12) ? 200_000 : 3_000
    }

    /// Whether a session may end without that anything cut it.
    var endsSessions: Bool {
        drainAt != nil || stopAt != nil || clientStallMilliseconds > 0 || idleMilliseconds > 0
    }
}
