internal import PostgresProtocol
internal import Telemetry

/// An error that pgtee itself reports to a client. All of them are made in this file;
/// docs/errors.md lists them.
///
/// - Invariant: no text holds an address, a server's user name or a library's words; those go to
///   the log with the same reference.
struct ClientError: Error {
    var sqlState: String
    var message: String
    var detail: String?
    var hint: String?
    /// How the session is counted and logged.
    var end: SessionEnd

    init(
        _ sqlState: String, _ end: SessionEnd, _ message: String, detail: String? = nil,
        hint: String? = nil
    ) {
        self.sqlState = sqlState
        self.end = end
        self.message = message
        self.detail = detail
        self.hint = hint
    }
}

extension ClientError {
    static let bytesBeforeTLS = ClientError(
        "08P01", .clientProtocolViolation, "received unencrypted data after SSL request",
        hint: "This could be a bug of the client or an attempt to inject data into the connection.")

    static func protocolViolation(_ text: String) -> ClientError {
        ClientError("08P01", .clientProtocolViolation, text)
    }

    static func unsupportedVersion(major: UInt16, minor: UInt16) -> ClientError {
        ClientError(
            "0A000", .clientProtocolViolation,
            "unsupported frontend protocol \(major).\(minor): server supports 3.0 to 3.2")
    }

    static let passwordExpected = ClientError(
        "08P01", .clientProtocolViolation, "expected SASL response, got another message")

    static let tlsRequired = ClientError(
        "28000", .refusedRoute, "this tenant accepts only connections that use TLS",
        hint: "Connect with sslmode=require or stronger.")

    static let clientCertificateRequired = ClientError(
        "28000", .refusedAuthentication, "connection requires a valid client certificate",
        hint: "Set sslcert and sslkey to a certificate that the tenant's CA has issued.")

    static let certificateUserMismatch = ClientError(
        "28000", .refusedAuthentication,
        "the client certificate's common name does not match the user name")

    static func tooManySessions(tenant: Bool) -> ClientError {
        ClientError(
            "53300", .refusedLimit,
            tenant ? "too many connections for this tenant" : "sorry, too many clients already",
            hint: tenant
                ? "Close idle connections, or ask the operator to raise limits.sessions of the tenant."
                : "Try again later, or ask the operator to raise limits.sessions.")
    }

    static let tooManyLogins = ClientError(
        "53300", .refusedLimit, "too many logins are in progress",
        hint: "Try again in a moment, with fewer connections opened at once.")

    static let tooManyFailures = ClientError(
        "53300", .refusedLimit, "too many failed logins from this address",
        hint: "Wait a minute, then try again with the right user name and password.")

    static let outOfBuffers = ClientError(
        "53300", .refusedLimit, "too many bytes are waiting to be sent",
        hint: "Try again later; some clients do not read their answers.")

    static let loginTimeout = ClientError(
        "57014", .loginTimeout, "canceling authentication due to timeout",
        hint: "The login was not completed in the time that timeouts.login allows.")

    static let unreachable = ClientError(
        "08006", .serverUnreachable, "could not connect to the tenant's cluster",
        hint: "Check that the cluster is running; the log of the proxy has the reason.")

    static let serverLoginTimeout = ClientError(
        "08006", .serverUnreachable, "the tenant's cluster did not complete the login in time",
        hint: "Check the cluster's load; the log of the proxy has the details.")

    static let serverTLS = ClientError(
        "08006", .serverTLSFailed,
        "could not establish a secure connection to the tenant's cluster",
        hint: "Check the cluster's certificate and the tls section of its backend; "
            + "the log of the proxy has the reason.")

    static let serverMisbehaved = ClientError(
        "08006", .serverProtocolViolation, "the tenant's cluster sent an invalid message",
        hint: "The log of the proxy has the details.")

    static let lookupFailed = ClientError(
        "08006", .serverUnreachable, "could not look up the role in the tenant's cluster",
        hint:
            "Check the look-up role with \"pgtee tenant sql\"; the log of the proxy has the reason."
    )

    static let notRelayed = ClientError(
        "28000", .refusedAuthentication,
        "the tenant's cluster asks for an authentication method that is not allowed here",
        hint: "Let the cluster's pg_hba.conf ask for scram-sha-256 for connections from the proxy.")

    static func passwordFailed(user: [UInt8]) -> ClientError {
        ClientError(
            "28P01", .refusedAuthentication,
            "password authentication failed for user \"\(printable(user))\"")
    }

    static let shuttingDown = ClientError(
        "57P03", .drained, "the database system is shutting down",
        hint: "Connect again; another instance may already accept connections.")

    static let administratorCommand = ClientError(
        "57P01", .drained, "terminating connection due to administrator command")

    static let idleSession = ClientError(
        "57P05", .idleTimeout, "terminating connection due to idle-session timeout")

    static let idleTransaction = ClientError(
        "25P03", .idleTimeout, "terminating connection due to idle-in-transaction timeout")

    static let transactionTimeout = ClientError(
        "25P04", .transactionTimeout, "terminating connection due to transaction timeout")

    static let serverViolation = ClientError(
        "08006", .serverProtocolViolation,
        "terminating connection because the tenant's cluster sent an invalid message")

    /// Names come from the network: what is not printable is shown as a question mark.
    static func printable(_ bytes: [UInt8]) -> String {
        var text = String(decoding: bytes.prefix(128), as: UTF8.self)
        text.unicodeScalars = String.UnicodeScalarView(
            text.unicodeScalars.map {
                $0.properties.isBidiControl || $0.value < 32 || $0.value == 127 ? "?" : $0
            })
        return text
    }

    /// The ErrorResponse message, FATAL, with the reference that the log line has too.
    func encoded(reference: String) -> [UInt8] {
        var detail = detail
        if !reference.isEmpty {
            detail = (detail.map { $0 + " " } ?? "") + "The proxy's log has this as \(reference)."
        }
        let fields = ErrorFields(
            .fatal, sqlState: sqlState, message: message, detail: detail, hint: hint)
        return ProxyWorker.encoded { writer throws(EncodingError) in
            try fields.encodeError(into: &writer)
        }
    }
}

extension ClientError {
    /// All errors of this file, for docs/errors.md and its test. Parameters are shown by examples.
    static let catalogue: [ClientError] = [
        .protocolViolation("invalid message length 3 for message type \"Q\""), .bytesBeforeTLS,
        .passwordExpected, .unsupportedVersion(major: 2, minor: 0), .tlsRequired,
        .clientCertificateRequired, .certificateUserMismatch,
        .passwordFailed(user: Array("remi".utf8)),
        .notRelayed, .tooManySessions(tenant: false), .tooManySessions(tenant: true),
        .tooManyLogins,
        .tooManyFailures, .outOfBuffers, .loginTimeout, .unreachable, .serverLoginTimeout,
        .serverTLS, .serverMisbehaved, .serverViolation, .lookupFailed, .shuttingDown,
        .administratorCommand, .idleSession, .idleTransaction,
        .transactionTimeout,
    ]
}
