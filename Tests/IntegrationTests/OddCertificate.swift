import COpenSSL
import Foundation
import TestSupport

/// A certificate that no honest authority would issue, with its key.
///
/// Immutable after init.
final class OddCertificate: @unchecked Sendable {
    struct Wish {
        /// Each as bytes, so that one may hold a NUL.
        var commonNames: [[UInt8]]
        var dnsNames: [String] = []
        var usage = "serverAuth"
        var isCA = false
        /// nil: an elliptic curve, else RSA of so many bits.
        var bits: Int32?
        var usesSHA1 = false
        /// Seconds from now.
        var valid = -3_600..<86_400

        init(_ commonNames: String...) { self.commonNames = commonNames.map { Array($0.utf8) } }
    }

    let key: OpaquePointer
    let certificate: OpaquePointer
    /// The certificates between this one and the root, the nearest first.
    let chain: [OddCertificate]

    /// Signed by the last of `issuers` (root first); by itself when there is none.
    init(_ wish: Wish, below issuers: [OddCertificate] = []) throws {
        key = try Self.makeKey(wish.bits)
        guard let certificate = X509_new() else { throw LiveFailure("X509_new") }
        self.certificate = certificate
        chain = issuers.dropFirst().reversed()
        X509_set_version(certificate, 2)
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), Int.random(in: 1...1 << 60))
        X509_gmtime_adj(X509_getm_notBefore(certificate), wish.valid.lowerBound)
        X509_gmtime_adj(X509_getm_notAfter(certificate), wish.valid.upperBound)
        X509_set_pubkey(certificate, key)
        for name in wish.commonNames {
            X509_NAME_add_entry_by_txt(
                X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, name, Int32(name.count),
                -1, 0)
        }
        let issuer = issuers.last ?? self
        X509_set_issuer_name(certificate, X509_get_subject_name(issuer.certificate))
        try add(NID_basic_constraints, "critical,CA:\(wish.isCA ? "TRUE" : "FALSE")")
        if wish.isCA {
            try add(NID_key_usage, "critical,keyCertSign")
        } else {
            try add(NID_ext_key_usage, wish.usage)
        }
        if !wish.dnsNames.isEmpty {
            try add(
                NID_subject_alt_name, wish.dnsNames.map { "DNS:\($0)" }.joined(separator: ","))
        }
        guard X509_sign(certificate, issuer.key, wish.usesSHA1 ? EVP_sha1() : EVP_sha256()) > 0
        else { throw LiveFailure("X509_sign") }
    }

    deinit {
        X509_free(certificate)
        EVP_PKEY_free(key)
    }

    /// A root and so many authorities below it, each signed by the one before.
    static func authorities(_ count: Int) throws -> [OddCertificate] {
        var list: [OddCertificate] = []
        for number in 0...count {
            var wish = Wish("authority \(number)")
            wish.isCA = true
            list.append(try OddCertificate(wish, below: list))
        }
        return list
    }

    func write(_ path: String) throws {
        guard let bio = BIO_new_file(path, "w") else { throw LiveFailure(path) }
        defer { BIO_free(bio) }
        guard PEM_write_bio_X509(bio, certificate) == 1 else { throw LiveFailure("PEM") }
    }

    /// A context that shows this certificate however weak it is; `method` says for which side.
    func context(_ method: OpaquePointer?) throws -> OpaquePointer {
        guard let context = SSL_CTX_new(method) else { throw LiveFailure("SSL_CTX_new") }
        SSL_CTX_set_security_level(context, 0)
        guard SSL_CTX_use_certificate(context, certificate) == 1,
            SSL_CTX_use_PrivateKey(context, key) == 1
        else { throw LiveFailure("the certificate can't be used") }
        for link in chain {
            link.join(context)
        }
        return context
    }

    /// Adds this one to the chain that the context sends.
    private func join(_ context: OpaquePointer) {
        // SSL_CTX_add1_chain_cert, which is a macro.
        _ = SSL_CTX_ctrl(
            context, SSL_CTRL_CHAIN_CERT, 1, UnsafeMutableRawPointer(certificate))
    }

    private func add(_ nid: Int32, _ value: String) throws {
        guard let made = X509V3_EXT_nconf_nid(nil, nil, nid, value) else {
            throw LiveFailure(value)
        }
        X509_add_ext(certificate, made, -1)
        X509_EXTENSION_free(made)
    }

    private static func makeKey(_ bits: Int32?) throws -> OpaquePointer {
        guard let context = EVP_PKEY_CTX_new_from_name(nil, bits == nil ? "EC" : "RSA", nil) else {
            throw LiveFailure("EVP_PKEY_CTX_new")
        }
        defer { EVP_PKEY_CTX_free(context) }
        EVP_PKEY_keygen_init(context)
        if let bits {
            EVP_PKEY_CTX_set_rsa_keygen_bits(context, bits)
        } else {
            EVP_PKEY_CTX_set_group_name(context, "prime256v1")
        }
        var key: OpaquePointer?
        guard EVP_PKEY_generate(context, &key) > 0, let key else { throw LiveFailure("key") }
        return key
    }
}
