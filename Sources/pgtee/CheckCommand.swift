internal import ArgumentParser
internal import Glibc
internal import Registry

/// `pgtee check`: is what the documents say possible?
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check the service's document and the tenants' documents.",
        discussion: """
            Reads them as "pgtee serve" would, changes nothing, connects to nothing, and prints \
            each fault as file:line:column: error: what is wrong (what to do). Files that the \
            documents name (certificates, keys, passwords) are looked at, too. Run it before you \
            install a document: a running service keeps the last good one, but a fresh start has \
            none.

            Without TENANTS the tenants that the service's document names are checked. With them, \
            these files and directories are, under the same service document, so a new document \
            can be tried before it is in place:

              pgtee check --config /etc/pgtee/pgtee.yaml new/acme.yaml

            Exit codes: 0 all is good, 65 a document is no YAML, 66 a document is not there, 78 a \
            document says something that can't be. With --strict a warning counts as an error.
            """)

    @Option(help: ArgumentHelp("The service's document.", valueName: "FILE"))
    var config: String?

    @Argument(
        help: ArgumentHelp(
            "Without --config: the service's document first. Then files and directories of tenant "
                + "documents.", valueName: "TENANTS"))
    var files: [String] = []

    @Flag(help: "Fail for warnings, too.")
    var strict = false

    @Flag(name: .shortAndLong, help: "Print nothing when all is good.")
    var quiet = false

    func run() throws {
        let service = config ?? files.first ?? DefaultPath.service
        let tenants = config == nil ? Array(files.dropFirst()) : files
        let check = DocumentCheck(servicePath: service, tenantPaths: tenants)
        for problem in check.problems { print(problem) }
        if !quiet || !check.problems.isEmpty { print("\(service): \(check.summary)") }
        switch check.gravest {
        case .missing: throw ExitCode(EX_NOINPUT)
        case .malformed: throw ExitCode(EX_DATAERR)
        case .invalid: throw ExitCode(EX_CONFIG)
        case nil: if strict, check.warnings > 0 { throw ExitCode(EX_CONFIG) }
        }
    }
}

/// Where documents are when none is named.
enum DefaultPath {
    static let service = "/etc/pgtee/pgtee.yaml"
}
