import Foundation
import Glibc
import Synchronization
import Telemetry
import Testing

@testable import Admin

/// A connection to the admin server that sends what it is told.
private final class RawClient {
    private let descriptor: Int32

    init(port: UInt16) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let code = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(code == 0)
        var time = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// False when the peer has closed.
    @discardableResult
    func write(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }

    /// Everything up to the end of the stream.
    func answer() -> String {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count <= 0 { return String(decoding: all, as: UTF8.self) }
            all += buffer.prefix(count)
        }
    }
}

private func makeServer(
    _ status: ServiceStatus = sampleStatus(), limits: AdminLimits = AdminLimits(),
    hostNames: [String] = []
) throws -> AdminServer {
    let server = try AdminServer(
        address: "127.0.0.1", port: 0, hostNames: hostNames, limits: limits, source: { status })
    try #require(server.start())
    return server
}

private func ask(_ server: AdminServer, _ request: String) throws -> String {
    let client = try RawClient(port: server.port)
    client.write(request)
    return client.answer()
}

private func get(_ server: AdminServer, _ path: String) throws -> String {
    try ask(server, "GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

@Suite struct AdminServerTests {
    @Test func `each path answers`() throws {
        let server = try makeServer()
        defer { server.stop() }
        #expect(try get(server, "/healthz").hasSuffix("\r\n\r\nok\n"))
        #expect(try get(server, "/readyz").hasPrefix("HTTP/1.1 200 OK\r\n"))
        let metrics = try get(server, "/metrics")
        #expect(metrics.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"))
        #expect(metrics.contains("\npgtee_tenant_sessions{tenant=\"acme\"} 3\n"))
        let status = try get(server, "/status?pretty")
        #expect(status.contains("Content-Type: application/json\r\n"))
        #expect(status.contains("\"tenant\" : \"acme\""))
        #expect(try get(server, "/").contains("/metrics"))
        #expect(try get(server, "/nothing").hasPrefix("HTTP/1.1 404 "))
        #expect(try get(server, "/healthz/../status").hasPrefix("HTTP/1.1 404 "))
    }

    @Test func `readyz says why not`() throws {
        let cases: [(ServicePhase, UInt64, String)] = [
            (.starting, 0, "starting"), (.draining, 3, "draining"),
            (.running, 0, "no good configuration yet"),
        ]
        for (phase, generation, reason) in cases {
            let server = try makeServer(sampleStatus(phase: phase, generation: generation))
            let answer = try get(server, "/readyz")
            #expect(answer.hasPrefix("HTTP/1.1 503 "))
            #expect(answer.hasSuffix("\r\n\r\n\(reason)\n"))
            #expect(try get(server, "/healthz").hasPrefix("HTTP/1.1 200 "))
            server.stop()
        }
    }

    @Test func `a rebound name is refused and a configured one is not`() throws {
        let server = try makeServer(hostNames: ["pgtee.internal"])
        defer { server.stop() }
        let evil = try ask(server, "GET /status HTTP/1.1\r\nHost: evil.example:9432\r\n\r\n")
        #expect(evil.hasPrefix("HTTP/1.1 403 "))
        #expect(!evil.contains("acme"))
        let good = try ask(server, "GET /status HTTP/1.1\r\nHost: pgtee.internal\r\n\r\n")
        #expect(good.hasPrefix("HTTP/1.1 200 "))
    }

    @Test func `only GET is answered`() throws {
        let server = try makeServer()
        defer { server.stop() }
        for method in ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "get"] {
            let answer = try ask(server, "\(method) /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 405 "))
            #expect(answer.contains("\r\nAllow: GET\r\n"))
        }
        let chunked =
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        #expect(try ask(server, chunked).hasPrefix("HTTP/1.1 413 "))
        #expect(try ask(server, "hello\r\n\r\n").hasPrefix("HTTP/1.1 400 "))
        #expect(try ask(server, "GET / HTTP/2.0\r\nHost: a\r\n\r\n").hasPrefix("HTTP/1.1 505 "))
    }

    @Test func `a request in single bytes is answered once, and what follows it is not`() throws {
        let server = try makeServer()
        defer { server.stop() }
        let client = try RawClient(port: server.port)
        let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for byte in request.unicodeScalars { client.write(String(byte)) }
        client.write("GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        let answer = client.answer()
        #expect(answer.components(separatedBy: "HTTP/1.1 ").count == 2)
        #expect(answer.hasSuffix("ok\n"))
    }

    @Test func `an endless header ends and costs no memory`() throws {
        let server = try makeServer()
        defer { server.stop() }
        let before = try #require(ProcessUsage.read().residentBytes)
        let client = try RawClient(port: server.port)
        client.write("GET / HTTP/1.1\r\nX: ")
        let piece = String(repeating: "x", count: 65_536)
        var sent = 0
        while sent < 512, client.write(piece) { sent += 1 }
        #expect(client.answer().hasPrefix("HTTP/1.1 431 "))
        let after = try #require(ProcessUsage.read().residentBytes)
        #expect(after < before + (24 << 20))
        #expect(try get(server, "/healthz").hasSuffix("ok\n"))
    }

    @Test func `a client that says nothing is closed at the deadline`() throws {
        var limits = AdminLimits()
        limits.connectionMilliseconds = 50
        let server = try makeServer(limits: limits)
        defer { server.stop() }
        let client = try RawClient(port: server.port)
        client.write("GET / HT")
        #expect(client.answer().isEmpty)
    }

    @Test func `more connections than allowed are closed at once`() throws {
        var limits = AdminLimits()
        limits.connections = 2
        let server = try makeServer(limits: limits)
        defer { server.stop() }
        var held = [try RawClient(port: server.port), try RawClient(port: server.port)]
        let third = try RawClient(port: server.port)
        #expect(third.answer().isEmpty)
        held.removeAll()
        // Both places become free as soon as the server has seen the ends.
        let deadline = ContinuousClock.now + .seconds(10)
        var answer = ""
        while answer.isEmpty, ContinuousClock.now < deadline {
            answer = try get(server, "/healthz")
        }
        #expect(answer.hasSuffix("ok\n"))
    }

    @Test func `a client that does not read holds up nobody`() throws {
        var status = sampleStatus()
        status.tenants = (0..<20_000).map {
            TenantStatus(name: "tenant\($0)", backend: "b", counters: [])
        }
        let server = try makeServer(status)
        defer { server.stop() }
        let sleeper = try RawClient(port: server.port)
        sleeper.write("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        #expect(try get(server, "/healthz").hasSuffix("ok\n"))
        #expect(sleeper.answer().contains("tenant19999"))
    }

    @Test func `the source is asked for each request`() throws {
        let count = Mutex(0)
        let server = try AdminServer(address: "localhost", port: 0) {
            count.withLock { $0 += 1 }
            return sampleStatus()
        }
        try #require(server.start())
        defer { server.stop() }
        _ = try get(server, "/status")
        _ = try get(server, "/metrics")
        #expect(count.withLock { $0 } == 2)
    }

    @Test func `an address in use is a clear error`() throws {
        let server = try makeServer()
        defer { server.stop() }
        do throws(AdminServerError) {
            _ = try AdminServer(address: "127.0.0.1", port: server.port, source: { sampleStatus() })
            Issue.record("two servers listen on one port")
        } catch {
            #expect(
                error == .cannotListen(address: "127.0.0.1", port: server.port, errno: EADDRINUSE))
            #expect(error.message.contains("127.0.0.1:\(server.port): Address already in use"))
            #expect(error.hint.contains("admin port of its own"))
        }
    }

    @Test func `an address that is none is a clear error`() {
        for address in ["example.org", "", "1.2.3", "[::1", "/run/x"] {
            #expect(throws: AdminServerError.addressNotUnderstood(address)) {
                try AdminServer(address: address, port: 0, source: { sampleStatus() })
            }
        }
    }

    @Test func `IPv6 works`() throws {
        let server = try AdminServer(address: "[::1]", port: 0, source: { sampleStatus() })
        try #require(server.start())
        defer { server.stop() }
        let body = try AdminClient("[::1]:\(server.port)").get("/healthz")
        #expect(String(decoding: body, as: UTF8.self) == "ok\n")
    }

    @Test func `a stopped server gives its port back`() throws {
        var server: AdminServer? = try makeServer()
        let port = try #require(server?.port)
        server?.stop()
        server = nil
        let second = try AdminServer(address: "127.0.0.1", port: port, source: { sampleStatus() })
        #expect(second.port == port)
    }
}
