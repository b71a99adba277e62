/// Fixed buckets of the login time histogram. They reach from a cached handshake on loopback to the
/// default login timeout of 15 s.
package enum LoginBuckets {
    /// Upper bounds in microseconds, rising; one more bucket holds what is slower.
    package static let boundsMicroseconds: [UInt64] = [
        500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
        1_000_000, 2_500_000, 5_000_000, 15_000_000,
    ]

    package static let count = boundsMicroseconds.count + 1

    /// - Invariant: `0 <= result < count`.
    package static func index(nanoseconds: UInt64) -> Int {
        for (index, bound) in boundsMicroseconds.enumerated()
        where nanoseconds <= bound * 1_000 {
            return index
        }
        return boundsMicroseconds.count
    }
}

/// A reading of the histogram: `counts[i]` logins fell into bucket i.
package struct LoginTimes: Sendable, Equatable {
    package var counts: [UInt64]
    package var sumNanoseconds: UInt64

    package init(
        counts: [UInt64] = Array(repeating: 0, count: LoginBuckets.count),
        sumNanoseconds: UInt64 = 0
    ) {
        self.counts = counts
        self.sumNanoseconds = sumNanoseconds
    }

    /// Adds another worker's reading.
    package mutating func merge(_ other: LoginTimes) {
        for index in 0..<min(counts.count, other.counts.count) {
            counts[index] &+= other.counts[index]
        }
        sumNanoseconds &+= other.sumNanoseconds
    }
}
