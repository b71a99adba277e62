internal import Glibc
internal import Tenancy

/// The last good copy of every document, and the rule for what a load may change.
///
/// - A bad service document: the last good one stays; tenants are still read.
/// - A bad tenant document: that tenant's last good values stay, all others change. At first start
///   there is none, so that tenant is left out while the others are served; `pgtee check` fails.
/// - A file that can't be read or is empty, or a document whose tenant's name can't be read: all
///   tenants that came from that file and are in no good document stay.
/// - A file that is removed removes its tenants, but never the last ones: no document at all, where
///   there were some, is taken for a mishap (an unmounted disk, a wrong path) and changes nothing.
/// - Two documents that claim one name or host: who had it keeps it; at first start the first one,
///   in the order of file names.
struct RegistryMemory {
    private let servicePath: String
    private var configuration: ServiceConfiguration?
    private var documents: [ConfigurationReader.TenantDocument] = []
    private var generation: UInt64 = 0
    /// Those of the last load.
    private(set) var problems: [DocumentProblem] = []
    private(set) var fingerprints = FileFingerprints()

    init(servicePath: String) { self.servicePath = servicePath }

    /// Reads everything.
    ///
    /// - Errors: only when there is no service document, good now or good before.
    mutating func load() throws(ProblemList) -> RegistryUpdate {
        var problems: [DocumentProblem] = []
        var isServiceKept = false
        let service: ServiceConfiguration
        do throws(ProblemList) {
            let read = try ConfigurationReader.service(servicePath)
            service = read.configuration
            problems += read.warnings
        } catch {
            guard let configuration else { throw error }
            service = configuration
            problems += error.problems
            isServiceKept = true
        }
        let read = ConfigurationReader.tenants(service.tenantsPath, service: service)
        problems += read.problems
        var (merged, kept) = merge(read, service.tenantsPath, &problems)
        if merged.isEmpty, !documents.isEmpty {
            merged = documents
            kept = documents.map(\.tenant.name)
            problems.append(
                DocumentProblem(
                    file: service.tenantsPath,
                    message: "no tenant document is left; the last \(documents.count) stay",
                    hint: "Restart to serve without tenants."))
        }
        merged.sort { $0.tenant.name < $1.tenant.name }
        problems += ConfigurationReader.references(servicePath, service, merged.map(\.tenant))
        let hasChanged =
            generation == 0 || service != configuration
            || merged.map(\.tenant) != documents.map(\.tenant)
        let certificatesChanged = renewFingerprints(service, merged, read.files)
        if hasChanged { generation += 1 }
        configuration = service
        documents = merged
        self.problems = problems
        return RegistryUpdate(
            configuration: service, tenants: merged.map(\.tenant), generation: generation,
            hasChanged: hasChanged, certificatesChanged: certificatesChanged, problems: problems,
            keptTenants: kept, isServiceKept: isServiceKept)
    }

    /// Whether a file that the last load looked at, or the list of files, differs now.
    func isStale() -> Bool {
        guard let configuration else { return true }
        let files = (try? TenantFiles.list(configuration.tenantsPath)) ?? []
        return fingerprints.isStale(documents: [servicePath] + files)
    }

    /// Directories in which a change matters.
    func watchedDirectories() -> Set<String> {
        var directories: Set<String> = [Paths.directory(of: servicePath)]
        if let configuration {
            let path = configuration.tenantsPath
            let bare = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
            directories.insert(bare)
            directories.insert(Paths.directory(of: bare))
        }
        for file in fingerprints.materialPaths { directories.insert(Paths.directory(of: file)) }
        return directories
    }

    func isRelevant(name: String) -> Bool {
        name.isEmpty || name.hasSuffix(".yaml") || name.hasSuffix(".yml") || name.hasPrefix("..")
            || fingerprints.names.contains(name)
            || configuration?.tenantsPath.contains("/" + name) ?? true
    }

    private func merge(
        _ read: ConfigurationReader.Tenants, _ path: String, _ problems: inout [DocumentProblem]
    ) -> ([ConfigurationReader.TenantDocument], [String]) {
        guard read.hasErrors else { return (read.documents, []) }
        let fresh = Dictionary(
            read.documents.map { ($0.tenant.name, $0) }, uniquingKeysWith: { first, _ in first })
        let isAllUnreadable = read.unreadable.contains(path)
        let kept = documents.filter { document in
            let name = document.tenant.name
            if let other = fresh[name] {
                // Another file has taken the name while this tenant's own document was refused.
                return read.rejected.contains(name) && other.file != document.file
            }
            return isAllUnreadable || read.rejected.contains(name)
                || read.unreadable.contains(document.file)
        }
        let keptNames = Set(kept.map(\.tenant.name))
        var hostOwners: [String: String] = [:]
        for document in kept {
            for host in document.tenant.hosts { hostOwners[host] = document.tenant.name }
        }
        let accepted = read.documents.filter { document in
            if keptNames.contains(document.tenant.name) { return false }
            guard let host = document.tenant.hosts.first(where: { hostOwners[$0] != nil }) else {
                return true
            }
            problems.append(
                DocumentProblem(
                    file: document.file, line: document.line, column: 1,
                    message:
                        "the host \"\(host)\" belongs to tenant \"\(hostOwners[host] ?? "")\", "
                        + "whose last good document stays"))
            return false
        }
        // A tenant that is new and lost its host to a kept one may have had values before, too.
        let names = keptNames.union(accepted.map(\.tenant.name))
        let lost = documents.filter { document in
            !names.contains(document.tenant.name) && fresh[document.tenant.name] != nil
                && !document.tenant.hosts.contains { hostOwners[$0] != nil }
        }
        return (accepted + kept + lost, (kept + lost).map(\.tenant.name).sorted())
    }

    private mutating func renewFingerprints(
        _ service: ServiceConfiguration, _ merged: [ConfigurationReader.TenantDocument],
        _ files: [String]
    ) -> Bool {
        var material: Set<String> = []
        func add(_ files: CertificateFiles?) {
            guard let files else { return }
            material.insert(files.certificatePath)
            material.insert(files.keyPath)
        }
        add(service.tls.certificate)
        for certificate in service.tls.certificates { add(certificate.files) }
        for document in merged {
            let tenant = document.tenant
            for backend in tenant.backends {
                add(backend.tls.clientCertificate)
                material.formUnion([backend.tls.caPath, backend.tls.crlPath].compactMap { $0 })
            }
            material.formUnion(
                [tenant.clientTLS.clientCAPath, tenant.clientTLS.clientCRLPath].compactMap { $0 })
        }
        let secrets = Set(merged.compactMap(\.tenant.authentication.lookup?.passwordPath))
        return fingerprints.renew(
            documents: [servicePath] + files, material: material, secrets: secrets)
    }
}
