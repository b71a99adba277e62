internal import CLinux
internal import Glibc
import Synchronization

/// Values from any thread to one: a bounded queue and an eventfd that the receiver polls.
///
/// - Thread: `post` from any; `drain` from the receiver.
/// - Bounds: at most `capacity` values wait; `post` says when it is full, and the loss is counted.
/// - Cost: a lock and at most one write(2) per post. For logins, control and ends of sessions,
///   never for bursts.
package final class Mailbox<Value: Sendable>: Sendable {
    private struct State {
        var values: [Value] = []
        var dropped: UInt64 = 0
        var isPinged = false
    }

    private let state = Mutex(State())
    private let capacity: Int
    /// Readable while values wait; level-triggered polling is enough.
    package let eventDescriptor: Int32

    package init(capacity: Int) {
        self.capacity = capacity
        eventDescriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
    }

    deinit { close(eventDescriptor) }

    /// False when the mailbox is full: the value is gone and counted.
    @discardableResult
    package func post(_ value: Value) -> Bool {
        let (accepted, isFirst) = state.withLock { state -> (Bool, Bool) in
            guard state.values.count < capacity else {
                state.dropped += 1
                return (false, false)
            }
            state.values.append(value)
            return (true, state.values.count == 1)
        }
        if isFirst { wake() }
        return accepted
    }

    /// Wakes the receiver without a value; `hasUnreadPing` until it has drained.
    package func ping() {
        state.withLock { $0.isPinged = true }
        wake()
    }

    package var hasUnreadPing: Bool { state.withLock { $0.isPinged } }

    private func wake() {
        var one: UInt64 = 1
        _ = write(eventDescriptor, &one, 8)
    }

    /// All that waits, in the order of posting, and how many were dropped since the last call.
    package func drain() -> (values: [Value], dropped: UInt64) {
        var ignored: UInt64 = 0
        _ = read(eventDescriptor, &ignored, 8)
        return state.withLock { state in
            defer { state = State() }
            return (state.values, state.dropped)
        }
    }
}
