internal import COpenSSL
internal import Foundation
internal import Synchronization

/// One certificate and its key in OpenSSL's memory.
///
/// Immutable after init, and OpenSSL's objects may be read by several threads.
final class CertificateMaker: @unchecked Sendable {
    let serial: Int
    private let key: OpaquePointer
    private let certificate: OpaquePointer
    private let usesPSS: Bool

    /// Signed by `issuer`, or by itself when that is nil.
    init(_ request: CertificateRequest, issuer: CertificateMaker?) throws {
        serial = Self.nextSerial()
        key = try Self.makeKey(request.key)
        certificate = try opened(X509_new(), "X509_new")
        usesPSS = request.key == .rsaPSS
        X509_set_version(certificate, 2)
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial)
        X509_gmtime_adj(X509_getm_notBefore(certificate), request.validFrom)
        X509_gmtime_adj(X509_getm_notAfter(certificate), request.validUntil)
        X509_set_pubkey(certificate, key)
        let subject = X509_get_subject_name(certificate)
        let name = Array(request.commonName.utf8)
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, name, Int32(name.count), -1, 0)
        let above = issuer?.certificate ?? certificate
        X509_set_issuer_name(certificate, X509_get_subject_name(above))
        for (nid, value) in Self.extensions(request) { try add(nid, value, issuer: above) }
        try sign(request, with: issuer ?? self)
    }

    deinit {
        X509_free(certificate)
        EVP_PKEY_free(key)
    }

    func certificatePEM() throws -> String {
        try pem { PEM_write_bio_X509($0, certificate) }
    }

    func keyPEM() throws -> String {
        try pem { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) }
    }

    /// A CRL of this CA, valid for a month.
    func revocationList(serials: [Int]) throws -> String {
        let list = try opened(X509_CRL_new(), "X509_CRL_new")
        defer { X509_CRL_free(list) }
        X509_CRL_set_version(list, 1)
        X509_CRL_set_issuer_name(list, X509_get_subject_name(certificate))
        let now = X509_gmtime_adj(nil, -60)
        let later = X509_gmtime_adj(nil, 30 * 86_400)
        defer {
            ASN1_STRING_free(now)
            ASN1_STRING_free(later)
        }
        X509_CRL_set1_lastUpdate(list, now)
        X509_CRL_set1_nextUpdate(list, later)
        for serial in serials {
            let entry = X509_REVOKED_new()
            let number = ASN1_INTEGER_new()
            ASN1_INTEGER_set(number, serial)
            X509_REVOKED_set_serialNumber(entry, number)
            X509_REVOKED_set_revocationDate(entry, now)
            X509_CRL_add0_revoked(list, entry)
            ASN1_INTEGER_free(number)
        }
        X509_CRL_sort(list)
        guard X509_CRL_sign(list, key, EVP_sha256()) > 0 else { throw OpenSSLFailure("CRL sign") }
        return try pem { PEM_write_bio_X509_CRL($0, list) }
    }

    /// The serial number of the first certificate in a file.
    static func serial(ofPEM path: String) throws -> Int {
        let bio = try opened(BIO_new_file(path, "r"), path)
        defer { BIO_free(bio) }
        let certificate = try opened(PEM_read_bio_X509(bio, nil, nil, nil), path)
        defer { X509_free(certificate) }
        return ASN1_INTEGER_get(X509_get0_serialNumber(certificate))
    }

    private static let serials = Mutex(Int.random(in: 1...1 << 40) << 20)

    private static func nextSerial() -> Int {
        serials.withLock { serial in
            serial += 1
            return serial
        }
    }

    private static func makeKey(_ kind: CertificateRequest.Key) throws -> OpaquePointer {
        let algorithm: String
        switch kind {
        case .p256, .p384: algorithm = "EC"
        case .rsa2048, .rsaPSS: algorithm = "RSA"
        case .ed25519: algorithm = "ED25519"
        }
        let context = try opened(EVP_PKEY_CTX_new_from_name(nil, algorithm, nil), algorithm)
        defer { EVP_PKEY_CTX_free(context) }
        EVP_PKEY_keygen_init(context)
        switch kind {
        case .p256: EVP_PKEY_CTX_set_group_name(context, "prime256v1")
        case .p384: EVP_PKEY_CTX_set_group_name(context, "secp384r1")
        case .rsa2048, .rsaPSS: EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2_048)
        case .ed25519: break
        }
        var key: OpaquePointer?
        guard EVP_PKEY_generate(context, &key) > 0, let key else { throw OpenSSLFailure("keygen") }
        return key
    }

    private static func extensions(_ request: CertificateRequest) -> [(Int32, String)] {
        var list = [
            (NID_basic_constraints, request.isCA ? "critical,CA:TRUE" : "critical,CA:FALSE"),
            (NID_subject_key_identifier, "hash"),
        ]
        if request.isCA { list.append((NID_key_usage, "critical,keyCertSign,cRLSign")) }
        switch request.usage {
        case .server: list.append((NID_ext_key_usage, "serverAuth"))
        case .client: list.append((NID_ext_key_usage, "clientAuth"))
        case .both: list.append((NID_ext_key_usage, "serverAuth,clientAuth"))
        case .codeSigning: list.append((NID_ext_key_usage, "codeSigning"))
        case .none: break
        }
        let names =
            request.dnsNames.map { "DNS:\($0)" } + request.ipAddresses.map { "IP:\($0)" }
        if !names.isEmpty { list.append((NID_subject_alt_name, names.joined(separator: ","))) }
        return list
    }

    private func add(_ nid: Int32, _ value: String, issuer: OpaquePointer) throws {
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, issuer, certificate, nil, nil, 0)
        let made = try opened(X509V3_EXT_nconf_nid(nil, &context, nid, value), value)
        X509_add_ext(certificate, made, -1)
        X509_EXTENSION_free(made)
    }

    private func sign(_ request: CertificateRequest, with issuer: CertificateMaker) throws {
        var digest: OpaquePointer?
        switch request.digest {
        case .sha1: digest = EVP_sha1()
        case .sha256: digest = EVP_sha256()
        case .sha384: digest = EVP_sha384()
        case .sha512: digest = EVP_sha512()
        }
        // Ed25519 brings its own digest.
        if EVP_PKEY_get_base_id(issuer.key) == EVP_PKEY_ED25519 { digest = nil }
        let context = try opened(EVP_MD_CTX_new(), "EVP_MD_CTX_new")
        defer { EVP_MD_CTX_free(context) }
        var keyContext: OpaquePointer?
        EVP_DigestSignInit(context, &keyContext, digest, nil, issuer.key)
        if usesPSS { EVP_PKEY_CTX_set_rsa_padding(keyContext, RSA_PKCS1_PSS_PADDING) }
        guard X509_sign_ctx(certificate, context) > 0 else { throw OpenSSLFailure("X509_sign") }
    }
}

/// OpenSSL's own words for what went wrong.
package struct OpenSSLFailure: Error, CustomStringConvertible {
    package let description: String

    init(_ what: String) {
        var texts: [String] = []
        while case let code = ERR_get_error(), code != 0 {
            var buffer = [CChar](repeating: 0, count: 256)
            ERR_error_string_n(code, &buffer, buffer.count)
            let text = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            texts.append(String(decoding: text, as: UTF8.self))
        }
        description = "\(what): \(texts.isEmpty ? "no reason" : texts.joined(separator: "; "))"
    }
}

func opened<Pointer>(_ pointer: Pointer?, _ what: String) throws -> Pointer {
    guard let pointer else { throw OpenSSLFailure(what) }
    return pointer
}

private func pem(_ write: (OpaquePointer) -> Int32) throws -> String {
    let bio = try opened(BIO_new(BIO_s_mem()), "BIO_new")
    defer { BIO_free(bio) }
    guard write(bio) == 1 else { throw OpenSSLFailure("PEM") }
    var bytes = [UInt8](repeating: 0, count: 64 * 1024)
    let count = BIO_read(bio, &bytes, Int32(bytes.count))
    return String(decoding: bytes.prefix(max(0, Int(count))), as: UTF8.self)
}
