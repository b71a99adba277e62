import Foundation
import TestSupport
import Testing

extension Live {
    @Suite struct CancelTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        /// Waits until the cluster runs this process's query.
        private func waitUntilActive(_ cluster: PrivateCluster, _ pid: Int32) throws {
            try waitUntil("process \(pid) is active") {
                try cluster.sql(
                    "SELECT count(*) FROM pg_stat_activity"
                        + " WHERE pid = \(pid) AND state = 'active';")
                    == "1"
            }
        }

        @Test(arguments: [15, 18], ["disable", "require"])
        func `an interrupt in psql cancels its query within a second`(
            major: Int, mode: String
        ) throws {
            let scratch = try TemporaryDirectory("cancel")
            for tenant in ["acme", "globex"] {
                let name = "cancel-\(tenant)-\(major)-\(mode)"
                let psql = try Psql(major: major).start(
                    house.through(
                        "remi@\(tenant)", "postgres", "sslmode=\(mode) application_name=\(name)"),
                    "SELECT pg_sleep(600)", password: LiveHouse.password,
                    outputPath: scratch.file("\(tenant).out"))
                let cluster = tenant == "acme" ? house.acme : house.globex
                try waitUntil("the query runs") {
                    try cluster.sql(
                        "SELECT count(*) FROM pg_stat_activity WHERE application_name = '\(name)'"
                            + " AND state = 'active';") == "1"
                }
                psql.signal(SIGINT)
                let clock = ContinuousClock.now
                #expect(try psql.wait(deadline: .seconds(5)) == .exited(1))
                #expect(ContinuousClock.now - clock < .seconds(1))
                #expect(psql.output.contains("canceling statement due to user request"))
            }
        }

        @Test(arguments: [false, true], [Int32(196_608), 196_610])
        func `a cancel request reaches the session from any connection`(
            tls: Bool, version: Int32
        ) throws {
            let client = try WireClient(port: house.proxy.port)
            try client.login(
                user: "remi@globex", password: LiveHouse.password, database: "postgres",
                version: version)
            // Several tries: the kernel hands connections to different workers.
            for _ in 0..<8 {
                try client.send(.query("SELECT pg_sleep(600)"))
                try waitUntilActive(house.globex, client.processID)
                let other = try WireClient(port: house.proxy.port)
                if tls { try other.requestTLS() }
                try other.channel.send(
                    WirePacket.cancel(processID: client.processID, secret: client.secret))
                #expect(other.channel.isClosedByPeer())
                let answer = try client.readUntil("Z")
                #expect(answer.first { $0.letter == "E" }?.fields["C"] == "57014")
            }
        }

        @Test func `when the cancel connection ends the signal has been sent`() throws {
            // A cluster that keeps the cancel connection open for a while, and says when it closed.
            let closed = ScriptCount()
            let backend = try EvilBackend { connection in
                let packet = try connection.readStartup()
                if Array(packet.prefix(8)) == int32(16) + int32(80_877_102) {
                    // Nothing more comes: this is half a second.
                    connection.channel.deadline = .milliseconds(500)
                    _ = try? connection.channel.receive(1)
                    closed.add()
                    return
                }
                try connection.finishScramLogin()
                connection.holdUntilClosed()
            }
            let proxy = try house.ownProxy(tenants: [backend.tenant("slow")])
            let client = try WireClient(port: proxy.port)
            try client.login(user: "remi@slow", password: LiveHouse.password, database: "postgres")
            let other = try WireClient(port: proxy.port)
            try other.channel.send(
                WirePacket.cancel(processID: client.processID, secret: client.secret))
            #expect(other.channel.isClosedByPeer())
            #expect(closed.value == 1)
        }

        @Test func `S-41, S-43: equal keys of two clusters never meet`() throws {
            // Both clusters give every session the same process number and secret.
            let hits = (ScriptCount(), ScriptCount())
            func poisoned(_ count: ScriptCount) throws -> EvilBackend {
                try EvilBackend { connection in
                    let packet = try connection.readStartup()
                    if Array(packet[4..<8]) == int32(80_877_102) {
                        if Array(packet[8...]) == int32(4_711) + [9, 9, 9, 9] { count.add() }
                        return
                    }
                    try connection.finishScramLogin(
                        processID: 4_711, secret: [9, 9, 9, 9])
                    connection.holdUntilClosed()
                }
            }
            let (left, right) = (try poisoned(hits.0), try poisoned(hits.1))
            let proxy = try house.ownProxy(
                tenants: [left.tenant("left"), right.tenant("right")])
            let clients = try (0..<10).map { number in
                try house.client("remi@\(number % 2 == 0 ? "left" : "right")", proxy: proxy)
            }
            #expect(clients.allSatisfy { $0.processID == 4_711 })
            #expect(Set(clients.map(\.secret)).count == clients.count)
            for (number, client) in clients.enumerated() {
                let other = try WireClient(port: proxy.port)
                try other.channel.send(
                    WirePacket.cancel(processID: client.processID, secret: client.secret))
                #expect(other.channel.isClosedByPeer())
                try waitUntil("cancel \(number) arrives") {
                    hits.0.value == number / 2 + 1 && hits.1.value == (number + 1) / 2
                }
            }
        }

        @Test func `S-40: guessed keys hit nothing and are not forwarded`() throws {
            let before = house.acme.log.components(separatedBy: "connection received").count
            try attack("S-40", atLeast: 1)
            let after = house.acme.log.components(separatedBy: "connection received").count
            #expect(after - before < 40)
        }

        @Test func `S-40: a source that guesses is ignored after a few misses`() throws {
            let proxy = try house.ownProxy(service: ["limits: {cancel_misses_per_minute: 5}"])
            let client = try house.client("remi@globex", proxy: proxy)
            try client.send(.query("SELECT pg_sleep(1)"))
            try waitUntilActive(house.globex, client.processID)
            var random = SeededRandom(seed: SeededRandom.runSeed)
            for _ in 0..<20 {
                let other = try WireClient(port: proxy.port)
                try other.channel.send(
                    WirePacket.cancel(processID: client.processID, secret: random.bytes(4)))
                #expect(other.channel.isClosedByPeer())
            }
            let other = try WireClient(port: proxy.port)
            try other.channel.send(
                WirePacket.cancel(processID: client.processID, secret: client.secret))
            #expect(other.channel.isClosedByPeer())
            #expect(try client.readUntil("Z").allSatisfy { $0.letter != "E" })
            let outcomes = try proxy.metrics().filter { $0.key.contains("cancel_outcomes") }
            #expect(outcomes.values.reduce(0, +) >= 20, "\(outcomes)")
        }

        @Test func `S-42: cancels that come late never hit another session`() throws {
            let bystander = try house.client("remi@acme")
            for round in 0..<100 {
                let client = try house.client("remi@acme")
                try client.send(.query("SELECT \(round)"))
                let other = try WireClient(port: house.proxy.port)
                try other.channel.send(
                    WirePacket.cancel(processID: client.processID, secret: client.secret))
                if round % 2 == 0 {
                    try client.send(.terminate)
                    client.channel.close()
                }
                #expect(try bystander.values("SELECT 'mine'") == ["mine"])
                #expect(other.channel.isClosedByPeer())
            }
        }

        @Test func `S-44: cancel packets of every size end quietly`() throws {
            try attack("S-44", atLeast: 20)
        }
    }
}
