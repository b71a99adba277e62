/// Bounds how many equal records are written: at most `burst` per key in a window, the rest are
/// counted, and the count is told once the window is over.
///
/// - Bounds: at most `keysMax` keys are known at a time; while that many are in use, a new key is
///   suppressed under the name of all others.
struct RateLimit {
    struct Key: Hashable {
        var key: String
        var tenant: String
    }

    private struct Window {
        var startMilliseconds: UInt64
        var admitted = 0
        var suppressed: UInt64 = 0
    }

    static let keysMax = 4_096
    private let windowMilliseconds: UInt64
    private var windows: [Key: Window] = [:]

    init(windowMilliseconds: UInt64 = 10_000) {
        self.windowMilliseconds = windowMilliseconds
    }

    /// True when the record may be written.
    mutating func admit(_ key: Key, burst: Int, nowMilliseconds now: UInt64) -> Bool {
        var key = key
        if windows[key] == nil && windows.count >= Self.keysMax { key = Self.others }
        var window = windows[key] ?? Window(startMilliseconds: now)
        defer { windows[key] = window }
        guard window.admitted < burst else {
            window.suppressed += 1
            return false
        }
        window.admitted += 1
        return true
    }

    /// Ends the windows that are over (all of them, when told so) and returns what they suppressed.
    mutating func expire(
        nowMilliseconds now: UInt64, all: Bool = false
    ) -> [(key: Key, suppressed: UInt64)] {
        var result: [(key: Key, suppressed: UInt64)] = []
        for (key, window) in windows
        where all || now >= window.startMilliseconds &+ windowMilliseconds {
            if window.suppressed > 0 { result.append((key, window.suppressed)) }
            windows[key] = nil
        }
        return result.sorted { ($0.key.key, $0.key.tenant) < ($1.key.key, $1.key.tenant) }
    }

    var isEmpty: Bool { windows.isEmpty }

    private static let others = Key(key: "others", tenant: "")
}
