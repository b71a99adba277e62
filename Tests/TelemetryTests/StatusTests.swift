import Foundation
import Telemetry
import Testing

@testable import Admin

@Suite struct StatusTests {
    private let document = StatusDocument(sampleStatus(), nowMilliseconds: 1_000_000_090_500)

    @Test func `a document comes back from its JSON`() throws {
        let json = try #require(document.json)
        #expect(StatusDocument(json: json) == document)
        let text = String(decoding: json, as: UTF8.self)
        for key in [
            "uptime_s", "bytes_from_clients", "days_left", "success_age_s", "session_limit",
        ] {
            #expect(text.contains("\"\(key)\""), "\(key)")
        }
    }

    @Test func `what is no document is none`() {
        #expect(StatusDocument(json: Array("{}".utf8)) == nil)
        #expect(StatusDocument(json: []) == nil)
        #expect(StatusDocument(json: [0xff, 0x00]) == nil)
    }

    @Test func `the table shows tenants in aligned columns`() {
        #expect(
            StatusTable.render(document) == """
                pgtee 0.1.0, running, up 1m 30s, 2 workers, 3 sessions
                configuration 3, read without a problem 30s ago
                problem: tenants/x.yaml:3:1: error: unknown key
                certificate /etc/pgtee/proxy.crt: 9 days left

                TENANT  SESSIONS       IN      OUT  LOGINS FAILED  BACKEND
                acme       3/100  1.5 KiB  3.0 GiB              7  blue
                globex         0      0 B      0 B              0  green

                """)
    }

    @Test func `why it is not ready is said`() {
        let text = StatusTable.render(StatusDocument(sampleStatus(phase: .draining)))
        #expect(text.contains("\nnot ready: draining\n"))
    }

    @Test func `a hostile answer can not move the cursor`() {
        var hostile = document
        hostile.version = "\u{1b}[2J\u{202e}"
        hostile.tenants[0].tenant = "a\nb"
        hostile.registry.problems = Array(repeating: "x\ry", count: 50)
        let text = StatusTable.render(hostile)
        #expect(text.utf8.allSatisfy { $0 == 0x0a || ($0 >= 0x20 && $0 < 0x7f) })
        #expect(text.contains("and 30 problems more\n"))
    }

    @Test func `sizes and durations`() {
        #expect(StatusTable.size(1_023) == "1023 B")
        #expect(StatusTable.size(1_024) == "1.0 KiB")
        #expect(StatusTable.size((1 << 20) - 1) == "1023.9 KiB")
        #expect(StatusTable.size(1 << 20) == "1.0 MiB")
        #expect(StatusTable.size(.max) == "15.9 EiB")
        #expect(StatusTable.duration(seconds: 0) == "0s")
        #expect(StatusTable.duration(seconds: 86_400 * 3 + 4) == "3d")
        #expect(StatusTable.duration(seconds: 3_661) == "1h 1m")
        #expect(!StatusTable.duration(seconds: .max).isEmpty)
    }

    @Test func `days left are whole and negative when it has expired`() {
        let now: UInt64 = 1_000_000_000_000
        let cases: [(Int64, Int64)] = [
            (1_000_000_000, 0), (1_000_086_399, 0), (1_000_086_400, 1), (999_999_999, -1),
            (999_913_600, -1), (999_913_599, -2),
        ]
        for (expiry, days) in cases {
            let certificate = CertificateStatus(name: "c", expirySeconds: expiry)
            #expect(certificate.daysLeft(nowMilliseconds: now) == days, "\(expiry)")
        }
        for expiry in [Int64.min, .max] {
            let certificate = CertificateStatus(name: "c", expirySeconds: expiry)
            #expect(abs(certificate.daysLeft(nowMilliseconds: now)) > 1_000_000)
        }
    }
}

@Suite struct AdminClientTests {
    @Test func `addresses are understood`() throws {
        let cases = [
            ("127.0.0.1:1", "127.0.0.1:1"), ("http://localhost:9432/", "localhost:9432"),
            ("db.example.org", "db.example.org:9432"), ("[::1]:80", "[::1]:80"),
            ("http://[::1]", "[::1]:9432"),
        ]
        for (text, address) in cases { #expect(try AdminClient(text).address == address) }
        for text in [
            "", ":1", "a:", "a:0", "a:99999", "[::1", "[::1]x", "::1", "::1:80", "a b",
            "https://a/b", "a/b",
        ] {
            #expect(throws: AdminClientError.addressNotUnderstood(text)) { try AdminClient(text) }
        }
    }

    @Test func `status is had from a server`() throws {
        let server = try AdminServer(address: "127.0.0.1", port: 0, source: { sampleStatus() })
        try #require(server.start())
        defer { server.stop() }
        let client = try AdminClient("localhost:\(server.port)")
        let document = try #require(StatusDocument(json: try client.get("/status")))
        #expect(document.tenants.map(\.tenant) == ["acme", "globex"])
        do {
            _ = try client.get("/nothing")
            Issue.record("404 was taken for an answer")
        } catch {
            #expect(error.message.hasSuffix("HTTP status 404"))
        }
    }

    @Test func `nobody there is said with a hint`() throws {
        let server = try AdminServer(address: "127.0.0.1", port: 0, source: { sampleStatus() })
        let silent = try AdminClient("127.0.0.1:\(server.port)", timeoutMilliseconds: 50)
        #expect(throws: AdminClientError.self) { try silent.get("/status") }
        let refused = try AdminClient("127.0.0.1:1", timeoutMilliseconds: 5_000)
        do {
            _ = try refused.get("/status")
            Issue.record("port 1 answers")
        } catch {
            #expect(error.message == "could not ask pgtee at 127.0.0.1:1: Connection refused")
            #expect(error.hint.contains("--admin"))
        }
    }
}
