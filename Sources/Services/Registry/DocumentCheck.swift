package import Tenancy

/// One look at all documents, as `pgtee check` reports it.
package struct DocumentCheck: Sendable {
    /// By file and place; errors and warnings.
    package private(set) var problems: [DocumentProblem] = []
    /// nil: it is wrong.
    package private(set) var service: ServiceConfiguration?
    package private(set) var tenants: [Tenant] = []

    package var errors: Int { problems.count { $0.severity == .error } }
    package var warnings: Int { problems.count - errors }

    /// - Parameters:
    ///   - servicePath: the service's document.
    ///   - tenantPaths: files and directories of tenant documents; empty: those that the service's
    ///     document names.
    package init(servicePath: String, tenantPaths: [String] = []) {
        do throws(ProblemList) {
            let read = try ConfigurationReader.service(servicePath)
            service = read.configuration
            problems = read.warnings
            let base = ConfigurationReader.workingDirectory() + "/"
            var paths = tenantPaths.map { Paths.absolute($0, beside: base) }
            if paths.isEmpty { paths = [read.configuration.tenantsPath] }
            let all = ConfigurationReader.tenants(paths, service: read.configuration)
            tenants = all.tenants
            problems += all.problems
            if tenantPaths.isEmpty {
                problems += ConfigurationReader.references(
                    servicePath, read.configuration, tenants)
            }
        } catch { problems = error.problems }
        problems.sort { ($0.file, $0.line, $0.column) < ($1.file, $1.line, $1.column) }
    }

    /// `pgtee.yaml and 12 tenant documents: 1 error, no warnings`.
    package var summary: String {
        func count(_ number: Int, _ word: String) -> String {
            "\(number == 0 ? "no" : "\(number)") \(word)\(number == 1 ? "" : "s")"
        }
        return "\(count(tenants.count, "good tenant document")), "
            + "\(count(errors, "error")), \(count(warnings, "warning"))"
    }

    /// The gravest kind among the errors; nil: none.
    package var gravest: DocumentProblem.Kind? {
        let kinds = problems.filter { $0.severity == .error }.map(\.kind)
        return [.missing, .malformed, .invalid].first(where: kinds.contains)
    }
}
