import Foundation
import TestSupport
import Testing

/// Clients that lie, while the innocent tenant's pgbench goes on. The attacks are in
/// tools/peers/evil_client.py, by the same row numbers.
extension Live {
    @Suite struct HostileClientTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        @Test func `S-01, S-05, S-06: nothing rides along with a negotiation request`() throws {
            let before = house.acme.log.components(separatedBy: "connection received").count
            try attack("S-01", "S-05", "S-06", atLeast: 13)
            let after = house.acme.log.components(separatedBy: "connection received").count
            // The one client that `attack` ends with.
            #expect(after - before <= 1)
        }

        @Test func `S-07, S-08, S-09: ALPN, requests in pieces, and no resumption`() throws {
            try attack("S-07", "S-08", "S-09", options: ["--tls"], atLeast: 12)
        }

        @Test func `S-18: TLS that no honest library speaks ends cleanly`() throws {
            try attack("S-18", options: ["--tls"], atLeast: 11)
        }

        @Test func `S-20: an impossible length ends the session, whatever its state`() throws {
            try attack("S-20", options: ["--samples", "60"], atLeast: 400)
            try attack("S-20", options: ["--samples", "5", "--tls"], atLeast: 200)
        }

        @Test func `S-21: a claim of a gigabyte costs nothing`() throws {
            let proxy = house.proxy
            let results = try Innocent(house).watch(memoryLimit: 50 << 20) {
                let before = ProcessNumbers(proxy.pid).memory
                let attack = try Attack.client(["S-21"], proxy, ["--count", "150"])
                try attack.waitUntilHolding()
                let growth = ProcessNumbers(proxy.pid).memory - before
                #expect(growth < 150 * 256 * 1_024, "150 sessions took \(growth) bytes")
                try attack.release()
                return try attack.finish()
            }
            expectAll(results, atLeast: 1)
        }

        @Test func `S-25, S-26, S-27: messages out of order and SASL that lies`() throws {
            try attack("S-25", "S-26", "S-27", atLeast: 70)
            try attack("S-25", "S-26", "S-27", options: ["--tls"], atLeast: 70)
        }

        @Test func `S-28, S-29: a startup packet has one meaning or none`() throws {
            try attack("S-28", "S-29", atLeast: 30)
            try attack("S-28", "S-29", options: ["--tls"], atLeast: 30)
        }

        @Test func `S-50: slow logins end at the deadline and keep nobody out`() throws {
            let results = try Innocent(house).watch {
                let attack = try Attack.client(
                    ["S-50"], house.proxy, ["--count", "1500", "--deadline", "15"])
                try attack.waitUntilHolding()
                var slowest = Duration.zero
                for _ in 0..<20 {
                    let start = ContinuousClock.now
                    #expect(try house.client("remi@acme").values("SELECT 1") == ["1"])
                    slowest = max(slowest, ContinuousClock.now - start)
                }
                #expect(slowest < .seconds(1), "the slowest honest login took \(slowest)")
                try attack.release()
                return try attack.finish()
            }
            expectAll(results, atLeast: 1)
        }

        @Test func `S-54: without descriptors it waits, and goes on when there are some`() throws {
            let proxy = try house.ownProxy(
                service: LiveHouse.service.filter { !$0.hasPrefix("workers") } + ["workers: 1"],
                wrapper: ["prlimit", "--nofile=96:96"])
            // One that was there before goes on.
            let session = try house.client("remi@globex", proxy: proxy)
            let attack = try Attack.client(
                ["S-54"], proxy, ["--count", "400", "--tenant", "globex"])
            try attack.waitUntilHolding()
            let before = ProcessNumbers(proxy.pid).ticks
            let start = ContinuousClock.now
            while ContinuousClock.now - start < .seconds(1) {
                #expect(try session.values("SELECT 1 FROM pg_sleep(0.05)") == ["1"])
            }
            // 100 ticks are a second of one core.
            #expect(ProcessNumbers(proxy.pid).ticks - before < 40)
            #expect(proxy.isReady)
            try attack.release()
            expectAll(try attack.finish(), atLeast: 1)
            #expect(proxy.isRunning)
        }

        @Test func `S-57: names that nobody has leave no trace in memory or metrics`() throws {
            let before = try house.proxy.metrics().count
            try attack(
                "S-57", options: ["--count", "3000"], atLeast: 1, memoryLimit: 16 << 20)
            #expect(try house.proxy.metrics().count <= before + 4)
        }
    }
}
