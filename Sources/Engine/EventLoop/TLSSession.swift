internal import COpenSSL

/// What a TLS call ended with.
package enum TLSResult: Equatable {
    /// Bytes read or written; for a handshake: it is complete.
    case done(Int)
    /// All input is consumed; more is needed from the peer.
    case needsInput
    /// The peer has closed the TLS session in order, or its stream ended.
    case closed
    /// The session is unusable; `TLSSession.failure` has the reason for the log.
    case failed
}

/// One TLS session over the worker's pipe.
///
/// - Thread: the worker whose pipe it was made with.
/// - Cost: no system call; whoever calls sends `pipe.output` after every call, since reads, too,
///   may leave alerts and key updates there.
package final class TLSSession {
    private let ssl: OpaquePointer
    private let context: AnyObject
    private let certificates: ClientTLSContexts?
    package private(set) var isEstablished = false
    /// For the log.
    package private(set) var failure = ""

    /// As a server.
    package init?(accepting contexts: ClientTLSContexts, pipe: TLSPipe) {
        guard let ssl = Self.make(contexts.fallback, pipe) else { return nil }
        self.ssl = ssl
        context = contexts
        certificates = contexts
        SSL_set_accept_state(ssl)
        SSL_set_ex_data(ssl, ExData.index, Unmanaged.passUnretained(contexts).toOpaque())
    }

    /// As a client. `name` goes into SNI unless it is an address literal.
    package init?(connecting context: TLSContext, name: String?, pipe: TLSPipe) {
        guard let ssl = Self.make(context, pipe) else { return nil }
        self.ssl = ssl
        self.context = context
        certificates = nil
        SSL_set_connect_state(ssl)
        if let name, !name.isEmpty, SocketAddress(literal: name, port: 0) == nil {
            _ = pgtee_SSL_set_tlsext_host_name(ssl, name)
        }
    }

    deinit { SSL_free(ssl) }

    private static func make(_ context: TLSContext, _ pipe: TLSPipe) -> OpaquePointer? {
        ERR_clear_error()
        guard let ssl = SSL_new(context.pointer) else { return nil }
        guard let bio = pipe.makeBIO() else {
            SSL_free(ssl)
            return nil
        }
        SSL_set_bio(ssl, bio, bio)
        return ssl
    }

    package func handshake() -> TLSResult {
        ERR_clear_error()
        let result = SSL_do_handshake(ssl)
        guard result != 1 else {
            isEstablished = true
            return .done(0)
        }
        return outcome(result)
    }

    /// Decrypts into `target`; `.done(n)` with `n > 0`, or why not.
    package func read(_ target: UnsafeMutableRawPointer, _ capacity: Int) -> TLSResult {
        ERR_clear_error()
        let result = SSL_read(ssl, target, Int32(min(capacity, Int(Int32.max))))
        return result > 0 ? .done(Int(result)) : outcome(result)
    }

    /// Encrypts all of `bytes` in records of at most `recordMax` bytes.
    package func write(_ bytes: UnsafeRawBufferPointer, recordMax: Int) -> TLSResult {
        guard let base = bytes.baseAddress else { return .done(0) }
        var offset = 0
        while offset < bytes.count {
            let piece = min(recordMax, bytes.count - offset)
            ERR_clear_error()
            let result = SSL_write(ssl, base + offset, Int32(piece))
            guard result > 0 else { return outcome(result) }
            offset += Int(result)
        }
        return .done(offset)
    }

    /// Leaves a close_notify in the pipe.
    package func close() {
        guard isEstablished else { return }
        ERR_clear_error()
        SSL_shutdown(ssl)
        ERR_clear_error()
    }

    /// Gives the record buffers back (some 34 KiB); the next record takes new ones.
    package func releaseBuffers() { _ = SSL_free_buffers(ssl) }

    /// Raw SNI name of the client's hello.
    package var serverName: [UInt8]? {
        guard let name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) else { return nil }
        return Array(String(cString: name).utf8)
    }

    package var hasSelectedALPN: Bool {
        var data: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &data, &length)
        return length == 10
    }

    /// `TLSv1.3`.
    package var version: String { String(cString: SSL_get_version(ssl)) }

    /// The certificate that we showed; borrowed (X509 *).
    package var ownCertificate: OpaquePointer? { SSL_get_certificate(ssl) }

    /// Runs `body` with the peer's leaf certificate, if it sent one, and the chain with it.
    package func withPeerCertificate<Result>(
        _ body: (_ leaf: OpaquePointer, _ chain: OpaquePointer?) -> Result
    ) -> Result? {
        guard let leaf = SSL_get1_peer_certificate(ssl) else { return nil }
        defer { X509_free(leaf) }
        return body(leaf, SSL_get_peer_cert_chain(ssl))
    }

    private func outcome(_ result: Int32) -> TLSResult {
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: return .needsInput
        case SSL_ERROR_ZERO_RETURN: return .closed
        default:
            let verification = SSL_get_verify_result(ssl)
            failure = OpenSSLErrors.take()
            if verification != Int(X509_V_OK),
                let text = X509_verify_cert_error_string(verification)
            {
                failure += " (\(String(cString: text)))"
            }
            return .failed
        }
    }
}

/// Where a TLS session finds the certificates of its listener.
private enum ExData {
    static let index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, nil, nil, nil, nil)
}

/// OpenSSL's servername callback: the certificate for the name that the client asks for.
func chooseCertificate(
    _ ssl: OpaquePointer?, _ alert: UnsafeMutablePointer<Int32>?,
    _ argument: UnsafeMutableRawPointer?
) -> Int32 {
    guard let ssl, let name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name),
        let opaque = SSL_get_ex_data(ssl, ExData.index)
    else { return SSL_TLSEXT_ERR_OK }
    let contexts = Unmanaged<ClientTLSContexts>.fromOpaque(opaque).takeUnretainedValue()
    let chosen = contexts.context(for: String(cString: name))
    if chosen !== contexts.fallback { SSL_set_SSL_CTX(ssl, chosen.pointer) }
    return SSL_TLSEXT_ERR_OK
}
