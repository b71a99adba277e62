internal import COpenSSL
internal import Foundation

/// How a hand-made client does TLS.
package struct WireTLSOptions: Sendable {
    package var serverName: String?
    /// nil: the peer's certificate is not verified.
    package var caPath: String?
    /// The name to be found in the certificate; needs `caPath`.
    package var verifiedName: String?
    package var certificate: TestCertificate?
    package var alpn: [String] = ["postgresql"]
    package var minimumVersion: Int32 = TLS1_2_VERSION
    package var maximumVersion: Int32 = TLS1_3_VERSION

    package init(serverName: String? = nil, caPath: String? = nil) {
        self.serverName = serverName
        self.caPath = caPath
    }
}

/// TLS on a hand-made connection, both sides.
extension WireChannel {
    /// The client's handshake at once; an SSLRequest is the caller's business.
    package func startTLS(_ options: WireTLSOptions = WireTLSOptions()) throws {
        let context = try opened(SSL_CTX_new(TLS_client_method()), "SSL_CTX_new")
        pgtee_SSL_CTX_set_min_proto_version(context, options.minimumVersion)
        pgtee_SSL_CTX_set_max_proto_version(context, options.maximumVersion)
        if let ca = options.caPath {
            guard SSL_CTX_load_verify_locations(context, ca, nil) == 1 else {
                throw OpenSSLFailure(ca)
            }
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        }
        try load(options.certificate, into: context)
        let ssl = try opened(SSL_new(context), "SSL_new")
        if let name = options.serverName { pgtee_SSL_set_tlsext_host_name(ssl, name) }
        if let name = options.verifiedName { SSL_set1_host(ssl, name) }
        let protocols = options.alpn.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        if !protocols.isEmpty { SSL_set_alpn_protos(ssl, protocols, UInt32(protocols.count)) }
        try adopt(ssl: ssl, context: context) { SSL_connect($0) }
    }

    /// The server's handshake, with this certificate.
    package func acceptTLS(_ certificate: TestCertificate) throws {
        let context = try opened(SSL_CTX_new(TLS_server_method()), "SSL_CTX_new")
        try load(certificate, into: context)
        let ssl = try opened(SSL_new(context), "SSL_new")
        try adopt(ssl: ssl, context: context) { SSL_accept($0) }
    }

    /// The common name in the peer's certificate; nil without TLS.
    package var peerCommonName: String? {
        peerCertificate { certificate in
            var text = [CChar](repeating: 0, count: 256)
            let subject = X509_get_subject_name(certificate)
            let count = X509_NAME_get_text_by_NID(subject, NID_commonName, &text, 256)
            guard count >= 0 else { return nil }
            return String(
                decoding: text.prefix(Int(count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    package var peerSerial: Int? {
        peerCertificate { ASN1_INTEGER_get(X509_get0_serialNumber($0)) }
    }

    /// `TLSv1.3`, nil without TLS.
    package var tlsVersion: String? {
        tlsSession.flatMap { SSL_get_version($0) }.map { String(cString: $0) }
    }

    /// The protocol that ALPN agreed on, nil for none.
    package var agreedProtocol: String? {
        guard let tlsSession else { return nil }
        var bytes: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(tlsSession, &bytes, &count)
        guard let bytes, count > 0 else { return nil }
        return String(
            decoding: UnsafeBufferPointer(start: bytes, count: Int(count)), as: UTF8.self)
    }

    /// tls-server-end-point of the peer's certificate for SHA-256 signed ones (RFC 5929).
    package var peerEndPointHash: [UInt8]? {
        peerCertificate { certificate in
            var digest = [UInt8](repeating: 0, count: 64)
            var count: UInt32 = 0
            var digestNID: Int32 = 0
            X509_get_signature_info(certificate, &digestNID, nil, nil, nil)
            let weak = digestNID == NID_md5 || digestNID == NID_sha1
            let kind = weak ? EVP_sha256() : EVP_get_digestbyname(OBJ_nid2sn(digestNID))
            guard let kind, X509_digest(certificate, kind, &digest, &count) == 1 else { return nil }
            return Array(digest.prefix(Int(count)))
        }
    }

    private func peerCertificate<Value>(_ ask: (OpaquePointer) -> Value?) -> Value? {
        guard let tlsSession, let certificate = SSL_get1_peer_certificate(tlsSession) else {
            return nil
        }
        defer { X509_free(certificate) }
        return ask(certificate)
    }

    private func load(_ certificate: TestCertificate?, into context: OpaquePointer) throws {
        guard let certificate else { return }
        guard SSL_CTX_use_certificate_chain_file(context, certificate.certificatePath) == 1,
            SSL_CTX_use_PrivateKey_file(context, certificate.keyPath, SSL_FILETYPE_PEM) == 1
        else { throw OpenSSLFailure(certificate.certificatePath) }
    }
}
