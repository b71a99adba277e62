import Foundation
import TestSupport
import Testing

extension Live {
    @Suite struct ReloadTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        private func serial(_ proxy: ProxyProcess) throws -> Int? {
            let client = try WireClient(port: proxy.port)
            try client.requestTLS()
            return client.channel.peerSerial
        }

        @Test func `T6.5: a new certificate shows within a second, and no session fails`() throws {
            let scratch = try TemporaryDirectory("certificates")
            func install(_ certificate: TestCertificate) throws {
                try scratch.write("proxy.key", readText(certificate.keyPath), mode: 0o600)
                try scratch.write("proxy.crt", readText(certificate.certificatePath))
            }
            try install(try house.authority.server("localhost"))
            let proxy = try house.ownProxy(service: [
                "tls: {mode: prefer, certificate: \(scratch.file("proxy.crt")),"
                    + " key: \(scratch.file("proxy.key"))}"
            ])
            let session = try house.client("remi@globex", tls: true, proxy: proxy)
            let bench = try ChildProcess(
                [
                    try PostgreSQLInstallation(major: 15).program("pgbench"), "-n", "-S", "-C",
                    "-c", "2", "-T", "6",
                    "\(proxy.address) user=innocent@globex dbname=bench sslmode=require",
                ], environment: Psql.environment(password: LiveHouse.password),
                outputPath: scratch.file("bench"))
            for _ in 0..<3 {
                let old = try serial(proxy)
                try install(try house.authority.server("localhost"))
                let start = ContinuousClock.now
                try waitUntil("the new serial shows") { try serial(proxy) != old }
                #expect(ContinuousClock.now - start < .seconds(1))
                #expect(try session.values("SELECT 1") == ["1"])
            }
            // A key that does not fit leaves the last good pair in use.
            let good = try serial(proxy)
            try scratch.write("proxy.crt", "this is no certificate")
            try proxy.waitForLog("proxy.crt")
            #expect(try serial(proxy) == good)
            #expect(try bench.wait(deadline: .seconds(30)) == .exited(0), "\(bench.output)")
            #expect(!bench.output.contains("error") && !bench.output.contains("FATAL"))
        }

        @Test func `tenants come and go with their files; sessions stay`() throws {
            let proxy = try house.ownProxy()
            let session = try house.client("remi@globex", proxy: proxy)
            func login(_ tenant: String) -> Bool {
                (try? house.client("remi@\(tenant)", proxy: proxy)) != nil
            }
            #expect(!login("fresh"))
            try proxy.writeTenant(try LiveHouse.document("fresh", house.acme, .plain))
            let start = ContinuousClock.now
            try waitUntil("the new tenant is served") { login("fresh") }
            #expect(ContinuousClock.now - start < .seconds(2))
            let guest = try house.client("remi@fresh", proxy: proxy)
            // Another cluster under the same name: new sessions go there, old ones stay.
            try proxy.writeTenant(try LiveHouse.document("fresh", house.globex, .unixSocket))
            let port = "SELECT current_setting('port')"
            try waitUntil("new sessions go to the other cluster") {
                (try? house.client("remi@fresh", proxy: proxy).values(port)) == [
                    "\(house.globex.port)"
                ]
            }
            #expect(try guest.values(port) == ["\(house.acme.port)"])
            try proxy.removeTenant("fresh")
            try waitUntil("the tenant is gone") { !login("fresh") }
            #expect(try session.values("SELECT 1") == ["1"])
        }

        @Test func `a bad document keeps the last good ones, and says where it is wrong`() throws {
            let proxy = try house.ownProxy()
            try proxy.writeTenant(file: "bad.yaml", "tenant: bad\nbackendz: []\n")
            try proxy.waitForLog("bad.yaml", "backends")
            #expect(try house.client("remi@globex", proxy: proxy).values("SELECT 1") == ["1"])
            #expect(try proxy.metric("pgtee_registry_problems") > 0)
            for text in ["", "tenant: [", "\u{feff}tenant: globex\n", "tenant: globex\n", "%&$\n"] {
                try proxy.writeTenant(file: "bad.yaml", text)
                proxy.signal(SIGHUP)
                #expect(try house.client("remi@globex", proxy: proxy).values("SELECT 1") == ["1"])
            }
            try FileManager.default.removeItem(atPath: "\(proxy.tenantsDirectory)/bad.yaml")
            try waitUntil("the problem is over") {
                try proxy.metric("pgtee_registry_problems") == 0
            }
        }

        @Test func `10,000 tenants load and swap while sessions go on`() throws {
            let proxy = try house.ownProxy()
            let verifier = try house.acme.verifier(of: "remi")
            func documents(_ generation: Int) -> String {
                (0..<10_000).map { number in
                    """
                    ---
                    tenant: t\(number)
                    backends: [{host: 127.0.0.1, port: \(house.acme.port), tls: {mode: disable}}]
                    databases: {g\(generation)x\(number): postgres}
                    authentication: {mode: scram, verifiers: {remi: "\(verifier)"}}

                    """
                }.joined()
            }
            let session = try house.client("remi@globex", proxy: proxy)
            var slowest = Duration.zero
            for generation in 1...2 {
                try proxy.writeTenant(file: "many.yaml", documents(generation))
                let name = "g\(generation)x9999"
                try waitUntil(deadline: .seconds(60), "generation \(generation) is served") {
                    let start = ContinuousClock.now
                    let answer = try session.values("SELECT 1")
                    #expect(answer == ["1"])
                    slowest = max(slowest, ContinuousClock.now - start)
                    return (try? house.client("remi", database: name, proxy: proxy)) != nil
                }
            }
            #expect(slowest < .milliseconds(100), "an exchange took \(slowest) during a swap")
            for tenant in ["t0", "t5000", "t9999"] {
                #expect(
                    try house.client("remi@\(tenant)", proxy: proxy).values("SELECT 1") == ["1"])
            }
        }
    }
}
