internal import Admin
internal import ArgumentParser
internal import Glibc
internal import Registry

/// `pgtee serve`: the proxy.
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Route clients to their tenants' clusters.",
        discussion: """
            Reads the service's document and the tenants' documents it names, listens, and serves \
            until SIGTERM: then sessions between transactions end with 57P01, the others when they \
            get there or at the deadline (drain in the document); a second SIGTERM ends everything \
            now. SIGHUP, or a change of a file, reads documents and certificates again; a bad \
            document changes nothing and is reported.

            Exit codes: 0 drained, 66 a document can't be read, 71 the system refuses something \
            (an address in use, no threads), 78 a document is wrong.
            """)

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The service's document.", valueName: "FILE"))
    var config = "/etc/pgtee/pgtee.yaml"

    func run() throws {
        SignalWatcher.prepare()
        let hardening = ProcessHardening.apply()
        do {
            try ServiceRunner(configPath: config, hardening: hardening).run()
        } catch let error as ProblemList {
            complain(error.description)
            throw ExitCode(access(config, R_OK) == 0 ? EX_CONFIG : EX_NOINPUT)
        } catch let error as ServeError {
            complain("error: \(error.message)" + (error.hint.map { "\nhint: \($0)" } ?? ""))
            throw ExitCode(EX_OSERR)
        }
    }
}

/// Why the service could not start.
struct ServeError: Error {
    var message: String
    var hint: String?
}

/// To standard error, whole.
func complain(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = write(2, bytes, bytes.count)
}
