package import Telemetry

/// One line of the log before it is written: a constant sentence and its fields.
///
/// There is no field for a secret anywhere, and none may be made: no password, SCRAM message, key,
/// startup parameter or statement text enters a record.
package struct LogRecord: Sendable {
    /// Unix time.
    package var timeMilliseconds: UInt64
    package var level: EventLevel
    package var message: String
    package var fields: [LogField]

    package init(
        timeMilliseconds: UInt64 = RealTime.nowMilliseconds, level: EventLevel, message: String,
        fields: [LogField] = []
    ) {
        self.timeMilliseconds = timeMilliseconds
        self.level = level
        self.message = message
        self.fields = fields
    }
}

package struct LogField: Sendable {
    package var key: String
    package var value: LogValue

    package init(_ key: String, _ value: LogValue) {
        self.key = key
        self.value = value
    }

    package init(_ key: LogKey, _ value: LogValue) {
        self.init(key.rawValue, value)
    }
}

/// A value in a log line. Bytes are what a peer sent; text is our own or a library's. Both are
/// escaped the same way, since a library's text may quote a peer.
package enum LogValue: Sendable {
    case text(String)
    case bytes([UInt8])
    case number(Int64)
    /// A time in nanoseconds, written as milliseconds with three decimals.
    case milliseconds(nanoseconds: UInt64)
}

extension EventLevel {
    /// As in syslog(3), which journald reads in front of a line.
    var priority: Int {
        switch self {
        case .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        }
    }

    /// Rises with urgency.
    var rank: Int { 7 - priority }
}
