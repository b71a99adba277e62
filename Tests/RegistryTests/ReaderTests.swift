import Tenancy
import Testing

@testable import Registry

/// Documents → values, and the first problem's text of documents that are wrong.
@Suite struct ReaderTests {
    let directory: TestDirectory

    init() throws { directory = try TestDirectory() }

    private func service(_ text: String) throws -> ServiceConfiguration {
        try ConfigurationReader.readService(try directory.write("pgtee.yaml", text))
    }

    private func problems(ofService text: String) throws -> [String] {
        let path = try directory.write("pgtee.yaml", text)
        do throws(ProblemList) {
            _ = try ConfigurationReader.readService(path)
            return []
        } catch {
            return error.problems.map { $0.description.replacing(directory.path + "/", with: "") }
        }
    }

    private func tenants(_ text: String, service: ServiceConfiguration = ServiceConfiguration())
        throws -> (tenants: [Tenant], problems: [String])
    {
        let path = try directory.write("tenants.yaml", text)
        let read = ConfigurationReader.readTenants(path, service: service)
        return (
            read.tenants,
            read.problems.map { $0.description.replacing(directory.path + "/", with: "") }
        )
    }

    @Test func `a service document with every key becomes its values`() throws {
        try directory.write("a.crt", "x")
        try directory.write("a.key", "x", mode: 0o600)
        try directory.write("mock", "secret\n", mode: 0o600)
        let service = try service(
            """
            listen: [127.0.0.1:6432, "*:6433", "[::1]:6434", /run/pgtee:6432,
                     {address: 127.0.0.2, port: 7000, tenant: acme}]
            tls:
              mode: require
              certificate: a.crt
              key: a.key
              certificates: [{names: ["*.db.example.com"], certificate: a.crt, key: a.key}]
              minimum_version: 1.3
            tenants: tenants/
            routing: {keys: [user, sni], domains: [db.example.com], default_tenant: acme,
                      hide_unknown_tenants: true, user_separator: "%"}
            limits: {sessions: 5_000, buffer_per_leg: 64KiB, buffer_total: 64MB}
            timeouts: {login: 5s, idle_transaction: 2m, server_connect: 250ms}
            admin: off
            log: {format: json, level: debug}
            workers: 3
            runtime_directory: /run/pgtee
            cancel_on_client_loss: false
            drain: 90s
            mock_secret: mock
            """)
        #expect(
            service.listeners.map(\.address) == [
                "127.0.0.1", "*", "::1", "/run/pgtee", "127.0.0.2",
            ])
        #expect(service.listeners.map(\.port) == [6432, 6433, 6434, 6432, 7000])
        #expect(service.listeners[4].tenant == "acme")
        #expect(service.tls.mode == .require)
        #expect(service.tls.certificate?.certificatePath == directory.path + "/a.crt")
        #expect(service.tls.certificates.first?.names == ["*.db.example.com"])
        #expect(service.tls.minimumVersion == .tls13)
        #expect(service.tenantsPath == directory.path + "/tenants/")
        #expect(service.routing.keys == [.sni, .user])
        #expect(service.routing.userSeparator == UInt8(ascii: "%"))
        #expect(service.routing.hideUnknownTenants)
        #expect(service.limits.sessions == 5_000)
        #expect(service.limits.bufferBytesPerLeg == 65_536)
        #expect(service.limits.bufferBytesTotal == 64_000_000)
        #expect(service.timeouts.login == 5_000)
        #expect(service.timeouts.idleTransaction == 120_000)
        #expect(service.timeouts.serverConnect == 250)
        #expect(!service.admin.isEnabled)
        #expect(service.log.format == .json)
        #expect(service.workers == 3)
        #expect(!service.cancelOnClientLoss)
        #expect(service.drainSeconds == 90)
    }

    @Test func `the shortest service document takes the defaults`() throws {
        var expected = ServiceConfiguration()
        expected.listeners = [Listener(address: "127.0.0.1", port: 6432)]
        expected.tenantsPath = "/etc/pgtee/tenants"
        #expect(try service("tenants: /etc/pgtee/tenants\n") == expected)
    }

    @Test func `tenant documents become their values`() throws {
        try directory.write("ca.crt", "x")
        try directory.write("pw", "secret\n", mode: 0o600)
        let read = try tenants(
            """
            tenant: acme
            hosts: [acme.example.org]
            databases: {shop: acme_shop}
            backends:
              - name: blue
                host: 127.0.0.1
                port: 5433
                tls: {mode: verify-full, ca: ca.crt, name: db.acme, negotiation: direct}
              - {name: green, socket: /run/green}
            active: green
            authentication:
              lookup: {password_file: pw}
            limits: {sessions: 100, idle_transaction: 30s}
            replication: true
            ---
            tenant: globex
            backends: [{host: db.globex.example, tls: {mode: require}}]
            authentication: {mode: scram, lookup: {password_file: pw}}
            """)
        #expect(read.problems == [])
        let acme = try #require(read.tenants.first)
        #expect(acme.name == "acme")
        #expect(acme.hosts == ["acme.example.org"])
        #expect(acme.databases == ["shop": "acme_shop"])
        #expect(acme.activeBackend?.endpoint == .unix(directory: "/run/green", port: 5432))
        #expect(acme.backends[0].tls.name == "db.acme")
        #expect(acme.backends[0].tls.caPath == directory.path + "/ca.crt")
        #expect(acme.authentication.lookup?.password == "secret")
        #expect(acme.limits.idleTransaction == 30_000)
        #expect(acme.allowsReplication)
        #expect(read.tenants.map(\.active) == ["green", "main"])
    }

    @Test func `an unknown key is named with its place and the nearest known key`() throws {
        #expect(
            try problems(ofService: "tenants: t\nrouting:\n  domain: [a.example]\n") == [
                "pgtee.yaml:3:3: error: unknown key \"domain\" (did you mean \"domains\"?)"
            ])
    }
}
