import Synchronization

/// A row of 64-bit counters that one thread writes and any thread reads.
///
/// - Thread: `add` and `set` by the owner only; `value` by any.
/// - Cost: a plain load and store (no locked instruction), since there is one writer.
@safe
package struct CounterBlock: @unchecked Sendable {
    private let cells: UnsafeMutablePointer<Atomic<UInt64>>
    package let count: Int

    /// Never freed: counter blocks live as long as the process, so that readers need no lifetime.
    package init(count: Int) {
        self.count = count
        cells = .allocate(capacity: count)
        for index in 0..<count { (cells + index).initialize(to: Atomic(0)) }
    }

    @inline(always) package func add(_ index: Int, _ amount: UInt64) {
        assert(index >= 0 && index < count)
        let value = cells[index].load(ordering: .relaxed)
        cells[index].store(value &+ amount, ordering: .relaxed)
    }

    @inline(always) package func set(_ index: Int, _ value: UInt64) {
        assert(index >= 0 && index < count)
        cells[index].store(value, ordering: .relaxed)
    }

    package func value(_ index: Int) -> UInt64 {
        precondition(index >= 0 && index < count)
        return cells[index].load(ordering: .relaxed)
    }
}
