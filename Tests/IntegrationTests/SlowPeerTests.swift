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
                let client = try WireClient(
                    try shrunk(WireChannel(port: house.proxy.port)), tls: tls)
                try client.login(
                    user: "remi@acme", password: LiveHouse.password, database: "postgres")
                try client.send(.query("SELECT repeat('x', 1000000) FROM generate_series(1, 600)"))
                let question =
                    "SELECT coalesce(wait_event, '') FROM pg_stat_activity"
                    + " WHERE pid = \(client.processID);"
                try waitUntil("the cluster waits for its client") {
                    try house.acme.sql(question) == "ClientWrite"
                }
                #expect(try house.client("remi@acme").values("SELECT 1") == ["1"])
                // And it comes out right, when it is read at last.
                var rows = 0
                for message in try client.readUntil("Z") where message.letter == "D" {
                    #expect(message.body.count == 1_000_006)
                    rows += 1
                }
                #expect(rows == 600)
            }
        }

        @Test func `S-52: a client that stalls for too long is dropped, its query with it`() throws {
            let proxy = try house.ownProxy(
                tenants: [try LiveHouse.document("acme", house.acme, .plain, extra: ["hosts: []"])],
                service: ["timeouts: {client_stall: 1s}"])
            let client = try WireClient(try shrunk(WireChannel(port: proxy.port)), tls: false)
            try client.login(
                user: "remi@acme", password: LiveHouse.password, database: "postgres")
            let pid = client.processID
            try client.send(.query("SELECT repeat('x', 1000000) FROM generate_series(1, 600)"))
            try waitUntil("the cluster's process is gone") {
                try house.acme.sql("SELECT count(*) FROM pg_stat_activity WHERE pid = \(pid);")
                    == "0"
            }
            try proxy.waitForLog("client_stalled")
        }

        @Test func `S-53: a cluster that never reads holds up its own client only`() throws {
            let backend = try EvilBackend { connection in
                _ = try connection.readStartup()
                try connection.finishScramLogin()
                _ = try connection.readMessage()
                try connection.send(WireMessage("G", [0] + int16(0)))
                // Nothing is read any more; the test closes the connection.
                while !Task.isCancelled { Thread.sleep(forTimeInterval: 0.1) }
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
                let client = try WireClient(
                    try shrunk(WireChannel(port: house.proxy.port)), tls: false)
                try client.login(
                    user: "remi@acme", password: LiveHouse.password, database: "postgres")
                client.channel.deadline = .seconds(1)
                let block = WireMessage.query("SELECT repeat('y', 20000)").bytes
                let blocks = (0..<200).flatMap { _ in block }
                #expect(throws: DeadlinePassed.self) {
                    for _ in 0..<5_000 { try client.channel.send(blocks) }
                }
                client.channel.close()
            }
        }

        /// A small receive buffer, so that not reading is felt soon.
        private func shrunk(_ channel: WireChannel) -> WireChannel {
            channel.setReceiveBuffer(16_384)
            channel.deadline = .seconds(60)
            return channel
        }
    }
}

extension WireClient {
    /// TLS first, if asked for.
    fileprivate convenience init(_ channel: WireChannel, tls: Bool) throws {
        self.init(channel)
        if tls { try requestTLS() }
    }
}
