import Authentication
import PostgresProtocol
import Tenancy
import Testing

@testable import ServerLogin

/// What a login accepts from a cluster, without TLS.
struct ServerLoginMachineTests {
    private static func script(
        _ credential: ServerLoginOptions.Credential = .none, version: ProtocolVersion = .v3_2
    ) -> ServerScript {
        var script = ServerScript(.disable, credential, version: version)
        script.connect()
        _ = script.takeLog()
        return script
    }

    @Test func `a login gives everything that the cluster said`() throws {
        var script = Self.script()
        let long = BackendMessage.backendKeyData(
            BackendKeyData(processID: -9, secret: [UInt8](repeating: 5, count: 256)))
        let notice = ErrorFields(.warning, sqlState: "01000", message: "md5")
        script.receive(
            .ok, .noticeResponse(notice), .parameter("a", "b"), .parameter("a", ""), long, .ready,
            .parameter("after", "it"))
        #expect(script.takeLog() == "ready")
        let result = try #require(script.result)
        #expect(result.processID == -9)
        #expect(result.secret.count == 256)
        #expect(result.parameters.map(\.value) == [[UInt8(ascii: "b")], []])
        #expect(result.notices == [notice])
        #expect(result.version == .v3_2)
        #expect(result.leftover == ServerScript.bytes([.parameter("after", "it")]))
        script.receive(.ready)
        #expect(script.takeLog() == "")
    }

    @Test(arguments: [4, 5, 32, 256])
    func `a cancel key has 4 bytes in 3.0 and up to 256 in 3.2`(count: Int) {
        for version in [ProtocolVersion.v3_0, .v3_2] {
            var script = Self.script(version: version)
            let secret = [UInt8](repeating: 1, count: count)
            script.receive(
                .ok, .backendKeyData(BackendKeyData(processID: 1, secret: secret)), .ready)
            let isGood = count == 4 || version == .v3_2
            #expect(script.takeLog() == (isGood ? "ready" : "protocolViolation"))
        }
    }

    @Test(arguments: [0, 3, 257])
    func `a cancel key of another length is a violation`(count: Int) {
        var script = Self.script()
        let body = [0, 0, 0, 1] + [UInt8](repeating: 1, count: count)
        script.receive(ServerScript.bytes([.ok]) + ServerScript.raw("K", body))
        #expect(script.takeLog() == "protocolViolation")
    }

    @Test func `a cluster may negotiate 3.2 down to 3.0, once and before all else`() {
        let down = BackendMessage.version(0x30000)
        var script = Self.script()
        script.receive(down, .ok, .key, .ready)
        #expect(script.takeLog() == "ready")
        #expect(script.result?.version == .v3_0)
        let bad: [[BackendMessage]] = [
            [down, down], [.version(0x30002)], [.version(0x30001)], [.version(0x30003)],
            [.version(0x20000)], [.version(0x40000)], [.version(0x30000, "_pq_.x")],
            [.version(0x30002, "_pq_.x")], [.sasl("SCRAM-SHA-256"), down], [.ok, down],
        ]
        for messages in bad {
            var script = Self.script(.password([1]))
            script.receive(ServerScript.bytes(messages))
            #expect(script.takeLog().hasSuffix("protocolViolation") || messages.first == .ok)
            #expect(script.failure != nil)
        }
        var old = Self.script(version: .v3_0)
        old.receive(down)
        #expect(old.takeLog() == "protocolViolation")
    }

    @Test func `before AuthenticationOk only R, E and v may come, after it S, N, K, E and Z`() {
        let bodies: [Character: [UInt8]] = [
            "S": [97, 0, 98, 0], "N": [0], "K": [0, 0, 0, 1, 1, 2, 3, 4], "Z": [73],
            "A": [0, 0, 0, 1, 0, 0], "C": [0], "D": [0, 0], "G": [0, 0, 0], "H": [0, 0, 0],
            "I": [], "T": [0, 0], "V": [255, 255, 255, 255], "W": [0, 0, 0], "c": [], "d": [],
            "n": [], "s": [], "t": [0, 0], "1": [], "2": [], "3": [],
            "v": [0, 3, 0, 0, 0, 0, 0, 0],
            "R": [0, 0, 0, 0], "x": [], "\u{0}": [], "p": [], "E": [67, 48, 0, 0],
        ]
        for (type, body) in bodies.sorted(by: { $0.key < $1.key }) {
            var before = Self.script()
            before.receive(ServerScript.raw(type, body))
            let isGoodBefore = "RvE".contains(type)
            #expect((before.takeLog() == "protocolViolation") != isGoodBefore, "\(type) before")
            var after = Self.script()
            after.receive(ServerScript.bytes([.ok]) + ServerScript.raw(type, body))
            let isGoodAfter = "SNKZE".contains(type)
            #expect((after.takeLog() == "protocolViolation") != isGoodAfter, "\(type) after")
        }
    }

    @Test(arguments: [
        ("R", 7), ("R", 2001), ("v", 7), ("v", 2001), ("S", 3), ("S", 30_001), ("K", 30_001),
        ("Z", 4),
        ("Z", 6), ("N", -1), ("S", 0x7FFF_FFFF), ("N", 0x1000_0000),
    ])
    func `an impossible length is refused before its body comes`(type: Character, length: Int) {
        var script = Self.script()
        if !"Rv".contains(type) { script.receive(.ok) }
        script.receive(ServerScript.raw(type, [], length: length))
        #expect(script.takeLog() == "protocolViolation")
    }

    @Test(arguments: [
        "ECould not fork new process for connection: Out of memory\n\u{0}", "E\u{0}\u{0}\u{0}\u{7}",
        "E\u{1B}[31mé\u{7}", "Eno\n\u{0}\u{0}",
    ])
    func `an error in the form of protocol 2 ends the login, and its text is made safe`(
        text: String
    )
        throws
    {
        var script = Self.script()
        script.receive(text)
        #expect(script.takeLog() == "closed")
        let log = try #require(script.failure?.logText)
        #expect(log.utf8.allSatisfy { $0 >= 0x20 && $0 <= 0x7E })
        #expect(log.utf8.count < 300)
    }

    @Test(arguments: ["28000", "3D000", "53300", "57P03"])
    func `the cluster's own error is given with all its fields`(code: String) throws {
        let fields = ErrorFields(
            .fatal, sqlState: code, message: "no", detail: "Because.", hint: "Do not.")
        for isLate in [false, true] {
            var script = Self.script()
            if isLate { script.receive(.ok, .parameter("a", "b")) }
            script.receive(.errorResponse(fields))
            #expect(script.takeLog() == code)
            guard case .serverError(let given)? = script.failure?.kind else {
                Issue.record("no server error")
                return
            }
            #expect(given == fields)
        }
    }

    @Test func `a cluster that never comes to an end is cut off`() {
        var script = Self.script()
        script.receive(.ok)
        let flood = ServerScript.bytes([.parameter("name", String(repeating: "x", count: 1000))])
        var count = 0
        while script.failure == nil && count < 1000 {
            script.receive(flood)
            count += 1
        }
        #expect(script.takeLog() == "protocolViolation")
        #expect(count == LoginInput.totalMax / flood.count + 1)
    }

    @Test func `rows right behind ReadyForQuery may be longer than a login`() {
        var script = Self.script()
        let more = [UInt8](repeating: 0x44, count: 300_000)
        script.receive(ServerScript.bytes([.ok, .key, .ready]) + more)
        #expect(script.takeLog() == "ready")
        #expect(script.result?.leftover == more)
    }

    @Test func `a name that no startup packet can hold fails before anything is sent`() {
        var script = ServerScript { $0.parameters = [StartupParameter("user", "a\u{0}b")] }
        script.connect()
        #expect(script.takeLog() == "protocolViolation")
        #expect(script.sent == [])
    }

    @Test func `events that do not fit the state have no effect`() {
        var script = ServerScript(.require)
        script.establish()
        script.failTLS()
        script.receive(.ok)
        script.client([1])
        #expect(script.takeLog() == "")
        script.connect()
        script.connect()
        script.receive([])
        script.establish()
        #expect(script.takeLog() == "SSLRequest")
        script.receive("S")
        script.receive(.ok)
        script.connect()
        #expect(script.takeLog() == "startTLS")
        script.failTLS()
        script.establish()
        script.connect()
        script.receive(.ok)
        #expect(script.takeLog() == "tlsFailed")
    }

    @Test func `any pieces of a login give the same result`() {
        let stream = ServerScript.bytes([
            .version(0x30000), .ok, .parameter("server_version", "15.4"), .key, .ready,
        ])
        for first in 0...stream.count {
            var script = Self.script()
            script.receive(Array(stream[..<first]))
            script.receive(Array(stream[first...]))
            #expect(script.takeLog() == "ready")
            #expect(script.result?.processID == 7)
        }
        var script = Self.script()
        for byte in stream { script.receive([byte]) }
        #expect(script.takeLog() == "ready")
    }
}
