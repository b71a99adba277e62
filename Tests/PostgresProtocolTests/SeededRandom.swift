/// SplitMix64: the same numbers for the same seed on every machine, so that one number repeats a
/// failure.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

    mutating func chance(_ oneIn: Int) -> Bool { below(oneIn) == 0 }

    mutating func pick<T>(_ items: [T]) -> T { items[below(items.count)] }

    /// Any bytes, zeros included.
    mutating func bytes(upTo count: Int) -> [UInt8] {
        (0..<below(count + 1)).map { _ in UInt8.random(in: 0...255, using: &self) }
    }

    /// Bytes of a string of the wire.
    mutating func string(upTo count: Int, from lower: Int = 0) -> [UInt8] {
        (0..<(lower + below(count + 1 - lower))).map { _ in UInt8.random(in: 1...255, using: &self)
        }
    }

    mutating func value() -> [UInt8]? { chance(4) ? nil : bytes(upTo: 40) }

    mutating func list<T>(upTo count: Int, _ item: (inout SeededRandom) -> T) -> [T] {
        var list: [T] = []
        for _ in 0..<below(count + 1) { list.append(item(&self)) }
        return list
    }
}
