import PostgresProtocol

/// Plays the relay: hands a stream to a scanner in pieces and keeps what it may not send on.
struct DripFeed {
    struct Outcome: Equatable {
        var forwarded: [UInt8] = []
        var held: [UInt8] = []
        var messages = 0
        var readyCount = 0
        var seen: UInt32 = 0
        var violation: ProtocolViolation?
        var isMidMessage = false
        var tracker = ""
    }

    /// Depends on how much of a report is in one burst.
    static let glances: ScanSeen = [.fatalError, .shutdownNotice]

    /// Feeds pieces until a violation; `pieces` are the sizes, the last one takes the rest.
    static func feed(_ stream: [UInt8], from side: Side, pieces: [Int]) -> Outcome {
        var scanner = FrameScanner(side)
        var tracker = ExchangeTracker()
        var outcome = Outcome()
        var at = 0
        for piece in pieces + [stream.count] where at < stream.count {
            let end = min(stream.count, at + max(1, piece))
            let burst = outcome.held + stream[at..<end]
            at = end
            let result = scanner.scan(burst.span.bytes, tracker: &tracker)
            outcome.forwarded += burst[..<result.forwardable]
            outcome.held = [UInt8](burst[result.forwardable...])
            outcome.messages += result.messages
            outcome.readyCount += result.readyCount
            outcome.seen |= result.seen.subtracting(glances).rawValue
            outcome.violation = result.violation
            if result.violation != nil { break }
            precondition(outcome.held.count <= FrameScanner.heldMax, "held too much")
        }
        if outcome.violation != nil { outcome.held = [] }
        outcome.isMidMessage = scanner.isMidMessage
        outcome.tracker = summary(tracker)
        return outcome
    }

    static func whole(_ stream: [UInt8], from side: Side) -> Outcome {
        feed(stream, from: side, pieces: [stream.count])
    }

    static func summary(_ tracker: borrowing ExchangeTracker) -> String {
        "\(tracker.outstanding) \(tracker.copy) \(tracker.status) idle:\(tracker.isIdle) "
            + "unsure:\(tracker.isIndeterminate)"
    }
}
