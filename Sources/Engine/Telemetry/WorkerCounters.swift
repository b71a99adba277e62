internal import Handoff

/// Counters of one worker; the raw value is the index in its block. Names, help texts and types for
/// Prometheus stand in `MetricCatalog`.
package enum WorkerCounter: Int, Sendable, CaseIterable {
    case accepted, handedOver, sessionsOpened, sessionsEnded, loginsInFlight
    case burstsFromClient, burstsFromServer, bytesFromClient, bytesFromServer
    case wakeUps, cancelRequests, cancelHits, cancelMisses, cancelIgnored
    case refusedRoute, refusedLimit, refusedAuthentication
    case tlsHandshakes, tlsHandshakesFailed
    case bufferedBytes, verifierLookups, snapshotSwaps
}

/// Counters of one tenant on one worker.
package enum TenantCounter: Int, Sendable, CaseIterable {
    case sessionsOpened, sessionsEnded
    case bytesFromClient, bytesFromServer
    case exchanges
    case loginsFailed, refusedLimit, serverUnreachable
}

package struct WorkerCounters: Sendable {
    private let block = CounterBlock(count: WorkerCounter.allCases.count)

    package init() {}

    @inline(always) package func add(_ counter: WorkerCounter, _ amount: UInt64 = 1) {
        block.add(counter.rawValue, amount)
    }

    /// For gauges such as `loginsInFlight` and `bufferedBytes`.
    package func set(_ counter: WorkerCounter, _ value: UInt64) {
        block.set(counter.rawValue, value)
    }

    package func value(_ counter: WorkerCounter) -> UInt64 { block.value(counter.rawValue) }
}

package struct TenantCounters: Sendable {
    private let block = CounterBlock(count: TenantCounter.allCases.count)

    package init() {}

    @inline(always) package func add(_ counter: TenantCounter, _ amount: UInt64 = 1) {
        block.add(counter.rawValue, amount)
    }

    package func value(_ counter: TenantCounter) -> UInt64 { block.value(counter.rawValue) }
}
