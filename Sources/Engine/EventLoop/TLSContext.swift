internal import COpenSSL
internal import Glibc

/// Why a TLS context could not be made. The text names the file and is for the log and the
/// configuration's author.
package struct TLSContextError: Error, Sendable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

/// An SSL_CTX with what PostgreSQL sets on its own: TLS 1.2 or later, no tickets, no session cache,
/// no renegotiation, no compression (manual: ssl-tcp; be-secure-openssl.c).
///
/// - Thread: made by the control part, then only read; freed when the last session lets go.
package final class TLSContext: @unchecked Sendable {
    let pointer: OpaquePointer
    package let isServer: Bool

    /// A context for our side as a server.
    ///
    /// - Parameter asksForCertificate: request a client certificate; it is kept, and verified after
    ///   routing (`CertificateVerifier`), since only then the tenant's CA is known.
    package init(
        serverCertificatePath: String, keyPath: String, minimumVersion: Int32,
        maximumVersion: Int32, asksForCertificate: Bool
    ) throws(TLSContextError) {
        isServer = true
        pointer = try Self.make(TLS_server_method(), minimumVersion, maximumVersion)
        try load(certificatePath: serverCertificatePath, keyPath: keyPath)
        if asksForCertificate {
            SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
            // Possession of the key is proven by the handshake; the chain is checked after routing.
            SSL_CTX_set_cert_verify_callback(pointer, { _, _ in 1 }, nil)
        }
        SSL_CTX_set_alpn_select_cb(pointer, selectALPN, nil)
    }

    /// A context for our side as a client.
    ///
    /// - Parameter verifiesChain: the server's chain must lead to `caPath`.
    package init(
        caPath: String?, crlPath: String?, verifiesChain: Bool, certificatePath: String?,
        keyPath: String?, minimumVersion: Int32
    ) throws(TLSContextError) {
        isServer = false
        pointer = try Self.make(TLS_client_method(), minimumVersion, 0)
        if let certificatePath, let keyPath {
            try load(certificatePath: certificatePath, keyPath: keyPath)
        }
        if verifiesChain {
            guard let caPath else { throw TLSContextError("no CA file is configured") }
            guard SSL_CTX_load_verify_locations(pointer, caPath, nil) == 1 else {
                throw TLSContextError(
                    "could not load CA file \"\(caPath)\": \(OpenSSLErrors.take())")
            }
            if let crlPath, let store = SSL_CTX_get_cert_store(pointer) {
                try CertificateVerifier.addCRL(crlPath, to: store)
            }
            SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
        } else {
            SSL_CTX_set_verify(pointer, SSL_VERIFY_NONE, nil)
        }
        guard SSL_CTX_set_alpn_protos(pointer, ALPN.wire, UInt32(ALPN.wire.count)) == 0 else {
            throw TLSContextError("could not set ALPN: \(OpenSSLErrors.take())")
        }
    }

    deinit { SSL_CTX_free(pointer) }

    /// DER serial of the certificate, hexadecimal; empty when there is none.
    package var certificateSerial: String {
        guard let certificate = SSL_CTX_get0_certificate(pointer) else { return "" }
        return Certificate.serial(certificate)
    }

    /// Seconds until the certificate expires, negative when it has; nil without certificate.
    package var certificateSecondsLeft: Int? {
        guard let certificate = SSL_CTX_get0_certificate(pointer) else { return nil }
        return Certificate.secondsLeft(certificate)
    }

    private static func make(
        _ method: OpaquePointer?, _ minimum: Int32, _ maximum: Int32
    ) throws(TLSContextError) -> OpaquePointer {
        guard let context = SSL_CTX_new(method) else {
            throw TLSContextError("could not make a TLS context: \(OpenSSLErrors.take())")
        }
        SSL_CTX_set_options(context, UInt64(pgtee_SSL_OP_base()))
        _ = SSL_CTX_set_num_tickets(context, 0)
        _ = pgtee_SSL_CTX_set_session_cache_mode(context, Int(SSL_SESS_CACHE_OFF))
        _ = pgtee_SSL_CTX_set_min_proto_version(context, minimum)
        _ = pgtee_SSL_CTX_set_max_proto_version(context, maximum)
        _ = pgtee_SSL_CTX_set_mode(
            context,
            Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE))
        SSL_CTX_set_default_passwd_cb(context) { _, _, _, _ in 0 }
        return context
    }

    private func load(certificatePath: String, keyPath: String) throws(TLSContextError) {
        guard SSL_CTX_use_certificate_chain_file(pointer, certificatePath) == 1 else {
            throw TLSContextError(
                "could not load certificate file \"\(certificatePath)\": \(OpenSSLErrors.take())")
        }
        guard SSL_CTX_use_PrivateKey_file(pointer, keyPath, SSL_FILETYPE_PEM) == 1 else {
            throw TLSContextError(
                "could not load private key file \"\(keyPath)\": \(OpenSSLErrors.take())")
        }
        guard SSL_CTX_check_private_key(pointer) == 1 else {
            throw TLSContextError(
                "private key file \"\(keyPath)\" does not match certificate file "
                    + "\"\(certificatePath)\": \(OpenSSLErrors.take())")
        }
    }
}

/// The certificates of a listener by SNI name, with the default one.
package final class ClientTLSContexts: @unchecked Sendable {
    package let fallback: TLSContext
    private let exact: [String: TLSContext]
    private let wildcard: [String: TLSContext]

    /// Names are lower case; `*.domain` stands for one label before `.domain`.
    package init(fallback: TLSContext, named: [(names: [String], context: TLSContext)]) {
        self.fallback = fallback
        var exact: [String: TLSContext] = [:]
        var wildcard: [String: TLSContext] = [:]
        for (names, context) in named {
            for name in names {
                if name.hasPrefix("*.") {
                    wildcard[String(name.dropFirst(2))] = context
                } else {
                    exact[name] = context
                }
            }
        }
        self.exact = exact
        self.wildcard = wildcard
        pgtee_SSL_CTX_set_servername_callback(fallback.pointer, chooseCertificate)
    }

    package var all: [TLSContext] { [fallback] + exact.values + wildcard.values }

    func context(for name: String) -> TLSContext {
        var name = name.lowercased()
        if name.hasSuffix(".") { name.removeLast() }
        if let context = exact[name] { return context }
        if let dot = name.firstIndex(of: "."),
            let context = wildcard[String(name[name.index(after: dot)...])]
        {
            return context
        }
        return fallback
    }
}

enum ALPN {
    /// One protocol name, "postgresql", with its length in front (manual: protocol-flow, ALPN).
    static let wire: [UInt8] = [10] + Array("postgresql".utf8)
}

/// As PostgreSQL: a client that offers protocols must offer ours; one that offers none is let in.
private func selectALPN(
    _ ssl: OpaquePointer?, _ out: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    _ outLength: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?,
    _ offeredLength: UInt32, _ argument: UnsafeMutableRawPointer?
) -> Int32 {
    guard let offered, let out, let outLength else { return SSL_TLSEXT_ERR_ALERT_FATAL }
    let names = UnsafeBufferPointer(start: offered, count: Int(offeredLength))
    var position = 0
    while position < names.count {
        let length = Int(names[position])
        let end = position + 1 + length
        guard end <= names.count else { break }
        if length == 10, names[position..<end].elementsEqual(ALPN.wire) {
            out.pointee = offered + position + 1
            outLength.pointee = 10
            return SSL_TLSEXT_ERR_OK
        }
        position = end
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL
}

/// This thread's OpenSSL error queue as one text, which is emptied.
package enum OpenSSLErrors {
    package static func take() -> String {
        var text = ""
        while true {
            let code = ERR_get_error()
            if code == 0 { break }
            guard text.isEmpty else { continue }
            if let reason = ERR_reason_error_string(code) {
                text = String(cString: reason)
            } else {
                text = "error \(code)"
            }
        }
        return text.isEmpty ? "no reason given" : text
    }
}
