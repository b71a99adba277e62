/// A tenant document as a value: who may come, where its cluster is, how both legs authenticate.
package struct Tenant: Sendable, Equatable {
    /// `[a-z][a-z0-9_-]{0,62}`.
    package var name: String
    /// SNI names that are this tenant's, exact, lower case.
    package var hosts: [String] = []
    /// Route key 4 and rewriting: the database name that a client gives → the cluster's name for
    /// it.
    package var databases: [String: String] = [:]
    /// At least one; `active` names the one that sessions go to.
    package var backends: [Backend] = []
    package var active: String
    package var authentication = TenantAuthentication()
    package var clientTLS = TenantClientTLS()
    package var limits = TenantLimits()
    /// Whether `replication=…` logins are let through.
    package var allowsReplication = false

    package init(name: String, active: String = "main") {
        self.name = name
        self.active = active
    }

    package var activeBackend: Backend? { backends.first { $0.name == active } }
}

/// One address of a tenant's cluster.
package struct Backend: Sendable, Equatable {
    package var name = "main"
    package var endpoint: Endpoint
    package var tls = ServerTLS()

    package init(name: String = "main", endpoint: Endpoint) {
        self.name = name
        self.endpoint = endpoint
    }
}

package enum Endpoint: Sendable, Equatable, Hashable {
    /// A host name or IP literal; names are resolved by the control part, never on a worker.
    case tcp(host: String, port: UInt16)
    /// The directory of the socket `.s.PGSQL.<port>`, as libpq's `host=/dir`.
    case unix(directory: String, port: UInt16)
}

/// libpq's sslmode words with libpq's meanings (manual: libpq-ssl).
package enum ServerTLSMode: String, Sendable, CaseIterable {
    case disable, allow, prefer, require
    case verifyCA = "verify-ca"
    case verifyFull = "verify-full"
}

package enum TLSNegotiation: String, Sendable, CaseIterable { case postgres, direct }
package enum ChannelBindingMode: String, Sendable, CaseIterable { case disable, prefer, require }

/// TLS towards a backend. Unix sockets never use it.
package struct ServerTLS: Sendable, Equatable {
    package var mode = ServerTLSMode.verifyFull
    package var caPath: String?
    package var crlPath: String?
    /// The name that the certificate must carry; nil: the endpoint's host.
    package var name: String?
    package var clientCertificate: CertificateFiles?
    /// The cluster's own certificate file, where pgtee shows clients the same one: the only case in
    /// which authentication can be relayed with TLS on both legs.
    package var serverCertificatePath: String?
    package var negotiation = TLSNegotiation.postgres
    package var minimumVersion = TLSVersion.tls12
    package var channelBinding = ChannelBindingMode.prefer

    package init() {}
}

package enum AuthenticationMode: String, Sendable, CaseIterable {
    /// pgtee is the SCRAM server for the client and logs in with the recovered ClientKey.
    case scram
    /// The cluster's authentication messages are passed through.
    case relay
}

package struct TenantAuthentication: Sendable, Equatable {
    package var mode = AuthenticationMode.scram
    /// How verifiers are looked up in the cluster; nil: only `verifiers` counts.
    package var lookup: VerifierLookup?
    /// Role → verifier text (`SCRAM-SHA-256$…`), when kept in the document.
    package var verifiers: [String: String] = [:]
    /// Iterations shown to unknown users; must be the cluster's `scram_iterations`.
    package var mockIterations = 4096

    package init() {}
}

/// The role that may call the look-up function, and nothing else. `pgtee tenant sql` prints its
/// SQL.
package struct VerifierLookup: Sendable, Equatable {
    package var user = "pgtee_lookup"
    package var database = "postgres"
    /// A file with the role's password (one line); nil: no password (peer or certificate).
    package var passwordPath: String?
    package var password: String?
    /// Schema-qualified, `f(name) → (rolname, rolpassword, rolvaliduntil)`.
    package var function = "pgtee.lookup_verifier"

    package init() {}
}

package struct TenantClientTLS: Sendable, Equatable {
    /// Stricter than the service's mode, or nil.
    package var mode: ClientTLSMode?
    /// CA file that client certificates are verified against, after routing.
    package var clientCAPath: String?
    package var clientCRLPath: String?

    package init() {}
}

/// 0: no limit of the tenant's own.
package struct TenantLimits: Sendable, Equatable {
    package var sessions = 0
    package var loginsInFlight = 0
    /// Milliseconds; nil: the service's.
    package var idleSession: Int?
    package var idleTransaction: Int?
    package var transaction: Int?

    package init() {}
}
