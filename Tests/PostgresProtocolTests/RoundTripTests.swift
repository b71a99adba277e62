import PostgresProtocol
import Testing

/// Properties of random streams. A failure names the seed that repeats it.
@Suite struct RoundTripTests {
    static let seeds: [UInt64] = Array(1...200)

    @Test(arguments: seeds)
    func `decode undoes encode`(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        for _ in 0..<20 {
            let messages: [Sample.Message] = [
                .frontend(random.frontendMessage()), .backend(random.backendMessage()),
            ]
            for message in messages {
                let side: Side = if case .frontend = message { .client } else { .server }
                let bytes = try encode(message)
                let header = try MessageHeader.read(bytes.span.bytes, from: side)
                #expect(header?.totalCount == bytes.count, "seed \(seed)")
                #expect(try decode(bytes, from: side) == message, "seed \(seed)")
            }
        }
    }

    @Test(arguments: seeds)
    func `startup packets come back`(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let message = random.startupMessage()
        let bytes = try message.encoded()
        #expect(try InitialPacketFraming.packetLength(bytes.span.bytes) == bytes.count)
        #expect(try InitialPacketFraming.decode(bytes.span.bytes) == .startup(message))
    }

    @Test(arguments: seeds, Side.allCases)
    func `the scanner's boundaries are the reference's`(_ seed: UInt64, _ side: Side) throws {
        var random = SeededRandom(seed: seed)
        let stream = try Self.stream(&random, side)
        let reference = ReferenceFraming(stream, from: side)
        let outcome = DripFeed.whole(stream, from: side)
        #expect(outcome.forwarded == [UInt8](stream[..<reference.forwardable]), "seed \(seed)")
        #expect(outcome.messages == reference.headers, "seed \(seed)")
        #expect(outcome.readyCount == reference.readyCount, "seed \(seed)")
        #expect((outcome.violation != nil) == reference.isImpossible, "seed \(seed)")
        // Forwarded whole messages decode, or are damaged ones, but never trap.
        for message in reference.messages { _ = try? decode(message, from: side) }
    }

    @Test(arguments: seeds, Side.allCases)
    func `any chunking gives the same result`(_ seed: UInt64, _ side: Side) throws {
        var random = SeededRandom(seed: seed)
        let stream = try Self.stream(&random, side)
        let whole = DripFeed.whole(stream, from: side)
        for piecesMax in [1, 2, 7, 40, 700] {
            var pieces: [Int] = []
            var sum = 0
            while sum < stream.count {
                pieces.append(1 + random.below(piecesMax))
                sum += pieces[pieces.count - 1]
            }
            let fed = DripFeed.feed(stream, from: side, pieces: pieces)
            #expect(fed == whole, "seed \(seed), pieces up to \(piecesMax)")
        }
    }

    /// Messages of the time after the login; one stream in three has a damaged byte, one in four
    /// ends inside a message.
    static func stream(_ random: inout SeededRandom, _ side: Side) throws -> [UInt8] {
        var stream: [UInt8] = []
        for _ in 0..<(1 + random.below(40)) {
            let message: Sample.Message =
                side == .client
                ? .frontend(random.frontendMessage()) : .backend(random.backendMessage())
            let bytes = try encode(message)
            if MessageLimits.isLoginOnly(side, bytes[0]) { continue }
            stream += bytes
        }
        if random.chance(3) && !stream.isEmpty {
            stream[random.below(stream.count)] = UInt8(random.below(256))
        }
        if random.chance(4) { stream.removeLast(random.below(stream.count + 1)) }
        return stream
    }
}
