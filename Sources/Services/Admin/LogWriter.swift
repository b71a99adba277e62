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
    package func write(_ record: LogRecord) { write([record]) }

    /// Several records with one call of the system per `batchBytesMax`.
    package func write(_ records: [LogRecord]) {
        var batch: [UInt8] = []
        var lines: UInt64 = 0
        for record in records where isEnabled(record.level) {
            batch += LogLine.encode(record, as: format, withPriority: hasPriority)
            lines += 1
            if batch.count >= Self.batchBytesMax {
                send(&batch, &lines)
            }
        }
        if lines > 0 { send(&batch, &lines) }
    }

    /// A reader of a pipe sees whole lines: a batch below PIPE_BUF is never mixed with others'.
    private static let batchBytesMax = 3_072

    private func send(_ batch: inout [UInt8], _ lines: inout UInt64) {
        let isWritten = writeAll(batch)
        state.withLock { counts in
            if isWritten { counts.lines += lines } else { counts.dropped += lines }
        }
        batch.removeAll(keepingCapacity: true)
        lines = 0
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
                } else if count < 0 && errno == EAGAIN {
                    // Whoever shares the descriptor made it non-blocking.
                    var polled = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    if poll(&polled, 1, Self.patienceMilliseconds) <= 0 { return false }
                } else if count == 0 || errno != EINTR {
                    return false
                }
            }
            return true
        }
    }

    private static let patienceMilliseconds: Int32 = 1_000

    /// True when stderr is the stream that systemd connected to the journal.
    package static var stderrIsJournal: Bool {
        isJournal(2, stream: getenv("JOURNAL_STREAM").map { String(cString: $0) })
    }

    /// - Parameter stream: `device:inode` of the journal's stream. It is inherited by programs
    ///   whose output goes elsewhere, so it has to be compared.
    /// - Source: systemd.exec(5), JOURNAL_STREAM.
    static func isJournal(_ descriptor: Int32, stream: String?) -> Bool {
        var status = stat()
        guard let stream, fstat(descriptor, &status) == 0 else { return false }
        return stream == "\(status.st_dev):\(status.st_ino)"
    }
}
