/// The service's own document (`pgtee.yaml`): what holds for every tenant. Read by Registry, used
/// by Proxy and Admin. Paths are absolute once read (relative ones stand beside the document).
package struct ServiceConfiguration: Sendable, Equatable {
    package var listeners: [Listener] = []
    /// Worker threads; nil: one per core.
    package var workers: Int?
    package var tls = ClientTLS()
    package var routing = Routing()
    package var limits = ServiceLimits()
    package var timeouts = Timeouts()
    package var admin = AdminEndpoint()
    package var log = LogOutput()
    /// A file with one or more tenant documents, or a directory of such files.
    package var tenantsPath = ""
    /// Where instances that share a port find each other (cancel requests); empty: no peers.
    package var runtimeDirectory = ""
    /// A client that dies while its query runs: cancel the query before the server leg is closed.
    package var cancelOnClientLoss = true
    /// Seconds that SIGTERM gives to sessions which are inside a transaction.
    package var drainSeconds = 60
    /// The secret behind mock SCRAM salts, the same on all instances (a file's content); empty:
    /// made at start, so two instances would answer differently.
    package var mockSecretPath = ""

    package init() {}
}

/// One address that clients connect to.
package struct Listener: Sendable, Equatable {
    /// An IPv4 or IPv6 literal, `*`, or an absolute path (a unix socket directory, as in
    /// PostgreSQL).
    package var address: String
    package var port: UInt16
    /// Route key 5: who connects here belongs to this tenant; another key that names another tenant
    /// is a conflict.
    package var tenant: String?

    package var isUnix: Bool { address.hasPrefix("/") }

    package init(address: String, port: UInt16, tenant: String? = nil) {
        self.address = address
        self.port = port
        self.tenant = tenant
    }
}

package enum ClientTLSMode: String, Sendable, CaseIterable {
    case disable, prefer, require
    case verifyCA = "verify-ca"
    case verifyFull = "verify-full"
}

package enum TLSVersion: String, Sendable, CaseIterable {
    case tls12 = "1.2"
    case tls13 = "1.3"
}

/// TLS towards clients.
package struct ClientTLS: Sendable, Equatable {
    package var mode = ClientTLSMode.prefer
    /// The default certificate; `certificates` are chosen by SNI name.
    package var certificate: CertificateFiles?
    package var certificates: [NamedCertificate] = []
    package var minimumVersion = TLSVersion.tls12
    package var maximumVersion = TLSVersion.tls13

    package init() {}
}

package struct CertificateFiles: Sendable, Equatable, Hashable {
    /// PEM: leaf first, then the chain.
    package var certificatePath: String
    package var keyPath: String

    package init(certificatePath: String, keyPath: String) {
        self.certificatePath = certificatePath
        self.keyPath = keyPath
    }
}

package struct NamedCertificate: Sendable, Equatable {
    /// Exact host names, or `*.domain` for one label.
    package var names: [String]
    package var files: CertificateFiles

    package init(names: [String], files: CertificateFiles) {
        self.names = names
        self.files = files
    }
}

package enum RouteKey: String, Sendable, CaseIterable {
    case sni, user, options, database, listener
}

package struct Routing: Sendable, Equatable {
    /// Enabled keys; their order of precedence is fixed (RouteKey's order).
    package var keys: [RouteKey] = RouteKey.allCases
    /// `db.example.com`: the label in `LABEL.db.example.com` is the tenant.
    package var domains: [String] = []
    package var userSeparator: UInt8 = UInt8(ascii: "@")
    package var defaultTenant: String?
    package var hideUnknownTenants = false

    package init() {}
}

package struct ServiceLimits: Sendable, Equatable {
    package var sessions = 10_000
    package var loginsInFlight = 500
    /// Sockets that have not finished their login, per source address (IPv4 /32, IPv6 /64).
    package var loginsInFlightPerSource = 200
    /// Bytes waiting to be sent on one leg before reading from the other leg stops.
    package var bufferBytesPerLeg = 256 * 1024
    /// Bytes buffered by all sessions of a worker together; beyond it new sessions get 53300.
    package var bufferBytesTotal = 256 * 1024 * 1024
    /// Failed logins per source in a minute before that source is refused.
    package var failedLoginsPerMinute = 60
    /// Cancel requests that find nothing, per source in a minute, before they are ignored.
    package var cancelMissesPerMinute = 10

    package init() {}
}

/// All in milliseconds; 0: no limit.
package struct Timeouts: Sendable, Equatable {
    package var login = 15_000
    package var serverConnect = 10_000
    package var serverLogin = 15_000
    package var cancel = 10_000
    package var idleSession = 0
    package var idleTransaction = 0
    package var transaction = 0
    /// A client that does not read its answers for this long.
    package var clientStall = 0
    package var tcpKeepAliveIdle = 60_000
    package var tcpUserTimeout = 90_000

    package init() {}
}

package struct AdminEndpoint: Sendable, Equatable {
    /// `127.0.0.1:9432` by default; empty: no HTTP.
    package var address = "127.0.0.1"
    package var port: UInt16 = 9432
    package var isEnabled = true

    package init() {}
}

package enum LogFormat: String, Sendable, CaseIterable { case logfmt, json }
package enum LogLevel: String, Sendable, CaseIterable { case debug, info, notice, warning, error }

package struct LogOutput: Sendable, Equatable {
    package var format = LogFormat.logfmt
    package var level = LogLevel.info

    package init() {}
}
