internal import COpenSSL

/// tls-server-end-point channel binding (RFC 5929 §4.1).
package enum ChannelBinding {
    /// The hash of a certificate (X509 *) in DER, by the digest of its signature; MD5 and SHA-1 are
    /// replaced by SHA-256. nil for signatures without a digest of their own (Ed25519): then
    /// neither side can bind.
    package static func endPointHash(_ certificate: OpaquePointer) -> [UInt8]? {
        var digestNumber: Int32 = 0
        guard X509_get_signature_info(certificate, &digestNumber, nil, nil, nil) == 1,
            digestNumber != NID_undef
        else { return nil }
        let isWeak = digestNumber == NID_md5 || digestNumber == NID_sha1
        guard
            let digest = isWeak
                ? EVP_sha256() : EVP_get_digestbyname(OBJ_nid2sn(digestNumber))
        else { return nil }
        var out = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        guard X509_digest(certificate, digest, &out, &length) == 1 else { return nil }
        return Array(out[..<Int(length)])
    }
}
