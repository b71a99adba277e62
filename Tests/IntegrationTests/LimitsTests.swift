import Foundation
import TestSupport
import Testing

extension Live {
    @Suite struct LimitsTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        private func tenant(_ name: String, _ lines: String...) throws -> TenantDocument {
            try LiveHouse.document(name, house.acme, .plain, extra: lines)
        }

        /// The error of one more login; the session is closed again.
        private func oneMore(
            _ proxy: ProxyProcess, _ user: String, password: String = LiveHouse.password
        ) throws -> WireRefusal? {
            let client = try WireClient(port: proxy.port)
            return try refusal {
                try client.login(user: user, password: password, database: "postgres")
            }
        }

        @Test func `a tenant's sessions are counted, refused beyond its limit, and freed`() throws {
            let proxy = try house.ownProxy(tenants: [try tenant("small", "limits: {sessions: 3}")])
            var held = try (0..<3).map { _ in try house.client("remi@small", proxy: proxy) }
            let error = try oneMore(proxy, "remi@small")
            #expect(error?.sqlState == "53300")
            #expect(error?.message.fields["H"] != nil)
            #expect(try oneMore(proxy, "remi@globex") == nil)
            held.removeLast().channel.close()
            try waitUntil("the place is free") { try oneMore(proxy, "remi@small") == nil }
        }

        @Test func `the service's sessions are limited, too`() throws {
            let proxy = try house.ownProxy(service: ["limits: {sessions: 4}"])
            let held = try (0..<4).map { _ in try house.client("remi@globex", proxy: proxy) }
            #expect(try oneMore(proxy, "remi@globex")?.sqlState == "53300")
            #expect(try held[0].values("SELECT 1") == ["1"])
        }

        @Test func `logins in flight are limited by source, and freed at the deadline`() throws {
            let proxy = try house.ownProxy(service: [
                "limits: {logins_in_flight_per_source: 5}", "timeouts: {login: 6s}",
            ])
            let session = try house.client("remi@globex", proxy: proxy)
            // More than the limit: those beyond it are turned away themselves.
            let stuck = try (0..<8).map { _ in
                let channel = try WireChannel(port: proxy.port)
                try channel.send([0, 0, 0])
                return channel
            }
            // A login that slips in before them could take until they are gone.
            try waitUntil("all places are taken") {
                try proxy.metric("pgtee_logins_in_flight") >= 5
            }
            try waitUntil("one more is refused") {
                do {
                    return try oneMore(proxy, "remi@globex")?.sqlState == "53300"
                } catch is EndOfStream {
                    return true
                }
            }
            #expect(try session.values("SELECT 1") == ["1"])
            for channel in stuck { #expect((try? channel.receiveToEnd().count) ?? 0 < 500) }
            try waitUntil("logins work again") { try oneMore(proxy, "remi@globex") == nil }
        }

        @Test func `S-37: failed logins of a source are throttled, sessions are not`() throws {
            let proxy = try house.ownProxy(service: ["limits: {failed_logins_per_minute: 10}"])
            let session = try house.client("remi@globex", proxy: proxy)
            for _ in 0..<10 {
                #expect(
                    try oneMore(proxy, "remi@globex", password: "wrong")?.sqlState == "28P01")
            }
            let error = try oneMore(proxy, "remi@globex", password: "wrong")
            #expect(error?.sqlState == "53300", "\(error as Any)")
            #expect(try session.values("SELECT 1") == ["1"])
        }

        @Test func `a login that takes too long ends`() throws {
            let proxy = try house.ownProxy(service: ["timeouts: {login: 1s}"])
            let start = ContinuousClock.now
            let silent = try WireChannel(port: proxy.port)
            try silent.send([0])
            let slow = try WireClient(port: proxy.port)
            try slow.channel.send(
                WirePacket.startup([("user", "remi@globex"), ("database", "postgres")]))
            _ = try slow.readUntil("R")
            #expect(silent.isClosedByPeer())
            let last = try slow.readToEnd()
            #expect(last.count <= 1)
            #expect(ContinuousClock.now - start < .seconds(3))
        }

        @Test func `idle sessions, idle transactions and long transactions end in time`() throws {
            let proxy = try house.ownProxy(tenants: [
                try tenant("idle", "limits: {idle_session: 1s}"),
                try tenant("idling", "limits: {idle_transaction: 1s}"),
                try tenant("long", "limits: {transaction: 1s}"),
            ])
            let idle = try house.client("remi@idle", proxy: proxy)
            let idling = try house.client("remi@idling", proxy: proxy)
            let long = try house.client("remi@long", proxy: proxy)
            let bystander = try house.client("remi@idling", proxy: proxy)
            _ = try idling.query("BEGIN")
            _ = try long.query("BEGIN")
            try long.send(.query("SELECT pg_sleep(30)"))
            func state(_ client: WireClient) throws -> String? {
                try client.readToEnd().last { $0.letter == "E" }?.fields["C"]
            }
            #expect(try state(idle) == "57P05")
            #expect(try state(idling) == "25P03")
            #expect(try state(long) == "25P04")
            #expect(try bystander.values("SELECT 1") == ["1"])
            try waitUntil("the clusters' sessions ended, too") {
                try house.acme.sql(
                    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%'"
                        + " AND pid <> pg_backend_pid();") == "0"
            }
        }
    }
}
