package import Handoff
package import Telemetry

/// Makes log lines of what workers and the registry post: the thread between the mailbox, which
/// never blocks its senders, and the log, which may.
///
/// Start it after `SignalWatcher.prepare`; `stop` writes what still waits.
package final class EventPump: Sendable {
    private let mailbox: Mailbox<TelemetryEvent>
    private let writer: LogWriter
    private let thread = ControlThread()

    /// Records of one kind (and tenant) in ten seconds, before the rest is only counted. Sessions
    /// that ended without an error are always written.
    static let noticeBurst = 50
    /// How long events are gathered before the next look.
    private static let gatherMilliseconds: Int32 = 20
    static let failedSessionBurst = 500

    package init(mailbox: Mailbox<TelemetryEvent>, writer: LogWriter) {
        self.mailbox = mailbox
        self.writer = writer
    }

    /// False when the system has no thread to give.
    package func start() -> Bool {
        thread.start(name: "pgtee-log") { [self] in
            var limit = RateLimit()
            var isStopping = false
            while !isStopping {
                // Wakes to end windows only while there are any.
                let patience: Int32 = limit.isEmpty ? -1 : 1_000
                isStopping = thread.wait(for: mailbox.eventDescriptor, milliseconds: patience)
                pump(&limit, isLast: isStopping)
                // Many sessions that end at once share one wake-up of this thread and one write.
                if !isStopping {
                    isStopping = thread.wait(for: nil, milliseconds: Self.gatherMilliseconds)
                }
                if isStopping { pump(&limit, isLast: true) }
            }
        }
    }

    /// Writes everything that was posted before the call, and ends the thread.
    package func stop() { thread.stop() }

    private func pump(_ limit: inout RateLimit, isLast: Bool) {
        let (events, dropped) = mailbox.drain()
        let now = RealTime.monotonicMilliseconds
        var records: [LogRecord] = []
        for event in events {
            if let record = admitted(event, &limit, now) { records.append(record) }
        }
        writer.write(records)
        if dropped > 0 {
            writer.countDropped(dropped)
            writer.write(
                .warning, "log events were dropped because they came faster than they were written",
                [LogField(.dropped, .number(Int64(clamping: dropped)))])
        }
        for (key, suppressed) in limit.expire(nowMilliseconds: now, all: isLast) {
            var fields = [
                LogField(.suppressed, .number(Int64(clamping: suppressed))),
                LogField(.kind, .text(key.key)),
            ]
            if !key.tenant.isEmpty { fields.append(LogField(.tenant, .text(key.tenant))) }
            writer.write(.warning, "records of one kind were suppressed", fields)
        }
    }

    /// The record to be written; nil when it is only counted, or below the level.
    private func admitted(
        _ event: TelemetryEvent, _ limit: inout RateLimit, _ now: UInt64
    ) -> LogRecord? {
        let record: LogRecord
        let key: RateLimit.Key
        let burst: Int
        switch event {
        case .sessionEnded(let session):
            record = LogRecord(session)
            guard writer.isEnabled(record.level) else { return nil }
            guard session.end.errorSource != nil || session.tenant.isEmpty else { return record }
            key = RateLimit.Key(key: session.end.rawValue, tenant: session.tenant)
            burst = Self.failedSessionBurst
        case .notice(let level, let name, let message, let fields):
            guard writer.isEnabled(level) else { return nil }
            record = LogRecord(
                level: level, message: message,
                fields: fields.map { LogField($0.0, .text($0.1)) })
            let tenant = fields.first { $0.0 == LogKey.tenant.rawValue }?.1 ?? ""
            key = RateLimit.Key(key: name, tenant: tenant)
            burst = Self.noticeBurst
        }
        if limit.admit(key, burst: burst, nowMilliseconds: now) { return record }
        writer.countSuppressed(1)
        return nil
    }
}
