import COpenSSL
import Foundation
import TestSupport
import Testing

extension Live {
    @Suite struct TLSTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        private func psql(
            _ proxy: ProxyProcess, _ user: String, _ more: String, major: Int = 15,
            _ sql: String = "SELECT 1"
        ) throws -> RunResult {
            try Psql(major: major).run(
                "\(proxy.address) user=\(user) dbname=postgres \(more)", sql,
                password: LiveHouse.password)
        }

        @Test func `required TLS refuses a plain login, by the tenant's choice, too`() throws {
            let strict = try house.ownProxy(service: [
                "tls: {mode: require, certificate: \(house.proxyCertificate.certificatePath),"
                    + " key: \(house.proxyCertificate.keyPath)}"
            ])
            let plain = try WireClient(port: strict.port)
            let error = try refusal {
                try plain.login(user: "remi@globex", password: LiveHouse.password)
            }
            #expect(error?.sqlState == "28000")
            #expect(try psql(strict, "remi@globex", "sslmode=require").status == 0)

            let proxy = try house.ownProxy(tenants: [
                try LiveHouse.document(
                    "strict", house.acme, .plain, extra: ["client_tls: {mode: require}"])
            ])
            let again = try WireClient(port: proxy.port)
            let second = try refusal {
                try again.login(user: "remi@strict", password: LiveHouse.password)
            }
            #expect(second?.sqlState == "28000")
            #expect(try psql(proxy, "remi@strict", "sslmode=require").status == 0)
            #expect(try psql(proxy, "remi@globex", "sslmode=disable").status == 0)
        }

        @Test func `without a certificate TLS is declined, not broken off`() throws {
            let proxy = try house.ownProxy(service: ["tls: {mode: disable}"])
            #expect(try psql(proxy, "remi@globex", "sslmode=prefer").status == 0)
            let client = try WireClient(port: proxy.port)
            try client.channel.send(WirePacket.sslRequest)
            #expect(try client.channel.receive(1) == Array("N".utf8))
            try client.channel.send(WirePacket.gssEncryptionRequest)
            #expect(try client.channel.receive(1) == Array("N".utf8))
            try client.login(
                user: "remi@globex", password: LiveHouse.password, database: "postgres")
        }

        @Test(arguments: [(TLS1_2_VERSION, "TLSv1.2"), (TLS1_3_VERSION, "TLSv1.3")])
        func `both TLS versions work, and the log names them`(version: Int32, name: String) throws {
            let client = try WireClient(port: house.proxy.port)
            var options = WireTLSOptions(serverName: "acme.db.example.com")
            options.minimumVersion = version
            options.maximumVersion = version
            try client.requestTLS(options)
            #expect(client.channel.tlsVersion == name)
            let application = "tls-\(version)"
            try client.login(
                user: "remi", password: LiveHouse.password, database: "postgres",
                options: [("application_name", application)])
            try client.send(.terminate)
            try house.proxy.waitForLog(application, name)
        }

        @Test func `the certificate is chosen by server name`() throws {
            let other = try house.authority.server("*.other.example.com")
            let proxy = try house.ownProxy(service: [
                "tls: {certificate: \(house.proxyCertificate.certificatePath),"
                    + " key: \(house.proxyCertificate.keyPath), certificates:"
                    + " [{names: [\"*.other.example.com\"], certificate: \(other.certificatePath),"
                    + " key: \(other.keyPath)}]}"
            ])
            for (name, common) in [
                ("x.other.example.com", "*.other.example.com"), ("localhost", "localhost"),
                ("unknown.example.net", "localhost"),
            ] {
                let client = try WireClient(port: proxy.port)
                try client.requestTLS(WireTLSOptions(serverName: name))
                #expect(client.channel.peerCommonName == common)
            }
        }

        @Test func `T6.8: a client certificate counts where its authority is trusted`() throws {
            let authorities = (
                try TestCertificateAuthority("CA of left"),
                try TestCertificateAuthority("CA of right")
            )
            let proxy = try house.ownProxy(tenants: [
                try LiveHouse.document(
                    "left", house.acme, .plain,
                    extra: ["client_tls: {mode: verify-ca, client_ca: \(authorities.0.caPath)}"]),
                try LiveHouse.document(
                    "right", house.acme, .plain,
                    extra: ["client_tls: {mode: verify-ca, client_ca: \(authorities.1.caPath)}"]),
            ])
            let certificates = [
                "left": try authorities.0.client("remi"), "right": try authorities.1.client("remi"),
            ]
            for tenant in ["left", "right"] {
                for holder in ["left", "right", "nobody"] {
                    let client = try WireClient(port: proxy.port)
                    var options = WireTLSOptions()
                    options.certificate = certificates[holder]
                    try client.requestTLS(options)
                    let error = try refusal {
                        try client.login(
                            user: "remi@\(tenant)", password: LiveHouse.password,
                            database: "postgres")
                    }
                    #expect((error == nil) == (holder == tenant), "\(holder) at \(tenant)")
                    if let error { #expect(error.sqlState == "28000") }
                }
            }
            #expect(try psql(proxy, "remi@globex", "sslmode=require").status == 0)
        }

        @Test func `T6.1: answers of every size around a record's come whole`() throws {
            let client = try house.client("remi@acme", tls: true)
            let edges = [1, 8_192, 16_384, 65_536, 81_920]
            for edge in edges {
                for size in (edge - 12)...(edge + 12) where size > 0 {
                    let answer = try client.values("SELECT repeat('x', \(size - 1)) || 'y'")
                    #expect(answer[0]?.utf8.count == size)
                    #expect(answer[0]?.last == "y")
                }
            }
        }

        @Test func `many sizes and both directions at once lose nothing`() throws {
            var random = SeededRandom(seed: SeededRandom.runSeed)
            let client = try house.client("remi@acme", tls: true)
            for _ in 0..<150 {
                let size = Int.random(in: 1...60_000, using: &random)
                let text = String(repeating: "é", count: size)
                try client.send(.parse("SELECT $1, md5($1)"), .bind([text]), .execute(), .sync)
                let row = try client.readUntil("Z").first { $0.letter == "D" }
                #expect(row.map { Int(readInt32($0.body, 2)) } == size * 2)
            }
        }
    }
}
