import PostgresProtocol
import Testing

/// Every limit at one below, at, and one above.
@Suite struct LimitTests {
    struct Limit: CustomStringConvertible, Sendable {
        let side: Side
        let type: UInt8
        let length: UInt32
        let isAllowed: Bool

        var description: String {
            "\(side) \(Character(UnicodeScalar(type))) \(length) \(isAllowed)"
        }

        var header: [UInt8] {
            [type] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) }
        }
    }

    static let all: [Limit] = Side.allCases.flatMap { side in
        (UInt8.min...UInt8.max).flatMap { type -> [Limit] in
            let character = Character(UnicodeScalar(type))
            guard let limit = ReferenceFraming.limit(character, side) else { return [] }
            let max = UInt32(limit)
            let min: UInt32 = type == BackendType.readyForQuery && side == .server ? 5 : 4
            let bounds: [(UInt32, Bool)] = [
                (0, false), (min - 1, false), (min, true), (min + 1, min + 1 <= max),
                (max - 1, max - 1 >= min), (max, true), (max + 1, false), (.max, false),
            ]
            return bounds.map { Limit(side: side, type: type, length: $0, isAllowed: $1) }
        }
    }

    @Test(arguments: all)
    func `a length word is believed up to its limit`(_ limit: Limit) {
        let rest: [UInt8] = limit.type == BackendType.readyForQuery ? [0x49] : []
        let outcome = DripFeed.whole(limit.header + rest, from: limit.side)
        #expect((outcome.violation == nil) == limit.isAllowed)
        let isForwarded = !outcome.forwarded.isEmpty
        #expect(isForwarded == limit.isAllowed)
        if limit.length < 4 {
            #expect(
                outcome.violation == .lengthTooShort(type: limit.type, length: limit.length))
        }
        if !limit.isAllowed && limit.length > 5 {
            #expect(outcome.violation == .lengthTooLong(type: limit.type, length: limit.length))
        }
    }

    @Test(arguments: all)
    func `the header reader and the scanner agree`(_ limit: Limit) {
        let isReadyForQuery = limit.type == BackendType.readyForQuery && limit.length == 4
        let header = Result { () throws(ProtocolViolation) in
            try MessageHeader.read(limit.header.span.bytes, from: limit.side)
        }
        switch header {
        case .success(let header):
            #expect(limit.isAllowed || isReadyForQuery)
            #expect(header?.bodyCount == Int(limit.length) - 4)
            #expect(header?.totalCount == Int(limit.length) + 1)
        case .failure: #expect(!limit.isAllowed)
        }
    }

    @Test(arguments: [(65_535, true), (65_536, false)])
    func `an authentication message is believed up to its limit`(_ length: Int, _ isAllowed: Bool) {
        let bytes: [UInt8] =
            [0x70] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) }
        let header = try? MessageHeader.read(bytes.span.bytes, from: .client)
        #expect((header != nil) == isAllowed)
    }

    @Test(arguments: [(1_999, true), (2_000, true), (2_001, false)])
    func `an authentication request is believed up to its limit`(_ length: Int, _ isAllowed: Bool) {
        for type: UInt8 in [0x52, 0x76] {
            let bytes: [UInt8] =
                [type] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) }
            let header = try? MessageHeader.read(bytes.span.bytes, from: .server)
            #expect((header != nil) == isAllowed)
        }
    }

    @Test func `a header of less than five bytes is waited for`() throws {
        for count in 0..<5 {
            let bytes = [UInt8](raw("Q", [0])[..<count])
            #expect(try MessageHeader.read(bytes.span.bytes, from: .client) == nil)
        }
    }
}
