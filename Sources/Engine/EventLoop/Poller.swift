internal import CLinux
internal import Glibc

/// What epoll hands back with an event: which thing, which leg, and the generation of its slot, so
/// that an event for a descriptor that was closed and reused in the same batch is recognised.
///
/// - Shape: bits 0-31 slot, 32-59 generation, 60-63 kind.
package struct EventToken: Equatable {
    package var raw: UInt64

    @inline(always) package init(raw: UInt64) { self.raw = raw }

    @inline(always) package init(kind: UInt8, slot: UInt32, generation: UInt32) {
        raw = UInt64(slot) | UInt64(generation & 0x0FFF_FFFF) << 32 | UInt64(kind & 0xF) << 60
    }

    @inline(always) package var slot: Int { Int(truncatingIfNeeded: raw & 0xFFFF_FFFF) }
    @inline(always) package var generation: UInt32 {
        UInt32(truncatingIfNeeded: (raw >> 32) & 0x0FFF_FFFF)
    }
    @inline(always) package var kind: UInt8 { UInt8(truncatingIfNeeded: raw >> 60) }
}

/// What a descriptor is watched for, and what was seen: epoll's bits.
///
/// Not an OptionSet: across modules the generic code of SetAlgebra is not specialised, and it cost
/// more than all the rest of an event (callgrind: some 1,000 instructions).
package struct Interest: Equatable {
    package let rawValue: UInt32

    @inline(always) package init(rawValue: UInt32) { self.rawValue = rawValue }

    @inline(always) package static var none: Interest { Interest(rawValue: 0) }
    @inline(always) package static var readable: Interest { Interest(rawValue: 0x001) }
    @inline(always) package static var writable: Interest { Interest(rawValue: 0x004) }
    @inline(always) package static var failed: Interest { Interest(rawValue: 0x008) }
    @inline(always) package static var hungUp: Interest { Interest(rawValue: 0x010) }

    @inline(always) package func contains(_ other: Interest) -> Bool {
        rawValue & other.rawValue != 0
    }

    @inline(always) package static func | (one: Interest, other: Interest) -> Interest {
        Interest(rawValue: one.rawValue | other.rawValue)
    }

    @inline(always) package func without(_ other: Interest) -> Interest {
        Interest(rawValue: rawValue & ~other.rawValue)
    }

    @inline(always) package static func == (one: Interest, other: Interest) -> Bool {
        one.rawValue == other.rawValue
    }
}

/// epoll, level-triggered.
package final class Poller {
    private let kernel: Kernel
    private let descriptor: Int32
    private let events: UnsafeMutablePointer<epoll_event>
    package static let batchMax = 256

    /// - Errors: the errno (positive) of epoll_create1.
    package init(kernel: Kernel) throws(SystemError) {
        self.kernel = kernel
        descriptor = kernel.makePoller()
        events = .allocate(capacity: Self.batchMax)
        if descriptor < 0 {
            throw SystemError(number: -descriptor, doing: "create an epoll instance")
        }
    }

    deinit {
        events.deallocate()
        kernel.close(descriptor)
    }

    /// 0, or `-errno`.
    package func add(_ target: Int32, _ interest: Interest, _ token: EventToken) -> Int32 {
        kernel.watch(descriptor, EPOLL_CTL_ADD, target, interest.rawValue, token.raw)
    }

    package func change(_ target: Int32, _ interest: Interest, _ token: EventToken) -> Int32 {
        kernel.watch(descriptor, EPOLL_CTL_MOD, target, interest.rawValue, token.raw)
    }

    package func remove(_ target: Int32) {
        _ = kernel.watch(descriptor, EPOLL_CTL_DEL, target, 0, 0)
    }

    /// How many events wait in `event(_:)`.
    package func wait(timeoutMilliseconds: Int32) -> Int {
        let count = kernel.poll(
            descriptor, events, Int32(Self.batchMax), timeoutMilliseconds: timeoutMilliseconds)
        return max(0, Int(count))
    }

    package func event(_ index: Int) -> (EventToken, Interest) {
        let event = events[index]
        return (EventToken(raw: event.data.u64), Interest(rawValue: event.events))
    }
}

/// A system call that failed: errno and what was being done.
package struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
    package var number: Int32
    package var doing: String

    package init(number: Int32, doing: String) {
        self.number = number
        self.doing = doing
    }

    package var reason: String { String(cString: strerror(number)) }
    package var description: String { "could not \(doing): \(reason)" }
}
