import Foundation
import TestSupport
import Testing

/// All tests against a running pgtee, one after another: some compare rates, and the machine is
/// small.
@Suite(.serialized) enum Live {}

/// One pgtee in front of two clusters, for all tests that change neither.
///
/// `acme`: PostgreSQL 15 over TLS (verify-full), roles looked up in its document. `globex`:
/// PostgreSQL 18 over its unix socket; the innocent tenant whose pgbench goes on during attacks.
final class LiveHouse: Sendable {
    static let password = "correct horse"
    let authority: TestCertificateAuthority
    let proxyCertificate: TestCertificate
    let acme: PrivateCluster
    let globex: PrivateCluster
    let proxy: ProxyProcess

    private static let shared = Result { try LiveHouse() }

    static func open() throws -> LiveHouse { try shared.get() }

    private init() throws {
        authority = try TestCertificateAuthority()
        proxyCertificate = try authority.server(
            "localhost", "*.db.example.com", "acme.example.org", ipAddresses: ["127.0.0.1"])
        acme = try PrivateCluster(major: 15, certificate: try authority.server("db.acme"))
        globex = try PrivateCluster(major: 18)
        try Self.furnish(acme)
        try Self.furnish(globex)
        try acme.createDatabase("acme_shop", owner: "remi")
        try globex.createDatabase("bench", owner: "innocent")
        try runOrThrow([
            try PostgreSQLInstallation(major: 15).program("pgbench"), "-i", "-q",
            "\(globex.socketAddress) user=postgres dbname=bench",
        ])
        try globex.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO innocent;", database: "bench")
        proxy = try ProxyProcess(
            ProxyProcess.Options(
                tenants: [
                    Self.document("acme", acme, .tls(ca: authority.caPath, name: "db.acme")),
                    Self.document("globex", globex, .unixSocket),
                ],
                certificate: proxyCertificate, service: Self.service))
    }

    /// Bounds wide enough for attacks that all come from one address, time-outs short enough for a
    /// test.
    static let service = [
        "routing: {domains: [db.example.com]}",
        "limits: {sessions: 3000, logins_in_flight: 2500, logins_in_flight_per_source: 2500,"
            + " failed_logins_per_minute: 1000000, cancel_misses_per_minute: 1000000}",
        "timeouts: {login: 5s, server_connect: 5s, server_login: 5s, cancel: 5s}",
        "workers: 2",
    ]

    static func furnish(_ cluster: PrivateCluster) throws {
        try cluster.createRole("remi", password: password)
        try cluster.createRole("innocent", password: password)
        try cluster.createRole("admin", password: password, attributes: "SUPERUSER REPLICATION")
    }

    /// A tenant of a furnished cluster.
    static func document(
        _ name: String, _ cluster: PrivateCluster, _ leg: TenantDocument.ServerLeg,
        extra: [String] = []
    ) throws -> TenantDocument {
        var verifiers: [String: String] = [:]
        for role in ["remi", "innocent", "admin"] {
            verifiers[role] = try cluster.verifier(of: role)
        }
        var lines = extra
        if name == "acme" && extra.isEmpty {
            lines = [
                "hosts: [acme.example.org]", "databases: {shop: acme_shop}", "replication: true",
            ]
        }
        return TenantDocument(name, cluster, leg, verifiers: verifiers, extra: lines)
    }

    /// A pgtee of the test's own in front of the shared clusters.
    func ownProxy(
        tenants: [TenantDocument] = [], service: [String] = LiveHouse.service,
        certificate: TestCertificate? = nil, wrapper: [String] = []
    ) throws -> ProxyProcess {
        var options = ProxyProcess.Options(
            tenants: tenants + [try Self.document("globex", globex, .unixSocket)],
            certificate: certificate ?? proxyCertificate, service: service)
        options.wrapper = wrapper
        return try ProxyProcess(options)
    }

    /// A libpq address through the shared proxy.
    func through(
        _ user: String, _ database: String = "postgres", _ more: String = ""
    ) -> String {
        "\(proxy.address) user=\(user) dbname=\(database) \(more)"
    }

    /// A hand-made client that is logged in through the proxy, over TLS or in clear.
    func client(
        _ user: String, database: String = "postgres", tls: Bool = false,
        proxy other: ProxyProcess? = nil
    ) throws -> WireClient {
        let client = try WireClient(port: (other ?? proxy).port)
        if tls { try client.requestTLS() }
        try client.login(user: user, password: Self.password, database: database)
        return client
    }

    /// A hand-made client that is logged in to the cluster itself.
    static func direct(
        _ cluster: PrivateCluster, _ user: String, database: String = "postgres"
    ) throws -> WireClient {
        let client = WireClient(
            try WireChannel(socketDirectory: cluster.socketDirectory, port: cluster.port))
        try client.login(user: user, password: password, database: database)
        return client
    }
}

/// The error that a login ends with; nil when it goes through.
func refusal(_ login: () throws -> Void) throws -> WireRefusal? {
    do {
        try login()
        return nil
    } catch let refusal as WireRefusal {
        return refusal
    }
}
