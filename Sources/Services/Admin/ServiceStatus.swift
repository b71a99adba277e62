/// What the program tells Admin about the running service. Admin knows no other service: the
/// program fills this from the proxy and the registry each time somebody asks.
internal import Handoff
package import Telemetry

/// A reading of the whole service.
///
/// - Thread: called on Admin's HTTP thread; must not wait for a worker.
package typealias StatusSource = @Sendable () -> ServiceStatus

package struct ServiceStatus: Sendable {
    package var version: String
    /// Unix time in milliseconds.
    package var startedAtMilliseconds: UInt64
    package var phase: ServicePhase
    /// One per worker, by its number.
    package var workers: [WorkerCounters]
    package var tenants: [TenantStatus]
    package var registry: RegistryStatus
    package var certificates: [CertificateStatus]

    package init(
        version: String, startedAtMilliseconds: UInt64, phase: ServicePhase,
        workers: [WorkerCounters] = [], tenants: [TenantStatus] = [],
        registry: RegistryStatus = RegistryStatus(), certificates: [CertificateStatus] = []
    ) {
        self.version = version
        self.startedAtMilliseconds = startedAtMilliseconds
        self.phase = phase
        self.workers = workers
        self.tenants = tenants
        self.registry = registry
        self.certificates = certificates
    }
}

/// Where the service is in its life; with the registry's state it decides about `/readyz`.
package enum ServicePhase: String, Sendable, CaseIterable { case starting, running, draining }

package struct TenantStatus: Sendable {
    package var name: String
    /// The backend that new sessions go to.
    package var backend: String
    /// One per worker that has met the tenant; summed for output.
    package var counters: [TenantCounters]
    /// 0: no limit.
    package var sessionLimit: Int

    package init(name: String, backend: String, counters: [TenantCounters], sessionLimit: Int = 0) {
        self.name = name
        self.backend = backend
        self.counters = counters
        self.sessionLimit = sessionLimit
    }

    func sum(_ counter: TenantCounter) -> UInt64 {
        counters.reduce(0) { $0 &+ $1.value(counter) }
    }
}

package struct RegistryStatus: Sendable {
    /// Number of the configuration in force; 0 while there is none.
    package var generation: UInt64
    /// What is wrong in the newest documents, one text each; empty when they are in force.
    package var problems: [String]
    /// Times that documents were read and not taken.
    package var failures: UInt64
    /// Unix time in milliseconds; nil before the first success.
    package var lastSuccessMilliseconds: UInt64?

    package init(
        generation: UInt64 = 0, problems: [String] = [], failures: UInt64 = 0,
        lastSuccessMilliseconds: UInt64? = nil
    ) {
        self.generation = generation
        self.problems = problems
        self.failures = failures
        self.lastSuccessMilliseconds = lastSuccessMilliseconds
    }
}

/// A certificate that is in use, on either leg.
package struct CertificateStatus: Sendable {
    /// Tells it from the others, e.g. its file's path. Becomes a label.
    package var name: String
    /// Unix time in seconds; negative before 1970.
    package var expirySeconds: Int64

    package init(name: String, expirySeconds: Int64) {
        self.name = name
        self.expirySeconds = expirySeconds
    }

    /// Whole days that are left, negative once it has expired.
    package func daysLeft(nowMilliseconds: UInt64) -> Int64 {
        let now = Int64(clamping: nowMilliseconds / 1_000)
        let (left, overflow) = expirySeconds.subtractingReportingOverflow(now)
        guard !overflow else { return expirySeconds < 0 ? .min / 86_400 : .max / 86_400 }
        return left >= 0 ? left / 86_400 : -((-(left + 1)) / 86_400) - 1
    }
}

extension ServiceStatus {
    /// Nil when new sessions are welcome, else why not: `/readyz`'s answer.
    var notReadyReason: String? {
        switch phase {
        case .starting: "starting"
        case .draining: "draining"
        case .running: registry.generation == 0 ? "no good configuration yet" : nil
        }
    }
}
