import Foundation
import TestSupport
import Testing

extension Live {
    /// Several instances share one port; the kernel hands each new connection to one of them.
    @Suite struct InstancesTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        private func instances(_ count: Int) throws -> [ProxyProcess] {
            let first = try house.ownProxy(service: ["drain: 1s"])
            let shared = first.directory.file("run")
            return try [first]
                + (1..<count).map { _ in
                    try house.ownProxy(service: [
                        "listen: [127.0.0.1:\(first.port)]", "runtime_directory: \(shared)",
                        "drain: 1s",
                    ])
                }
        }

        @Test func `a cancel request finds its session on whichever instance holds it`() throws {
            let proxies = try instances(3)
            for round in 0..<12 {
                let client = try WireClient(port: proxies[0].port)
                try client.login(
                    user: "remi@globex", password: LiveHouse.password, database: "postgres",
                    version: round % 2 == 0 ? 196_608 : 196_610)
                try client.send(.query("SELECT pg_sleep(600)"))
                try waitUntil("the query runs") {
                    try house.globex.sql(
                        "SELECT count(*) FROM pg_stat_activity WHERE pid = \(client.processID)"
                            + " AND state = 'active';") == "1"
                }
                let other = try WireClient(port: proxies[0].port)
                try other.channel.send(
                    WirePacket.cancel(processID: client.processID, secret: client.secret))
                #expect(other.channel.isClosedByPeer())
                let answer = try client.readUntil("Z")
                #expect(answer.first { $0.letter == "E" }?.fields["C"] == "57014")
            }
            // Each took part, so some of the requests came to another one than the session.
            for proxy in proxies {
                #expect(try proxy.metric("pgtee_connections_accepted_total") > 0)
            }
        }

        @Test func `an instance that drains leaves the port to the others`() throws {
            let proxies = try instances(2)
            proxies[0].signal(SIGTERM)
            #expect(try proxies[0].wait(deadline: .seconds(10)) == .exited(0))
            // The first one has the port; who answers is the second.
            for _ in 0..<20 {
                let client = try house.client("remi@globex", proxy: proxies[0])
                #expect(try client.values("SELECT 1") == ["1"])
            }
        }

        @Test func `without a runtime directory a port in use is refused`() throws {
            let first = try house.ownProxy(service: [])
            #expect(throws: (any Error).self) {
                try house.ownProxy(service: [
                    "listen: [127.0.0.1:\(first.port)]", "runtime_directory: \"\"",
                ])
            }
        }
    }
}
