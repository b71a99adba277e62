import Foundation
import TestSupport
import Testing

extension Live {
    @Suite struct DrainTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        private func lastState(_ client: WireClient) throws -> String? {
            try client.readToEnd().last { $0.letter == "E" }?.fields["C"]
        }

        @Test func `SIGTERM ends idle sessions now and others at their transaction's end`() throws {
            let proxy = try house.ownProxy(service: ["drain: 20s"])
            let idle = try house.client("remi@globex", proxy: proxy)
            let inside = try house.client("remi@globex", proxy: proxy)
            _ = try inside.query("BEGIN")
            let running = try house.client("remi@globex", proxy: proxy)
            try running.send(.query("SELECT pg_sleep(1), 'whole'"))
            proxy.signal(SIGTERM)
            #expect(try lastState(idle) == "57P01")
            #expect(try inside.values("SELECT 'still mine'") == ["still mine"])
            // Between COMMIT's answer and the end nothing else comes.
            try inside.send(.query("COMMIT"))
            let end = try inside.readToEnd()
            #expect(end.contains { $0.letter == "C" && $0.body == cString("COMMIT") })
            #expect(end.last?.fields["C"] == "57P01")
            let answer = try running.readToEnd()
            #expect(answer.contains { $0.letter == "D" })
            #expect(answer.last?.fields["C"] == "57P01")
            #expect(try proxy.wait(deadline: .seconds(5)) == .exited(0))
        }

        @Test func `while it drains, readiness is gone and new clients are refused`() throws {
            let proxy = try house.ownProxy(service: ["drain: 20s"])
            let inside = try house.client("remi@globex", proxy: proxy)
            _ = try inside.query("BEGIN")
            proxy.signal(SIGTERM)
            try waitUntil("not ready") { !proxy.isReady }
            do {
                let client = try WireClient(port: proxy.port)
                try client.login(
                    user: "remi@globex", password: LiveHouse.password, database: "postgres")
                Issue.record("a login went through")
            } catch let refusal as WireRefusal {
                #expect(refusal.sqlState == "57P03" || refusal.sqlState == "57P01")
            } catch {
                // Refused by the kernel, or closed: the listener is gone.
            }
            _ = try inside.query("ROLLBACK")
            #expect(try proxy.wait(deadline: .seconds(5)) == .exited(0))
        }

        @Test func `the deadline ends what has not ended`() throws {
            let proxy = try house.ownProxy(service: ["drain: 1s"])
            let inside = try house.client("remi@globex", proxy: proxy)
            _ = try inside.query("BEGIN")
            proxy.signal(SIGTERM)
            #expect(try lastState(inside) == "57P01")
            #expect(try proxy.wait(deadline: .seconds(5)) == .exited(0))
        }

        @Test func `a second SIGTERM ends it now`() throws {
            let proxy = try house.ownProxy(service: ["drain: 60s"])
            let inside = try house.client("remi@globex", proxy: proxy)
            _ = try inside.query("BEGIN")
            proxy.signal(SIGTERM)
            try waitUntil("not ready") { !proxy.isReady }
            #expect(proxy.isRunning)
            proxy.signal(SIGTERM)
            _ = try proxy.wait(deadline: .seconds(3))
            let last = try? inside.channel.receiveToEnd()
            #expect((last ?? []).count < 500)
        }

        @Test func `a pipeline that is under way is finished first`() throws {
            let proxy = try house.ownProxy(service: ["drain: 20s"])
            let client = try house.client("remi@globex", proxy: proxy)
            try client.send(
                .parse("SELECT pg_sleep(0.5)"), .bind(), .execute(), .sync, .parse("SELECT 'last'"),
                .bind(), .execute(), .sync)
            proxy.signal(SIGTERM)
            let answer = try client.readToEnd()
            #expect(answer.filter { $0.letter == "Z" }.count == 2)
            #expect(answer.last?.fields["C"] == "57P01")
            #expect(try proxy.wait(deadline: .seconds(5)) == .exited(0))
        }
    }
}
