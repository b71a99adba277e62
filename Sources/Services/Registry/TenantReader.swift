internal import Glibc
internal import Tenancy
internal import Yams

/// One load of all tenants' documents.
struct TenantReader {
    private let service: ServiceConfiguration
    private let table = TenantKeys.table()
    private let localAddresses: Set<String>
    private var checker = FileChecker()
    private var names: [String: Int] = [:]
    private var hosts: [String: Int] = [:]
    private(set) var result = ConfigurationReader.Tenants()

    init(service: ServiceConfiguration) {
        self.service = service
        localAddresses = LocalAddresses.all()
    }

    mutating func read(_ path: String) {
        let files: [String]
        do {
            files = try TenantFiles.list(path)
        } catch {
            result.problems.append(error)
            result.unreadable.insert(path)
            return
        }
        if files.isEmpty {
            result.problems.append(
                DocumentProblem(
                    severity: .warning, file: path,
                    message: "there is no tenant document in this directory",
                    hint: "Documents are in files named *.yaml or *.yml."))
        }
        result.files += files
        for file in files { readFile(file) }
    }

    private mutating func readFile(_ file: String) {
        let documents: [DocumentFile.Document]
        do {
            documents = try DocumentFile.documents(DocumentFile.read(file), file: file)
        } catch {
            result.problems.append(error)
            result.unreadable.insert(file)
            return
        }
        if documents.isEmpty {
            result.problems.append(DocumentFile.problem(file, "the file is empty"))
            result.unreadable.insert(file)
        }
        for document in documents { readDocument(document, file) }
    }

    private mutating func readDocument(_ document: DocumentFile.Document, _ file: String) {
        var context = DocumentContext(file: file, lineOffset: document.lineOffset)
        guard let root = ConfigurationReader.parse(document, &context) else {
            reject(context, name: "", file)
            return
        }
        var tenant = Tenant(name: "", active: "")
        table.decode(root, into: &tenant, &context)
        if tenant.active.isEmpty { tenant.active = tenant.backends.first?.name ?? "" }
        if !context.hasErrors {
            context.add(
                TenantValidation.problems(
                    tenant, service: service, localAddresses: localAddresses), root: root)
            checker.check(tenant, root: root, &context)
            readPassword(&tenant, root, &context)
        }
        if !context.hasErrors { checkUnique(tenant, root, &context) }
        guard !context.hasErrors else {
            reject(context, name: tenant.name, file)
            return
        }
        result.problems += context.problems
        let number = result.documents.count
        names[tenant.name] = number
        for host in tenant.hosts { hosts[host] = number }
        result.documents.append(
            ConfigurationReader.TenantDocument(
                tenant: tenant, file: file,
                line: document.lineOffset + (root.mark?.line ?? 1)))
    }

    private mutating func reject(_ context: DocumentContext, name: String, _ file: String) {
        result.problems += context.problems
        if name.isEmpty {
            result.unreadable.insert(file)
        } else {
            result.rejected.insert(name)
        }
    }

    private func readPassword(
        _ tenant: inout Tenant, _ root: Node, _ context: inout DocumentContext
    ) {
        guard let path = tenant.authentication.lookup?.passwordPath else { return }
        do {
            tenant.authentication.lookup?.password = try SecretFile.line(path)
        } catch {
            let place = ["authentication", "lookup", "password_file"]
            context.report(
                "\(path): \(error.message)", at: DocumentContext.locate(place, in: root),
                hint: error.hint)
        }
    }

    /// The first one keeps a name; who comes later is left out.
    private func checkUnique(_ tenant: Tenant, _ root: Node, _ context: inout DocumentContext) {
        if let other = names[tenant.name] {
            let first = result.documents[other]
            context.report(
                "tenant \"\(tenant.name)\" has a document already, \(first.file):\(first.line)",
                at: DocumentContext.locate(["tenant"], in: root))
        }
        for (index, host) in tenant.hosts.enumerated() {
            guard let other = hosts[host] else { continue }
            let first = result.documents[other]
            context.report(
                "the host \"\(host)\" belongs to tenant \"\(first.tenant.name)\", "
                    + "\(first.file):\(first.line)",
                at: DocumentContext.locate(["hosts", "\(index)"], in: root))
        }
    }
}

/// The files of a tenants path.
enum TenantFiles {
    /// The file itself, or a directory's *.yaml and *.yml in order; hidden ones (editors',
    /// Kubernetes' `..data`) are left out.
    static func list(_ path: String) throws(DocumentProblem) -> [String] {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw DocumentFile.problem(
                path, "can't open: \(ErrnoText.current())", kind: .missing)
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { return [path] }
        if status.st_mode & S_IWOTH != 0, status.st_mode & S_ISVTX == 0 {
            throw DocumentFile.problem(
                path, "everyone may write this directory", hint: "Run chmod o-w on it.")
        }
        guard let directory = opendir(path) else {
            throw DocumentFile.problem(
                path, "can't open: \(ErrnoText.current())", kind: .missing)
        }
        defer { closedir(directory) }
        let base = path.hasSuffix("/") ? path : path + "/"
        var files: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard !name.hasPrefix("."), name.hasSuffix(".yaml") || name.hasSuffix(".yml") else {
                continue
            }
            files.append(base + name)
            guard files.count <= DocumentFile.Limits.filesPerDirectory else {
                throw DocumentFile.problem(
                    path, "more than \(DocumentFile.Limits.filesPerDirectory) files")
            }
        }
        return files.sorted()
    }
}
