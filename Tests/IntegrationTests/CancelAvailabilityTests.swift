import Foundation
import TestSupport
import Testing

/// Cancel requests at times when nobody can serve them: answered or dropped, never left hanging.
extension Live {
    @Suite struct CancelAvailabilityTests {
        let house: LiveHouse
        private static let cancelCode = int32(80_877_102)
        private static let service =
            LiveHouse.service.filter { !$0.hasPrefix("timeouts") } + [
                "timeouts: {login: 10s, server_connect: 5s, server_login: 8s, cancel: 1s}"
            ]

        init() throws { house = try LiveHouse.open() }

        /// How long the proxy takes to close the connection of a cancel request.
        private func timeToEnd(
            _ proxy: ProxyProcess, _ processID: Int32, _ secret: [UInt8],
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws -> Duration {
            let start = ContinuousClock.now
            let other = try WireChannel(port: proxy.port)
            try other.send(WirePacket.cancel(processID: processID, secret: secret))
            #expect(other.isClosedByPeer(), sourceLocation: sourceLocation)
            return ContinuousClock.now - start
        }

        @Test func `S-45: a cancel during the login is dropped at once and disturbs nothing`()
            throws
        {
            let cancels = ScriptCount()
            let waiting = ScriptCount()
            let go = DispatchSemaphore(value: 0)
            defer { go.signal() }
            let backend = try EvilBackend { connection in
                let packet = try connection.readStartup()
                if Array(packet[4..<8]) == Self.cancelCode {
                    cancels.add()
                    return
                }
                waiting.add()
                go.wait()
                try connection.finishScramLogin(processID: 4_711, secret: [1, 2, 3, 4])
                while true {
                    _ = try connection.readMessage()
                    try connection.send(WireMessage("I"), WireMessage("Z", Array("I".utf8)))
                }
            }
            let proxy = try house.ownProxy(
                tenants: [backend.tenant("late")], service: Self.service)
            let client = try WireClient(port: proxy.port)
            let ended = DispatchSemaphore(value: 0)
            let failure = ScriptCount()
            // The login needs a thread of its own: it is held up on purpose.
            let login = SendableClient(client)
            Thread.detachNewThread {
                do {
                    try login.client.login(
                        user: "remi@late", password: LiveHouse.password, database: "postgres")
                } catch { failure.add() }
                ended.signal()
            }
            try waitUntil("the login waits for its cluster") { waiting.value == 1 }
            // The key that the cluster is going to give.
            #expect(try timeToEnd(proxy, 4_711, [1, 2, 3, 4]) < .seconds(1))
            #expect(cancels.value == 0)
            go.signal()
            #expect(ended.wait(timeout: .now() + 10) == .success)
            #expect(failure.value == 0)
            #expect(try client.query("").map(\.letter) == ["I", "Z"])
            // And from now on the client's own key is good.
            _ = try timeToEnd(proxy, client.processID, client.secret)
            try waitUntil("the cancel arrives") { cancels.value == 1 }
        }

        @Test func `S-45: a cluster that does not answer cancels holds none longer than the limit`()
            throws
        {
            let over = DispatchSemaphore(value: 0)
            let held = ScriptCount()
            let backend = try EvilBackend { connection in
                if connection.number > 0 {
                    // Connected by the kernel, read by nobody.
                    held.add()
                    over.wait()
                    over.signal()
                    return
                }
                _ = try connection.readStartup()
                try connection.finishScramLogin()
                connection.channel.deadline = .seconds(30)
                connection.holdUntilClosed()
            }
            defer { over.signal() }
            let proxy = try house.ownProxy(
                tenants: [backend.tenant("deaf")], service: Self.service)
            let client = try house.client("remi@deaf", proxy: proxy)
            for _ in 0..<2 {
                let time = try timeToEnd(proxy, client.processID, client.secret)
                #expect(time < .milliseconds(2_500), "\(time)")
            }
            #expect(held.value == 2)
            #expect(try house.client("remi@globex", proxy: proxy).values("SELECT 1") == ["1"])
            try waitUntil("the connections to the cluster are gone") {
                try proxy.metric("pgtee_sessions") <= 2
            }
        }

        @Test func `S-45: a cancel gets through when the cluster has no connection left`() throws {
            var options = PrivateCluster.Options(major: 15)
            options.settings = [
                "max_connections": "4", "superuser_reserved_connections": "1",
                "max_wal_senders": "0", "wal_level": "replica",
            ]
            let cluster = try PrivateCluster(options)
            try cluster.createRole("remi", password: LiveHouse.password)
            let proxy = try house.ownProxy(
                tenants: [
                    TenantDocument(
                        "full", cluster, .plain,
                        verifiers: ["remi": try cluster.verifier(of: "remi")])
                ], service: Self.service)
            var sessions: [WireClient] = []
            for _ in 0..<3 { sessions.append(try house.client("remi@full", proxy: proxy)) }
            let beyond = try WireClient(port: proxy.port)
            let error = try refusal {
                try beyond.login(
                    user: "remi@full", password: LiveHouse.password, database: "postgres")
            }
            #expect(error?.sqlState == "53300")
            for client in sessions {
                try client.send(.query("SELECT pg_sleep(600)"))
                // The refused login may still hold the last place.
                try waitUntil("the query runs") {
                    (try? cluster.sql(
                        "SELECT count(*) FROM pg_stat_activity"
                            + " WHERE pid = \(client.processID) AND state = 'active';")) == "1"
                }
                let time = try timeToEnd(proxy, client.processID, client.secret)
                #expect(time < .seconds(1), "\(time)")
                let answer = try client.readUntil("Z")
                #expect(answer.first { $0.letter == "E" }?.fields["C"] == "57014")
            }
        }

        @Test func `S-45: a key from before a restart hits nothing`() throws {
            let cancels = ScriptCount()
            let backend = try EvilBackend { connection in
                let packet = try connection.readStartup()
                if Array(packet[4..<8]) == Self.cancelCode {
                    cancels.add()
                    return
                }
                try connection.finishScramLogin()
                connection.channel.deadline = .seconds(30)
                connection.holdUntilClosed()
            }
            let proxy = try house.ownProxy(
                tenants: [backend.tenant("again")], service: Self.service)
            let before = try house.client("remi@again", proxy: proxy)
            proxy.signal(SIGKILL)
            _ = try proxy.wait()
            try proxy.start()
            let after = try house.client("remi@again", proxy: proxy)
            #expect(try timeToEnd(proxy, before.processID, before.secret) < .seconds(1))
            #expect(cancels.value == 0)
            _ = try timeToEnd(proxy, after.processID, after.secret)
            try waitUntil("the new session's own cancel arrives") { cancels.value == 1 }
        }
    }
}

/// A client that one thread logs in and another uses afterwards.
private final class SendableClient: @unchecked Sendable {
    let client: WireClient

    init(_ client: WireClient) { self.client = client }
}
