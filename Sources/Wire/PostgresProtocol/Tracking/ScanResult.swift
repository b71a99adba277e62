/// What one burst held.
package struct ScanResult: Sendable {
    /// Leading bytes of the burst that may be sent on: all but an incomplete header at its end, or
    /// all before an impossible header. `0 <= forwardable <= burst.byteCount`; without a violation
    /// at most `FrameScanner.heldMax` bytes are left.
    package var forwardable: Int
    package var seen: ScanSeen
    /// ReadyForQuery messages whose status byte is in the forwardable part.
    package var readyCount: Int
    /// Headers in the forwardable part.
    package var messages: Int
    /// Nothing after `forwardable` may be sent; the session must end.
    package var violation: ProtocolViolation?
}

/// Kinds of messages whose headers were seen in a burst.
package struct ScanSeen: OptionSet, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let readyForQuery = ScanSeen(rawValue: 1 << 0)
    package static let errorResponse = ScanSeen(rawValue: 1 << 1)
    /// An ErrorResponse of severity FATAL or PANIC, as far as the burst holds it: the server ends
    /// the session and sends no ReadyForQuery.
    package static let fatalError = ScanSeen(rawValue: 1 << 2)
    package static let notice = ScanSeen(rawValue: 1 << 3)
    /// A NoticeResponse of SQLSTATE 57P01 or 57P02, as far as the burst holds it: the server's way
    /// to say that it goes down at once.
    package static let shutdownNotice = ScanSeen(rawValue: 1 << 4)
    package static let parameterStatus = ScanSeen(rawValue: 1 << 5)
    package static let notification = ScanSeen(rawValue: 1 << 6)
    package static let copyIn = ScanSeen(rawValue: 1 << 7)
    package static let copyOut = ScanSeen(rawValue: 1 << 8)
    package static let copyBoth = ScanSeen(rawValue: 1 << 9)
    /// The client's Terminate.
    package static let terminate = ScanSeen(rawValue: terminateBit)
    /// For the relay: a constant needs no call across modules.
    @inline(always) package static var terminateBit: UInt32 { 1 << 10 }
    /// Query, FunctionCall, Sync or Flush: the client waits for an answer.
    package static let flushOrSync = ScanSeen(rawValue: 1 << 11)
    /// Any client message that a server answers: Query, FunctionCall, Parse, Bind, Describe,
    /// Execute, Close, Sync.
    package static let request = ScanSeen(rawValue: 1 << 12)
    /// CopyDone, of either side, or CopyFail.
    package static let copyEnd = ScanSeen(rawValue: 1 << 13)
    package static let functionCallResponse = ScanSeen(rawValue: 1 << 14)
}
