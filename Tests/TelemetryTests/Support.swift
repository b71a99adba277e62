import Foundation
import Glibc
import Telemetry
import Testing

@testable import Admin

/// The root of the checkout.
let projectRoot = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// A generator that repeats from its seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

/// A pair of connected sockets on which each write arrives as one packet: shows what one write(2)
/// was.
final class PacketPair: Sendable {
    let near: Int32
    let far: Int32

    init() throws {
        var pair: [Int32] = [-1, -1]
        let kind = Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue)
        try #require(socketpair(AF_UNIX, kind, 0, &pair) == 0)
        (near, far) = (pair[0], pair[1])
    }

    deinit {
        close(near)
        close(far)
    }

    /// The next packet as text; nil when none comes within the time.
    func packet(milliseconds: Int32 = 5_000) -> String? {
        var polled = pollfd(fd: far, events: Int16(POLLIN), revents: 0)
        guard poll(&polled, 1, milliseconds) == 1 else { return nil }
        var buffer = [UInt8](repeating: 0, count: 1 << 17)
        let count = recv(far, &buffer, buffer.count, 0)
        return count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : nil
    }

    /// All packets that are there now.
    func waiting() -> [String] {
        var all: [String] = []
        while let next = packet(milliseconds: 0) { all.append(next) }
        return all
    }
}

/// Runs a program to its end and returns its exit code and everything that it printed.
func run(_ program: String, _ arguments: [String]) throws -> (code: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: data, as: UTF8.self))
}

/// A status with something in each part.
func sampleStatus(phase: ServicePhase = .running, generation: UInt64 = 3) -> ServiceStatus {
    let worker = WorkerCounters()
    worker.add(.sessionsOpened, 5)
    worker.add(.sessionsEnded, 2)
    worker.set(.loginsInFlight, 1)
    worker.set(.bufferedBytes, 4_096)
    worker.countEnd(.clientClosed)
    worker.countEnd(.serverLost)
    worker.countLogin(nanoseconds: 2_500_000)
    let acme = TenantCounters()
    acme.add(.sessionsOpened, 4)
    acme.add(.sessionsEnded, 1)
    acme.add(.bytesFromClient, 1_536)
    acme.add(.bytesFromServer, 3 << 30)
    acme.add(.loginsFailed, 7)
    return ServiceStatus(
        version: "0.1.0", startedAtMilliseconds: 1_000_000_000_500, phase: phase,
        workers: [worker, WorkerCounters()],
        tenants: [
            TenantStatus(name: "acme", backend: "blue", counters: [acme], sessionLimit: 100),
            TenantStatus(name: "globex", backend: "green", counters: []),
        ],
        registry: RegistryStatus(
            generation: generation, problems: ["tenants/x.yaml:3:1: error: unknown key"],
            failures: 2, lastSuccessMilliseconds: 1_000_000_060_000),
        certificates: [
            CertificateStatus(name: "/etc/pgtee/proxy.crt", expirySeconds: 1_000_000_000 + 864_000)
        ])
}
