/// Finds the message boundaries of one leg after its login, burst by burst, and tells the session's
/// tracker what it sees. Bodies are stepped over, not read.
///
/// To change it, know this: it runs for each burst of each session, so it must not allocate, count
/// references or call closures; there is one bounds check per header, at the head of each loop, and
/// the loads behind it are unchecked; the loops are written per side because the commonest types
/// differ. Positions are 64-bit: 65 KiB of burst plus a 32-bit length can't overflow.
///
/// - Invariant: `bodyRemaining` is what is left of the last header's body: 0, or the burst's whole
///   forwardable part was used up.
/// - Cost: about 15 instructions per DataRow.
package struct FrameScanner: Sendable {
    /// A header without its last byte, or a ReadyForQuery without its status byte.
    package static let heldMax = 5
    static let headerLength = 5

    private let side: Side
    private var bodyRemaining = 0

    package init(_ side: Side) { self.side = side }

    /// The forwardable part of the last burst ended inside a body.
    package var isMidMessage: Bool { bodyRemaining > 0 }

    /// Scans a burst, in front of which the caller has put what `forwardable` left over of the
    /// burst before.
    ///
    /// - Bounds: any bytes; none of them can trap. After a violation the scanner must not be used.
    package mutating func scan(
        _ burst: RawSpan, tracker: inout ExchangeTracker
    ) -> ScanResult {
        let count = burst.byteCount
        if bodyRemaining >= count {
            bodyRemaining -= count
            return ScanResult(
                forwardable: count, seen: [], readyCount: 0, messages: 0, violation: nil)
        }
        var result = ScanResult(
            forwardable: bodyRemaining, seen: [], readyCount: 0, messages: 0, violation: nil)
        switch side {
        case .client: Self.scanClient(burst, &result, &tracker)
        case .server: Self.scanServer(burst, &result, &tracker)
        }
        bodyRemaining = max(0, result.forwardable - count)
        result.forwardable = min(result.forwardable, count)
        return result
    }

    /// What to do with the message at a header.
    private enum Verdict { case pass, hold, impossible }

    /// Leaves in `forwardable` the end of the last message, which may be behind the burst's end.
    @inline(__always)
    private static func scanServer(
        _ burst: RawSpan, _ result: inout ScanResult, _ tracker: inout ExchangeTracker
    ) {
        let count = burst.byteCount
        var offset = result.forwardable
        var messages = 0
        while count &- offset >= headerLength {
            let type = burst.byteUnchecked(offset)
            let length = burst.uint32Unchecked(offset &+ 1)
            var verdict = Verdict.pass
            if type == BackendType.dataRow || type == BackendType.copyData {
                if !fits(length, MessageLimits.backendLong) { verdict = .impossible }
            } else {
                verdict = serverMessage(type, length, offset, burst, &result, &tracker)
            }
            if verdict != .pass {
                if verdict == .impossible {
                    result.violation = violation(.server, offset, burst)
                }
                break
            }
            offset = offset &+ 1 &+ Int(length)
            messages &+= 1
        }
        result.forwardable = offset
        result.messages = messages
    }

    @inline(__always)
    private static func scanClient(
        _ burst: RawSpan, _ result: inout ScanResult, _ tracker: inout ExchangeTracker
    ) {
        let count = burst.byteCount
        var offset = result.forwardable
        var messages = 0
        while count &- offset >= headerLength {
            let type = burst.byteUnchecked(offset)
            let length = burst.uint32Unchecked(offset &+ 1)
            if !clientMessage(type, length, &result, &tracker) {
                result.violation = violation(.client, offset, burst)
                break
            }
            offset = offset &+ 1 &+ Int(length)
            messages &+= 1
        }
        result.forwardable = offset
        result.messages = messages
    }

    @inline(__always)
    private static func serverMessage(
        _ type: UInt8, _ length: UInt32, _ offset: Int, _ burst: RawSpan,
        _ result: inout ScanResult, _ tracker: inout ExchangeTracker
    ) -> Verdict {
        let long = fits(length, MessageLimits.backendLong)
        let short = fits(length, MessageLimits.backendShort)
        switch type {
        case BackendType.readyForQuery:
            if length != 5 { return .impossible }
            if burst.byteCount &- offset < headerLength &+ 1 { return .hold }
            let byte = burst.byteUnchecked(offset &+ headerLength)
            guard let status = TransactionStatus(rawValue: byte) else { return .impossible }
            tracker.serverIsReady(status)
            result.seen.insert(.readyForQuery)
            result.readyCount &+= 1
            return .pass
        case BackendType.commandComplete, BackendType.emptyQueryResponse,
            BackendType.portalSuspended:
            if short { tracker.serverFinishedCommand() }
            return short ? .pass : .impossible
        case BackendType.rowDescription:
            if long { tracker.serverDescribed() }
            return long ? .pass : .impossible
        case BackendType.noData:
            if short { tracker.serverDescribed() }
            return short ? .pass : .impossible
        case BackendType.bindComplete:
            if short { tracker.serverCompleted(OutstandingQueue.Entry.bind) }
            return short ? .pass : .impossible
        case BackendType.parseComplete:
            if short { tracker.serverCompleted(OutstandingQueue.Entry.parse) }
            return short ? .pass : .impossible
        case BackendType.closeComplete:
            if short { tracker.serverCompleted(OutstandingQueue.Entry.close) }
            return short ? .pass : .impossible
        case BackendType.parameterDescription:
            return fits(length, MessageLimits.parameterDescription) ? .pass : .impossible
        default:
            let seen = rareServerMessage(type, length, offset, burst, &tracker)
            result.seen.formUnion(seen)
            return seen.isEmpty ? .impossible : .pass
        }
    }

    /// Empty for a message that is impossible.
    @inline(never)
    private static func rareServerMessage(
        _ type: UInt8, _ length: UInt32, _ offset: Int, _ burst: RawSpan,
        _ tracker: inout ExchangeTracker
    ) -> ScanSeen {
        switch type {
        case BackendType.errorResponse:
            guard fits(length, MessageLimits.backendLong) else { return [] }
            tracker.serverFailed()
            let isFatal = ErrorGlance(burst, offset, length).isFatal
            return isFatal ? [.errorResponse, .fatalError] : .errorResponse
        case BackendType.noticeResponse:
            guard fits(length, MessageLimits.backendLong) else { return [] }
            let isShutdown = ErrorGlance(burst, offset, length).isShutdown
            return isShutdown ? [.notice, .shutdownNotice] : .notice
        case BackendType.notificationResponse:
            return fits(length, MessageLimits.backendLong) ? .notification : []
        case BackendType.functionCallResponse:
            guard fits(length, MessageLimits.backendLong) else { return [] }
            tracker.serverAnsweredFunctionCall()
            return .functionCallResponse
        default:
            guard fits(length, MessageLimits.backendShort) else { return [] }
            return shortRareServerMessage(type, &tracker)
        }
    }

    private static func shortRareServerMessage(
        _ type: UInt8, _ tracker: inout ExchangeTracker
    ) -> ScanSeen {
        switch type {
        case BackendType.parameterStatus: return .parameterStatus
        case BackendType.copyDone: return .copyEnd
        case BackendType.copyInResponse:
            tracker.serverBegan(.copyIn)
            return .copyIn
        case BackendType.copyOutResponse:
            tracker.serverBegan(.copyOut)
            return .copyOut
        case BackendType.copyBothResponse:
            tracker.serverBegan(.copyBoth)
            return .copyBoth
        // Authentication, BackendKeyData and NegotiateProtocolVersion belong to the login.
        default: return []
        }
    }

    /// False for a message that is impossible.
    @inline(__always)
    private static func clientMessage(
        _ type: UInt8, _ length: UInt32, _ result: inout ScanResult,
        _ tracker: inout ExchangeTracker
    ) -> Bool {
        typealias Entry = OutstandingQueue.Entry
        let long = fits(length, MessageLimits.frontendLong)
        let short = fits(length, MessageLimits.frontendShort)
        switch type {
        case FrontendType.copyData: return long
        case FrontendType.bind:
            if long { tracker.clientSentExtended(Entry.bind) }
            result.seen.insert(.request)
            return long
        case FrontendType.execute:
            if short { tracker.clientSentExtended(Entry.execute) }
            result.seen.insert(.request)
            return short
        case FrontendType.sync:
            if short { tracker.clientSentSync() }
            result.seen.formUnion([.request, .flushOrSync])
            return short
        case FrontendType.query:
            if long { tracker.clientSentCommand(Entry.query) }
            result.seen.formUnion([.request, .flushOrSync])
            return long
        case FrontendType.parse:
            if long { tracker.clientSentExtended(Entry.parse) }
            result.seen.insert(.request)
            return long
        case FrontendType.describe:
            if short { tracker.clientSentExtended(Entry.describe) }
            result.seen.insert(.request)
            return short
        case FrontendType.close:
            if short { tracker.clientSentExtended(Entry.close) }
            result.seen.insert(.request)
            return short
        case FrontendType.flush:
            result.seen.insert(.flushOrSync)
            return short
        case FrontendType.functionCall:
            if long { tracker.clientSentCommand(Entry.functionCall) }
            result.seen.formUnion([.request, .flushOrSync])
            return long
        case FrontendType.copyDone, FrontendType.copyFail:
            if short { tracker.clientEndedCopy() }
            result.seen.insert(.copyEnd)
            return short
        case FrontendType.terminate:
            result.seen.insert(.terminate)
            return short
        // Passwords belong to the login.
        default: return false
        }
    }

    /// `4 <= length <= max` in one comparison: what is below 4 wraps around to a large number.
    @inline(__always)
    private static func fits(_ length: UInt32, _ max: UInt32) -> Bool {
        length &- MessageLimits.lengthMin <= max &- MessageLimits.lengthMin
    }

    /// Why the header at `offset` is impossible. The type is looked at first, as PostgreSQL does.
    @inline(never)
    private static func violation(
        _ side: Side, _ offset: Int, _ burst: RawSpan
    ) -> ProtocolViolation {
        let type = burst.byteUnchecked(offset)
        let length = burst.uint32Unchecked(offset + 1)
        guard let lengthMax = MessageLimits.lengthMax(side, type) else {
            return .unknownMessageType(type)
        }
        if MessageLimits.isLoginOnly(side, type) { return .unexpectedMessage(type) }
        if length < MessageLimits.lengthMin { return .lengthTooShort(type: type, length: length) }
        if length > lengthMax { return .lengthTooLong(type: type, length: length) }
        // What is left is a ReadyForQuery of length 4, or of a status that does not exist.
        if length < 5 { return .lengthTooShort(type: type, length: length) }
        return .transactionStatus(burst.byteUnchecked(offset + headerLength))
    }
}
