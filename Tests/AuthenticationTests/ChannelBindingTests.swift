import COpenSSL
import Testing

@testable import Authentication

/// The hash of a certificate by the algorithm of its signature (RFC 5929), for certificates that
/// are made here.
struct ChannelBindingTests {
    private final class MadeCertificate {
        let pointer: OpaquePointer

        /// Self-signed; `digest` nil for keys that hash by themselves.
        init?(_ key: OpaquePointer?, _ digest: OpaquePointer?, usesPSS: Bool = false) {
            guard let key, let certificate = X509_new(), let context = EVP_MD_CTX_new() else {
                return nil
            }
            defer {
                EVP_PKEY_free(key)
                EVP_MD_CTX_free(context)
            }
            pointer = certificate
            ASN1_INTEGER_set(X509_get_serialNumber(certificate), 7)
            X509_gmtime_adj(X509_getm_notBefore(certificate), 0)
            X509_gmtime_adj(X509_getm_notAfter(certificate), 3600)
            X509_set_pubkey(certificate, key)
            var parameters: OpaquePointer?
            guard EVP_DigestSignInit(context, &parameters, digest, nil, key) == 1 else {
                return nil
            }
            if usesPSS { EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) }
            guard X509_sign_ctx(certificate, context) > 0 else { return nil }
        }

        deinit { X509_free(pointer) }

        /// The certificate's DER, hashed by us.
        func hash(_ digest: OpaquePointer?) -> [UInt8] {
            let count = i2d_X509(pointer, nil)
            var der = [UInt8](repeating: 0, count: Int(count))
            der.withUnsafeMutableBufferPointer { buffer in
                var position = buffer.baseAddress
                _ = i2d_X509(pointer, &position)
            }
            var out = [UInt8](repeating: 0, count: 64)
            var length: UInt32 = 0
            EVP_Digest(der, der.count, &out, &length, digest, nil)
            return Array(out.prefix(Int(length)))
        }
    }

    private static func key(_ name: String, curve: String? = nil, bits: Int32 = 2048)
        -> OpaquePointer?
    {
        guard let context = EVP_PKEY_CTX_new_from_name(nil, name, nil) else { return nil }
        defer { EVP_PKEY_CTX_free(context) }
        guard EVP_PKEY_keygen_init(context) == 1 else { return nil }
        if let curve { EVP_PKEY_CTX_set_group_name(context, curve) }
        if name == "RSA" { EVP_PKEY_CTX_set_rsa_keygen_bits(context, bits) }
        var key: OpaquePointer?
        return EVP_PKEY_generate(context, &key) == 1 ? key : nil
    }

    @Test func `an ECDSA certificate is hashed by the digest of its signature`() throws {
        for digest in [EVP_sha256(), EVP_sha384(), EVP_sha512()] {
            let made = try #require(MadeCertificate(Self.key("EC", curve: "P-256"), digest))
            #expect(ChannelBinding.endPointHash(made.pointer) == made.hash(digest))
        }
    }

    @Test func `an RSA certificate is hashed by the digest of its signature, also with PSS`() throws
    {
        for usesPSS in [false, true] {
            let made = try #require(
                MadeCertificate(Self.key("RSA"), EVP_sha384(), usesPSS: usesPSS))
            #expect(ChannelBinding.endPointHash(made.pointer) == made.hash(EVP_sha384()))
        }
    }

    @Test func `SHA-1 and MD5 are replaced by SHA-256`() throws {
        for digest in [EVP_sha1(), EVP_md5()] {
            let made = try #require(MadeCertificate(Self.key("RSA"), digest))
            #expect(ChannelBinding.endPointHash(made.pointer) == made.hash(EVP_sha256()))
        }
    }

    @Test(arguments: ["ED25519", "ED448"])
    func `a signature without a digest has no binding`(name: String) throws {
        let made = try #require(MadeCertificate(Self.key(name), nil))
        #expect(ChannelBinding.endPointHash(made.pointer) == nil)
    }
}
