/// Finds the known key that a mistyped one was meant to be.
enum NearestKey {
    /// nil when no known key is near: at most a third of the letters, and at most three, differ.
    static func find(_ key: String, among known: [String]) -> String? {
        guard key.utf8.count <= 64 else { return nil }
        let wanted = Array(key.lowercased().utf8.map { $0 == 0x2D ? 0x5F : $0 })
        var best: (key: String, distance: Int)?
        for candidate in known {
            let distance = distance(wanted, Array(candidate.utf8))
            let most = min(3, max(1, max(wanted.count, candidate.utf8.count) / 3))
            guard distance <= most, distance < best?.distance ?? .max else { continue }
            best = (candidate, distance)
        }
        if best == nil, wanted.count >= 4 {
            // `certificate_file` for `certificate`, `mode` in `sslmode`.
            return known.first { $0.utf8.count >= 4 && (key.contains($0) || $0.contains(key)) }
        }
        return best?.key
    }

    /// Damerau-Levenshtein, neighbours swapped count once.
    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var before: [Int] = []
        var previous = Array(0...b.count)
        for i in 0..<a.count {
            var current = [i + 1]
            for j in 0..<b.count {
                var cost = min(previous[j + 1] + 1, current[j] + 1)
                cost = min(cost, previous[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                    cost = min(cost, before[j - 1] + 1)
                }
                current.append(cost)
            }
            before = previous
            previous = current
        }
        return previous[b.count]
    }
}
