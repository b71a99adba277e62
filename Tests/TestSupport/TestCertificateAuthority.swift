/// A certificate authority of a test's own; its files live as long as it does.
package final class TestCertificateAuthority: Sendable {
    package let name: String
    /// The CA's certificate; for an intermediate also those above it.
    package let caPath: String
    package let directory: TemporaryDirectory
    private let issuer: CertificateMaker
    private let chain: String
    private let rootPath: String

    /// A self-signed root.
    package init(
        _ name: String = "pgtee test CA", key: CertificateRequest.Key = .p256
    ) throws {
        self.name = name
        directory = try TemporaryDirectory("ca")
        var request = CertificateRequest(name, usage: .none, key: key)
        request.isCA = true
        issuer = try CertificateMaker(request, issuer: nil)
        caPath = try directory.write("ca.crt", issuer.certificatePEM())
        rootPath = caPath
        chain = ""
    }

    /// An intermediate below `parent`: what it issues carries its certificate in the chain.
    package init(intermediate name: String, below parent: TestCertificateAuthority) throws {
        self.name = name
        directory = try TemporaryDirectory("ca")
        var request = CertificateRequest(name, usage: .none)
        request.isCA = true
        issuer = try CertificateMaker(request, issuer: parent.issuer)
        chain = try issuer.certificatePEM() + parent.chain
        rootPath = parent.rootPath
        caPath = try directory.write("ca.crt", chain + readText(parent.rootPath))
    }

    /// Issues a certificate; the files are named `<file>.crt` and `<file>.key` (mode 0600).
    package func issue(
        _ request: CertificateRequest, file: String? = nil
    ) throws -> TestCertificate {
        let made = try CertificateMaker(request, issuer: issuer)
        let name = file ?? "leaf-\(made.serial)"
        let key = try directory.write("\(name).key", made.keyPEM(), mode: 0o600)
        let certificate = try directory.write("\(name).crt", made.certificatePEM() + chain)
        return TestCertificate(certificatePath: certificate, keyPath: key, caPath: rootPath)
    }

    /// A server's certificate for these DNS names, the first of which is the common name.
    package func server(_ names: String..., ipAddresses: [String] = []) throws -> TestCertificate {
        try issue(
            CertificateRequest(
                names.first ?? "server", dnsNames: names, ipAddresses: ipAddresses))
    }

    /// A client's certificate; PostgreSQL takes the common name as the user's.
    package func client(_ user: String) throws -> TestCertificate {
        try issue(CertificateRequest(user, usage: .client))
    }

    /// A revocation list with the certificates given; returns its path.
    package func revoke(_ certificates: [TestCertificate]) throws -> String {
        let serials = try certificates.map {
            try CertificateMaker.serial(ofPEM: $0.certificatePath)
        }
        return try directory.write(
            "revoked-\(serials.map { String($0) }.joined(separator: "-")).crl",
            issuer.revocationList(serials: serials))
    }

    /// A self-signed certificate that no CA vouches for.
    package static func selfSigned(
        _ request: CertificateRequest, in directory: TemporaryDirectory
    ) throws -> TestCertificate {
        let made = try CertificateMaker(request, issuer: nil)
        let certificate = try directory.write("self.crt", made.certificatePEM())
        let key = try directory.write("self.key", made.keyPEM(), mode: 0o600)
        return TestCertificate(certificatePath: certificate, keyPath: key, caPath: certificate)
    }
}
