/// SplitMix64: the same numbers for the same seed on every machine.
struct SeededRandom {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0xD134_2543_DE82_EF95 &+ 0x2545_F491_4F6C_DD1D }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// 0 for a bound of 0.
    mutating func below(_ bound: Int) -> Int {
        bound > 0 ? Int(truncatingIfNeeded: next() >> 1) % bound : 0
    }

    mutating func within(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + below(range.upperBound - range.lowerBound + 1)
    }

    mutating func chance(oneIn: Int) -> Bool { below(oneIn) == 0 }

    mutating func perMille(_ chance: Int) -> Bool { chance > 0 && below(1000) < chance }

    /// Sizes whose magnitude is evenly spread, so that small ones are common and large ones occur.
    mutating func size(upTo bound: Int) -> Int {
        var limit = 1
        while limit < bound && !chance(oneIn: 5) { limit *= 3 }
        return below(min(limit, bound) + 1)
    }
}

/// Payload bytes: any part of one block of noise, so that making them costs a copy.
enum Noise {
    static let block: [UInt8] = {
        var random = SeededRandom(seed: 1)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(1 << 18)
        while bytes.count < 1 << 18 {
            let word = random.next()
            for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: word >> (8 * shift))) }
        }
        return bytes
    }()

    static func append(_ count: Int, from offset: Int, to target: inout [UInt8]) {
        let start = offset % (block.count / 4)
        target.append(contentsOf: block[start..<(start + min(count, block.count - start))])
    }
}
