internal import EventLoop
internal import PostgresProtocol
internal import Telemetry

/// What a slot is used for.
enum SessionKind: UInt8 {
    /// A client, and after routing its server leg.
    case client
    /// A connection of our own to a cluster, for verifiers.
    case lookup
    /// A connection of our own to a cluster that carries one CancelRequest.
    case cancel
}

/// Where a session stands; the word is the one in `pgtee status`.
enum SessionPhase: UInt8 {
    case free
    /// From accept until the login is complete on both legs.
    case login
    case relaying
    /// One leg is gone; the other gets what is still pending, then it is closed.
    case closing
    /// To be released when the current event is done.
    case ended
}

/// A slot of a worker: two legs and what joins them. Everything that only logins and ends need is
/// in `details`, so that the relay works on this struct alone.
struct Session: ~Copyable {
    /// Two legs, indexed by `LegSide`.
    let legs: UnsafeMutablePointer<Leg>
    let slot: UInt32
    var generation: UInt32 = 0
    var kind = SessionKind.client
    var phase = SessionPhase.free
    var isInReadyList = false
    var isWarm = false
    var hasTimer = false
    var sawTerminate = false
    /// The end's cause once the phase is `closing` or `ended`.
    var end = SessionEnd.clientClosed
    var tracker = ExchangeTracker()
    var tenantCounters: TenantCounters?
    var lastActivityNanoseconds: UInt64 = 0
    /// Since when an exchange or transaction has been open; 0: none is.
    var busySinceNanoseconds: UInt64 = 0
    /// When the phase that has a deadline of its own began, or its deadline; see `deadline(of:)`.
    var deadlineNanoseconds: UInt64 = 0
    var bytesFromClient: UInt64 = 0
    var bytesFromServer: UInt64 = 0
    var exchanges: UInt64 = 0
    /// Non-nil while the slot is in use.
    var details: Unmanaged<SessionDetails>?

    init(slot: UInt32, legs: UnsafeMutablePointer<Leg>) {
        self.slot = slot
        self.legs = legs
    }

    @inline(always) func leg(_ side: LegSide) -> UnsafeMutablePointer<Leg> { legs + side.rawValue }

    func token(_ side: LegSide) -> EventToken {
        EventToken(kind: UInt8(side.rawValue), slot: slot, generation: generation)
    }

    /// Between exchanges, outside a transaction, with nothing under way in either direction.
    var isIdle: Bool {
        tracker.isIdle && !legs[0].scanner.isMidMessage && !legs[1].scanner.isMidMessage
            && legs[0].heldCount == 0 && legs[1].heldCount == 0
            && legs[0].pending.isEmpty && legs[1].pending.isEmpty
    }
}

typealias SessionPointer = UnsafeMutablePointer<Session>

/// The slots of one worker, in chunks that never move.
///
/// A class whose hot members are `let`s: reading a `var` of the worker would cost an exclusivity
/// check per event.
final class SessionTable {
    private static let chunkSlots = 256
    private static let chunksMax = 4096
    private let chunks: UnsafeMutablePointer<SessionPointer?>
    private var chunkCount = 0
    private var freeSlots: [UInt32] = []
    private(set) var inUse = 0

    init() {
        chunks = .allocate(capacity: Self.chunksMax)
        chunks.initialize(repeating: nil, count: Self.chunksMax)
    }

    deinit {
        for index in 0..<chunkCount {
            guard let chunk = chunks[index] else { continue }
            let legs = chunk.pointee.legs
            legs.deinitialize(count: 2 * Self.chunkSlots)
            legs.deallocate()
            chunk.deinitialize(count: Self.chunkSlots)
            chunk.deallocate()
        }
        chunks.deallocate()
    }

    /// nil for a slot that never existed or a generation that is over.
    @inline(__always) func find(_ token: EventToken) -> SessionPointer? {
        let slot = token.slot
        let chunk = slot / Self.chunkSlots
        guard chunk < Self.chunksMax, let first = chunks[chunk] else { return nil }
        let session = first + slot % Self.chunkSlots
        guard session.pointee.generation == token.generation,
            session.pointee.phase != .free
        else { return nil }
        return session
    }

    /// A free slot with a fresh generation; nil when all are in use.
    func take() -> SessionPointer? {
        if freeSlots.isEmpty { grow() }
        guard let slot = freeSlots.popLast(), let chunk = chunks[Int(slot) / Self.chunkSlots] else {
            return nil
        }
        inUse += 1
        let session = chunk + Int(slot) % Self.chunkSlots
        session.pointee.generation = (session.pointee.generation &+ 1) & 0x0FFF_FFFF
        return session
    }

    /// The slot is empty again; descriptors, TLS and details must be gone already.
    func give(_ session: SessionPointer) {
        let slot = session.pointee.slot
        let generation = session.pointee.generation
        let legs = session.pointee.legs
        session.deinitialize(count: 1)
        session.initialize(to: Session(slot: slot, legs: legs))
        session.pointee.generation = generation
        legs[0] = Leg(.client)
        legs[1] = Leg(.server)
        freeSlots.append(slot)
        inUse -= 1
    }

    /// Of all slots in use; they may end while the caller goes through them.
    func tokens() -> [EventToken] {
        var tokens: [EventToken] = []
        for index in 0..<chunkCount {
            guard let chunk = chunks[index] else { continue }
            for slot in 0..<Self.chunkSlots where chunk[slot].phase != .free {
                tokens.append(chunk[slot].token(.client))
            }
        }
        return tokens
    }

    private func grow() {
        guard chunkCount < Self.chunksMax else { return }
        let first = chunkCount * Self.chunkSlots
        let chunk = SessionPointer.allocate(capacity: Self.chunkSlots)
        let legs = UnsafeMutablePointer<Leg>.allocate(capacity: 2 * Self.chunkSlots)
        for index in 0..<Self.chunkSlots {
            (legs + 2 * index).initialize(to: Leg(.client))
            (legs + 2 * index + 1).initialize(to: Leg(.server))
            (chunk + index).initialize(
                to: Session(slot: UInt32(first + index), legs: legs + 2 * index))
        }
        chunks[chunkCount] = chunk
        chunkCount += 1
        // Lowest slots first: a quiet proxy touches few pages.
        for index in (0..<Self.chunkSlots).reversed() {
            freeSlots.append(UInt32(first + index))
        }
    }
}
