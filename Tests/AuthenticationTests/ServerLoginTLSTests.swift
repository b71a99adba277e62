import Authentication
import PostgresProtocol
import Tenancy
import Testing

@testable import ServerLogin

/// Which way a login takes: libpq's sslmode words.
struct ServerLoginTLSTests {
    @Test(arguments: ServerTLSMode.allCases)
    func `a unix socket never uses TLS`(mode: ServerTLSMode) {
        var script = ServerScript(mode, isUnix: true)
        script.connect()
        #expect(script.takeLog() == "startup")
    }

    @Test(arguments: [
        (ServerTLSMode.disable, "startup"), (.allow, "startup"), (.prefer, "SSLRequest"),
        (.require, "SSLRequest"), (.verifyCA, "SSLRequest"), (.verifyFull, "SSLRequest"),
    ])
    func `a login begins as its mode says`(mode: ServerTLSMode, expected: String) {
        var script = ServerScript(mode)
        script.connect()
        #expect(script.takeLog() == expected)
    }

    @Test(arguments: [ServerTLSMode.require, .verifyCA, .verifyFull])
    func `without TLS nothing but the request is sent where TLS is required`(mode: ServerTLSMode) {
        var script = ServerScript(mode)
        script.connect()
        script.receive("N")
        #expect(script.takeLog() == "SSLRequest tlsRefused")
        #expect(script.sent == [[0, 0, 0, 8, 4, 210, 22, 47]])
    }

    @Test func `prefer goes on without TLS on the same connection`() {
        var script = ServerScript(.prefer)
        script.connect()
        script.receive("N")
        #expect(script.takeLog() == "SSLRequest startup")
        script.receive(.error("28000"))
        #expect(script.takeLog() == "28000")
    }

    @Test func `prefer takes a new connection after a failed handshake`() {
        var script = ServerScript(.prefer)
        script.connect()
        script.receive("S")
        script.failTLS()
        script.connect()
        #expect(script.takeLog() == "SSLRequest startTLS reconnect startup")
        script.receive(.error("28000"))
        #expect(script.takeLog() == "28000")
    }

    @Test func `prefer takes a new connection after a refusal in TLS`() {
        var script = ServerScript(.prefer)
        script.connect()
        script.receive("S")
        script.establish()
        script.receive(.error("28000"))
        script.connect()
        #expect(script.takeLog() == "SSLRequest startTLS startup reconnect startup")
        script.receive(.ok, .key, .ready)
        #expect(script.takeLog() == "ready")
    }

    @Test func `allow tries TLS after a refusal, and reports it when there is no TLS`() {
        for answer in ["S", "N"] {
            var script = ServerScript(.allow)
            script.connect()
            script.receive(.error("28000"))
            script.connect()
            script.receive(answer)
            if answer == "S" { script.failTLS() }
            let handshake = answer == "S" ? "startTLS " : ""
            #expect(script.takeLog() == "startup reconnect SSLRequest \(handshake)28000")
        }
    }

    @Test(arguments: [ServerTLSMode.require, .verifyCA, .verifyFull])
    func `a failed handshake ends the login where TLS is required`(mode: ServerTLSMode) {
        var script = ServerScript(mode)
        script.connect()
        script.receive("S")
        script.failTLS()
        #expect(script.takeLog() == "SSLRequest startTLS tlsFailed")
    }

    @Test(arguments: ["allow", "prefer"])
    func `once the cluster has asked for a password the way stays`(mode: String) {
        for credential in [ServerLoginOptions.Credential.password([1]), .relay] {
            var script = ServerScript(ServerTLSMode(rawValue: mode) ?? .disable, credential)
            script.connect()
            if mode == "prefer" {
                script.receive("S")
                script.establish()
            }
            script.receive(.sasl("SCRAM-SHA-256"))
            _ = script.takeLog()
            script.receive(.error("28P01"))
            #expect(script.takeLog() == "28P01")
        }
    }

    @Test(arguments: [
        "SS", "SR", "S\u{16}", "NE", "NN", "G", "R", "\u{0}", "E", "EFATAL: no\n\u{0}",
    ])
    func `any other answer to SSLRequest than one byte is refused, and its text never kept`(
        answer: String
    ) {
        for mode in [ServerTLSMode.prefer, .require] {
            var script = ServerScript(mode)
            script.connect()
            script.receive(answer)
            #expect(script.takeLog() == "SSLRequest tlsRefused")
            #expect(script.failure?.logText.contains("FATAL") == false)
            script.receive(.ok, .ready)
            #expect(script.takeLog() == "")
        }
    }

    @Test func `direct TLS begins with the handshake and needs ALPN`() {
        for hasALPN in [true, false] {
            var script = ServerScript(.verifyFull) { $0.tls.negotiation = .direct }
            script.connect()
            script.establish(hasALPN: hasALPN)
            #expect(script.takeLog() == "startTLS " + (hasALPN ? "startup" : "tlsRefused"))
        }
    }

    @Test func `a cancel request is sent where the startup packet would be`() {
        let request = CancelRequest(processID: 7, secret: [1, 2, 3, 4])
        var plain = ServerScript { $0.purpose = .cancel(request) }
        plain.connect()
        plain.receive(.ok)
        #expect(plain.takeLog() == "cancel")
        var encrypted = ServerScript(.require) { $0.purpose = .cancel(request) }
        encrypted.connect()
        encrypted.receive("S")
        encrypted.establish()
        #expect(encrypted.takeLog() == "SSLRequest startTLS cancel")
    }
}
