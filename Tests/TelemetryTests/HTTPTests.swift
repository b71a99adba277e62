import Testing

@testable import Admin

@Suite struct HTTPRequestHeadTests {
    private func head(_ text: String) throws(HTTPRequestHead.Problem) -> HTTPRequestHead {
        try HTTPRequestHead(Array(text.utf8))
    }

    private func problem(_ text: String) -> HTTPRequestHead.Problem? {
        do throws(HTTPRequestHead.Problem) {
            _ = try head(text)
            return nil
        } catch {
            return error
        }
    }

    @Test func `a request is read`() throws {
        let head = try head(
            "GET /metrics?x=1 HTTP/1.1\r\nUser-Agent: a b\r\nhOST: \t localhost:1 \r\n\r\n")
        #expect(head.method == "GET")
        #expect(head.path == "/metrics")
        #expect(head.host == "localhost:1")
        #expect(try self.head("GET / HTTP/1.0\r\n\r\n").host == nil)
    }

    @Test func `each prefix of a request is incomplete`() {
        let whole = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"
        for length in 0..<whole.utf8.count {
            let prefix = String(decoding: whole.utf8.prefix(length), as: UTF8.self)
            #expect(problem(prefix) == .incomplete, "\(length)")
        }
        #expect(problem(whole) == nil)
    }

    @Test(arguments: [
        "GET / HTTP/1.1\n\n", "GET / HTTP/1.1\r\nHost: a\n\r\n", "\r\nGET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\u{0}b\r\n\r\n", "GET /\u{7f} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / \r\nHost: a\r\n\r\n", "GET /\r\nHost: a\r\n\r\n",
        "G\"T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\u{16}\u{3}\u{1}\r\n\r\n",
    ])
    func `a malformed request is refused`(text: String) {
        #expect(problem(text) == .malformed)
    }

    @Test func `another version is refused by name`() {
        #expect(problem("GET / HTTP/2.0\r\nHost: a\r\n\r\n") == .versionNotSupported)
        #expect(problem("GET / HTTP/1.10\r\nHost: a\r\n\r\n") == .versionNotSupported)
    }

    @Test func `a body is refused however it is announced`() {
        let start = "GET / HTTP/1.1\r\nHost: a\r\n"
        for header in [
            "Content-Length: 1", "Content-Length: +0", "Content-Length: 0, 0",
            "content-length: 18446744073709551616", "Transfer-Encoding: chunked",
            "transfer-encoding: identity", "Transfer-Encoding:\u{0b}chunked",
        ] {
            let found = problem(start + header + "\r\n\r\n")
            #expect(found == .body || found == .malformed, "\(header)")
        }
        #expect(problem(start + "Content-Length: 0\r\n\r\n") == nil)
    }

    @Test func `the limit is exact`() {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nX: "
        let end = "\r\n\r\n"
        let room = HTTPRequestHead.bytesMax - start.utf8.count - end.utf8.count
        #expect(problem(start + String(repeating: "x", count: room) + end) == nil)
        #expect(problem(start + String(repeating: "x", count: room + 1) + end) == .tooLong)
        #expect(problem(String(repeating: "x", count: HTTPRequestHead.bytesMax - 1)) == .incomplete)
        #expect(problem(String(repeating: "x", count: HTTPRequestHead.bytesMax)) == .tooLong)
    }

    @Test(arguments: [21, 22, 23, 24] as [UInt64])
    func `no bytes trap`(seed: UInt64) {
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let seeds = Array("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".utf8)
        var answered = 0
        for _ in 0..<2_000 {
            var bytes = seeds
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[index] = .random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: index)
                default: bytes.insert(.random(in: 0...255, using: &generator), at: index)
                }
            }
            if let head = try? HTTPRequestHead(bytes), head.path.hasPrefix("/") { answered += 1 }
        }
        #expect(answered > 0)
    }
}

@Suite struct HostPolicyTests {
    @Test func `loopback names and addresses pass with and without a port`() {
        let policy = HostPolicy(boundAddress: "127.0.0.1", extraNames: ["Admin.Example.org"])
        for host in [
            "localhost", "LOCALHOST:9432", "localhost.", "127.0.0.1", "127.9.9.9:80", "[::1]",
            "[::1]:9432", "admin.example.org", "ADMIN.example.ORG:1",
        ] {
            #expect(policy.allows(host), "\(host)")
        }
    }

    @Test func `other names and addresses do not pass`() {
        let policy = HostPolicy(boundAddress: "127.0.0.1", extraNames: [])
        for host in [
            "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::2]",
            "", ":9432", "[::1", "[::1]x", "localhost:x", "localhost:99999", "::1", "2130706433",
            "127.1", "localhost:80:80", "[::ffff:10.0.0.1]",
        ] {
            #expect(!policy.allows(host), "\(host)")
        }
    }

    @Test func `the address that is listened on passes`() {
        #expect(HostPolicy(boundAddress: "10.0.0.1", extraNames: []).allows("10.0.0.1:9432"))
        #expect(!HostPolicy(boundAddress: "10.0.0.1", extraNames: []).allows("10.0.0.2:9432"))
    }

    @Test func `a wildcard lets addresses pass, not names`() {
        let policy = HostPolicy(boundAddress: "0.0.0.0", extraNames: [])
        #expect(policy.allows("10.0.0.2:9432"))
        #expect(policy.allows("[fe80::1]"))
        #expect(!policy.allows("rebound.example"))
    }
}
