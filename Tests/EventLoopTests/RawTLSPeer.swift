import COpenSSL

/// The other end of a TLS session under test: OpenSSL with memory on both sides, and with the calls
/// that `TLSSession` has no need of.
final class RawTLSPeer {
    private let context: OpaquePointer
    private let ssl: OpaquePointer
    private let input: OpaquePointer
    private let output: OpaquePointer

    /// A client, or a server when there is a certificate.
    init?(certificatePath: String? = nil, keyPath: String? = nil, version: Int32 = 0x0304) {
        let isServer = certificatePath != nil
        guard let context = SSL_CTX_new(isServer ? TLS_server_method() : TLS_client_method()),
            let ssl = {
                _ = pgtee_SSL_CTX_set_min_proto_version(context, version)
                _ = pgtee_SSL_CTX_set_max_proto_version(context, version)
                if let certificatePath, let keyPath {
                    SSL_CTX_use_certificate_chain_file(context, certificatePath)
                    SSL_CTX_use_PrivateKey_file(context, keyPath, SSL_FILETYPE_PEM)
                }
                return SSL_new(context)
            }(), let input = BIO_new(BIO_s_mem()), let output = BIO_new(BIO_s_mem())
        else { return nil }
        (self.context, self.ssl, self.input, self.output) = (context, ssl, input, output)
        SSL_set_bio(ssl, input, output)
        if isServer { SSL_set_accept_state(ssl) } else { SSL_set_connect_state(ssl) }
    }

    deinit {
        SSL_free(ssl)
        SSL_CTX_free(context)
    }

    func feed(_ bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        _ = bytes.withUnsafeBytes { BIO_write(input, $0.baseAddress, Int32($0.count)) }
    }

    /// What it wants sent.
    func take() -> [UInt8] {
        var all: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 32_768)
        while true {
            let count = BIO_read(output, &piece, Int32(piece.count))
            if count <= 0 { return all }
            all += piece.prefix(Int(count))
        }
    }

    @discardableResult
    func handshake() -> Bool { SSL_do_handshake(ssl) == 1 }

    func write(_ bytes: [UInt8]) {
        var offset = 0
        while offset < bytes.count {
            let written = bytes.withUnsafeBytes {
                SSL_write(ssl, $0.baseAddress.map { $0 + offset }, Int32(bytes.count - offset))
            }
            if written <= 0 { return }
            offset += Int(written)
        }
    }

    func read() -> [UInt8] {
        var all: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 32_768)
        while true {
            let count = SSL_read(ssl, &piece, Int32(piece.count))
            if count <= 0 { return all }
            all += piece.prefix(Int(count))
        }
    }

    /// New keys for what it sends, and a request for new keys of what it gets.
    func updateKeys() { SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) }

    func close() { SSL_shutdown(ssl) }

    /// Asks for a renegotiation (TLS 1.2).
    func renegotiate() {
        SSL_renegotiate(ssl)
        SSL_do_handshake(ssl)
    }
}
