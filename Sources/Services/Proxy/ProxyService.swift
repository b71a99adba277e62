internal import Authentication
internal import EventLoop
package import Handoff
internal import PostgresProtocol
package import Telemetry
package import Tenancy

/// Why the proxy could not start or take a new configuration.
package struct ProxyError: Error, Sendable, CustomStringConvertible {
    package var description: String
    package var hint: String?

    init(_ description: String, hint: String? = nil) {
        self.description = description
        self.hint = hint
    }
}

/// The proxy as the program sees it: listeners and workers, and the snapshots they route by.
///
/// - Thread: the control part's; `update`, `drain` and `stop` one at a time.
package final class ProxyService: @unchecked Sendable {
    private let kernel: Kernel
    private let shared: ProxyShared
    private let telemetry: Mailbox<TelemetryEvent>
    private let builder: SnapshotBuilder
    private var threads: [WorkerThread] = []
    private(set) package var snapshot: ProxySnapshot
    /// Freeing ten thousand tenants takes longer than a worker may stall: the last reference to a
    /// snapshot is this one, given up when all workers route by a later one.
    private var retired: [ProxySnapshot] = []

    /// Builds the first snapshot; nothing listens yet.
    ///
    /// - Errors: `ProxyError` when the TLS files of the service or the runtime directory can't be
    ///   used. A tenant that can't be used is left out; `problems` has it.
    package init(
        configuration: ServiceConfiguration, tenants: [Tenant], workers: Int,
        telemetry: Mailbox<TelemetryEvent>, mockSecret: [UInt8]
    ) throws(ProxyError) {
        self.telemetry = telemetry
        kernel = SystemKernel()
        var peers: CancelPeers?
        if !configuration.runtimeDirectory.isEmpty {
            do throws(SystemError) {
                peers = try CancelPeers(directory: configuration.runtimeDirectory)
            } catch {
                throw ProxyError("\(error)")
            }
        }
        shared = ProxyShared(
            workers: workers, telemetry: telemetry,
            mockSecret: mockSecret.isEmpty ? SecureRandom.bytes(32) : mockSecret, peers: peers,
            deriver: KeyDeriver())
        builder = SnapshotBuilder(workers: workers)
        snapshot = try builder.make(configuration, tenants, generation: 1)
    }

    /// What was wrong with tenants of the last snapshot: name and reason.
    package var problems: [(tenant: String, reason: String)] { builder.problems }

    /// Listens on every address, one socket per worker where the port can be shared, and starts the
    /// workers.
    package func start() throws(ProxyError) {
        do throws(SystemError) {
            try shared.deriver?.start(shared.mailboxes)
        } catch {
            throw ProxyError("\(error)")
        }
        var listeners: [[WorkerListener]] = shared.mailboxes.map { _ in [] }
        for listener in snapshot.configuration.listeners {
            for (worker, descriptor) in try listen(listener).enumerated() {
                listeners[worker].append(
                    WorkerListener(descriptor: descriptor, listener: listener))
            }
        }
        for (index, own) in listeners.enumerated() {
            for listener in own { shared.mailboxes[index].post(.listen(listener)) }
            try startWorker(index)
        }
        let (shared, cancels) = (shared, shared.cancels)
        shared.peers?.serve { request, reply in
            guard let target = cancels.find(request) else { return reply.done() }
            shared.mailboxes[target.worker].post(.cancel(target.token, reply: reply))
        }
    }

    private func startWorker(_ index: Int) throws(ProxyError) {
        let (kernel, shared, snapshot) = (kernel, shared, snapshot)
        do throws(SystemError) {
            let thread = try WorkerThread(name: "pgtee-worker-\(index)") {
                do throws(SystemError) {
                    let worker = try ProxyWorker(
                        index: index, kernel: kernel, shared: shared, snapshot: snapshot)
                    worker.run()
                } catch {
                    shared.telemetry.post(
                        .notice(
                            level: .error, key: "worker", message: "a worker could not start",
                            fields: [("worker", "\(index)"), ("error", "\(error)")]))
                }
            }
            threads.append(thread)
        } catch {
            throw ProxyError("\(error)")
        }
    }

    /// One descriptor per worker, or one for the first worker where the address can't be shared.
    private func listen(_ listener: Listener) throws(ProxyError) -> [Int32] {
        let address: SocketAddress
        if listener.isUnix {
            address = SocketAddress(unixDirectory: listener.address, port: listener.port)
        } else {
            let literal = listener.address == "*" ? "0.0.0.0" : listener.address
            guard let parsed = SocketAddress(literal: literal, port: listener.port) else {
                throw ProxyError("cannot listen at \"\(listener.address)\": not an address")
            }
            address = parsed
        }
        if !address.isUnix && snapshot.configuration.runtimeDirectory.isEmpty {
            // Another process could silently take a share of the connections.
            let probe = kernel.listen(at: address, backlog: 1, sharesPort: false)
            guard probe >= 0 else {
                let error = SystemError(number: -probe, doing: "listen at \(address)")
                throw ProxyError(
                    "\(error)",
                    hint: "Stop what listens there, or set runtime_directory in all instances to "
                        + "share the port.")
            }
            kernel.close(probe)
        }
        var descriptors: [Int32] = []
        for _ in 0..<(address.isUnix ? 1 : shared.mailboxes.count) {
            let descriptor = kernel.listen(at: address, backlog: 4096, sharesPort: !address.isUnix)
            guard descriptor >= 0 else {
                for other in descriptors { kernel.close(other) }
                let error = SystemError(number: -descriptor, doing: "listen at \(address)")
                throw ProxyError("\(error)")
            }
            descriptors.append(descriptor)
        }
        return descriptors
    }

    /// Swaps in new documents, whole or not at all. Sessions keep what they were routed with.
    package func update(
        configuration: ServiceConfiguration, tenants: [Tenant]
    ) throws(ProxyError) {
        let new = try builder.make(configuration, tenants, generation: snapshot.generation + 1)
        retired.append(snapshot)
        snapshot = new
        for mailbox in shared.mailboxes { mailbox.post(.snapshot(new)) }
        releaseRetired()
    }

    /// Gives up snapshots that no worker routes by any more.
    package func releaseRetired() {
        let oldest = shared.counters.map { $0.value(.snapshotGeneration) }.min() ?? 0
        retired.removeAll { $0.generation < oldest }
    }

    package var hasRetired: Bool { !retired.isEmpty }

    /// Host names in backends, whose addresses may change while the documents don't.
    package var usesHostNames: Bool { builder.usesHostNames }

    /// Reads the same documents' certificate and CA files again, and looks host names up again.
    package func refresh() throws(ProxyError) {
        try update(
            configuration: snapshot.configuration, tenants: snapshot.tenants.map(\.tenant))
    }

    /// Refuses new logins and ends sessions between transactions; `sessionCount` tells when it is
    /// over.
    package func drain() {
        for mailbox in shared.mailboxes { mailbox.post(.drain) }
    }

    /// Ends every session and waits for the workers.
    package func stop() {
        for mailbox in shared.mailboxes { mailbox.post(.stop) }
        for thread in threads { thread.join() }
        threads = []
    }

    /// Whether every worker has looked at its mailbox since the last call (or this is the first).
    package func areWorkersAlive() -> Bool {
        let isAlive = shared.mailboxes.allSatisfy { !$0.hasUnreadPing }
        for mailbox in shared.mailboxes { mailbox.ping() }
        return isAlive
    }

    // What status and metrics read.

    package var drainSeconds: Int { snapshot.configuration.drainSeconds }
    package var sessionCount: Int { shared.sessions.value }
    package var loginCount: Int { shared.logins.value }
    package var workerCounters: [WorkerCounters] { shared.counters }
    package var workerLoads: [Int] { shared.loads.map(\.value) }
    package var tenants: [TenantRuntime] { snapshot.tenants }

    /// Path, serial and seconds left of each certificate shown to clients.
    package var certificates: [(serial: String, secondsLeft: Int)] {
        (snapshot.clientTLS?.all ?? []).map {
            ($0.certificateSerial, $0.certificateSecondsLeft ?? 0)
        }
    }
}
