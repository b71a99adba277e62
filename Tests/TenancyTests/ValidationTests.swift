import Testing

@testable import Tenancy

/// Documents that would send logins somewhere else, in circles, or nowhere.
@Suite struct ValidationTests {
    private func tenant(host: String, port: UInt16 = 5432, mode: ServerTLSMode = .require) -> Tenant
    {
        var backend = Backend(endpoint: .tcp(host: host, port: port))
        backend.tls.mode = mode
        var tenant = Tenant(name: "acme")
        tenant.backends = [backend]
        return tenant
    }

    private func errors(
        _ tenant: Tenant, _ service: ServiceConfiguration = ServiceConfiguration(),
        local: Set<String> = []
    ) -> [String] {
        TenantValidation.problems(tenant, service: service, localAddresses: local)
            .filter { !$0.isWarning }.map(\.message)
    }

    @Test(arguments: [
        "169.254.169.254", "169.254.0.1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "fe80::1",
        "fd00:ec2::254", "100.100.100.200", "0.0.0.0", "::", "0.1.2.3", "224.0.0.1",
        "255.255.255.255", "ff02::1", "metadata.google.internal", "METADATA.google.internal.",
        "0xa9fea9fe", "2852039166", "169.254.43518", "0251.0376.0251.0376", "1.2.3", "1.2.3.4.5",
        "", " ", "a b", "a\nb", "host\u{0}", "-a.example", "a..example", "../x", "[::1]", "a:5432",
        "http://a", "é.example", "fe80::1%eth0", "*",
    ])
    func `no backend is at`(host: String) {
        #expect(!errors(tenant(host: host)).isEmpty)
    }

    @Test(arguments: [
        "10.0.0.5", "192.168.1.1", "fd00::5", "2001:db8::1", "db.acme.example", "DB.acme.example.",
        "localhost", "127.0.0.1", "db_1.internal", "xn--bcher-kva.example", "100.100.100.201",
    ])
    func `a backend may be at`(host: String) {
        #expect(errors(tenant(host: host)) == [])
    }

    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1", true), ("127.0.0.1", "localhost", true),
        ("127.0.0.1", "::ffff:127.0.0.1", true), ("*", "127.0.0.1", true), ("*", "::1", true),
        ("*", "localhost", true), ("*", "a.localhost.", true), ("0.0.0.0", "127.5.5.5", true),
        ("*", "10.0.0.9", true), ("*", "10.0.0.8", false), ("10.0.0.9", "10.0.0.9", true),
        ("10.0.0.8", "10.0.0.9", false), ("127.0.0.1", "127.0.0.2", false),
        ("127.0.0.1", "10.0.0.9", false),
    ])
    func `a backend that is pgtee itself is a loop`(listener: String, host: String, isLoop: Bool) {
        var service = ServiceConfiguration()
        service.listeners = [Listener(address: listener, port: 6432)]
        let found = errors(tenant(host: host, port: 6432), service, local: ["10.0.0.9"])
        #expect(found.contains { $0.contains("in circles") } == isLoop)
        #expect(errors(tenant(host: host, port: 6433), service, local: ["10.0.0.9"]) == [])
    }

    @Test func `a socket that is pgtee's own is a loop`() {
        var service = ServiceConfiguration()
        service.listeners = [Listener(address: "/run/pgtee/", port: 6432)]
        for (directory, port, isLoop) in [
            ("/run/pgtee", 6432, true), ("/run/pgtee", 5432, false), ("/run/other", 6432, false),
        ] as [(String, UInt16, Bool)] {
            var tenant = Tenant(name: "acme")
            tenant.backends = [Backend(endpoint: .unix(directory: directory, port: port))]
            #expect(errors(tenant, service).isEmpty == !isLoop)
        }
    }

    /// Client leg, server leg, whether both show one certificate, whether relay is possible.
    @Test(arguments: [
        (ClientTLSMode.disable, ServerTLSMode.disable, false, true),
        (.prefer, .disable, false, true), (.require, .disable, false, true),
        (.disable, .require, false, false), (.disable, .require, true, false),
        (.prefer, .require, false, false), (.prefer, .require, true, false),
        (.require, .require, false, false), (.require, .require, true, true),
        (.require, .verifyFull, true, true), (.require, .prefer, false, false),
        (.require, .allow, true, true), (.disable, .prefer, false, false),
        (.verifyFull, .require, true, true),
    ])
    func `relay is accepted exactly where it works`(
        client: ClientTLSMode, server: ServerTLSMode, isSame: Bool, works: Bool
    ) {
        var service = ServiceConfiguration()
        service.tls.mode = client
        service.tls.certificate = CertificateFiles(certificatePath: "/c.crt", keyPath: "/c.key")
        var tenant = tenant(host: "10.0.0.1", mode: server)
        tenant.authentication.mode = .relay
        tenant.clientTLS.clientCAPath = "/ca.crt"
        tenant.backends[0].tls.caPath = "/ca.crt"
        tenant.backends[0].tls.serverCertificatePath = isSame ? "/c.crt" : nil
        let reasons = errors(tenant, service)
        #expect(reasons.isEmpty == works, "\(reasons)")
        #expect(reasons.allSatisfy { $0.hasPrefix("relay can't work here: ") })
        // A second certificate that clients may be shown is another one.
        guard works, isSame else { return }
        service.tls.certificates = [
            NamedCertificate(
                names: ["x.example"],
                files: CertificateFiles(certificatePath: "/d.crt", keyPath: "/d.key"))
        ]
        #expect(!errors(tenant, service).isEmpty)
    }

    @Test func `relay over a unix socket works whatever the client leg`() {
        for mode in ClientTLSMode.allCases {
            var service = ServiceConfiguration()
            service.tls.mode = mode
            var tenant = Tenant(name: "acme")
            tenant.backends = [Backend(endpoint: .unix(directory: "/run/x", port: 5432))]
            tenant.authentication.mode = .relay
            tenant.clientTLS.clientCAPath = "/ca.crt"
            #expect(errors(tenant, service) == [])
        }
    }

    @Test(arguments: [
        ("a", true), ("a-b_c9", true), (String(repeating: "a", count: 63), true),
        (String(repeating: "a", count: 64), false), ("", false), ("A", false), ("9a", false),
        ("_a", false), ("-a", false), ("a.b", false), ("a b", false), ("é", false), ("a\n", false),
        ("../a", false), ("a\u{0}", false),
    ])
    func `a tenant's name is a DNS label in lower case`(name: String, isValid: Bool) {
        #expect(TenantName.isValid(name) == isValid)
    }

    @Test func `a host under a routing domain must be the tenant's own label`() {
        var service = ServiceConfiguration()
        service.routing.domains = ["db.example.com"]
        for (host, isFine) in [
            ("acme.db.example.com", true), ("globex.db.example.com", false),
            ("db.example.com", false), ("a.acme.db.example.com", false), ("x.example.com", true),
        ] {
            var tenant = tenant(host: "10.0.0.1")
            tenant.hosts = [host]
            #expect(errors(tenant, service).isEmpty == isFine, "\(host)")
        }
    }

    @Test func `a name that the service uses and no tenant has is a warning`() {
        var service = ServiceConfiguration()
        service.routing.defaultTenant = "gone"
        service.listeners = [Listener(address: "*", port: 1, tenant: "lost")]
        let found = TenantValidation.references(service, tenants: [Tenant(name: "acme")])
        #expect(found.map(\.isWarning) == [true, true])
        #expect(found.map(\.path) == [["routing", "default_tenant"], ["listen", "0", "tenant"]])
    }

    @Test func `the look-up script quotes what a document can say`() {
        var lookup = VerifierLookup()
        lookup.user = "odd\"'\\role"
        let script = LookupRoleScript.text(lookup, tenant: "acme")
        #expect(script.contains("CREATE ROLE \"odd\"\"'\\role\";"))
        #expect(script.contains("rolname = E'odd\"''\\\\role'"))
        #expect(script.contains("SECURITY DEFINER"))
        #expect(script.contains("SET search_path = pg_catalog, pg_temp"))
        #expect(script.contains("REVOKE ALL ON FUNCTION pgtee.lookup_verifier(text) FROM PUBLIC;"))
    }
}
