import COpenSSL
import Foundation
import Synchronization
import Testing

@testable import TestSupport

/// S-14: certificates that are wrong in one way each, of clusters and of clients.
extension Live {
    @Suite struct OddCertificateTests {
        private static let limit = Duration.milliseconds(50)
        private static let keys = ReadyKeys()

        /// A certificate and what it must lead to: nil for a login, else a piece of the log's
        /// reason.
        private struct Case {
            let name: String
            let certificate: OddCertificate
            let reason: String?
        }

        /// Certificates for `subject`; `usage` is the right one, `other` the wrong one.
        private static func cases(
            _ authorities: [OddCertificate], _ subject: String, _ usage: String, _ other: String,
            names: Bool
        ) throws -> [Case] {
            let root = [authorities[0]]
            func wish(_ change: (inout OddCertificate.Wish) -> Void = { _ in })
                -> OddCertificate.Wish
            {
                var wish = OddCertificate.Wish(subject)
                wish.usage = usage
                change(&wish)
                return wish
            }
            func one(
                _ name: String, _ reason: String?, _ change: (inout OddCertificate.Wish) -> Void
            ) throws -> Case {
                Case(
                    name: name, certificate: try OddCertificate(wish(change), below: root),
                    reason: reason)
            }
            var impostor = OddCertificate.Wish("no authority")
            impostor.usage = usage
            let pretended = root + [try OddCertificate(impostor, below: root)]
            let nul = Array(subject.utf8) + [0] + Array(".evil.example".utf8)
            let mismatch = names ? "host name" : "certificate"
            return [
                try one("sound", nil) { _ in },
                try one("a NUL in the name", mismatch) { $0.commonNames = [nul] },
                try one("two names, the right one first", nil) {
                    $0.commonNames.append(Array("other".utf8))
                },
                try one("two names, the right one last", mismatch) {
                    $0.commonNames.insert(Array("other".utf8), at: 0)
                },
                Case(
                    name: "below what is no authority",
                    certificate: try OddCertificate(wish(), below: pretended),
                    reason: "invalid CA certificate"),
                try one("expired", "certificate has expired") { $0.valid = -7_200 ..< -3_600 },
                try one("not yet valid", "certificate is not yet valid") {
                    $0.valid = 3_600..<86_400
                },
                try one("for the other side", "certificate purpose") { $0.usage = other },
                try one("200 names", nil) {
                    $0.dnsNames = (0..<199).map { "n\($0).example" } + [subject]
                },
                Case(
                    name: "ten authorities deep",
                    certificate: try OddCertificate(wish(), below: authorities), reason: nil),
                try one("huge", "excessive message size") {
                    $0.dnsNames = (0..<8_000).map { "n\($0).example.example" } + [subject]
                },
            ]
        }

        /// Sound but for keys and digests that nobody should trust any more.
        private static func weak(
            _ authorities: [OddCertificate], _ subject: String, _ usage: String
        ) throws -> [Case] {
            var short = OddCertificate.Wish(subject)
            short.usage = usage
            short.bits = 1_024
            var old = OddCertificate.Wish(subject)
            old.usage = usage
            old.usesSHA1 = true
            let root = [authorities[0]]
            return [
                Case(
                    name: "1,024 bits", certificate: try OddCertificate(short, below: root),
                    reason: "key too"),
                Case(
                    name: "SHA-1", certificate: try OddCertificate(old, below: root),
                    reason: "too weak"),
            ]
        }

        /// The fastest of a few tries, which other work on the machine holds up least, and the
        /// last refusal.
        private func login(_ attempt: () throws -> WireRefusal?) throws
            -> (refusal: WireRefusal?, time: Duration)
        {
            var best = Duration.seconds(60)
            var refusal: WireRefusal?
            for _ in 0..<5 {
                let start = ContinuousClock.now
                refusal = try attempt()
                best = min(best, ContinuousClock.now - start)
                if best < Self.limit { break }
            }
            return (refusal, best)
        }

        @Test func `S-14: a cluster's odd certificate is taken or refused with its reason`()
            throws
        {
            let house = try LiveHouse.open()
            let scratch = try TemporaryDirectory("odd")
            let authorities = try OddCertificate.authorities(9)
            try authorities[0].write(scratch.file("root.crt"))
            let shown = Shown()
            let backend = try EvilBackend { connection in
                guard try connection.readPacket() == WirePacket.sslRequest else { return }
                try connection.channel.send(Array("S".utf8))
                try shown.present(connection.channel, TLS_server_method()) { SSL_accept($0) }
                _ = try connection.readPacket()
                try connection.finishScramLogin()
                connection.holdUntilClosed()
            }
            let list =
                try Self.cases(authorities, "db.acme", "serverAuth", "clientAuth", names: true)
                + Self.weak(authorities, "db.acme", "serverAuth")
            let proxy = try house.ownProxy(
                tenants: list.indices.map { number in
                    TenantDocument(
                        "odd\(number)",
                        backends: [
                            "{name: main, host: 127.0.0.1, port: \(backend.port), tls: {mode:"
                                + " verify-full, name: db.acme, ca: \(scratch.file("root.crt"))}}"
                        ],
                        authentication: [
                            "mode: scram", "verifiers: {remi: \"\(EvilLogin.verifierText)\"}",
                        ])
                })
            for (number, item) in list.enumerated() {
                shown.certificate.withLock { $0 = item.certificate }
                let (refusal, time) = try login {
                    let client = try WireClient(port: proxy.port)
                    return try IntegrationTests.refusal {
                        try client.quickLogin(user: "remi@odd\(number)", Self.keys)
                    }
                }
                #expect((refusal == nil) == (item.reason == nil), "\(item.name): \(refusal as Any)")
                #expect(time < Self.limit, "\(item.name): \(time)")
                guard let reason = item.reason, let refusal else { continue }
                #expect(refusal.sqlState.hasPrefix("08"), "\(item.name): \(refusal)")
                try proxy.waitForLog("odd\(number) ", reason, deadline: .seconds(2))
            }
        }

        @Test func `S-14: a client's odd certificate is taken or refused with its reason`()
            throws
        {
            let house = try LiveHouse.open()
            let scratch = try TemporaryDirectory("odd")
            let authorities = try OddCertificate.authorities(9)
            try authorities[0].write(scratch.file("root.crt"))
            let backend = try EvilBackend { connection in
                _ = try connection.readStartup()
                try connection.finishScramLogin()
                connection.holdUntilClosed()
            }
            let list =
                try Self.cases(authorities, "remi", "clientAuth", "serverAuth", names: false)
                + Self.weak(authorities, "remi", "clientAuth")
            let proxy = try house.ownProxy(
                tenants: list.indices.map { number in
                    backend.tenant(
                        "odd\(number)",
                        extra: [
                            "client_tls: {mode: verify-full,"
                                + " client_ca: \(scratch.file("root.crt"))}"
                        ])
                })
            let cluster = try judge(house, ca: scratch.file("root.crt"))
            for (number, item) in list.enumerated() {
                let direct = try attempt(cluster.port, "remi", item.certificate)
                #expect(
                    (direct == nil) == (item.reason == nil),
                    "PostgreSQL says of \(item.name): \(direct as Any)")
                let (refusal, time) = try login {
                    try attempt(proxy.port, "remi@odd\(number)", item.certificate)
                }
                #expect((refusal == nil) == (item.reason == nil), "\(item.name): \(refusal as Any)")
                #expect(time < Self.limit, "\(item.name): \(time)")
                guard let reason = item.reason, refusal != nil else { continue }
                try proxy.waitForLog(reason, deadline: .seconds(2))
            }
        }

        /// A cluster that demands of clients what pgtee does here.
        private func judge(_ house: LiveHouse, ca: String) throws -> PrivateCluster {
            var options = PrivateCluster.Options(certificate: house.proxyCertificate)
            options.clientCAPath = ca
            options.hba = ["hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-full"]
            let cluster = try PrivateCluster(options)
            try cluster.createRole("remi", password: EvilLogin.verifierText)
            return cluster
        }

        /// A login over TLS with this certificate; why it was refused.
        private func attempt(
            _ port: UInt16, _ user: String, _ certificate: OddCertificate
        ) throws -> WireRefusal? {
            let shown = Shown()
            shown.certificate.withLock { $0 = certificate }
            let client = try WireClient(port: port)
            try client.channel.send(WirePacket.sslRequest)
            _ = try client.channel.receive(1)
            do {
                try shown.present(client.channel, TLS_client_method()) { SSL_connect($0) }
                return try IntegrationTests.refusal {
                    try client.quickLogin(user: user, Self.keys)
                }
            } catch let failure as OpenSSLFailure {
                // Refused within the handshake: an alert, no message of the protocol.
                return Self.alert("\(failure)")
            } catch let failure as EndOfStream {
                return Self.alert("\(failure)")
            }
        }

        private static func alert(_ text: String) -> WireRefusal {
            WireRefusal(message: WireMessage("E", Array("M".utf8) + cString(text) + [0]))
        }
    }
}

/// The certificate that one side of the tests shows.
private final class Shown: Sendable {
    let certificate = Mutex<OddCertificate?>(nil)

    func present(
        _ channel: WireChannel, _ method: OpaquePointer?, _ step: (OpaquePointer) -> Int32
    ) throws {
        guard let certificate = certificate.withLock({ $0 }) else { throw LiveFailure("nothing") }
        let context = try certificate.context(method)
        guard let ssl = SSL_new(context) else { throw LiveFailure("SSL_new") }
        try channel.adopt(ssl: ssl, context: context, step)
    }
}
