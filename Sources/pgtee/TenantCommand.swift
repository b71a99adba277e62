internal import ArgumentParser
internal import Glibc
internal import Registry
internal import Tenancy

/// `pgtee tenant`: what the documents say about tenants, without a running service.
struct TenantCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tenant",
        abstract: "List tenants, or print the SQL that prepares a tenant's cluster.",
        subcommands: [List.self, SQL.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "List the tenants of the documents, one a line.",
            discussion: """
                Columns: name, active backend, its address, authentication, server names. What is \
                wrong with documents goes to standard error ("pgtee check" says more), and the \
                other tenants are listed.

                Exit codes: 0 all documents are good, 66 no service document, 78 some are not.
                """)

        @OptionGroup var documents: DocumentOptions

        func run() throws {
            let check = try documents.check()
            let rows = check.tenants.map { tenant in
                let backend = tenant.activeBackend
                return [
                    tenant.name, tenant.active, backend.map { $0.endpoint.text } ?? "",
                    tenant.authentication.mode.rawValue, tenant.hosts.joined(separator: ","),
                ]
            }
            for line in TextTable.lines([["TENANT", "ACTIVE", "ADDRESS", "AUTH", "HOSTS"]] + rows) {
                print(line)
            }
            if check.errors > 0 { throw ExitCode(EX_CONFIG) }
        }
    }

    struct SQL: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "sql",
            abstract: "Print the SQL for a tenant's look-up role.",
            discussion: """
                The script makes the role and the function by which pgtee looks up SCRAM \
                verifiers in the tenant's own cluster (authentication.lookup in its document). \
                Read it, then run it there as a superuser; it may be run again:

                  pgtee tenant sql acme | psql -X -h /run/postgresql -U postgres

                Then set the password that authentication.lookup.password_file holds with psql's \
                \\password. pgtee itself never connects as a superuser.

                Exit codes: 0 printed, 66 no service document, 78 no good document of this \
                tenant, or one without authentication.lookup.
                """)

        @Argument(help: ArgumentHelp("The tenant.", valueName: "NAME"))
        var name: String

        @OptionGroup var documents: DocumentOptions

        func run() throws {
            let check = try documents.check()
            guard let tenant = check.tenants.first(where: { $0.name == name }) else {
                StandardError.print(
                    "error: there is no good document of tenant \"\(name)\"\n"
                        + "hint: See pgtee tenant list.")
                throw ExitCode(EX_CONFIG)
            }
            guard let lookup = tenant.authentication.lookup else {
                StandardError.print(
                    "error: tenant \"\(name)\" has no authentication.lookup in its document\n"
                        + "hint: Add authentication: {lookup: {password_file: FILE}}.")
                throw ExitCode(EX_CONFIG)
            }
            print(LookupRoleScript.text(lookup, tenant: name), terminator: "")
        }
    }
}

struct DocumentOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The service's document.", valueName: "FILE"))
    var config = DefaultPath.service

    /// All documents; problems go to standard error. Ends the program without a service document.
    func check() throws -> DocumentCheck {
        let check = DocumentCheck(servicePath: config)
        for problem in check.problems where problem.severity == .error {
            StandardError.print(problem.description)
        }
        guard check.service != nil else {
            throw ExitCode(check.gravest == .missing ? EX_NOINPUT : EX_CONFIG)
        }
        return check
    }
}

enum StandardError {
    static func print(_ text: String) {
        let bytes = Array((text + "\n").utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
}

/// Columns of text, two spaces between them.
enum TextTable {
    static func lines(_ rows: [[String]]) -> [String] {
        guard let columns = rows.map(\.count).max() else { return [] }
        let widths = (0..<columns).map { column in
            rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            let cells = row.enumerated().map { column, cell in
                column == row.count - 1
                    ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }
            var line = cells.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}

extension Endpoint {
    var text: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let directory, let port): "\(directory)/.s.PGSQL.\(port)"
        }
    }
}
