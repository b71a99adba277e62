import Synchronization

/// A count with a maximum that several threads share (sessions of a tenant, logins in flight).
///
/// - Invariant: `0 <= value`; `take(limit:)` never raises it above a positive limit.
package final class SharedCount: Sendable {
    private let count = Atomic<Int>(0)

    package init() {}

    package var value: Int { count.load(ordering: .relaxed) }

    /// Adds one unless that would exceed `limit` (0: no limit). True when it was added.
    package func take(limit: Int) -> Bool {
        let new = count.add(1, ordering: .relaxed).newValue
        if limit > 0 && new > limit {
            count.subtract(1, ordering: .relaxed)
            return false
        }
        return true
    }

    package func give() {
        let new = count.subtract(1, ordering: .relaxed).newValue
        assert(new >= 0, "a count was given back twice")
    }
}

/// A flag that one thread raises and others see.
package final class SharedFlag: Sendable {
    private let flag = Atomic<Bool>(false)

    package init() {}

    package var isRaised: Bool { flag.load(ordering: .acquiring) }
    package func raise() { flag.store(true, ordering: .releasing) }
    package func lower() { flag.store(false, ordering: .releasing) }
}
