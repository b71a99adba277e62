import Foundation
import TestSupport
import Testing

/// What a peer of tools/peers reports of one case.
struct CaseResult: Decodable {
    let row: String
    let `case`: String
    let ok: Bool
    let detail: String
}

/// A run of tools/peers/evil_client.py or evil_backend.py.
final class Attack {
    private let child: ChildProcess
    private let scratch: TemporaryDirectory

    /// The evil client with these words; it attacks `proxy` as remi of acme.
    static func client(
        _ rows: [String], _ proxy: ProxyProcess, _ options: [String] = []
    ) throws -> Attack {
        try Attack(
            "evil_client.py",
            ["--port", "\(proxy.port)", "--user", "remi", "--password", LiveHouse.password]
                + options + rows)
    }

    /// The evil clusters as tenants of `proxy`; they wait for `release` once they are written.
    static func backends(
        _ rows: [String], _ proxy: ProxyProcess, _ options: [String] = []
    ) throws -> Attack {
        try Attack(
            "evil_backend.py",
            [
                "--tenants", proxy.tenantsDirectory, "--proxy-port", "\(proxy.port)", "--only",
                rows.joined(separator: ","),
            ] + options)
    }

    private init(_ program: String, _ words: [String]) throws {
        scratch = try TemporaryDirectory("attack")
        child = try ChildProcess(
            ["nice", "-n", "19", "python3", "\(Repository.root)/tools/peers/\(program)"] + words
                + ["--release", scratch.file("release")],
            outputPath: scratch.file("output"), errorPath: scratch.file("error"))
    }

    deinit { child.signal(SIGKILL) }

    /// Waits until the peer holds what it wants to hold (or has its clusters ready).
    func waitUntilHolding(deadline: Duration = .seconds(30)) throws {
        try waitUntil(deadline: deadline, "the peer holds\n\(errors)") {
            guard child.isRunning else { throw LiveFailure("the peer ended:\n\(text)\(errors)") }
            return text.contains("\"holding\"") || text.contains("\"ready\"")
        }
    }

    func release() throws { try scratch.write("release", "") }

    /// Waits for the end and returns all cases.
    func finish(deadline: Duration = .seconds(180)) throws -> [CaseResult] {
        let ending = try child.wait(deadline: deadline)
        guard ending == .exited(0) else {
            throw LiveFailure("the peer ended with \(ending):\n\(text)\(errors)")
        }
        return try text.split(separator: "\n").filter { $0.contains("\"case\"") }.map {
            try JSONDecoder().decode(CaseResult.self, from: Data($0.utf8))
        }
    }

    private var text: String { child.output }
    private var errors: String { readText(scratch.file("error")) }
}

/// All cases did what they must, and none was lost.
func expectAll(
    _ results: [CaseResult], atLeast count: Int, sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(results.count >= count, sourceLocation: sourceLocation)
    for result in results where !result.ok {
        Issue.record(
            "\(result.row), \(result.case): \(result.detail)", sourceLocation: sourceLocation)
    }
}

/// Attacks the shared pgtee with these rows while the innocent tenant works.
func attack(
    _ rows: String..., options: [String] = [], atLeast count: Int, memoryLimit: Int = 64 << 20,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let house = try LiveHouse.open()
    let results = try Innocent(house).watch(memoryLimit: memoryLimit) {
        try Attack.client(rows, house.proxy, options).finish()
    }
    expectAll(results, atLeast: count, sourceLocation: sourceLocation)
    #expect(
        try house.client("remi@acme").values("SELECT 42") == ["42"],
        sourceLocation: sourceLocation)
}
