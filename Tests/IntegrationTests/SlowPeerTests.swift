import Foundation
import TestSupport
import Testing

extension Live {
    @Suite struct SlowPeerTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        @Test(arguments: [false, true])
        func `S-52: a client that never reads holds up its own cluster only`(tls: Bool) throws {
            try Innocent(house).watch(memoryLimit: 4 << 20) {
                let client = try house.client("remi@acme", tls: tls)
                try client.send(.query("SELECT repeat('x', 1000000) FROM generate_series(1, 600)"))
                let question =
                    "SELECT coalesce(wait_event, '') FROM pg_stat_activity"
                    + " WHERE pid = \(client.processID);"
                try waitUntil("the cluster waits for its client") {
                    try house.acme.sql(question) == "ClientWrite"
                }
                #expect(try house.client("remi@acme").values("SELECT 1") == ["1"])
                // And it comes out right, when it is read at last.
                client.channel.deadline = .seconds(60)
                _ = try client.readUntil("T")
                // 600 rows (type, length, one column, its length), CommandComplete, ReadyForQuery.
                var left = 600 * (5 + 6 + 1_000_000) + 16 + 6
                var tail: [UInt8] = []
                while left > 0 {
                    let some = try client.channel.receiveSome(min(left, 1 << 20))
                    try #require(!some.isEmpty)
                    left -= some.count
                    tail = (tail + some.suffix(22)).suffix(22)
                }
                let end = WireMessage("C", cString("SELECT 600")).bytes + [90, 0, 0, 0, 5, 73]
                #expect(tail == end)
            }
        }

        @Test func `S-52: a client that stalls too long is dropped, its query with it`() throws {
            let proxy = try house.ownProxy(
                tenants: [try LiveHouse.document("acme", house.acme, .plain, extra: ["hosts: []"])],
                service: ["timeouts: {client_stall: 1s}"])
            let client = try house.client("remi@acme", proxy: proxy)
            let pid = client.processID
            try client.send(.query("SELECT repeat('x', 1000000) FROM generate_series(1, 600)"))
            try waitUntil("the cluster's process is gone") {
                try house.acme.sql("SELECT count(*) FROM pg_stat_activity WHERE pid = \(pid);")
                    == "0"
            }
            try proxy.waitForLog("client_stalled")
        }

        @Test func `S-53: a cluster that never reads holds up its own client only`() throws {
            let over = DispatchSemaphore(value: 0)
            defer { over.signal() }
            let backend = try EvilBackend { connection in
                _ = try connection.readStartup()
                try connection.finishScramLogin()
                _ = try connection.readMessage()
                try connection.send(WireMessage("G", [0] + int16(0)))
                // Nothing is read any more.
                over.wait()
            }
            let proxy = try house.ownProxy(tenants: [backend.tenant("deaf")])
            try Innocent(house, proxy: proxy).watch(memoryLimit: 4 << 20) {
                let client = try house.client("remi@deaf", proxy: proxy)
                try client.send(.query("COPY t FROM STDIN"))
                _ = try client.readUntil("G")
                client.channel.deadline = .seconds(1)
                let block = WireMessage("d", [UInt8](repeating: 7, count: 60_000)).bytes
                var sent = 0
                #expect(throws: DeadlinePassed.self) {
                    while sent < 600_000_000 {
                        try client.channel.send(block)
                        sent += block.count
                    }
                }
                #expect(sent < 64 << 20, "\(sent) bytes were taken")
                client.channel.close()
            }
        }

        @Test func `S-58: a client that sends the smallest messages without end slows nobody down`()
            throws
        {
            try attack("S-58", options: ["--count", "4"], atLeast: 1)
        }

        @Test func `a client that writes and never reads does not fill memory`() throws {
            try Innocent(house).watch(memoryLimit: 4 << 20) {
                let client = try house.client("remi@acme")
                client.channel.deadline = .seconds(1)
                let block = WireMessage.query("SELECT repeat('y', 20000)").bytes
                let blocks = (0..<200).flatMap { _ in block }
                #expect(throws: DeadlinePassed.self) {
                    for _ in 0..<5_000 { try client.channel.send(blocks) }
                }
                client.channel.close()
            }
        }
    }
}
