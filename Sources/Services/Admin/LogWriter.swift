internal import Glibc
import Synchronization
package import Telemetry

/// Where all log lines of the process leave it: one write(2) per line, so that lines of several
/// threads (and of child processes on the same pipe, up to PIPE_BUF) don't mix.
///
/// - Thread: any but workers; `write` may block when the reader of stderr does. Workers post to a
///   mailbox instead, see `EventPump`.
package final class LogWriter: Sendable {
    package struct Counts: Sendable, Equatable {
        package var lines: UInt64 = 0
        package var dropped: UInt64 = 0
        package var suppressed: UInt64 = 0
    }

    private let descriptor: Int32
    private let format: LogLineFormat
    private let lowestRank: Int
    private let hasPriority: Bool
    private let state = Mutex(Counts())

    /// - Parameter hasPriority: puts `<N>` in front of each line, as journald wants it.
    package init(
        descriptor: Int32 = 2, format: LogLineFormat, level: EventLevel,
        hasPriority: Bool = LogWriter.stderrIsJournal
    ) {
        self.descriptor = descriptor
        self.format = format
        self.lowestRank = level.rank
        self.hasPriority = hasPriority
    }

    package var counts: Counts { state.withLock { $0 } }

    package func isEnabled(_ level: EventLevel) -> Bool { level.rank >= lowestRank }

    /// Writes the record, unless its level is below the configured one. A line that the descriptor
    /// does not take is dropped and counted.
    package func write(_ record: LogRecord) {
        guard isEnabled(record.level) else { return }
        let line = LogLine.encode(record, as: format, withPriority: hasPriority)
        let isWritten = writeAll(line)
        state.withLock { counts in
            if isWritten { counts.lines += 1 } else { counts.dropped += 1 }
        }
    }

    package func write(_ level: EventLevel, _ message: String, _ fields: [LogField] = []) {
        write(LogRecord(level: level, message: message, fields: fields))
    }

    package func countDropped(_ amount: UInt64) {
        state.withLock { $0.dropped &+= amount }
    }

    package func countSuppressed(_ amount: UInt64) {
        state.withLock { $0.suppressed &+= amount }
    }

    private func writeAll(_ line: [UInt8]) -> Bool {
        line.withUnsafeBytes { bytes in
            var sent = 0
            while sent < bytes.count, let base = bytes.baseAddress {
                let count = Glibc.write(descriptor, base + sent, bytes.count - sent)
                if count > 0 {
                    sent += count
                } else if count == 0 || errno != EINTR {
                    return false
                }
            }
            return true
        }
    }

    /// True when stderr is the stream that systemd connected to the journal.
    package static var stderrIsJournal: Bool {
        guard let value = getenv("JOURNAL_STREAM") else { return false }
        var status = stat()
        guard fstat(2, &status) == 0 else { return false }
        return String(cString: value) == "\(status.st_dev):\(status.st_ino)"
    }
}
