import COpenSSL
import Foundation
import Synchronization
import Testing

@testable import TestSupport

extension Live {
    @Suite struct BackendTLSTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        /// A tenant of the cluster on `port`; all of them are at one address.
        private func tenant(
            _ name: String, port: UInt16, ca: String, _ client: TestCertificate?
        ) -> TenantDocument {
            let own = client.map { ", certificate: \($0.certificatePath), key: \($0.keyPath)" }
            return TenantDocument(
                name,
                backends: [
                    "{name: main, host: 127.0.0.1, port: \(port), tls: {mode: verify-full,"
                        + " ca: \(ca), name: \(name).example\(own ?? "")}}"
                ],
                authentication: [
                    "mode: scram", "verifiers: {remi: \"\(EvilLogin.verifierText)\"}",
                ])
        }

        @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
        func `S-10: tenants at one address share no TLS session, and no tenant resumes its own`(
            version: Int32
        ) throws {
            let (right, wrong) = (
                try TestCertificateAuthority(), try TestCertificateAuthority("wrong")
            )
            let clients = (try right.client("of-left"), try right.client("of-other"))
            let server = try TicketServer(
                try right.server("left.example", "other.example", "strict.example", "bare.example"),
                version: version)
            let port = server.backend.port
            let proxy = try house.ownProxy(tenants: [
                tenant("left", port: port, ca: right.caPath, clients.0),
                tenant("other", port: port, ca: right.caPath, clients.1),
                tenant("bare", port: port, ca: right.caPath, nil),
                tenant("strict", port: port, ca: wrong.caPath, clients.0),
            ])
            var expected: [TicketServer.Hello] = []
            for round in 0..<4 {
                for (name, holder) in [("left", "of-left"), ("other", "of-other"), ("bare", "")] {
                    let client = try house.client("remi@\(name)", proxy: proxy)
                    expected.append(
                        TicketServer.Hello(
                            name: "\(name).example", holder: holder, isReused: false,
                            offers: false))
                    #expect(server.hellos == expected, "round \(round)")
                    try client.send(.terminate)
                    client.channel.close()
                }
                // Its own authority does not know the cluster, whoever trusted it before.
                let error = try refusal { _ = try house.client("remi@strict", proxy: proxy) }
                #expect(error?.sqlState.hasPrefix("08") == true, "\(error as Any)")
                #expect(server.hellos == expected)
            }
            // The cluster does resume the sessions of those who ask for it.
            try server.visitTwice()
            #expect(server.hellos.last?.offers == true && server.hellos.last?.isReused == true)
        }
    }
}

/// A cluster with session cache and tickets, unlike PostgreSQL, that notes what clients offer.
private final class TicketServer: Sendable {
    struct Hello: Equatable {
        let name: String
        /// The common name of the client's certificate.
        let holder: String
        let isReused: Bool
        /// The client showed a ticket, a session's number or a key of before.
        let offers: Bool
    }

    let backend: EvilBackend
    private let context: ServerContext
    private let list: Seen

    private final class Seen: Sendable {
        let hellos = Mutex<[Hello]>([])
    }

    init(_ certificate: TestCertificate, version: Int32) throws {
        let context = try ServerContext(certificate, version: version)
        let list = Seen()
        self.context = context
        self.list = list
        backend = try EvilBackend { connection in
            guard try connection.readPacket() == WirePacket.sslRequest else { return }
            try connection.channel.send(Array("S".utf8))
            let offers = try context.accept(connection.channel)
            guard let ssl = connection.channel.tlsSession else { return }
            let name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)
            let hello = Hello(
                name: name.map { String(cString: $0) } ?? "",
                holder: connection.channel.peerCommonName ?? "",
                isReused: SSL_session_reused(ssl) == 1, offers: offers)
            list.hellos.withLock { $0.append(hello) }
            _ = try connection.readPacket()
            try connection.finishScramLogin()
            connection.holdUntilClosed()
        }
    }

    var hellos: [Hello] { list.hellos.withLock { $0 } }

    /// A client of our own connects twice and resumes.
    func visitTwice() throws {
        guard let client = SSL_CTX_new(TLS_client_method()) else { throw LiveFailure("client") }
        defer { SSL_CTX_free(client) }
        var session: OpaquePointer?
        defer { SSL_SESSION_free(session) }
        for round in 0..<2 {
            let count = hellos.count
            let channel = try WireChannel(port: backend.port)
            try channel.send(WirePacket.sslRequest)
            _ = try channel.receive(1)
            guard let ssl = SSL_new(client) else { throw LiveFailure("SSL_new") }
            if let session { SSL_set_session(ssl, session) }
            SSL_CTX_up_ref(client)
            try channel.adopt(ssl: ssl, context: client) { SSL_connect($0) }
            try channel.send(WirePacket.startup([("user", "remi")]))
            // Tickets of TLS 1.3 come before the first answer.
            _ = try channel.receive(9)
            if round == 0 { session = SSL_get1_session(ssl) }
            SSL_shutdown(ssl)
            channel.close()
            try waitUntil("the visit is noted") { hellos.count == count + 1 }
        }
    }
}

/// One SSL_CTX for all connections, so that any may resume any.
private final class ServerContext: @unchecked Sendable {
    private let context: OpaquePointer

    init(_ certificate: TestCertificate, version: Int32) throws {
        guard let context = SSL_CTX_new(TLS_server_method()) else { throw LiveFailure("server") }
        self.context = context
        pgtee_SSL_CTX_set_min_proto_version(context, version)
        pgtee_SSL_CTX_set_max_proto_version(context, version)
        guard SSL_CTX_use_certificate_chain_file(context, certificate.certificatePath) == 1,
            SSL_CTX_use_PrivateKey_file(context, certificate.keyPath, SSL_FILETYPE_PEM) == 1
        else { throw LiveFailure(certificate.certificatePath) }
        // Session numbers alone would do for TLS 1.2; tickets are on as OpenSSL has them.
        SSL_CTX_set_session_id_context(context, [1], 1)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        SSL_CTX_set_cert_verify_callback(context, { _, _ in 1 }, nil)
        SSL_CTX_set_client_hello_cb(
            context,
            { ssl, _, _ in
                if offersResumption(ssl) { SSL_set_ex_data(ssl, 0, offered) }
                return SSL_CLIENT_HELLO_SUCCESS
            }, nil)
    }

    deinit { SSL_CTX_free(context) }

    /// The handshake; whether the client offered to resume anything.
    func accept(_ channel: WireChannel) throws -> Bool {
        guard let ssl = SSL_new(context) else { throw LiveFailure("SSL_new") }
        SSL_CTX_up_ref(context)
        try channel.adopt(ssl: ssl, context: context) { SSL_accept($0) }
        return SSL_get_ex_data(ssl, 0) != nil
    }
}

/// A mark, never looked behind.
private nonisolated(unsafe) let offered = UnsafeMutableRawPointer(bitPattern: 16)

/// Keys (41) and tickets (35) with something in them; before TLS 1.3 a session's number, too,
/// which is a mere token of compatibility there (RFC 8446, 4.1.2).
private func offersResumption(_ ssl: OpaquePointer?) -> Bool {
    var bytes: UnsafePointer<UInt8>?
    var count = 0
    for kind: UInt32 in [35, 41]
    where SSL_client_hello_get0_ext(ssl, kind, &bytes, &count) == 1 && count > 0 {
        return true
    }
    let speaksThree = SSL_client_hello_get0_ext(ssl, 43, &bytes, &count) == 1
    return !speaksThree && SSL_client_hello_get0_session_id(ssl, &bytes) > 0
}
