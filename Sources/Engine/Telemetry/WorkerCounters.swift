internal import Handoff

/// Counters of one worker; the raw value is the index in its block. Names, help texts and types for
/// Prometheus stand in `MetricCatalog`; a case without an entry there fails a test.
package enum WorkerCounter: Int, Sendable, CaseIterable {
    case accepted, handedOver, sessionsOpened, sessionsEnded, loginsInFlight
    case burstsFromClient, burstsFromServer, bytesFromClient, bytesFromServer
    case wakeUps, cancelRequests, cancelHits, cancelMisses, cancelIgnored
    case refusedRoute, refusedLimit, refusedAuthentication
    case tlsHandshakes, tlsHandshakesFailed
    case bufferedBytes, verifierLookups, snapshotSwaps, snapshotGeneration
}

/// Counters of one tenant on one worker.
package enum TenantCounter: Int, Sendable, CaseIterable {
    case sessionsOpened, sessionsEnded
    case bytesFromClient, bytesFromServer
    case exchanges
    case loginsFailed, refusedLimit, serverUnreachable
}

/// What one worker counts: written by that worker only, read by any thread.
/// A class, so that a call hands over one pointer instead of all the blocks.
package final class WorkerCounters: Sendable {
    private let block = CounterBlock(count: WorkerCounter.allCases.count)
    private let ends = CounterBlock(count: SessionEnd.allCases.count)
    /// One cell per bucket (not cumulative), then the sum in nanoseconds.
    private let logins = CounterBlock(count: LoginBuckets.count + 1)

    package init() {}

    @inline(always) package func add(_ counter: WorkerCounter, _ amount: UInt64 = 1) {
        block.add(counter.rawValue, amount)
    }

    /// For gauges such as `loginsInFlight` and `bufferedBytes`.
    package func set(_ counter: WorkerCounter, _ value: UInt64) {
        block.set(counter.rawValue, value)
    }

    package func value(_ counter: WorkerCounter) -> UInt64 { block.value(counter.rawValue) }

    /// Counts the end of a connection under its reason, once per accepted connection, also of one
    /// that never became a session. `sessionsEnded` is counted apart from it.
    package func countEnd(_ end: SessionEnd) { ends.add(end.ordinal, 1) }

    package func ends(_ end: SessionEnd) -> UInt64 { ends.value(end.ordinal) }

    /// Counts a login that reached ReadyForQuery, by the time since accept.
    package func countLogin(nanoseconds: UInt64) {
        logins.add(LoginBuckets.index(nanoseconds: nanoseconds), 1)
        logins.add(LoginBuckets.count, nanoseconds)
    }

    package var loginTimes: LoginTimes {
        LoginTimes(
            counts: (0..<LoginBuckets.count).map { logins.value($0) },
            sumNanoseconds: logins.value(LoginBuckets.count))
    }
}

package struct TenantCounters: Sendable {
    private let block = CounterBlock(count: TenantCounter.allCases.count)

    package init() {}

    @inline(always) package func add(_ counter: TenantCounter, _ amount: UInt64 = 1) {
        block.add(counter.rawValue, amount)
    }

    package func value(_ counter: TenantCounter) -> UInt64 { block.value(counter.rawValue) }
}
