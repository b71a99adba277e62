import TestSupport
import Testing

@Suite struct RigBackendTests {
    @Test func `an evil backend plays its script and reports what went wrong in it`() throws {
        let backend = try EvilBackend { connection in
            try connection.acceptLogin()
            let query = try connection.readMessage()
            if query.letter == "X" { throw RunFailureForTest() }
            try connection.send(WireMessage("D", [1]))
            connection.channel.reset()
        }
        let client = try WireClient(port: backend.port)
        try client.login(user: "remi")
        try client.send(.query("SELECT 1"))
        #expect(throws: (any Error).self) { try client.readUntil("Z") }

        let second = try WireClient(port: backend.port)
        try second.login(user: "remi")
        try second.send(.terminate)
        #expect(second.channel.isClosedByPeer())
        try waitUntil("the failure is noted") { backend.failures.count == 1 }
        #expect(backend.accepted == 2)
    }

    @Test func `closing an evil backend ends its connections`() throws {
        let backend = try EvilBackend(unixSocket: true) { connection in
            try connection.acceptLogin()
            connection.holdUntilClosed()
        }
        let directory = try #require(backend.socketDirectory)
        let client = WireClient(
            try WireChannel(socketDirectory: directory, port: backend.port))
        try client.login(user: "remi")
        backend.close()
        #expect(client.channel.isClosedByPeer())
    }

    @Test func `drip feeding finds a decoder that depends on how bytes arrive`() {
        let sample: [UInt8] = [1, 2, 3, 4, 5]
        let sound = DripFeed.differences(sample) { pieces in
            pieces.flatMap { $0 }.reduce(0) { $0 + Int($1) }
        }
        #expect(sound.isEmpty)
        let broken = DripFeed.differences(sample) { pieces in
            pieces.filter { $0.count > 1 }.flatMap { $0 }.count
        }
        #expect(!broken.isEmpty)
    }

    @Test func `the same seed gives the same numbers`() {
        var one = SeededRandom(seed: 7)
        var two = SeededRandom(seed: 7)
        #expect(one.bytes(100) == two.bytes(100))
        var three = SeededRandom(seed: 8)
        #expect(one.bytes(100) != three.bytes(100))
    }
}

private struct RunFailureForTest: Error {}
