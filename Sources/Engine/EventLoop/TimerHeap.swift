/// Deadlines of a worker, soonest first. Entries are never removed early: their owner checks at
/// expiry whether the deadline still holds, so arming on the hot path costs nothing.
///
/// - Cost: O(log n) per entry; no system call.
package struct TimerHeap {
    package struct Entry {
        package var deadlineNanoseconds: UInt64
        package var token: EventToken
    }

    private var entries: [Entry] = []

    package init() { entries.reserveCapacity(1024) }

    package var count: Int { entries.count }
    package var nextDeadlineNanoseconds: UInt64? { entries.first?.deadlineNanoseconds }

    package mutating func insert(deadlineNanoseconds: UInt64, token: EventToken) {
        entries.append(Entry(deadlineNanoseconds: deadlineNanoseconds, token: token))
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].deadlineNanoseconds < entries[parent].deadlineNanoseconds else {
                return
            }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    /// The soonest entry if it is due.
    package mutating func popDue(nowNanoseconds: UInt64) -> Entry? {
        guard let first = entries.first, first.deadlineNanoseconds <= nowNanoseconds else {
            return nil
        }
        let last = entries.removeLast()
        if !entries.isEmpty {
            entries[0] = last
            sink()
        }
        return first
    }

    /// For epoll_wait: milliseconds until `nanoseconds`, rounded up, an hour at most; 0 when it is
    /// over, -1 for `.max`, which stands for no deadline.
    @inline(always) package static func timeoutMilliseconds(
        until nanoseconds: UInt64, now: UInt64
    ) -> Int32 {
        if nanoseconds == .max { return -1 }
        guard nanoseconds > now else { return 0 }
        return Int32(truncatingIfNeeded: min((nanoseconds - now - 1) / 1_000_000 + 1, 3_600_000))
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count {
                if entries[child].deadlineNanoseconds < entries[smallest].deadlineNanoseconds {
                    smallest = child
                }
            }
            if smallest == parent { return }
            entries.swapAt(parent, smallest)
            parent = smallest
        }
    }
}
