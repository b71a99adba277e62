import Authentication
import COpenSSL
import EventLoop
import Glibc

/// A certificate for both legs, made once per run with the openssl command line. RSA, since its
/// signatures are always equally long, so that a seed repeats exactly.
struct TestCertificate: @unchecked Sendable {
    static let shared = TestCertificate()

    let serverContexts: ClientTLSContexts
    let clientContext: TLSContext
    let path: String
    let binding: [UInt8]?

    private init() {
        var template = Array("/tmp/pgtee-simulation-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { preconditionFailure("no temporary directory") }
        let directory = String(cString: made)
        path = directory + "/server.crt"
        let key = directory + "/server.key"
        let command =
            "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost "
            + "-addext subjectAltName=DNS:localhost -keyout \(key) -out \(path) 2>/dev/null"
        precondition(system(command) == 0, "openssl could not make a certificate")
        do {
            let context = try TLSContext(
                serverCertificatePath: path, keyPath: key, minimumVersion: 0x0303,
                maximumVersion: 0x0304, asksForCertificate: false)
            serverContexts = ClientTLSContexts(fallback: context, named: [])
            clientContext = try TLSContext(
                caPath: path, crlPath: nil, verifiesChain: true, certificatePath: nil,
                keyPath: nil, minimumVersion: 0x0303)
        } catch {
            preconditionFailure("\(error)")
        }
        binding = Self.hash(path)
    }

    private static func hash(_ path: String) -> [UInt8]? {
        guard let file = BIO_new_file(path, "r") else { return nil }
        defer { BIO_free(file) }
        guard let certificate = PEM_read_bio_X509(file, nil, nil, nil) else { return nil }
        defer { X509_free(certificate) }
        return ChannelBinding.endPointHash(certificate)
    }
}
