/// What is known of one session (or one refused login) at its end: the canonical log line's fields.
package struct SessionRecord: Sendable {
    package var sessionID: UInt64 = 0
    package var worker = 0
    /// Empty when the login was not routed.
    package var tenant = ""
    package var backend = ""
    /// As sent by the client, after rewriting; raw bytes, escaped by whoever prints them.
    package var user: [UInt8] = []
    package var database: [UInt8] = []
    package var applicationName: [UInt8] = []
    /// `192.0.2.1:5000`, `[::1]:5000` or `unix`.
    package var clientAddress = ""
    /// `TLSv1.3`, or empty.
    package var clientTLS = ""
    package var serverTLS = ""
    /// The route keys that named the tenant, e.g. `user` or `sni,user`.
    package var routedBy = ""
    package var protocolMinor = 0
    /// True PID of the server process; 0 before it is known.
    package var serverProcessID: Int32 = 0
    /// Durations in nanoseconds: from accept to ReadyForQuery, and from accept to the end.
    package var loginNanoseconds: UInt64 = 0
    package var durationNanoseconds: UInt64 = 0
    package var bytesFromClient: UInt64 = 0
    package var bytesFromServer: UInt64 = 0
    /// ReadyForQuery messages seen after the login.
    package var exchanges: UInt64 = 0
    package var end = SessionEnd.clientClosed
    /// What the client was told, when pgtee ended it; empty otherwise.
    package var sqlState = ""
    package var message = ""
    /// For the log only: library texts, addresses, errno.
    package var detail = ""
    /// The number that the client's error text carries too.
    package var reference = ""

    package init() {}
}

/// Why a session ended. The raw value is the word in logs and metrics.
package enum SessionEnd: String, Sendable, CaseIterable {
    /// Terminate, or end of the client's stream.
    case clientClosed = "client_closed"
    /// Reset, or a time-out of the client's connection.
    case clientLost = "client_lost"
    case serverClosed = "server_closed"
    case serverLost = "server_lost"
    /// The first packet never came whole: port scanners, health checks.
    case noStartup = "no_startup"
    case cancelRequest = "cancel_request"
    case clientProtocolViolation = "client_protocol_violation"
    case serverProtocolViolation = "server_protocol_violation"
    case clientTLSFailed = "client_tls_failed"
    case serverTLSFailed = "server_tls_failed"
    case refusedRoute = "refused_route"
    case refusedLimit = "refused_limit"
    case refusedAuthentication = "refused_authentication"
    case refusedByServer = "refused_by_server"
    case serverUnreachable = "server_unreachable"
    case loginTimeout = "login_timeout"
    case idleTimeout = "idle_timeout"
    case transactionTimeout = "transaction_timeout"
    case clientStalled = "client_stalled"
    case drained
    case internalError = "internal_error"
}

/// From the workers and the registry to the log.
package enum TelemetryEvent: Sendable {
    case sessionEnded(SessionRecord)
    /// A sentence for the log with its fields; `key` groups equal events and limits their rate.
    case notice(level: EventLevel, key: String, message: String, fields: [(String, String)])
}

package enum EventLevel: String, Sendable { case debug, info, notice, warning, error }
