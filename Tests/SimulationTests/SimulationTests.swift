import Glibc
import Testing

/// Runs seeds and says how to repeat those that failed.
enum Seeds {
    static func failures(_ seeds: Range<UInt64>, plantedBug: PlantedBug? = nil) -> [String] {
        var failures: [String] = []
        for seed in seeds {
            let simulation = Simulation(seed: seed, plantedBug: plantedBug)
            simulation.run()
            if let failure = simulation.failures.first {
                failures.append(
                    "seed \(seed): \(failure). "
                        + "Repeat: SIMULATION_SEED=\(seed) swift test --filter SimulationTests"
                )
            }
        }
        return failures
    }

    /// The seed of the environment, which is then run alone and traced.
    static let chosen: UInt64? = getenv("SIMULATION_SEED").flatMap { UInt64(String(cString: $0)) }

    static let perBlock: UInt64 = 1_000
    static let blocks: [UInt64] = {
        let count = getenv("SIMULATION_BLOCKS").flatMap { UInt64(String(cString: $0)) } ?? 10
        return Array(0..<count)
    }()
}

@Suite struct SimulationTests {
    @Test(arguments: Seeds.blocks)
    func `sessions keep their promises over a faulty network`(block: UInt64) {
        if let seed = Seeds.chosen {
            guard block == 0 else { return }
            let simulation = Simulation(seed: seed, isTracing: true)
            simulation.run()
            for line in simulation.lines { print(line) }
            #expect(simulation.failures.isEmpty, "seed \(seed): \(simulation.failures)")
            return
        }
        let first = block * Seeds.perBlock
        let failures = Seeds.failures(first..<(first + Seeds.perBlock))
        #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    }

    @Test func `the seeds reach what they are for`() {
        var coverage = Coverage()
        for seed in UInt64(0)..<1_000 {
            let simulation = Simulation(seed: seed)
            simulation.run()
            simulation.note(in: &coverage)
        }
        let wanted = [
            "completed", "handedOver", "cancelHits", "cancelMisses", "cancels seen",
            "tlsHandshakes",
            "verifierLookups", "snapshotSwaps", "told 57P01", "told 57P03", "told 57P05",
            "told 08P01", "told 08006", "told 53300", "end client_stalled", "end client_lost",
            "end server_lost", "end server_closed", "end login_timeout",
        ]
        for name in wanted { #expect(coverage.reached[name] ?? 0 > 0, "\(name)") }
    }

    @Test func `a seed gives the same run twice`() {
        for seed in UInt64(0)..<20 {
            let runs = (0..<2).map { _ in
                let simulation = Simulation(seed: seed, isTracing: true)
                simulation.run()
                return simulation.lines
            }
            #expect(runs[0] == runs[1], "seed \(seed)")
        }
    }
}

/// The oracles are worth something only if they see bugs.
@Suite struct OracleTests {
    @Test(arguments: PlantedBug.allCases)
    func `a planted bug is found within a few seeds`(bug: PlantedBug) {
        let found = (UInt64(0)..<200).first { seed in
            !Seeds.failures(seed..<(seed + 1), plantedBug: bug).isEmpty
        }
        #expect(found != nil, "\(bug) was not found")
    }
}
