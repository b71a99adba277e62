import Foundation
import TestSupport
import Testing

/// A tenant that does nothing wrong: its pgbench goes on while others attack, and must not feel it.
///
/// The load is metered (so many transactions a second, late ones are skipped), and a twin runs
/// direct to the same cluster: what the machine takes from both is nobody's fault.
struct Innocent {
    let proxy: ProxyProcess
    private let cluster: PrivateCluster
    private let scratch: TemporaryDirectory

    init(_ house: LiveHouse, proxy other: ProxyProcess? = nil) throws {
        proxy = other ?? house.proxy
        cluster = house.globex
        scratch = try TemporaryDirectory("innocent")
    }

    /// Runs `attack` beside the pgbench pair and judges: the rate is at least 95 % of the twin's, no
    /// error, the same process, and its descriptors and memory are back within 10 s.
    @discardableResult
    func watch<Value>(
        memoryLimit: Int = 64 << 20, _ attack: () throws -> Value,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Value {
        let pid = proxy.pid
        let mine = try Bench(
            "\(proxy.address) user=innocent@globex dbname=bench", scratch.file("mine"))
        let twin = try Bench(
            "\(cluster.socketAddress) user=innocent dbname=bench", scratch.file("twin"))
        try waitUntil(deadline: .seconds(20), "pgbench runs\n\(mine.text)\(twin.text)") {
            try mine.check()
            try twin.check()
            return mine.rates.count > 0 && twin.rates.count > 0
        }
        let before = ProcessNumbers(pid)
        let start = (mine.rates.count, twin.rates.count)
        let value = try attack()
        try waitUntil(deadline: .seconds(20), "pgbench goes on\n\(mine.text)") {
            try mine.check()
            return mine.rates.count >= start.0 + 3 && twin.rates.count >= start.1 + 3
        }
        let rate = mine.average(from: start.0)
        let twinRate = twin.average(from: start.1)
        #expect(
            rate >= 0.95 * twinRate, "\(rate) against \(twinRate) transactions/s",
            sourceLocation: sourceLocation)
        try mine.check()
        #expect(proxy.isRunning && proxy.pid == pid, "\(proxy.log.suffix(2_000))")
        try waitUntil("descriptors are back at \(before.files): \(ProcessNumbers(pid).files)") {
            ProcessNumbers(pid).files <= before.files + 2
        }
        let growth = ProcessNumbers(pid).memory - before.memory
        #expect(growth < memoryLimit, "resident memory grew by \(growth)")
        return value
    }
}

/// A metered pgbench, reporting every second.
private final class Bench {
    private let child: ChildProcess

    init(_ address: String, _ outputPath: String) throws {
        child = try ChildProcess(
            [
                try PostgreSQLInstallation(major: 15).program("pgbench"), "-n", "-S", "-M",
                "prepared", "-c", "4", "--rate", "200", "--latency-limit", "1000", "-T", "600",
                "-P", "1", address,
            ], environment: Psql.environment(password: LiveHouse.password),
            outputPath: outputPath)
    }

    deinit { child.signal(SIGKILL) }

    var text: String { child.output }

    /// Transactions per second, one number for each second that passed.
    var rates: [Double] {
        text.split(separator: "\n").filter { $0.hasPrefix("progress:") }.compactMap { line in
            let words = line.split(separator: " ")
            return words.firstIndex(of: "tps,").flatMap { Double(words[$0 - 1]) }
        }
    }

    /// The first second of an interval began before it.
    func average(from first: Int) -> Double {
        let counted = rates.dropFirst(first + 1)
        return counted.reduce(0, +) / Double(max(counted.count, 1))
    }

    func check() throws {
        let isBroken = text.contains("error") || text.contains("FATAL") || text.contains("abort")
        guard child.isRunning, !isBroken else {
            throw LiveFailure("the innocent tenant's pgbench failed:\n\(text)")
        }
    }
}

/// What the kernel says of a process.
struct ProcessNumbers {
    let files: Int
    /// Resident bytes.
    let memory: Int
    /// User and system time in clock ticks.
    let ticks: Int

    init(_ pid: Int32) {
        files = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count) ?? -1
        let pages = readText("/proc/\(pid)/statm").split(separator: " ")
        memory = pages.count > 1 ? (Int(pages[1]) ?? 0) * 4_096 : 0
        let fields = readText("/proc/\(pid)/stat").split(separator: ")").last?.split(separator: " ")
        ticks = (fields ?? []).dropFirst(11).prefix(2).compactMap { Int($0) }.reduce(0, +)
    }
}

/// What a helper of these tests could not do.
struct LiveFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
