internal import Authentication
internal import EventLoop
internal import Handoff
internal import PostgresProtocol
internal import Tap
internal import Telemetry
internal import Tenancy

// The room's map, for who changes it:
//  - ProxyService: what the program sees: start, new snapshots, drain, stop.
//  - ProxyWorker: one thread, one epoll instance, its sessions. Its extensions are cut by subject:
//    +accept, +clientLeg (login of the client), +route, +serverLeg (login to the cluster), +lookup
//    (verifiers), +cancel, +relay (the hot path), +transmit, +ending, +timers.
//  - Session, Leg, SessionTable: the slots that the relay works on. SessionDetails: all that only a
//    login or an end needs.
//  - ClientLogin and ServerLoginMachine (Engine) decide without I/O; the worker does what they say.
// A session is released only at the end of the event that ended it (`settle`), so code on the way
// up may still look at it: after any call that can end a session, look at its phase.

/// One worker: everything in it belongs to its thread, but for `mailbox`.
final class ProxyWorker {
    enum TokenKind {
        static let listener: UInt8 = 2
        static let mailbox: UInt8 = 3
        static let timer: UInt8 = 4
        static let sweep: UInt8 = 5
        static let listenersPaused: UInt8 = 6
    }

    /// Most bytes of one recv.
    static let burstBytes = 64 * 1024
    /// Receives per readiness event, so that one session can't keep the others waiting.
    static let receivesMax = 4
    private static let scratchFront = 64
    /// Plain bytes of the largest TLS record.
    static let recordBytesMax = 16 * 1024

    let index: Int
    let kernel: Kernel
    let poller: Poller
    let shared: ProxyShared
    let mailbox: Mailbox<WorkerMessage>
    let counters: WorkerCounters
    let pool = BufferPool()
    let pipes = [TLSPipe(), TLSPipe()]
    /// Plain bytes of a burst; a held header goes in front of it.
    let plain: UnsafeMutableRawPointer
    let plainCapacity = burstBytes + 32 * 1024
    /// TLS bytes of a burst.
    let cipher: UnsafeMutableRawPointer
    private let scratch: UnsafeMutableRawPointer

    var snapshot: ProxySnapshot
    let table = SessionTable()
    var timers = TimerHeap()
    /// The heap's first deadline, so that most wake-ups need not look at it.
    var nextTimerNanoseconds = UInt64.max
    var listeners: [WorkerListener] = []
    var lookups: [String: LookupQueue] = [:]
    /// TLS sessions that still hold record buffers.
    var warm: [EventToken] = []
    var nowNanoseconds: UInt64 = 0
    var sessionCount: UInt64 = 0
    var loginCount = 0
    var isDraining = false
    private(set) var isStopped = false

    init(
        index: Int, kernel: Kernel, shared: ProxyShared, snapshot: ProxySnapshot
    ) throws(SystemError) {
        self.index = index
        self.kernel = kernel
        self.shared = shared
        self.snapshot = snapshot
        mailbox = shared.mailboxes[index]
        counters = shared.counters[index]
        poller = try Poller(kernel: kernel)
        scratch = .allocate(
            byteCount: Self.scratchFront + plainCapacity + Self.burstBytes, alignment: 64)
        plain = scratch + Self.scratchFront
        cipher = plain + plainCapacity
        nowNanoseconds = kernel.nowNanoseconds()
        warm.reserveCapacity(1024)
        let token = EventToken(kind: TokenKind.mailbox, slot: 0, generation: 0)
        let result = poller.add(mailbox.eventDescriptor, .readable, token)
        if result < 0 { throw SystemError(number: -result, doing: "watch the worker's mailbox") }
    }

    deinit { scratch.deallocate() }

    /// The thread's body: returns after `.stop`.
    func run() {
        while !isStopped { step() }
        for token in table.tokens() {
            guard let session = table.find(token) else { continue }
            endNow(session)
            settle(session)
        }
        closeListeners()
    }

    /// One wake-up.
    func step() {
        let timeout = TimerHeap.timeoutMilliseconds(
            until: nextTimerNanoseconds, now: nowNanoseconds)
        let count = poller.wait(timeoutMilliseconds: timeout)
        nowNanoseconds = readClock()
        counters.add(.wakeUps)
        for index in 0..<count {
            let (token, seen) = poller.event(index)
            dispatch(token, seen)
        }
        if nowNanoseconds >= nextTimerNanoseconds { expireTimers() }
    }

    private func readClock() -> UInt64 { kernel.nowNanoseconds() }

    private func dispatch(_ token: EventToken, _ seen: Interest) {
        switch token.kind {
        case UInt8(LegSide.client.rawValue), UInt8(LegSide.server.rawValue):
            guard let session = table.find(token) else { return }
            let side: LegSide = token.kind == 0 ? .client : .server
            legEvent(session, side, seen)
            settle(session)
        case TokenKind.listener: acceptClients(UInt32(clamping: token.slot))
        case TokenKind.mailbox: readMailbox()
        default: break
        }
    }

    private func legEvent(_ session: SessionPointer, _ side: LegSide, _ seen: Interest) {
        let leg = session.pointee.leg(side)
        if leg.pointee.isConnecting {
            return connectionEvent(session, seen)
        }
        if seen.hasWritable { flush(session, side) }
        guard seen.hasNews else { return }
        switch session.pointee.phase {
        case .relaying:
            if leg.pointee.interest.hasReadable {
                pump(session, side)
            } else {
                pausedLegEvent(session, side)
            }
        case .login: loginReadable(session, side)
        case .closing: closingEvent(session, side, seen)
        case .free, .ended: break
        }
    }

    /// Never inlined: the accesses of its rare cases would be checked at every wake-up.
    @inline(never) private func readMailbox() {
        for message in mailbox.drain().values {
            switch message {
            case .snapshot(let new):
                snapshot = new
                setListenerOptions()
                counters.add(.snapshotSwaps)
                counters.set(.snapshotGeneration, new.generation)
            case .accepted(let descriptor, let listener): adopt(descriptor, listener: listener)
            case .listen(let new): startListening(new)
            case .cancel(let token, let reply): cancelSession(EventToken(raw: token), reply)
            case .cancelDone(let token): cancelAnswered(EventToken(raw: token))
            case .derived(let token, let credential):
                keysDerived(EventToken(raw: token), credential)
            case .drain: drain()
            case .stop: isStopped = true
            }
        }
    }

    /// No new connections; sessions between transactions end now, the others when they get there.
    private func drain() {
        guard !isDraining else { return }
        isDraining = true
        for position in listeners.indices { acceptClients(UInt32(position)) }
        closeListeners()
        for token in table.tokens() {
            guard let session = table.find(token), session.pointee.kind == .client else { continue }
            if session.pointee.phase == .relaying && session.pointee.isIdle {
                refuse(session, .administratorCommand)
            }
            settle(session)
        }
    }

    /// The deadline of a drain: who can be told is told.
    private func endNow(_ session: SessionPointer) {
        if session.pointee.phase == .relaying && session.pointee.kind == .client {
            let canTell = !session.pointee.leg(.server).pointee.scanner.isMidMessage
            refuse(session, .administratorCommand, tells: canTell)
        }
        end(session, .drained)
    }

    func notice(
        _ level: EventLevel, _ key: String, _ message: String, _ fields: [(String, String)]
    ) {
        shared.telemetry.post(.notice(level: level, key: key, message: message, fields: fields))
    }
}

/// To a worker, from any thread.
enum WorkerMessage: Sendable {
    case snapshot(ProxySnapshot)
    /// A descriptor that another worker accepted, before any byte of it was read.
    case accepted(Int32, listener: WorkerListener)
    case listen(WorkerListener)
    /// Cancel the query of the session with this token; the answer goes to `reply`.
    case cancel(UInt64, reply: CancelReply)
    case cancelDone(UInt64)
    /// Keys for the login of our own role on this connection; nil: the password can't be used.
    case derived(UInt64, ScramCredential?)
    case drain
    case stop
}

struct WorkerListener: Sendable {
    var descriptor: Int32
    var listener: Listener
}

/// What the workers of a process share. Nothing in it is touched while a session relays.
final class ProxyShared: Sendable {
    let mailboxes: [Mailbox<WorkerMessage>]
    let counters: [WorkerCounters]
    /// Sessions and logins per worker, for handing over accepted connections.
    let loads: [SharedCount]
    let sessions = SharedCount()
    let logins = SharedCount()
    let loginSources = SourceGauge()
    let failedLogins = SourceLimiter()
    let cancelMisses = SourceLimiter()
    let cancels: CancelRegistry
    let peers: CancelPeers?
    /// nil: PBKDF2 runs on the worker (the simulation, whose time is not the clock's).
    let deriver: KeyDeriver?
    let telemetry: Mailbox<TelemetryEvent>
    let mockSecret: [UInt8]

    init(
        workers: Int, telemetry: Mailbox<TelemetryEvent>, mockSecret: [UInt8], peers: CancelPeers?,
        deriver: KeyDeriver? = nil
    ) {
        mailboxes = (0..<workers).map { _ in Mailbox(capacity: 65_536) }
        counters = (0..<workers).map { _ in WorkerCounters() }
        loads = (0..<workers).map { _ in SharedCount() }
        cancels = CancelRegistry(instance: peers?.instance ?? 0)
        self.peers = peers
        self.deriver = deriver
        self.telemetry = telemetry
        self.mockSecret = mockSecret
    }
}
