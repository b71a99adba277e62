/// The place in a session where the bursts it relays are copied to a sink. The relay is generic
/// over it and specialised per conforming type, so a session without a tap runs no instruction
/// for it.

package enum TapDirection: UInt8, Sendable {
    case clientToServer = 0
    case serverToClient = 1
}

/// What a session's relay calls for each burst, on the worker's thread.
///
/// - Bounds: `burst` holds whole or partial messages, exactly the bytes that the relay sends on, in
///   order; it is gone after the call. `timeNanoseconds` is CLOCK_MONOTONIC, read after the recv.
/// - Cost: must not allocate, lock or make a system call but a wake-up of the sink.
package protocol SessionTap: ~Copyable {
    /// False only for the tap that copies nothing: lets the relay skip the clock reading.
    static var isActive: Bool { get }
    mutating func burst(
        _ direction: TapDirection, _ bytes: UnsafeRawBufferPointer, timeNanoseconds: UInt64)
}

/// No tap: costs nothing.
package struct NoTap: SessionTap {
    @inline(always) package init() {}
    @inline(always) package static var isActive: Bool { false }
    @inline(always) package mutating func burst(
        _ direction: TapDirection, _ bytes: UnsafeRawBufferPointer, timeNanoseconds: UInt64
    ) {}
}
