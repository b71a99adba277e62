import PostgresProtocol

/// Both legs of a session at once. The input is a list of pieces: a byte whose lowest bit is the
/// side and whose other bits are the count of the bytes that follow. However the pieces are cut
/// further, scanners and tracker must come to the same result, and boundaries must be the plain
/// reference's.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = FuzzInput.bytes(data, count)
    var pieces: [(side: Side, bytes: [UInt8])] = []
    var at = 0
    while at < input.count {
        let end = min(input.count, at + 1 + Int(input[at] >> 1))
        pieces.append((input[at] & 1 == 0 ? .client : .server, [UInt8](input[(at + 1)..<end])))
        at = end
    }
    let whole = run(pieces, cut: 128)
    FuzzInput.require(whole == run(pieces, cut: 1), "byte by byte gives the same result")
    FuzzInput.require(whole == run(pieces, cut: 3), "three bytes at once give the same result")
    for side in Side.allCases {
        let stream = pieces.filter { $0.side == side }.flatMap(\.bytes)
        let leg = DripFeed.whole(stream, from: side)
        let reference = ReferenceFraming(stream, from: side)
        FuzzInput.require(
            leg.forwarded.count == reference.forwardable, "boundaries are the reference's")
        FuzzInput.require(leg.messages == reference.headers, "headers are the reference's")
        FuzzInput.require(
            (leg.violation != nil) == reference.isImpossible, "violations are the reference's")
    }
    return 0
}

private struct Leg {
    var scanner: FrameScanner
    var held: [UInt8] = []
    var forwarded = 0
    var messages = 0
    var violation: ProtocolViolation?

    init(_ side: Side) { scanner = FrameScanner(side) }

    mutating func take(_ bytes: [UInt8], _ tracker: inout ExchangeTracker) {
        if violation != nil { return }
        let burst = held + bytes
        let result = scanner.scan(burst.span.bytes, tracker: &tracker)
        FuzzInput.require(
            result.forwardable >= 0 && result.forwardable <= burst.count,
            "no more is forwarded than there is")
        held = [UInt8](burst[result.forwardable...])
        violation = result.violation
        FuzzInput.require(
            violation != nil || held.count <= FrameScanner.heldMax, "little is held")
        forwarded += result.forwardable
        messages += result.messages
    }
}

private func run(_ pieces: [(side: Side, bytes: [UInt8])], cut: Int) -> String {
    var client = Leg(.client)
    var server = Leg(.server)
    var tracker = ExchangeTracker()
    for piece in pieces {
        var at = 0
        while at < piece.bytes.count {
            let end = min(piece.bytes.count, at + cut)
            let bytes = [UInt8](piece.bytes[at..<end])
            switch piece.side {
            case .client: client.take(bytes, &tracker)
            case .server: server.take(bytes, &tracker)
            }
            at = end
        }
        let isIdle = tracker.isIdle
        FuzzInput.require(!isIdle || tracker.outstanding == 0, "who is idle is owed nothing")
        FuzzInput.require(tracker.outstanding >= 0, "no count goes below zero")
    }
    return "\(client.forwarded) \(client.messages) \(server.forwarded) \(server.messages) "
        + "\(String(describing: client.violation)) \(String(describing: server.violation)) "
        + DripFeed.summary(tracker)
}
