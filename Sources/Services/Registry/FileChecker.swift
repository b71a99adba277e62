internal import Tenancy
internal import Yams

/// Looks whether the files that a document names are there and have fit permissions. Each path is
/// looked at once per load, however many tenants name it.
struct FileChecker {
    private enum Kind: Hashable { case readable, key, secret }
    private struct Question: Hashable {
        var path: String
        var kind: Kind
    }

    private var answers: [Question: String?] = [:]

    mutating func check(
        _ service: ServiceConfiguration, root: Node, _ context: inout DocumentContext
    ) {
        if let files = service.tls.certificate {
            check(files, ["tls"], root, &context)
        }
        for (index, certificate) in service.tls.certificates.enumerated() {
            check(certificate.files, ["tls", "certificates", "\(index)"], root, &context)
        }
        if !service.mockSecretPath.isEmpty {
            check(service.mockSecretPath, .secret, ["mock_secret"], root, &context)
        }
    }

    mutating func check(_ tenant: Tenant, root: Node, _ context: inout DocumentContext) {
        for (index, backend) in tenant.backends.enumerated() {
            guard case .tcp = backend.endpoint else { continue }
            let place = ["backends", "\(index)", "tls"]
            check(backend.tls.caPath, .readable, place + ["ca"], root, &context)
            check(backend.tls.crlPath, .readable, place + ["crl"], root, &context)
            if let files = backend.tls.clientCertificate { check(files, place, root, &context) }
        }
        let client = tenant.clientTLS
        check(client.clientCAPath, .readable, ["client_tls", "client_ca"], root, &context)
        check(client.clientCRLPath, .readable, ["client_tls", "client_crl"], root, &context)
    }

    private mutating func check(
        _ files: CertificateFiles, _ place: [String], _ root: Node,
        _ context: inout DocumentContext
    ) {
        check(files.certificatePath, .readable, place + ["certificate"], root, &context)
        check(files.keyPath, .key, place + ["key"], root, &context)
    }

    private mutating func check(
        _ path: String?, _ kind: Kind, _ place: [String], _ root: Node,
        _ context: inout DocumentContext
    ) {
        guard let path, let message = answer(Question(path: path, kind: kind)) else { return }
        context.report(message, at: DocumentContext.locate(place, in: root))
    }

    private mutating func answer(_ question: Question) -> String? {
        if let known = answers[question] { return known }
        var message: String?
        do {
            try SecretFile.checkReadable(question.path)
            switch question.kind {
            case .readable: break
            case .key: try SecretFile.checkPermissions(question.path, isKey: true)
            case .secret: try SecretFile.checkPermissions(question.path, isKey: false)
            }
        } catch {
            message = "\(question.path): \(error.message)" + (error.hint.map { " (\($0))" } ?? "")
        }
        answers[question] = .some(message)
        return message
    }
}
