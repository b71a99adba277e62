internal import Glibc

/// What the server still owes an answer to, oldest first: one entry of 4 bits per message. The
/// oldest 16 are packed into one word, so that ordinary sessions touch no other memory; what comes
/// behind them spills to a ring of bytes.
///
/// - Invariants: `0 <= wordCount <= 16`; `wordCount == 0` only if `spillCount == 0`;
///   `spillCount <= spillCapacity`, a power of two or 0; the head is never `.copyEnd`; `markCount`
///   is the number of `.copyEnd` entries.
/// - Cost: allocates at the 17th entry and when the ring doubles; the ring is kept for the session
///   if it is small, so that a client that pipelines does not allocate in every round.
struct OutstandingQueue: ~Copyable {
    /// The entries. 0 is "none" and what `head` is for an empty queue.
    enum Entry {
        static let none: UInt64 = 0
        static let query: UInt64 = 1
        static let functionCall: UInt64 = 2
        static let sync: UInt64 = 3
        static let parse: UInt64 = 4
        static let bind: UInt64 = 5
        static let describe: UInt64 = 6
        static let execute: UInt64 = 7
        static let close: UInt64 = 8
        /// Not owed anything: where a CopyDone or CopyFail came that was sent ahead of its
        /// CopyInResponse.
        static let copyEnd: UInt64 = 9
    }

    /// More than this many are not tracked. A client needs a megabyte of unanswered messages in
    /// flight to get here.
    static let countMax = 65_536
    static let spillKeptBytes = 1_024

    private var word: UInt64 = 0
    private var wordCount: UInt32 = 0
    private var spillCount: UInt32 = 0
    private var spillHead: UInt32 = 0
    private var spillCapacity: UInt32 = 0
    private var markCount: UInt32 = 0
    private var spill: UnsafeMutablePointer<UInt8>?

    init() {}

    deinit { free(spill) }

    /// Entries that are owed an answer.
    var count: Int { entryCount - Int(markCount) }

    private var entryCount: Int { Int(wordCount) + Int(spillCount) }

    @inline(__always) var isEmpty: Bool { wordCount == 0 }

    @inline(__always) var head: UInt64 { word & 15 }

    /// False, and nothing done, when the queue is full or memory is out.
    @inline(__always) mutating func push(_ entry: UInt64) -> Bool {
        if wordCount < 16 && spillCount == 0 {
            word |= entry << (UInt64(wordCount) &* 4)
            wordCount &+= 1
            return true
        }
        return pushSpilled(entry)
    }

    /// As `push`, of a mark; an empty queue takes none, since there is no COPY that it could end.
    mutating func pushCopyEnd() -> Bool {
        if isEmpty { return true }
        if !push(Entry.copyEnd) { return false }
        markCount += 1
        return true
    }

    /// Takes the head away, if there is one, and marks of COPY ends that follow it.
    @inline(__always) mutating func pop() {
        dropHead()
        while head == Entry.copyEnd {
            dropHead()
            markCount &-= 1
        }
    }

    /// Drops everything before the next Sync. Returns whether there is one.
    mutating func dropToSync() -> Bool {
        while !isEmpty && head != Entry.sync {
            if head == Entry.copyEnd { markCount -= 1 }
            dropHead()
        }
        return !isEmpty
    }

    /// Drops the Syncs directly behind the head, and the mark of a COPY's end after them. Other
    /// entries stop it: a server in COPY IN that meets them ends the session.
    ///
    /// - Cost: each step but the last removes an entry, so hostile peers can't make it slow.
    mutating func dropSyncsBehindHead() -> (syncs: Int, foundEnd: Bool) {
        var syncs = 0
        while true {
            if wordCount == 1 { refill() }
            switch (word >> 4) & 15 {
            case Entry.sync:
                dropSecond()
                syncs += 1
            case Entry.copyEnd:
                dropSecond()
                markCount -= 1
                return (syncs, true)
            default: return (syncs, false)
            }
        }
    }

    /// How many ReadyForQuery the entries will bring.
    func readyOwed() -> Int {
        var owed = 0
        for index in 0..<Int(wordCount) {
            if Self.bringsReady((word >> (UInt64(index) * 4)) & 15) { owed += 1 }
        }
        guard let spill = spill else { return owed }
        for index in 0..<spillCount {
            let entry = spill[Int((spillHead &+ index) & (spillCapacity - 1))]
            if Self.bringsReady(UInt64(entry)) { owed += 1 }
        }
        return owed
    }

    mutating func removeAll() {
        word = 0
        wordCount = 0
        spillCount = 0
        markCount = 0
        releaseSpill()
    }

    @inline(__always) static func bringsReady(_ entry: UInt64) -> Bool {
        entry == Entry.query || entry == Entry.sync || entry == Entry.functionCall
    }

    @inline(__always) private mutating func dropHead() {
        if wordCount == 0 { return }
        word >>= 4
        wordCount &-= 1
        if wordCount == 0 && spillCount != 0 { refill() }
    }

    private mutating func dropSecond() {
        word = ((word >> 8) << 4) | (word & 15)
        wordCount -= 1
    }

    /// Moves entries from the ring into the word's free places.
    @inline(never) private mutating func refill() {
        guard let spill = spill else { return }
        while wordCount < 16 && spillCount > 0 {
            let entry = spill[Int(spillHead)]
            word |= UInt64(entry) << (UInt64(wordCount) * 4)
            wordCount += 1
            spillHead = (spillHead + 1) & (spillCapacity - 1)
            spillCount -= 1
        }
        if spillCount == 0 { releaseSpill() }
    }

    @inline(never) private mutating func pushSpilled(_ entry: UInt64) -> Bool {
        if entryCount >= Self.countMax { return false }
        if spillCount == spillCapacity && !growSpill() { return false }
        guard let spill = spill else { return false }
        let tail = (spillHead &+ spillCount) & (spillCapacity - 1)
        spill[Int(tail)] = UInt8(truncatingIfNeeded: entry)
        spillCount += 1
        return true
    }

    private mutating func growSpill() -> Bool {
        let capacity = max(64, spillCapacity * 2)
        guard let memory = malloc(Int(capacity)) else { return false }
        let bytes = memory.assumingMemoryBound(to: UInt8.self)
        if let spill = spill {
            for index in 0..<spillCount {
                bytes[Int(index)] = spill[Int((spillHead &+ index) & (spillCapacity - 1))]
            }
            free(spill)
        }
        spill = bytes
        spillHead = 0
        spillCapacity = capacity
        return true
    }

    private mutating func releaseSpill() {
        if Int(spillCapacity) <= Self.spillKeptBytes { return }
        free(spill)
        spill = nil
        spillCapacity = 0
        spillHead = 0
    }
}
