internal import Glibc
package import Tenancy
internal import Yams

/// Reads documents from files into Tenancy's values, with all that is wrong and where.
///
/// To add a key: a row in `ServiceKeys` or `TenantKeys`, the value in Tenancy, and run the tests
/// with `GUIDE_UPDATE=1` so that docs/configuration.md follows.
///
/// - Thread: any; blocking file reads.
package enum ConfigurationReader {
    package struct Service: Sendable {
        package var configuration: ServiceConfiguration
        package var warnings: [DocumentProblem]
    }

    /// A tenant and where its document stands.
    package struct TenantDocument: Sendable, Equatable {
        package var tenant: Tenant
        package var file: String
        package var line: Int
    }

    package struct Tenants: Sendable {
        /// Valid ones, in the order of file names and of documents in a file.
        package var documents: [TenantDocument] = []
        /// Errors (of documents left out) and warnings (of documents kept).
        package var problems: [DocumentProblem] = []
        /// Names of documents left out, as far as they could be read.
        package var rejected: Set<String> = []
        /// Files in which a document was left out whose name could not be read.
        package var unreadable: Set<String> = []
        /// Every file that was looked at.
        package var files: [String] = []

        package var tenants: [Tenant] { documents.map(\.tenant) }
        package var hasErrors: Bool { problems.contains { $0.severity == .error } }
    }

    /// The service's document, validated.
    package static func readService(_ path: String) throws(ProblemList) -> ServiceConfiguration {
        try service(path).configuration
    }

    /// All tenants' documents in a file or a directory; bad ones are left out, each with its
    /// reason.
    package static func readTenants(_ path: String, service: ServiceConfiguration)
        -> (tenants: [Tenant], problems: [DocumentProblem])
    {
        let read = tenants(path, service: service)
        return (read.tenants, read.problems)
    }

    package static func service(_ path: String) throws(ProblemList) -> Service {
        let file = Paths.absolute(path, beside: workingDirectory() + "/")
        let documents: [DocumentFile.Document]
        do {
            documents = try DocumentFile.documents(DocumentFile.read(file), file: file)
        } catch { throw ProblemList([error]) }
        guard let document = documents.first, documents.count == 1 else {
            let what = documents.isEmpty ? "the file is empty" : "the file has several documents"
            throw ProblemList([DocumentFile.problem(file, "\(what); one is expected")])
        }
        var context = DocumentContext(file: file, lineOffset: document.lineOffset)
        var configuration = ServiceConfiguration()
        guard let root = parse(document, &context) else { throw ProblemList(context.problems) }
        ServiceKeys.table().decode(root, into: &configuration, &context)
        if configuration.listeners.isEmpty, !context.hasErrors {
            configuration.listeners = [ServiceKeys.defaultListener]
        }
        if !context.hasErrors {
            context.add(ServiceValidation.problems(configuration), root: root)
            var checker = FileChecker()
            checker.check(configuration, root: root, &context)
        }
        if context.hasErrors { throw ProblemList(context.problems) }
        return Service(configuration: configuration, warnings: context.problems)
    }

    package static func tenants(_ path: String, service: ServiceConfiguration) -> Tenants {
        tenants([path], service: service)
    }

    static func tenants(_ paths: [String], service: ServiceConfiguration) -> Tenants {
        var reader = TenantReader(service: service)
        for path in paths { reader.read(path) }
        return reader.result
    }

    /// Warnings for tenants that the service's document names and that are not there.
    static func references(
        _ servicePath: String, _ service: ServiceConfiguration, _ tenants: [Tenant]
    ) -> [DocumentProblem] {
        let found = TenantValidation.references(service, tenants: tenants)
        guard !found.isEmpty else { return [] }
        let file = Paths.absolute(servicePath, beside: workingDirectory() + "/")
        var context = DocumentContext(file: file, lineOffset: 0)
        var ignored = context
        if let document = try? DocumentFile.documents(DocumentFile.read(file), file: file).first,
            let root = parse(document, &ignored)
        {
            context.add(found, root: root)
            return context.problems
        }
        return found.map { DocumentProblem(severity: .warning, file: file, message: $0.message) }
    }

    static func parse(_ document: DocumentFile.Document, _ context: inout DocumentContext) -> Node?
    {
        if let problem = YAMLGuard.check(document.text) {
            context.problems.append(
                DocumentProblem(
                    kind: .malformed, file: context.file, line: problem.line + document.lineOffset,
                    column: problem.column, message: problem.message, hint: problem.hint))
            return nil
        }
        do {
            // No resolver rules: kinds of scalars are decided by the table of keys, and regular
            // expressions for each scalar cost most of the time.
            let parser = try Yams.Parser(
                yaml: document.text, resolver: .basic, constructor: .default, encoding: .utf8)
            if let root = try parser.singleRoot(), !root.isNothing { return root }
            context.problems.append(
                DocumentProblem(
                    kind: .malformed, file: context.file, line: context.lineOffset + 1, column: 1,
                    message: "the document is empty"))
        } catch let error as YamlError {
            context.problems.append(YAMLErrors.problem(error, context))
        } catch {
            context.problems.append(DocumentFile.problem(context.file, "can't be parsed"))
        }
        return nil
    }

    static func workingDirectory() -> String {
        guard let path = getcwd(nil, 0) else { return "" }
        defer { free(path) }
        return String(cString: path)
    }
}
