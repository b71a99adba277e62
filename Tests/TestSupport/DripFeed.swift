/// The ways in which a network may cut a sample: a decoder must give the same result for each.
package enum DripFeed {
    /// One byte at a time.
    package static func byteByByte(_ bytes: [UInt8]) -> [[UInt8]] { bytes.map { [$0] } }

    /// Two pieces, cut at every position (also an empty first or second piece).
    package static func everySplit(_ bytes: [UInt8]) -> [[[UInt8]]] {
        (0...bytes.count).map { [Array(bytes[..<$0]), Array(bytes[$0...])] }
    }

    /// Every proper beginning: the decoder must ask for more or refuse, and never trap.
    package static func everyTruncation(_ bytes: [UInt8]) -> [[UInt8]] {
        (0..<bytes.count).map { Array(bytes[..<$0]) }
    }

    /// Pieces of random size, 1 to `largest` bytes.
    package static func randomPieces(
        _ bytes: [UInt8], largest: Int, using random: inout SeededRandom
    ) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var start = 0
        while start < bytes.count {
            let size = min(Int.random(in: 1...largest, using: &random), bytes.count - start)
            pieces.append(Array(bytes[start..<start + size]))
            start += size
        }
        return pieces
    }

    /// The sample whole, byte by byte, and in two pieces at every position.
    package static func everyWay(_ bytes: [UInt8]) -> [[[UInt8]]] {
        [[bytes], byteByByte(bytes)] + everySplit(bytes)
    }

    /// The ways of feeding whose result differs from that of the whole sample.
    package static func differences<Result: Equatable>(
        _ bytes: [UInt8], _ feed: ([[UInt8]]) throws -> Result
    ) rethrows -> [String] {
        let expected = try feed([bytes])
        var found: [String] = []
        for pieces in everyWay(bytes) {
            let result = try feed(pieces)
            if result != expected {
                found.append("pieces of \(pieces.map(\.count)): \(result), not \(expected)")
            }
        }
        return found
    }
}
