import Foundation
import Glibc
import Synchronization
import Testing

@testable import Admin

/// The service manager's end of NOTIFY_SOCKET.
private final class FakeManager: Sendable {
    let name: String
    private let descriptor: Int32

    init(isAbstract: Bool) throws {
        let unique = "/tmp/pgtee-notify-\(UUID().uuidString)"
        name = isAbstract ? "@" + unique : unique
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { path in
            path.copyBytes(from: Array(name.utf8))
            if isAbstract { path[0] = 0 }
        }
        let length = socklen_t(2 + name.utf8.count)
        let code = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length)
            }
        }
        try #require(code == 0)
    }

    deinit {
        close(descriptor)
        if name.hasPrefix("/") { unlink(name) }
    }

    func message(milliseconds: Int32 = 5_000) -> String? {
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&polled, 1, milliseconds) == 1 else { return nil }
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return count >= 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : nil
    }
}

@Suite struct ServiceNotifierTests {
    @Test(arguments: [false, true])
    func `messages arrive as the manager expects them`(isAbstract: Bool) throws {
        let manager = try FakeManager(isAbstract: isAbstract)
        let notifier = ServiceNotifier(environment: ["NOTIFY_SOCKET": manager.name])
        #expect(notifier.isActive)
        #expect(notifier.ready(status: "serving 2 tenants\nWATCHDOG=trigger"))
        #expect(manager.message() == "READY=1\nSTATUS=serving 2 tenants WATCHDOG=trigger")
        let before = RealTime.monotonicMicroseconds
        #expect(notifier.reloading())
        let reloading = try #require(manager.message())
        let match = try #require(
            reloading.wholeMatch(of: /RELOADING=1\nMONOTONIC_USEC=([0-9]+)\nSTATUS=reloading/))
        let stamp = try #require(UInt64(match.1))
        #expect(stamp >= before && stamp <= RealTime.monotonicMicroseconds)
        #expect(notifier.stopping(status: "draining"))
        #expect(manager.message() == "STOPPING=1\nSTATUS=draining")
        #expect(notifier.status("x"))
        #expect(manager.message() == "STATUS=x")
        #expect(notifier.extendTimeout(microseconds: 5))
        #expect(manager.message() == "EXTEND_TIMEOUT_USEC=5")
        #expect(notifier.alive())
        #expect(manager.message() == "WATCHDOG=1")
    }

    @Test func `without a manager nothing happens`() {
        let long = "/" + String(repeating: "x", count: 107)
        for name in [nil, "", "@", "relative", "vsock:2:1", long] {
            let environment = name.map { ["NOTIFY_SOCKET": $0, "WATCHDOG_USEC": "1000"] } ?? [:]
            let notifier = ServiceNotifier(environment: environment)
            #expect(!notifier.isActive)
            #expect(!notifier.ready(status: ""))
            #expect(notifier.watchdogIntervalMilliseconds == nil)
        }
        #expect(!ServiceNotifier(environment: ["NOTIFY_SOCKET": "/nowhere/x"]).ready(status: ""))
    }

    @Test func `the watchdog's time is halved and is for one process`() {
        func interval(_ time: String, _ process: String?) -> UInt64? {
            var environment = ["NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": time]
            environment["WATCHDOG_PID"] = process
            return ServiceNotifier(environment: environment).watchdogIntervalMilliseconds
        }
        #expect(interval("30000000", nil) == 15_000)
        #expect(interval("30000000", "\(getpid())") == 15_000)
        #expect(interval("30000000", "1") == nil)
        #expect(interval("0", nil) == nil)
        #expect(interval("-1", nil) == nil)
        #expect(interval("18446744073709551616", nil) == nil)
        #expect(interval("1", nil) == 1)
    }

    @Test func `the watchdog speaks while the service lives`() throws {
        let manager = try FakeManager(isAbstract: true)
        let notifier = ServiceNotifier(
            environment: ["NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "20000"])
        let asked = Mutex(0)
        let watchdog = Watchdog(notifier: notifier) {
            asked.withLock { count in
                count += 1
                return count <= 3
            }
        }
        #expect(watchdog.start())
        for _ in 0..<3 { #expect(manager.message() == "WATCHDOG=1") }
        let deadline = ContinuousClock.now + .seconds(10)
        while asked.withLock({ $0 }) < 8, ContinuousClock.now < deadline { sched_yield() }
        watchdog.stop()
        #expect(asked.withLock { $0 } >= 8)
        #expect(manager.message(milliseconds: 0) == nil)
    }

    @Test func `without a watchdog no thread starts`() {
        let watchdog = Watchdog(notifier: ServiceNotifier(environment: [:])) { true }
        #expect(watchdog.start())
        watchdog.stop()
    }
}

@Suite struct SignalTests {
    @Test func `the first ends sessions gently and the second at once`() {
        var sequence = SignalSequence()
        #expect(sequence.on(SIGHUP) == .reload)
        #expect(sequence.on(SIGTERM) == .drain)
        #expect(sequence.on(SIGHUP) == .reload)
        #expect(sequence.on(SIGINT) == .endNow)
        #expect(sequence.on(SIGTERM) == .endNow)
        #expect(sequence.on(SIGUSR2) == nil)
        #expect(sequence.on(SIGPIPE) == nil)
    }

    /// On a thread of its own, since only a thread that blocks the signals may be sent one.
    @Test func `signals are read in the order of their numbers`() {
        let found = Mutex<[Int32]>([])
        let thread = ControlThread()
        let isStarted = thread.start(name: "signals") {
            SignalWatcher.prepare()
            guard let watcher = SignalWatcher(handler: { _ in }) else { return }
            for number in [SIGTERM, SIGHUP] { pthread_kill(pthread_self(), number) }
            while let number = watcher.nextSignal() { found.withLock { $0.append(number) } }
        }
        #expect(isStarted)
        thread.stop()
        #expect(found.withLock { $0 } == [SIGHUP, SIGTERM])
    }

    @Test func `a watcher stops without a signal`() throws {
        let watcher = try #require(SignalWatcher { _ in })
        #expect(watcher.start())
        watcher.stop()
    }
}

@Suite struct ProcessHardeningTests {
    @Test func `limits are set and told`() {
        let done = ProcessHardening.apply()
        #expect(done.coreForbidden)
        #expect(done.dumpsForbidden)
        var files = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
        #expect(files.rlim_cur == files.rlim_max)
        #expect(done.openFilesAfter == UInt64(files.rlim_cur))
        var core = rlimit(rlim_cur: 1, rlim_max: 1)
        getrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &core)
        #expect(core.rlim_cur == 0 && core.rlim_max == 0)
        #expect(done.fields.count == 4)
    }
}

@Suite struct SystemdUnitTests {
    private let unit = projectRoot.appendingPathComponent("tools/systemd/pgtee.service")

    @Test func `the unit exposes little`() throws {
        let (code, output) = try run(
            "/usr/bin/systemd-analyze",
            ["security", "--no-pager", "--offline=yes", "--threshold=20", unit.path])
        #expect(code == 0, "\(output)")
        let match = try #require(
            output.firstMatch(of: /exposure level for pgtee.service: ([0-9.]+)/))
        let exposure = try #require(Double(String(match.1)))
        #expect(exposure <= 2.0)
    }

    /// With a program that is there, since `verify` looks for it.
    @Test func `the unit is understood`() throws {
        let folder = URL(fileURLWithPath: "/tmp/pgtee-unit-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let text = try String(contentsOf: unit, encoding: .utf8)
            .replacingOccurrences(of: "/usr/bin/pgtee", with: "/bin/true")
        let copy = folder.appendingPathComponent("pgtee.service")
        try Data(text.utf8).write(to: copy)
        let (code, output) = try run("/usr/bin/systemd-analyze", ["verify", "--man=no", copy.path])
        #expect(code == 0)
        #expect(output.isEmpty, "\(output)")
        try Data((text + "\n[Service]\nNoSuchKey=1\n").utf8).write(to: copy)
        let bad = try run("/usr/bin/systemd-analyze", ["verify", "--man=no", copy.path])
        #expect(bad.output.contains("NoSuchKey"))
    }
}
