import COpenSSL
import TestSupport
import Testing

@testable import EventLoop

/// libpq's rules for a server's name (manual: libpq-ssl; fe-secure-common.c).
@Suite struct CertificateNameTests {
    @Test(arguments: [
        ("db.example.com", "db.example.com", true), ("DB.Example.COM", "db.example.com", true),
        ("db.example.com", "db.example.org", false), ("db.example.com", "db.example.com.", false),
        ("*.example.com", "db.example.com", true), ("*.EXAMPLE.com", "db.example.COM", true),
        // A label of one letter is as long as the asterisk.
        ("*.example.com", "a.example.com", true), ("*.example.com", "a.b.example.com", false),
        ("*.example.com", "example.com", false), ("*.example.com", ".example.com", false),
        ("*.example.com", "dbexample.com", false), ("d*.example.com", "db.example.com", false),
        ("*db.example.com", "db.example.com", false), ("*", "localhost", false),
        ("*.", "a.", false), ("*.c", "b.c", true), ("db.*.com", "db.example.com", false),
        ("*.*.com", "db.example.com", false), ("", "", true), ("", "a", false),
    ])
    func `a name matches as libpq has it`(pattern: String, host: String, isMatch: Bool) {
        #expect(Certificate.matches(Array(pattern.utf8), host) == isMatch)
    }

    private struct Case {
        var commonName: String
        var dns: [String] = []
        var addresses: [String] = []
        var host: String
        var isMatch: Bool
    }

    private static let cases = [
        Case(commonName: "db.test", host: "db.test", isMatch: true),
        Case(commonName: "*.db.test", host: "one.db.test", isMatch: true),
        Case(commonName: "db.test", host: "other.test", isMatch: false),
        // A name of the host's kind among the alternatives: the common name no longer counts.
        Case(commonName: "db.test", dns: ["a.test"], host: "db.test", isMatch: false),
        Case(commonName: "db.test", dns: ["a.test"], host: "a.test", isMatch: true),
        Case(commonName: "db.test", dns: ["a.test", "b.test"], host: "b.test", isMatch: true),
        Case(commonName: "db.test", addresses: ["192.0.2.1"], host: "db.test", isMatch: true),
        Case(commonName: "db.test", addresses: ["192.0.2.1"], host: "192.0.2.1", isMatch: true),
        Case(commonName: "db.test", addresses: ["192.0.2.1"], host: "192.0.2.2", isMatch: false),
        Case(
            commonName: "db.test", addresses: ["2001:db8::1"], host: "2001:DB8:0::1",
            isMatch: true),
        Case(commonName: "192.0.2.1", host: "192.0.2.1", isMatch: true),
        Case(commonName: "192.0.2.1", dns: ["a.test"], host: "192.0.2.1", isMatch: true),
        Case(commonName: "192.0.2.1", addresses: ["192.0.2.9"], host: "192.0.2.1", isMatch: false),
        Case(commonName: "x", dns: ["192.0.2.1"], host: "192.0.2.1", isMatch: true),
        // libpq looks at the text of an address like at any name's.
        Case(commonName: "*.0.2.1", host: "192.0.2.1", isMatch: true),
        // Without a host nothing is verified.
        Case(commonName: "", host: "", isMatch: false),
    ]

    @Test func `subject alternative names and the common name decide as in libpq`() throws {
        let authority = try TestCertificateAuthority()
        for one in Self.cases {
            let certificate = try authority.issue(
                CertificateRequest(
                    one.commonName, dnsNames: one.dns, ipAddresses: one.addresses))
            let isFor = Self.withCertificate(certificate.certificatePath) {
                Certificate.isFor(host: one.host, $0)
            }
            #expect(isFor == one.isMatch, "\(one)")
        }
    }

    @Test func `a certificate tells its common name, serial and age`() throws {
        let authority = try TestCertificateAuthority()
        let path = try authority.issue(CertificateRequest("ann", usage: .client)).certificatePath
        let expired = try authority.issue(CertificateRequest("old").expired).certificatePath
        #expect(Self.withCertificate(path) { Certificate.commonName($0) } == Array("ann".utf8))
        #expect(Self.withCertificate(path) { Certificate.serial($0).isEmpty } == false)
        let left = Self.withCertificate(path) { Certificate.secondsLeft($0) ?? 0 } ?? 0
        #expect(left > 29 * 86_400 && left <= 30 * 86_400)
        #expect(Self.withCertificate(expired) { Certificate.secondsLeft($0) ?? 0 } ?? 0 < 0)
    }

    private static func withCertificate<Result>(
        _ path: String, _ body: (OpaquePointer) -> Result
    ) -> Result? {
        guard let file = BIO_new_file(path, "r") else { return nil }
        defer { BIO_free(file) }
        guard let certificate = PEM_read_bio_X509(file, nil, nil, nil) else { return nil }
        defer { X509_free(certificate) }
        return body(certificate)
    }
}
