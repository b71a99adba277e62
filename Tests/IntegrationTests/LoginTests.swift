import Foundation
import TestSupport
import Testing

extension Live {
    @Suite struct LoginTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        @Test(arguments: [15, 18], ["disable", "require", "verify-full"])
        func `psql logs in by user suffix to the cluster of that tenant only`(
            major: Int, mode: String
        ) throws {
            let psql = try Psql(major: major)
            let tls = "sslmode=\(mode) sslrootcert=\(house.authority.caPath)"
            let sql = "SELECT current_user, current_setting('port')"
            let acme = try psql.query(
                house.through("remi@acme", "postgres", tls), sql, password: LiveHouse.password)
            #expect(acme == "remi|\(house.acme.port)")
            let globex = try psql.query(
                house.through("remi@globex", "postgres", tls), sql, password: LiveHouse.password)
            #expect(globex == "remi|\(house.globex.port)")
        }

        @Test func `without a database name the stripped user's database is taken`() throws {
            let client = try WireClient(port: house.proxy.port)
            let error = try refusal {
                try client.login(user: "remi@globex", password: LiveHouse.password)
            }
            #expect(error?.sqlState == "3D000")
            #expect(error?.text == "database \"remi\" does not exist")
        }

        @Test(arguments: ["acme", "globex"], [Int32(196_608), 196_610])
        func `settings and process number at login are the cluster's own`(
            tenant: String, version: Int32
        ) throws {
            let cluster = tenant == "acme" ? house.acme : house.globex
            let direct = try LiveHouse.direct(cluster, "remi")
            let client = try WireClient(port: house.proxy.port)
            try client.login(
                user: "remi@\(tenant)", password: LiveHouse.password, database: "postgres",
                version: version)
            #expect(client.parameters == direct.parameters)
            #expect(try client.values("SELECT pg_backend_pid()") == ["\(client.processID)"])
            #expect(client.secret.count == 4 || (version == 196_610 && client.secret.count <= 256))
        }

        @Test func `startup settings reach the cluster as they were sent`() throws {
            let client = try WireClient(port: house.proxy.port)
            try client.login(
                user: "remi@acme", password: LiveHouse.password, database: "postgres",
                options: [
                    ("application_name", "till 4"), ("DateStyle", "German"),
                    ("options", "-c geqo=off -c search_path=\"a\\ b\",public"),
                ])
            #expect(
                try client.values(
                    "SELECT concat_ws('|', current_setting('application_name'),"
                        + " current_setting('datestyle'), current_setting('geqo'),"
                        + " current_setting('search_path'))")
                    == ["till 4|German, DMY|off|\"a b\",public"])
        }

        @Test(arguments: ["remi@acme", "nobody@acme", "remi@globex", "nobody@globex"])
        func `S-30: wrong passwords and unknown roles are refused in the same words`(
            user: String
        ) throws {
            for tls in [false, true] {
                let client = try WireClient(port: house.proxy.port)
                if tls { try client.requestTLS() }
                let error = try refusal {
                    try client.login(user: user, password: "wrong", database: "postgres")
                }
                #expect(error?.sqlState == "28P01")
                #expect(error?.text.hasPrefix("password authentication failed for user") == true)
                #expect(client.channel.isClosedByPeer())
            }
        }

        @Test func `a strange tenant is refused with a hint, and no cluster hears of it`() throws {
            let accepted = try house.acme.sql("SELECT sum(sessions) FROM pg_stat_database;")
            let client = try WireClient(port: house.proxy.port)
            let error = try refusal { try client.login(user: "remi@nowhere", password: "x") }
            #expect(error?.sqlState == "28000")
            #expect(error?.message.fields["H"] != nil)
            // The one that asks is a session, too.
            let later = try house.acme.sql("SELECT sum(sessions) FROM pg_stat_database;")
            #expect((Int(later) ?? 0) <= (Int(accepted) ?? 0) + 1)
        }

        @Test func `a wrong password opens no session at the cluster`() throws {
            let before = house.acme.log.components(separatedBy: "connection received").count
            for _ in 0..<5 {
                let client = try WireClient(port: house.proxy.port)
                let error = try refusal {
                    try client.login(user: "remi@acme", password: "wrong", database: "postgres")
                }
                #expect(error?.sqlState == "28P01")
            }
            let after = house.acme.log.components(separatedBy: "connection received").count
            #expect(after == before)
        }

        @Test func `a cluster that is down, starting or full gives PostgreSQL's kind of error`()
            throws
        {
            let refusing = try EvilBackend { connection in
                _ = try connection.readStartup()
                try connection.send(
                    WireMessage(
                        "E",
                        cString("SFATAL") + cString("VFATAL") + cString("C57P03")
                            + cString("Mthe database system is starting up") + [0]))
            }
            let nobody = try EvilBackend { _ in }
            let dead = nobody.port
            nobody.close()
            func tenant(_ name: String, _ port: UInt16) throws -> TenantDocument {
                TenantDocument(
                    name,
                    backends: ["{host: 127.0.0.1, port: \(port), tls: {mode: disable}}"],
                    authentication: [
                        "mode: scram",
                        "verifiers: {remi: \"\(try house.acme.verifier(of: "remi"))\"}",
                    ])
            }
            let proxy = try house.ownProxy(tenants: [
                try tenant("dead", dead), try tenant("starting", refusing.port),
            ])
            for (name, state) in [("dead", "08"), ("starting", "57P03")] {
                let client = try WireClient(port: proxy.port)
                let error = try refusal {
                    try client.login(
                        user: "remi@\(name)", password: LiveHouse.password, database: "postgres")
                }
                #expect(error?.sqlState.hasPrefix(state) == true, "\(name): \(error as Any)")
                #expect(error?.text.contains("127.0.0.1") == false, "an address in \(error as Any)")
            }
        }

        @Test func `the end of the client ends its server process, and its query`() throws {
            let client = try house.client("remi@acme")
            let pid = client.processID
            try client.send(.query("SELECT pg_sleep(600)"))
            try waitUntil("the query runs") {
                try house.acme.sql(
                    "SELECT state FROM pg_stat_activity WHERE pid = \(pid);") == "active"
            }
            client.channel.reset()
            try waitUntil(deadline: .seconds(5), "the server process is gone") {
                try house.acme.sql("SELECT count(*) FROM pg_stat_activity WHERE pid = \(pid);")
                    == "0"
            }
        }
    }
}
