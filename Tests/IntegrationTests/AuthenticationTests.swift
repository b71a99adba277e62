import Foundation
import TestSupport
import Testing

extension Live {
    @Suite struct AuthenticationTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        @Test(arguments: [15, 18], ["disable", "prefer", "require"])
        func `libpq's channel_binding means what it means without pgtee`(
            major: Int, binding: String
        ) throws {
            let psql = try Psql(major: major)
            for tenant in ["acme", "globex"] {
                for mode in ["disable", "require", "verify-full"] {
                    let result = try psql.run(
                        house.through(
                            "remi@\(tenant)", "postgres",
                            "sslmode=\(mode) sslrootcert=\(house.authority.caPath)"
                                + " channel_binding=\(binding)"),
                        "SELECT current_user", password: LiveHouse.password)
                    let works = binding != "require" || mode != "disable"
                    #expect((result.status == 0) == works, "\(tenant) \(mode): \(result)")
                }
            }
        }

        @Test(arguments: [
            ("scram-sha-256", true), ("scram-sha-256,md5", true), ("!password", true),
            ("password", false), ("md5", false), ("none", false), ("!scram-sha-256", false),
        ])
        func `libpq's require_auth sees SCRAM`(required: String, works: Bool) throws {
            for mode in ["disable", "require"] {
                let result = try Psql(major: 18).run(
                    house.through(
                        "remi@acme", "postgres", "sslmode=\(mode) require_auth=\(required)"),
                    "SELECT 1", password: LiveHouse.password)
                #expect((result.status == 0) == works, "\(result)")
            }
        }

        @Test(arguments: ["asyncpg", "psycopg", "pg8000"], ["plain", "tls"])
        func `drivers log in and work`(driver: String, leg: String) throws {
            for tenant in ["acme", "globex"] {
                let cluster = tenant == "acme" ? house.acme : house.globex
                let result = try drive(driver, leg, "remi@\(tenant)", LiveHouse.password)
                #expect(result.output == "remi|\(cluster.port)\n", "\(result)")
            }
            #expect(try drive(driver, leg, "remi@acme", "wrong").status == 1)
        }

        private func drive(
            _ driver: String, _ leg: String, _ user: String, _ password: String
        ) throws -> RunResult {
            try run([
                "\(Repository.root)/.build/venv/bin/python",
                "\(Repository.root)/Tests/Drivers/login.py", driver, house.proxy.host,
                "\(house.proxy.port)", user, password, "postgres", leg, house.authority.caPath,
            ])
        }

        /// A pgtee whose tenant `looked` finds its roles in the cluster by the printed SQL.
        private func lookingUp(_ cluster: PrivateCluster) throws -> (
            ProxyProcess, TemporaryDirectory
        ) {
            let scratch = try TemporaryDirectory("lookup")
            let file = try scratch.write("password", "look-up only\n", mode: 0o600)
            let proxy = try house.ownProxy(tenants: [
                TenantDocument("looked", cluster, .plain, lookupPasswordFile: file)
            ])
            let sql = try runOrThrow([
                Repository.program, "tenant", "sql", "looked", "--config", proxy.configurationPath,
            ])
            try cluster.installLookup(sql: sql, password: "look-up only")
            return (proxy, scratch)
        }

        private func login(
            _ proxy: ProxyProcess, _ user: String, _ password: String,
            options: [(String, String)] = []
        ) throws -> WireRefusal? {
            let client = try WireClient(port: proxy.port)
            return try refusal {
                try client.login(
                    user: user, password: password, database: "postgres", options: options)
            }
        }

        @Test func `S-35: roles are looked up, and what changes counts at the next login`() throws {
            let cluster = try PrivateCluster()
            let (proxy, scratch) = try lookingUp(cluster)
            defer { withExtendedLifetime(scratch) {} }
            try cluster.createRole("eve", password: "one")
            #expect(try login(proxy, "eve@looked", "one") == nil)
            #expect(try login(proxy, "eve@looked", "two")?.sqlState == "28P01")
            try cluster.sql("ALTER ROLE eve PASSWORD 'two';")
            #expect(try login(proxy, "eve@looked", "two") == nil)
            #expect(try login(proxy, "eve@looked", "one")?.sqlState == "28P01")
            // The same password again: another salt.
            try cluster.sql("ALTER ROLE eve PASSWORD 'two';")
            #expect(try login(proxy, "eve@looked", "two") == nil)
            try cluster.sql("ALTER ROLE eve NOLOGIN;")
            #expect(try login(proxy, "eve@looked", "two") != nil)
            try cluster.sql("ALTER ROLE eve LOGIN VALID UNTIL '2001-01-01';")
            #expect(try login(proxy, "eve@looked", "two")?.sqlState == "28P01")
            try cluster.sql("ALTER ROLE eve VALID UNTIL 'infinity' CONNECTION LIMIT 0;")
            #expect(try login(proxy, "eve@looked", "two")?.sqlState == "53300")
            try cluster.sql("ALTER ROLE eve CONNECTION LIMIT -1;")
            #expect(try login(proxy, "eve@looked", "two") == nil)
            try cluster.sql("DROP ROLE eve;")
            #expect(try login(proxy, "eve@looked", "two")?.sqlState == "28P01")
            try cluster.sql("CREATE ROLE eve LOGIN;")
            #expect(try login(proxy, "eve@looked", "")?.sqlState == "28P01")
        }

        @Test func `S-33: a client's settings do not reach the look-up`() throws {
            let cluster = try PrivateCluster()
            let (proxy, scratch) = try lookingUp(cluster)
            defer { withExtendedLifetime(scratch) {} }
            try cluster.createRole("eve", password: "one")
            try cluster.sql(
                """
                CREATE SCHEMA evil;
                CREATE FUNCTION evil.lookup_verifier(text) RETURNS text LANGUAGE sql
                    AS 'SELECT ''evil''';
                GRANT ALL ON SCHEMA evil TO PUBLIC;
                """)
            #expect(
                try login(
                    proxy, "eve@looked", "one",
                    options: [("search_path", "evil"), ("options", "-c role=eve")]) == nil)
            for line in cluster.log.split(separator: "\n") where line.contains("pgtee_lookup") {
                #expect(!line.contains("evil") && !line.contains("ERROR"), "\(line)")
            }
            // The role that looks up can't read the table that it looks into.
            let result = try Psql().run(
                "\(cluster.tcpAddress) user=pgtee_lookup dbname=postgres",
                "SELECT rolpassword FROM pg_authid", password: "look-up only")
            #expect(result.error.contains("permission denied"))
        }

        @Test func `a verifier in the document that is out of date refuses the login`() throws {
            try house.acme.createRole("stale", password: "old")
            let proxy = try house.ownProxy(tenants: [
                TenantDocument(
                    "stale", house.acme, .plain,
                    verifiers: ["stale": try house.acme.verifier(of: "stale")])
            ])
            #expect(try login(proxy, "stale@stale", "old") == nil)
            try house.acme.sql("ALTER ROLE stale PASSWORD 'new';")
            #expect(try login(proxy, "stale@stale", "old")?.sqlState == "28P01")
            #expect(try login(proxy, "stale@stale", "new")?.sqlState == "28P01")
        }

        @Test func `the number of iterations is the cluster's, not ours`() throws {
            for (role, iterations) in [("few", 1), ("many", 100_000)] {
                try house.globex.sql(
                    "SET scram_iterations = \(iterations); CREATE ROLE \(role) LOGIN PASSWORD 'x';")
                let proxy = try house.ownProxy(tenants: [
                    TenantDocument(
                        "iterated", house.globex, .unixSocket,
                        verifiers: [role: try house.globex.verifier(of: role)])
                ])
                #expect(try login(proxy, "\(role)@iterated", "x") == nil)
                #expect(try login(proxy, "\(role)@iterated", "y")?.sqlState == "28P01")
                try house.globex.sql("DROP ROLE \(role);")
            }
        }

        @Test func `S-30: the mock exchange has a real one's shape, the same each time`() throws {
            func challenge(_ user: String) throws -> [String] {
                let client = try WireClient(port: house.proxy.port)
                try client.channel.send(
                    WirePacket.startup([("user", user), ("database", "postgres")]))
                _ = try client.readUntil("R")
                let first = Array("n,,n=,r=clientnonce".utf8)
                try client.send(
                    WireMessage("p", cString("SCRAM-SHA-256") + int32(first.count) + first))
                let body = try client.readUntil("R").last?.body.dropFirst(4) ?? []
                return String(decoding: body, as: UTF8.self).split(separator: ",").map {
                    String($0)
                }
            }
            let known = try challenge("remi@acme")
            let salts = try (0..<20).map { _ in try challenge("nobody@acme") }
            #expect(Set(salts.map { $0[1] }).count == 1)
            #expect(Set(salts.map { $0[0] }).count == 20)
            #expect(salts[0].map(\.utf8.count) == known.map(\.utf8.count))
            #expect(salts[0][2] == known[2])
            #expect(try challenge("nobody@globex")[1] != salts[0][1])
            #expect(try challenge("somebody@acme")[1] != salts[0][1])
        }

        @Test func `the login to the cluster is bound to its certificate where that is required`()
            throws
        {
            let tls = "mode: verify-full, ca: \(house.authority.caPath), name: db.acme"
            let proxy = try house.ownProxy(tenants: [
                TenantDocument(
                    "bound",
                    backends: [
                        "{name: main, host: 127.0.0.1, port: \(house.acme.port),"
                            + " tls: {\(tls), channel_binding: require}}"
                    ],
                    authentication: [
                        "mode: scram",
                        "verifiers: {remi: \"\(try house.acme.verifier(of: "remi"))\"}",
                    ])
            ])
            #expect(try login(proxy, "remi@bound", LiveHouse.password) == nil)
        }

        @Test(arguments: [CertificateRequest.Key.rsa2048, .p384, .ed25519])
        func `T3.3: certificates of each kind serve, with binding where they have a digest`(
            key: CertificateRequest.Key
        ) throws {
            let authority = try TestCertificateAuthority(key: key == .ed25519 ? .ed25519 : .p256)
            let certificate = try authority.issue(
                CertificateRequest("localhost", dnsNames: ["localhost"], key: key))
            let proxy = try house.ownProxy(certificate: certificate)
            for (binding, works) in [
                ("disable", true), ("prefer", true), ("require", key != .ed25519),
            ] {
                let result = try Psql().run(
                    "\(proxy.address) user=remi@globex dbname=postgres sslmode=require"
                        + " channel_binding=\(binding)", "SELECT 1", password: LiveHouse.password)
                #expect((result.status == 0) == works, "\(binding): \(result)")
            }
        }

        @Test func `relay passes the cluster's own authentication through`() throws {
            let proxy = try house.ownProxy(tenants: [
                TenantDocument(
                    "relayed", backends: [TenantDocument.backend("main", house.acme, .plain)],
                    authentication: ["mode: relay"])
            ])
            for mode in ["disable", "require"] {
                for binding in ["disable", "prefer"] {
                    let result = try Psql().run(
                        "\(proxy.address) user=remi@relayed dbname=postgres sslmode=\(mode)"
                            + " channel_binding=\(binding)", "SELECT current_user",
                        password: LiveHouse.password)
                    #expect(result.output == "remi\n", "\(result)")
                }
            }
            #expect(try login(proxy, "remi@relayed", "wrong")?.sqlState == "28P01")
        }
    }
}
