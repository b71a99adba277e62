import Authentication
import COpenSSL
import EventLoop
import TestSupport

/// A certificate for both legs, made once per run. RSA, since its signatures are always equally
/// long, so that a seed repeats exactly.
struct LegCertificate: @unchecked Sendable {
    static let shared = {
        do { return try LegCertificate() } catch { preconditionFailure("\(error)") }
    }()

    let serverContexts: ClientTLSContexts
    let clientContext: TLSContext
    /// The hash of channel binding.
    let binding: [UInt8]?
    private let authority: TestCertificateAuthority

    private init() throws {
        authority = try TestCertificateAuthority("simulation", key: .rsa2048)
        let files = try authority.issue(
            CertificateRequest("localhost", dnsNames: ["localhost"], key: .rsa2048))
        let context = try TLSContext(
            serverCertificatePath: files.certificatePath, keyPath: files.keyPath,
            minimumVersion: 0x0303, maximumVersion: 0x0304, asksForCertificate: false)
        serverContexts = ClientTLSContexts(fallback: context, named: [])
        clientContext = try TLSContext(
            caPath: files.caPath, crlPath: nil, verifiesChain: true, certificatePath: nil,
            keyPath: nil, minimumVersion: 0x0303)
        binding = Self.hash(files.certificatePath)
    }

    private static func hash(_ path: String) -> [UInt8]? {
        guard let file = BIO_new_file(path, "r") else { return nil }
        defer { BIO_free(file) }
        guard let certificate = PEM_read_bio_X509(file, nil, nil, nil) else { return nil }
        defer { X509_free(certificate) }
        return ChannelBinding.endPointHash(certificate)
    }
}
