import PostgresProtocol
import Testing

@Suite struct FrameScannerTests {
    @Test(arguments: Sample.afterLogin)
    func `a message is forwarded whole`(_ sample: Sample) {
        let outcome = DripFeed.whole(sample.bytes, from: sample.side)
        #expect(outcome.forwarded == sample.bytes)
        #expect(outcome.messages == 1)
        #expect(outcome.violation == nil)
        #expect(!outcome.isMidMessage)
    }

    @Test(arguments: Sample.afterLogin)
    func `a message that comes byte by byte is forwarded whole`(_ sample: Sample) {
        let stream = sample.bytes + sample.bytes
        let whole = DripFeed.whole(stream, from: sample.side)
        let pieces = [Int](repeating: 1, count: stream.count)
        #expect(DripFeed.feed(stream, from: sample.side, pieces: pieces) == whole)
    }

    @Test(arguments: Sample.afterLogin)
    func `a message cut at any place is forwarded whole`(_ sample: Sample) {
        for neighbour in Sample.afterLogin where neighbour.side == sample.side {
            let stream = neighbour.bytes + sample.bytes + neighbour.bytes
            let whole = DripFeed.whole(stream, from: sample.side)
            #expect(whole.forwarded == stream)
            #expect(whole.messages == 3)
            for cut in 1..<stream.count {
                #expect(DripFeed.feed(stream, from: sample.side, pieces: [cut]) == whole)
            }
        }
    }

    @Test(arguments: Sample.afterLogin)
    func `a message that stops anywhere is waited for`(_ sample: Sample) {
        for count in 0..<sample.bytes.count {
            let outcome = DripFeed.whole([UInt8](sample.bytes[..<count]), from: sample.side)
            let headerCount = sample.bytes[0] == 0x5A && sample.side == .server ? 6 : 5
            let holds = count < headerCount
            #expect(outcome.violation == nil)
            #expect(outcome.held.count == (holds ? count : 0))
            #expect(outcome.messages == (holds ? 0 : 1))
            #expect(outcome.isMidMessage == !holds)
        }
    }

    @Test func `messages of the login are violations after it`() {
        for sample in Sample.all where sample.isLoginOnly {
            let outcome = DripFeed.whole(sample.bytes, from: sample.side)
            #expect(outcome.violation == .unexpectedMessage(sample.bytes[0]))
            #expect(outcome.forwarded.isEmpty)
        }
    }

    @Test func `every other type byte is a violation`() {
        for side in Side.allCases {
            let known = side == .client ? FrontendType.all : BackendType.all
            for type in UInt8.min...UInt8.max where !known.contains(type) {
                let outcome = DripFeed.whole([type, 0, 0, 0, 4], from: side)
                #expect(outcome.violation == .unknownMessageType(type))
                #expect(outcome.forwarded.isEmpty)
            }
        }
    }

    @Test func `a violation leaves what came before it`() {
        let good = raw("Q", ascii("select 1\0"))
        let outcome = DripFeed.whole(good + [0x51, 0, 0, 0, 3, 9, 9, 9, 9], from: .client)
        #expect(outcome.forwarded == good)
        #expect(outcome.violation == .lengthTooShort(type: 0x51, length: 3))
        #expect(outcome.messages == 1)
    }

    @Test func `a body far longer than a burst is stepped over`() {
        var scanner = FrameScanner(.server)
        var tracker = ExchangeTracker()
        let header: [UInt8] = [0x44, 0x23, 0xC3, 0x46, 0x04]  // 600,000,004
        let burst = [UInt8](repeating: 0x45, count: 65_536)
        var left = 600_000_000
        #expect(scanner.scan(header.span.bytes, tracker: &tracker).messages == 1)
        while left > 0 {
            #expect(scanner.isMidMessage)
            let piece = min(left, burst.count)
            let result = scanner.scan(burst.span.bytes.extracting(0..<piece), tracker: &tracker)
            #expect(result.forwardable == piece && result.messages == 0)
            left -= piece
        }
        #expect(!scanner.isMidMessage)
        let ready = raw("Z", [0x54])
        #expect(scanner.scan(ready.span.bytes, tracker: &tracker).readyCount == 1)
        #expect(tracker.status == .inTransaction)
    }

    @Test func `a ReadyForQuery without its status byte is held`() {
        let outcome = DripFeed.whole([0x5A, 0, 0, 0, 5], from: .server)
        #expect(outcome.held.count == FrameScanner.heldMax)
        #expect(outcome.readyCount == 0)
    }

    @Test(arguments: [UInt8(0), 0x69, 0x4A, 0xFF])
    func `a ReadyForQuery of another status is a violation`(_ status: UInt8) {
        let outcome = DripFeed.whole(raw("Z", [status]), from: .server)
        #expect(outcome.violation == .transactionStatus(status))
    }

    @Test func `an error's severity is seen`() {
        func seen(_ severity: ErrorFields.Severity, _ state: String, _ type: Character) -> ScanSeen
        {
            var writer = MessageWriter()
            let fields = ErrorFields(severity, sqlState: state, message: "m")
            let result = Result { () throws(EncodingError) in
                if type == "E" { try fields.encodeError(into: &writer) }
                if type == "N" { try fields.encodeNotice(into: &writer) }
            }
            #expect((try? result.get()) != nil)
            var scanner = FrameScanner(.server)
            var tracker = ExchangeTracker()
            return scanner.scan(writer.bytes.span.bytes, tracker: &tracker).seen
        }
        #expect(seen(.error, "42601", "E") == .errorResponse)
        #expect(seen(.fatal, "57P01", "E") == [.errorResponse, .fatalError])
        #expect(seen(.panic, "XX000", "E") == [.errorResponse, .fatalError])
        #expect(seen(.warning, "57P02", "N") == [.notice, .shutdownNotice])
        #expect(seen(.warning, "57P01", "N") == [.notice, .shutdownNotice])
        #expect(seen(.notice, "00000", "N") == .notice)
    }

    @Test func `kinds of messages are reported`() {
        func seen(_ bytes: [UInt8], _ side: Side) -> ScanSeen {
            ScanSeen(rawValue: DripFeed.whole(bytes, from: side).seen)
        }
        #expect(seen(raw("X"), .client) == .terminate)
        #expect(seen(raw("H"), .client) == .flushOrSync)
        #expect(seen(raw("S"), .client) == [.flushOrSync, .request])
        #expect(seen(raw("Q", [0]), .client) == [.flushOrSync, .request])
        #expect(seen(raw("P", [0, 0, 0, 0]), .client) == .request)
        #expect(seen(raw("c"), .client) == .copyEnd)
        #expect(seen(raw("f", [0]), .client) == .copyEnd)
        #expect(seen(raw("d"), .client) == [])
        #expect(seen(raw("Z", [0x49]), .server) == .readyForQuery)
        #expect(seen(raw("S", [0x61, 0, 0]), .server) == .parameterStatus)
        #expect(seen(raw("A", [0, 0, 0, 1, 0, 0]), .server) == .notification)
        #expect(seen(raw("G", [0, 0, 0]), .server) == .copyIn)
        #expect(seen(raw("H", [0, 0, 0]), .server) == .copyOut)
        #expect(seen(raw("W", [0, 0, 0]), .server) == .copyBoth)
        #expect(seen(raw("c"), .server) == .copyEnd)
        #expect(seen(raw("V", [255, 255, 255, 255]), .server) == .functionCallResponse)
        #expect(seen(raw("D", [0, 0]), .server) == [])
    }
}
