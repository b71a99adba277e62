internal import EventLoop
internal import Synchronization

/// Events per source address and minute: failed logins, cancel requests that found nothing.
///
/// - Bounds: at most `sourcesMax` sources are remembered; when it is full, the table begins anew,
///   which forgives everybody once rather than growing.
/// - Thread: any.
final class SourceLimiter: Sendable {
    private struct Window {
        var startNanoseconds: UInt64
        var count: Int
    }

    private static let sourcesMax = 65_536
    private static let windowNanoseconds: UInt64 = 60_000_000_000
    private let windows = Mutex<[SourceKey: Window]>([:])

    /// Counts one event.
    func note(_ source: SourceKey, nowNanoseconds: UInt64) {
        windows.withLock { windows in
            if windows.count >= Self.sourcesMax && windows[source] == nil {
                windows.removeAll(keepingCapacity: true)
            }
            var window = windows[source] ?? Window(startNanoseconds: nowNanoseconds, count: 0)
            if nowNanoseconds &- window.startNanoseconds >= Self.windowNanoseconds {
                window = Window(startNanoseconds: nowNanoseconds, count: 0)
            }
            window.count += 1
            windows[source] = window
        }
    }

    var count: Int { windows.withLock { $0.count } }

    /// Whether the source has had `limit` events in the minute (0: no limit).
    func isExceeded(_ source: SourceKey, limit: Int, nowNanoseconds: UInt64) -> Bool {
        guard limit > 0 else { return false }
        return windows.withLock { windows in
            guard let window = windows[source],
                nowNanoseconds &- window.startNanoseconds < Self.windowNanoseconds
            else { return false }
            return window.count >= limit
        }
    }
}

/// How many sockets of a source are in their login.
///
/// - Bounds: only sources with at least one such socket are held.
final class SourceGauge: Sendable {
    private let counts = Mutex<[SourceKey: Int]>([:])

    /// False when `limit` (0: none) is reached; then nothing was counted.
    func take(_ source: SourceKey, limit: Int) -> Bool {
        counts.withLock { counts in
            let count = counts[source, default: 0]
            if limit > 0 && count >= limit { return false }
            counts[source] = count + 1
            return true
        }
    }

    var count: Int { counts.withLock { $0.count } }

    func give(_ source: SourceKey) {
        counts.withLock { counts in
            guard let count = counts[source] else { return }
            counts[source] = count > 1 ? count - 1 : nil
        }
    }
}
