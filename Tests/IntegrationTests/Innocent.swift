import Foundation
import TestSupport
import Testing

/// A tenant that does nothing wrong: its pgbench goes on while others attack, and must not feel it.
///
/// The load is metered: so many transactions are due in a second, at random instants, and one that
/// can't begin within half a second of its instant is skipped. A twin runs direct to the same
/// cluster: what the machine takes from both is nobody's fault.
struct Innocent {
    let proxy: ProxyProcess
    private let cluster: PrivateCluster
    private let scratch: TemporaryDirectory

    init(_ house: LiveHouse, proxy other: ProxyProcess? = nil) throws {
        proxy = other ?? house.proxy
        cluster = house.globex
        scratch = try TemporaryDirectory("innocent")
    }

    /// Runs `attack` beside the pgbench pair and judges: of the transactions that were due at least
    /// 95 % of the twin's share were served, no error, the same process, and its descriptors and
    /// memory are back within 10 s.
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
            return mine.seconds.count > 0 && twin.seconds.count > 0
        }
        let before = ProcessNumbers(pid)
        let start = (mine.seconds.count, twin.seconds.count)
        let value = try attack()
        try waitUntil(deadline: .seconds(20), "pgbench goes on\n\(mine.text)") {
            try mine.check()
            return mine.seconds.count >= start.0 + 3 && twin.seconds.count >= start.1 + 3
        }
        let (share, served) = mine.share(from: start.0)
        let (twinShare, twinServed) = twin.share(from: start.1)
        #expect(
            share >= 0.95 * twinShare, "\(share) of its transactions, the twin \(twinShare)",
            sourceLocation: sourceLocation)
        // What hangs skips nothing; the instants are random, so this is a coarser sieve.
        #expect(
            served >= 0.75 * twinServed, "\(served) transactions/s, the twin \(twinServed)",
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
                "prepared", "-c", "4", "--rate", "200", "--latency-limit", "500", "-T", "600",
                "-P", "1", address,
            ], environment: Psql.environment(password: LiveHouse.password),
            outputPath: outputPath)
    }

    deinit { child.signal(SIGKILL) }

    var text: String { child.output }

    /// Transactions served and skipped in each second that passed.
    var seconds: [(served: Double, skipped: Double)] {
        text.split(separator: "\n").filter { $0.hasPrefix("progress:") }.compactMap { line in
            let words = line.split(separator: " ")
            func number(before word: String) -> Double? {
                words.firstIndex { $0 == word }.flatMap { Double(words[$0 - 1]) }
            }
            guard let served = number(before: "tps,"), let skipped = number(before: "skipped")
            else { return nil }
            return (served, skipped)
        }
    }

    /// The part of the transactions due that was served, and how many a second; the first second
    /// began before the interval.
    func share(from first: Int) -> (share: Double, perSecond: Double) {
        let counted = seconds.dropFirst(first + 1)
        let served = counted.reduce(0) { $0 + $1.served }
        let skipped = counted.reduce(0) { $0 + $1.skipped }
        return (served / max(served + skipped, 1), served / Double(max(counted.count, 1)))
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
        let open = try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd")
        files = open?.count ?? -1
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
