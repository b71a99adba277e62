/// What a session is in the middle of, told from the types of the messages that pass.
///
/// It answers when a session is idle, which drain, switch-over and taps need; the relay itself
/// would do with the framing. Counting Syncs against ReadyForQuery is wrong: a server in COPY IN
/// swallows Syncs, and after an error it drops everything up to the next one.
///
/// An answer that fits no outstanding message makes the tracker indeterminate until a ReadyForQuery
/// finds nothing outstanding. That is no violation: a server may report an error while it is idle,
/// and a client that sends at the same moment seems to be answered too early.
///
/// - Thread: the session's worker. Cost: no allocation up to 16 outstanding messages.
/// - Source: postgres.c PostgresMain and SocketBackend; copyfromparse.c CopyGetData.
package struct ExchangeTracker: ~Copyable {
    package enum CopyState: UInt8, Sendable {
        case none
        /// The client sends rows; its Syncs are ignored until its CopyDone or CopyFail.
        case copyIn
        /// As `copyIn`, after CopyDone or CopyFail: Syncs count.
        case copyInEnded
        case copyOut
        /// Replication: both send, until both have sent CopyDone.
        case copyBoth
    }

    private enum Certainty: UInt8 { case exact, indeterminate, overflowed }

    private var queue = OutstandingQueue()
    /// Of the last ReadyForQuery.
    package private(set) var status = TransactionStatus.idle
    package private(set) var copy = CopyState.none
    /// The server drops client messages up to the next Sync.
    private var isSkipping = false
    /// The client sent extended messages and no Sync after them: a transaction may be open although
    /// the last ReadyForQuery said that none is.
    private var isUnsynced = false
    /// The last Sync that the client sent was swallowed by a COPY: it ended no transaction.
    private var hasLostSync = false
    private var certainty = Certainty.exact
    /// Syncs dropped since the COPY began that the server may still answer if the COPY fails.
    private var swallowedSyncs: UInt32 = 0
    /// While overflowed: how many ReadyForQuery are to come.
    private var readyOwed: UInt64 = 0
    /// A CopyBothResponse came: the session serves replication.
    package private(set) var isReplication = false

    /// As after the login's ReadyForQuery.
    package init() {}

    /// Messages that the server has not answered completely.
    package var outstanding: Int { queue.count }

    /// True while the queue can't be trusted; `isIdle` is false meanwhile.
    package var isIndeterminate: Bool { certainty != .exact }

    /// Nothing outstanding, no COPY, no transaction, the last request was a Sync or needs none. The
    /// caller adds that no message is in part and no byte unsent.
    package var isIdle: Bool {
        queue.isEmpty && copy == .none && !isUnsynced && !isSkipping && !hasLostSync
            && status == .idle && certainty == .exact
    }

    /// Parse, Bind, Describe, Execute, Close.
    @inline(__always) mutating func clientSentExtended(_ entry: UInt64) {
        isUnsynced = true
        if isSkipping { return }
        if certainty != .overflowed && !queue.push(entry) { overflow() }
    }

    /// Query, FunctionCall.
    @inline(__always) mutating func clientSentCommand(_ entry: UInt64) {
        if isSkipping { return }
        isUnsynced = false
        hasLostSync = false
        if certainty == .overflowed { return readyOwed &+= 1 }
        if !queue.push(entry) { overflow(readyOwed: 1) }
    }

    @inline(__always) mutating func clientSentSync() {
        if copy == .copyIn {
            swallowedSyncs = swallowedSyncs &+ 1
            return
        }
        isSkipping = false
        isUnsynced = false
        hasLostSync = false
        if certainty == .overflowed { return readyOwed &+= 1 }
        if !queue.push(OutstandingQueue.Entry.sync) { overflow(readyOwed: 1) }
    }

    /// CopyDone, CopyFail.
    mutating func clientEndedCopy() {
        if copy == .copyIn {
            copy = .copyInEnded
        } else if !isSkipping && certainty != .overflowed {
            if !queue.pushCopyEnd() { overflow() }
        }
    }

    /// ParseComplete, BindComplete, CloseComplete.
    @inline(__always) mutating func serverCompleted(_ entry: UInt64) {
        if queue.head == entry { queue.pop() } else { mismatch() }
    }

    /// RowDescription, NoData.
    @inline(__always) mutating func serverDescribed() {
        let head = queue.head
        if head == OutstandingQueue.Entry.describe {
            queue.pop()
        } else if head != OutstandingQueue.Entry.query {
            mismatch()
        }
    }

    /// CommandComplete, EmptyQueryResponse, PortalSuspended.
    @inline(__always) mutating func serverFinishedCommand() {
        copy = .none
        swallowedSyncs = 0
        let head = queue.head
        if head == OutstandingQueue.Entry.execute {
            queue.pop()
        } else if head != OutstandingQueue.Entry.query {
            mismatch()
        }
    }

    mutating func serverAnsweredFunctionCall() {
        if queue.head != OutstandingQueue.Entry.functionCall { mismatch() }
    }

    mutating func serverBegan(_ state: CopyState) {
        if state == .copyBoth { isReplication = true }
        let head = queue.head
        if head != OutstandingQueue.Entry.execute && head != OutstandingQueue.Entry.query {
            mismatch()
        }
        copy = state
        swallowedSyncs = 0
        if state == .copyIn && !queue.isEmpty {
            let dropped = queue.dropSyncsBehindHead()
            swallowedSyncs = UInt32(dropped.syncs)
            if dropped.foundEnd { copy = .copyInEnded }
            hasLostSync = head == OutstandingQueue.Entry.execute && queue.count == 1
                && dropped.syncs > 0
        }
    }

    mutating func serverFailed() {
        // The error may have come before the server read the Syncs that are counted as swallowed.
        if swallowedSyncs != 0 && certainty == .exact { certainty = .indeterminate }
        swallowedSyncs = 0
        hasLostSync = false
        copy = .none
        switch queue.head {
        case OutstandingQueue.Entry.none, OutstandingQueue.Entry.sync,
            OutstandingQueue.Entry.query, OutstandingQueue.Entry.functionCall:
            break
        default:
            if !queue.dropToSync() { isSkipping = true }
        }
    }

    @inline(__always) mutating func serverIsReady(_ status: TransactionStatus) {
        self.status = status
        copy = .none
        swallowedSyncs = 0
        isSkipping = false
        if OutstandingQueue.bringsReady(queue.head) {
            queue.pop()
        } else if !queue.isEmpty {
            mismatch()
        }
        if certainty != .exact { recover() }
    }

    private mutating func mismatch() {
        if certainty == .exact { certainty = .indeterminate }
    }

    private mutating func overflow(readyOwed more: UInt64 = 0) {
        certainty = .overflowed
        readyOwed = UInt64(queue.readyOwed()) + more
        queue.removeAll()
    }

    private mutating func recover() {
        if certainty == .overflowed {
            readyOwed -= readyOwed > 0 ? 1 : 0
            if readyOwed > 0 { return }
        }
        if queue.isEmpty { certainty = .exact }
    }
}
