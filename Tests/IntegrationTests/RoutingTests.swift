import Foundation
import TestSupport
import Testing

extension Live {
    @Suite struct RoutingTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        private func port(_ tenant: String) -> String {
            "\(tenant == "acme" ? house.acme.port : house.globex.port)"
        }

        /// psql's own way to every key: the name in the certificate is checked, too.
        private func query(
            host: String, _ user: String, _ database: String, _ more: String = "",
            major: Int = 15, _ sql: String = "SELECT current_setting('port')"
        ) throws -> String {
            try Psql(major: major).query(
                "host=\(host) hostaddr=127.0.0.1 port=\(house.proxy.port) user=\(user)"
                    + " dbname=\(database) sslmode=verify-full"
                    + " sslrootcert=\(house.authority.caPath) \(more)",
                sql, password: LiveHouse.password)
        }

        @Test(arguments: [15, 18])
        func `the server name alone names the tenant`(major: Int) throws {
            for tenant in ["acme", "globex"] {
                #expect(
                    try query(
                        host: "\(tenant).db.example.com", "remi", "postgres", major: major)
                        == port(tenant))
            }
            #expect(try query(host: "acme.example.org", "remi", "postgres") == port("acme"))
        }

        @Test func `direct TLS carries the server name, too`() throws {
            #expect(
                try query(
                    host: "globex.db.example.com", "remi", "postgres", "sslnegotiation=direct",
                    major: 18) == port("globex"))
        }

        @Test func `the option names the tenant and is taken out`() throws {
            let answer = try query(
                host: "localhost", "remi", "postgres",
                "options='-c pgtee.tenant=globex -c geqo=off'",
                "SELECT current_setting('port'), current_setting('geqo'),"
                    + " coalesce(current_setting('pgtee.tenant', true), 'none')")
            #expect(answer == "\(port("globex"))|off|none")
        }

        @Test func `a mapped database names its tenant and is renamed`() throws {
            let answer = try query(
                host: "localhost", "remi", "shop", "",
                "SELECT current_setting('port'), current_database()")
            #expect(answer == "\(port("acme"))|acme_shop")
        }

        @Test func `a listener names its tenant`() throws {
            let port = try PortLock()
            let own = try PortLock()
            let proxy = try house.ownProxy(
                service: LiveHouse.service + [
                    "listen: [{address: 127.0.0.1, port: \(port.port), tenant: globex},"
                        + " \"127.0.0.1:\(own.port)\"]"
                ])
            _ = proxy
            let client = try WireClient(port: port.port)
            try client.login(user: "remi", password: LiveHouse.password, database: "postgres")
            #expect(try client.values("SELECT current_setting('port')") == [self.port("globex")])
        }

        @Test(arguments: [
            ("acme.db.example.com", "remi@globex", "postgres", ""),
            ("globex.db.example.com", "remi@acme", "postgres", ""),
            ("globex.db.example.com", "remi", "postgres", "options='-c pgtee.tenant=acme'"),
            ("localhost", "remi@globex", "shop", ""),
            ("localhost", "remi@acme", "postgres", "options='-c pgtee.tenant=globex'"),
            ("acme.db.example.com", "remi@nowhere", "postgres", ""),
        ])
        func `S-11: a login that names two tenants is refused, never guessed`(
            host: String, user: String, database: String, more: String
        ) throws {
            #expect(throws: (any Error).self) {
                try query(host: host, user, database, more)
            }
            let result = try Psql().run(
                "host=\(host) hostaddr=127.0.0.1 port=\(house.proxy.port) user=\(user)"
                    + " dbname=\(database) sslmode=require \(more)",
                "\\errverbose", password: LiveHouse.password)
            #expect(result.status == 2)
            #expect(result.error.contains("tenant"), "\(result)")
            #expect(!result.error.contains("\(house.acme.port)"))
        }

        @Test(arguments: [
            "evil-acme.db.example.com", "acme.db.example.com.evil.org", "a.acme.db.example.com",
            "db.example.com", "xacme.example.org",
        ])
        func `S-12: only whole server names route`(name: String) throws {
            let client = try WireClient(port: house.proxy.port)
            try client.requestTLS(WireTLSOptions(serverName: name))
            let error = try refusal {
                try client.login(user: "remi", password: LiveHouse.password, database: "postgres")
            }
            #expect(error?.sqlState == "28000")
        }

        @Test func `S-12: the server name's case and final dot do not matter`() throws {
            for name in ["ACME.DB.example.COM", "Acme.Example.ORG"] {
                let client = try WireClient(port: house.proxy.port)
                try client.requestTLS(WireTLSOptions(serverName: name))
                try client.login(user: "remi", password: LiveHouse.password, database: "postgres")
                #expect(try client.values("SELECT current_setting('port')") == [port("acme")])
            }
        }

        @Test func `hidden tenants look like wrong passwords`() throws {
            let proxy = try house.ownProxy(service: [
                "routing: {hide_unknown_tenants: true}",
                "limits: {failed_logins_per_minute: 1000}",
            ])
            var kinds: Set<[String]> = []
            for tenant in ["globex", "nowhere", "nor-here"] {
                let client = try WireClient(port: proxy.port)
                let error = try refusal {
                    try client.login(
                        user: "nobody@\(tenant)", password: "wrong", database: "postgres")
                }
                let text = error?.text.replacingOccurrences(of: tenant, with: "TENANT")
                kinds.insert([error?.sqlState ?? "", text ?? ""])
            }
            #expect(kinds.count == 1, "\(kinds)")
            #expect(kinds.first?.first == "28P01")
        }
    }
}
