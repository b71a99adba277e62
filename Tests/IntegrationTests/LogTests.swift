import Foundation
import TestSupport
import Testing

extension Live {
    @Suite struct LogTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        @Test(arguments: ["json", "logfmt"])
        func `S-70: one record is one line of printable ASCII`(format: String) throws {
            let proxy = try house.ownProxy(
                service: LiveHouse.service + ["log: {format: \(format), level: debug}"])
            let results = try Attack.client(["S-70"], proxy, ["--tenant", "globex"]).finish()
            expectAll(results, atLeast: 28)
            try waitUntil("all sessions are in the log") {
                proxy.logLines.filter { $0.contains("session ended") }.count >= 28
            }
            let log = try Data(contentsOf: URL(fileURLWithPath: proxy.logPath))
            #expect(log.allSatisfy { $0 == 0x0a || (0x20...0x7e).contains($0) })
            for line in proxy.logLines {
                if format == "json" {
                    let object = try? JSONSerialization.jsonObject(with: Data(line.utf8))
                    #expect(object is [String: Any], "\(line)")
                } else {
                    #expect(!line.hasPrefix("b level=error"), "a forged line: \(line)")
                    #expect(line.contains("msg=") || line.contains("message="), "\(line)")
                }
            }
        }

        @Test func `one canonical line says all of a session, and only once`() throws {
            let name = "canonical"
            let client = try WireClient(port: house.proxy.port)
            try client.requestTLS(WireTLSOptions(serverName: "acme.db.example.com"))
            try client.login(
                user: "remi@acme", password: LiveHouse.password, database: "shop",
                options: [("application_name", name)])
            for _ in 0..<3 { _ = try client.query("SELECT 1") }
            try client.send(.terminate)
            let line = try house.proxy.waitForLog("session ended", name)
            for piece in [
                "acme", "remi", "acme_shop", "TLSv1.3", "sni,user,database", "client_closed",
                "\(client.processID)",
            ] {
                #expect(line.contains(piece), "\(piece) is not in \(line)")
            }
            #expect(house.proxy.logLines.filter { $0.contains(name) }.count == 1)
        }

        @Test func `S-71: metrics are well-formed, only documents' tenants are labels`() throws {
            let body = try house.proxy.fetch("/metrics").body
            let sample = #/
                [a-z_:][a-z0-9_:]*
                (\{ [a-z_]+="([^"\\\n]|\\["\\n])*" (,[a-z_]+="([^"\\\n]|\\["\\n])*")* \})?
                \x20 [-+0-9.eInfNa]+
                /#
            for line in body.split(separator: "\n") where !line.hasPrefix("#") {
                #expect(line.wholeMatch(of: sample) != nil, "\(line)")
            }
            let tenants = Set(
                body.matches(of: /tenant="([^"]*)"/).map { String($0.output.1) })
            #expect(tenants.isSubset(of: ["acme", "globex"]))
            #expect(tenants.contains("acme"))
        }

        @Test func `S-72: no secret is in logs, metrics, arguments or the environment`() throws {
            let scratch = try TemporaryDirectory("canary")
            let canary = "canary-password-7c41"
            try house.acme.createRole("canary", password: canary)
            defer { _ = try? house.acme.sql("DROP ROLE canary;") }
            let verifier = try house.acme.verifier(of: "canary")
            let proxy = try house.ownProxy(tenants: [
                TenantDocument(
                    "canary", house.acme, .plain, verifiers: ["canary": verifier])
            ])
            let client = try WireClient(port: proxy.port)
            try client.requestTLS()
            try client.login(user: "canary@canary", password: canary, database: "postgres")
            _ = try client.values("SELECT 'canary-value-1'")
            let secret = client.secret.map { String(format: "%02x", $0) }.joined()
            let wrong = try WireClient(port: proxy.port)
            _ = try refusal {
                try wrong.login(
                    user: "canary@canary", password: canary + "x", database: "postgres")
            }
            let typed = try WireClient(port: proxy.port)
            _ = try refusal {
                try typed.login(user: canary, password: canary, database: "postgres")
            }
            try client.send(.terminate)
            try proxy.waitForLog("session ended", "canary")
            let pid = proxy.pid
            let parts = verifier.split(whereSeparator: { "$:".contains($0) }).map { String($0) }
            let places = [
                "log": proxy.log.replacingOccurrences(of: "user=\(canary)", with: ""),
                "metrics": try proxy.fetch("/metrics").body,
                "arguments": readText("/proc/\(pid)/cmdline"),
                "environment": readText("/proc/\(pid)/environ"),
            ]
            let needles = [canary + "x", "canary-value-1", secret] + parts.suffix(2)
            for (place, text) in places {
                for needle in needles {
                    #expect(!text.contains(needle), "\(needle) is in the \(place)")
                }
            }
            _ = scratch
        }

        @Test func `S-76: a crash leaves no core and no buffer in its last words`() throws {
            let proxy = try house.ownProxy()
            let limits = readText("/proc/\(proxy.pid)/limits").split(separator: "\n")
            let core = try #require(limits.first { $0.hasPrefix("Max core file size") })
            #expect(core.split(separator: " ").dropFirst(4).prefix(2) == ["0", "0"])
            let client = try house.client("remi@globex", proxy: proxy)
            _ = try client.values("SELECT 'canary-in-a-buffer'")
            proxy.signal(SIGABRT)
            _ = try proxy.wait(deadline: .seconds(30))
            #expect(!proxy.log.contains("canary-in-a-buffer"))
            #expect(!proxy.log.contains(LiveHouse.password))
        }
    }
}
