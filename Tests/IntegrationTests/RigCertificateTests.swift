import TestSupport
import Testing

@Suite struct RigCertificateTests {
    /// OpenSSL's own program judges what the rig made.
    private func verify(
        _ certificate: TestCertificate, _ authority: TestCertificateAuthority, _ more: String...
    ) throws -> RunResult {
        try run(
            ["openssl", "verify", "-CAfile", authority.caPath] + more
                + ["-untrusted", certificate.certificatePath, certificate.certificatePath])
    }

    @Test(arguments: CertificateRequest.Key.allCases)
    func `each kind of key makes a certificate that openssl verifies`(
        key: CertificateRequest.Key
    ) throws {
        let authority = try TestCertificateAuthority(key: key == .rsaPSS ? .rsa2048 : .p256)
        let request = CertificateRequest(
            "db.acme", dnsNames: ["db.acme", "*.db.acme"], ipAddresses: ["127.0.0.1"], key: key)
        let certificate = try authority.issue(request)
        let result = try verify(certificate, authority, "-purpose", "sslserver")
        #expect(result.status == 0, "\(result)")
    }

    @Test func `expired, early, misused and revoked certificates are what they claim`() throws {
        let authority = try TestCertificateAuthority()
        let sound = CertificateRequest("db.acme", dnsNames: ["db.acme"])
        let expired = try verify(try authority.issue(sound.expired), authority)
        #expect(expired.error.contains("certificate has expired"))
        let early = try verify(try authority.issue(sound.notYetValid), authority)
        #expect(early.error.contains("certificate is not yet valid"))
        let client = try verify(try authority.client("remi"), authority, "-purpose", "sslserver")
        #expect(client.error.contains("purpose"))
        let certificate = try authority.issue(sound)
        let list = try authority.revoke([certificate])
        let revoked = try verify(certificate, authority, "-crl_check", "-CRLfile", list)
        #expect(revoked.error.contains("certificate revoked"))
        let other = try TestCertificateAuthority("another CA")
        #expect(try verify(certificate, other).status != 0)
    }

    @Test func `an intermediate's certificates carry their chain`() throws {
        let root = try TestCertificateAuthority()
        let intermediate = try TestCertificateAuthority(intermediate: "intermediate", below: root)
        let certificate = try intermediate.server("db.acme")
        let result = try verify(certificate, root)
        #expect(result.status == 0, "\(result)")
    }
}
