internal import Admin
internal import Glibc
internal import Handoff
internal import Proxy
internal import Registry
internal import Synchronization
internal import Telemetry
internal import Tenancy

/// Joins the services of `pgtee serve`: registry → proxy, proxy → log, proxy → admin endpoint,
/// signals → all. It holds no logic of theirs.
final class ServiceRunner: Sendable {
    private struct State {
        var phase = ServicePhase.starting
        var registry = RegistryStatus()
        var isEnding = false
    }

    private let configPath: String
    private let hardening: ProcessHardening
    private let state = Mutex(State())
    private let requests = Mailbox<SignalRequest>(capacity: 64)
    private let updates = Mailbox<RegistryUpdate>(capacity: 64)
    private let telemetry = Mailbox<TelemetryEvent>(capacity: 65_536)
    private let startedAt = RealTime.nowMilliseconds

    init(configPath: String, hardening: ProcessHardening) {
        self.configPath = configPath
        self.hardening = hardening
    }

    /// Returns when the service is drained or was told to end.
    func run() throws {
        let registry = FileRegistry(servicePath: configPath) { [updates] in updates.post($0) }
        let first = try registry.start()
        let configuration = first.configuration
        let log = LogWriter(
            format: configuration.log.format == .json ? .json : .logfmt,
            level: EventLevel(rawValue: configuration.log.level.rawValue) ?? .info)
        let pump = EventPump(mailbox: telemetry, writer: log)
        guard pump.start() else { throw ServeError(message: "could not start the log's thread") }
        log.write(.info, "process limits are set", hardening.fields)
        let proxy = try makeProxy(configuration, first.tenants)
        take(first, log)
        report(proxy, log)
        let admin = try makeAdmin(configuration, proxy, log)
        let signals = SignalWatcher { [requests] in requests.post($0) }
        guard let signals, signals.start() else {
            throw ServeError(message: "could not watch for signals")
        }
        do {
            try proxy.start()
        } catch {
            throw ServeError(message: error.description, hint: error.hint)
        }
        let notifier = ServiceNotifier()
        let watchdog = Watchdog(notifier: notifier) { proxy.areWorkersAlive() }
        _ = watchdog.start()
        state.withLock { $0.phase = .running }
        _ = notifier.ready(status: "serving \(first.tenants.count) tenants")
        log.write(
            .notice, "ready to accept connections",
            [
                LogField("tenants", .number(Int64(first.tenants.count))),
                LogField("workers", .number(Int64(proxy.workerLoads.count))),
            ])
        serve(proxy, registry, notifier, log)
        watchdog.stop()
        registry.stop()
        admin?.stop()
        proxy.stop()
        signals.stop()
        log.write(.notice, "stopped")
        pump.stop()
    }

    private func makeProxy(
        _ configuration: ServiceConfiguration, _ tenants: [Tenant]
    ) throws -> ProxyService {
        let workers = configuration.workers ?? max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        do {
            return try ProxyService(
                configuration: configuration, tenants: tenants, workers: workers,
                telemetry: telemetry, mockSecret: try mockSecret(configuration.mockSecretPath))
        } catch let error as ProxyError {
            throw ServeError(message: error.description, hint: nil)
        }
    }

    private func mockSecret(_ path: String) throws -> [UInt8] {
        guard !path.isEmpty else { return [] }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw ServeError(
                message: "could not open file \"\(path)\": \(String(cString: strerror(errno)))",
                hint: "mock_secret names a file with at least 16 random bytes.")
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(descriptor, &bytes, bytes.count)
        guard count >= 16 else {
            throw ServeError(
                message: "file \"\(path)\" is too short for a secret",
                hint: "Write at least 16 random bytes to it: head -c 32 /dev/urandom.")
        }
        return Array(bytes[..<count])
    }

    private func makeAdmin(
        _ configuration: ServiceConfiguration, _ proxy: ProxyService, _ log: LogWriter
    ) throws -> AdminServer? {
        guard configuration.admin.isEnabled else { return nil }
        do {
            let server = try AdminServer(
                address: configuration.admin.address, port: configuration.admin.port, log: log,
                source: { [self] in status(proxy) })
            guard server.start() else {
                throw ServeError(message: "could not start the admin endpoint's thread")
            }
            return server
        } catch let error as AdminServerError {
            throw ServeError(message: error.message, hint: error.hint)
        }
    }

    /// The control part's own loop: requests of the operator and new documents.
    private func serve(
        _ proxy: ProxyService, _ registry: FileRegistry, _ notifier: ServiceNotifier,
        _ log: LogWriter
    ) {
        var deadline: UInt64?
        var lastRefresh = RealTime.nowMilliseconds
        while true {
            if let deadline {
                if proxy.sessionCount == 0 || RealTime.nowMilliseconds >= deadline { return }
            }
            waitForWork(milliseconds: deadline != nil || proxy.hasRetired ? 50 : 30_000)
            proxy.releaseRetired()
            if proxy.usesHostNames && RealTime.nowMilliseconds >= lastRefresh + 30_000 {
                lastRefresh = RealTime.nowMilliseconds
                try? proxy.refresh()
            }
            for request in requests.drain().values {
                switch request {
                case .reload:
                    log.write(.notice, "reading documents again")
                    registry.reload()
                case .drain:
                    state.withLock { $0.phase = .draining }
                    let seconds = proxy.drainSeconds
                    _ = notifier.stopping(status: "draining")
                    log.write(
                        .notice, "draining",
                        [
                            LogField("sessions", .number(Int64(proxy.sessionCount))),
                            LogField("deadline_s", .number(Int64(seconds))),
                        ])
                    proxy.drain()
                    deadline = RealTime.nowMilliseconds + UInt64(max(0, seconds)) * 1000
                case .endNow:
                    log.write(.notice, "ending all sessions now")
                    return
                }
            }
            for update in updates.drain().values { apply(update, proxy, log) }
        }
    }

    private func waitForWork(milliseconds: Int32) {
        var waiting = [
            pollfd(fd: requests.eventDescriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: updates.eventDescriptor, events: Int16(POLLIN), revents: 0),
        ]
        _ = poll(&waiting, 2, milliseconds)
    }

    private func apply(_ update: RegistryUpdate, _ proxy: ProxyService, _ log: LogWriter) {
        take(update, log)
        guard update.hasChanged || update.certificatesChanged else { return }
        do {
            try proxy.update(configuration: update.configuration, tenants: update.tenants)
            log.write(
                .notice, "new documents are in force",
                [
                    LogField("generation", .number(Int64(clamping: update.generation))),
                    LogField("tenants", .number(Int64(update.tenants.count))),
                ])
            report(proxy, log)
        } catch {
            state.withLock { $0.registry.problems.append(error.description) }
            log.write(
                .error, "new documents are not in force; the last good ones stay",
                [LogField("error", .text(error.description))])
        }
    }

    private func take(_ update: RegistryUpdate, _ log: LogWriter) {
        state.withLock { state in
            state.registry.generation = update.generation
            state.registry.problems = update.problems.map(\.description)
            if update.hasErrors {
                state.registry.failures += 1
            } else {
                state.registry.lastSuccessMilliseconds = RealTime.nowMilliseconds
            }
        }
        for problem in update.problems {
            log.write(
                problem.severity == .error ? .error : .warning, "a document has a problem",
                [LogField("problem", .text(problem.description))])
        }
    }

    private func report(_ proxy: ProxyService, _ log: LogWriter) {
        for (tenant, reason) in proxy.problems {
            state.withLock { $0.registry.problems.append("tenant \"\(tenant)\": \(reason)") }
            log.write(
                .error, "a tenant cannot be reached with its documents",
                [LogField("tenant", .text(tenant)), LogField("reason", .text(reason))])
        }
    }

    private func status(_ proxy: ProxyService) -> ServiceStatus {
        let now = Int64(clamping: RealTime.nowMilliseconds / 1000)
        let (phase, registry) = state.withLock { ($0.phase, $0.registry) }
        return ServiceStatus(
            version: version, startedAtMilliseconds: startedAt, phase: phase,
            workers: proxy.workerCounters,
            tenants: proxy.tenants.map {
                TenantStatus(
                    name: $0.tenant.name, backend: $0.backend.name, counters: $0.gauges.counters,
                    sessionLimit: $0.tenant.limits.sessions)
            },
            registry: registry,
            certificates: proxy.certificates.map {
                CertificateStatus(name: $0.serial, expirySeconds: now + Int64($0.secondsLeft))
            })
    }
}
