internal import EventLoop
internal import PostgresProtocol

/// Which end of a session; also the index of its leg.
enum LegSide: Int {
    case client = 0
    case server = 1

    @inline(always) var other: LegSide { self == .client ? .server : .client }
}

/// One connection of a session: descriptor, TLS, framing state, and what its peer has not taken
/// yet.
///
/// - Invariant: `heldCount <= FrameScanner.heldMax`; `pending` is not empty exactly while the
///   descriptor is watched for writability or is still connecting.
struct Leg {
    var descriptor: Int32 = -1
    var interest = Interest.none
    /// Bytes at the end of the last burst that were not a whole header; they go in front of the
    /// next.
    var heldCount: UInt8 = 0
    var held: UInt64 = 0
    var isConnecting = false
    var isTLSEstablished = false
    /// Taken out of epoll until the other leg has drained.
    var isDetached = false
    var scanner: FrameScanner
    var pending = PendingBytes()
    /// Owned by the leg; unmanaged so that the relay touches no reference count.
    var tls: Unmanaged<TLSSession>?

    init(_ side: LegSide) {
        scanner = FrameScanner(side == .client ? .client : .server)
    }

    var isOpen: Bool { descriptor >= 0 }
}

extension Interest {
    // Bits by value: a constant of another module is a call.
    @inline(__always) var hasReadable: Bool { rawValue & 0x001 != 0 }
    @inline(__always) var hasWritable: Bool { rawValue & 0x004 != 0 }
    /// Something to receive: bytes, an end, or an error.
    @inline(__always) var hasNews: Bool { rawValue & (0x001 | 0x008 | 0x010) != 0 }
}
