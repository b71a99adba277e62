internal import COpenSSL

/// A CA that peers' certificates are verified against outside a handshake: a tenant's client CA.
package final class CertificateVerifier: @unchecked Sendable {
    private let store: OpaquePointer
    private static let securityLevel: Int32 = {
        guard let context = SSL_CTX_new(TLS_server_method()) else { return 2 }
        defer { SSL_CTX_free(context) }
        return SSL_CTX_get_security_level(context)
    }()

    package init(caPath: String, crlPath: String?) throws(TLSContextError) {
        guard let store = X509_STORE_new() else { throw TLSContextError("out of memory") }
        self.store = store
        guard X509_STORE_load_file(store, caPath) == 1 else {
            throw TLSContextError("could not load CA file \"\(caPath)\": \(OpenSSLErrors.take())")
        }
        if let crlPath { try Self.addCRL(crlPath, to: store) }
    }

    deinit { X509_STORE_free(store) }

    static func addCRL(_ path: String, to store: OpaquePointer) throws(TLSContextError) {
        guard X509_STORE_load_file(store, path) == 1 else {
            throw TLSContextError("could not load CRL file \"\(path)\": \(OpenSSLErrors.take())")
        }
        X509_STORE_set_flags(store, UInt(X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL))
    }

    /// nil when the client's chain is good; else the reason, for the log.
    package func problem(leaf: OpaquePointer, chain: OpaquePointer?) -> String? {
        guard let context = X509_STORE_CTX_new() else { return "out of memory" }
        defer { X509_STORE_CTX_free(context) }
        guard X509_STORE_CTX_init(context, store, leaf, chain) == 1 else {
            return OpenSSLErrors.take()
        }
        _ = X509_STORE_CTX_set_default(context, "ssl_client")
        // As in a handshake: keys and digests below the system's security level are refused.
        X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(context), Self.securityLevel)
        if X509_verify_cert(context) == 1 { return nil }
        let code = Int(X509_STORE_CTX_get_error(context))
        ERR_clear_error()
        guard let text = X509_verify_cert_error_string(code) else { return "error \(code)" }
        return String(cString: text)
    }
}
