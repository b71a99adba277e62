internal import Admin
internal import ArgumentParser
internal import Glibc

/// `pgtee status`: what the running service says about itself.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what a running pgtee is doing.",
        discussion: """
            Asks the admin address of a running "pgtee serve" (admin.listen in its \
            configuration) and prints its tenants with their sessions, the bytes relayed from \
            clients (in) and from servers (out), failed logins and the backend in use; problems \
            in the configuration and the days that certificates have left come first.

            Exit codes: 0 it answered, 69 it could not be reached or is no pgtee.
            """)

    @Option(help: ArgumentHelp("Admin address of the service.", valueName: "HOST:PORT"))
    var admin = "127.0.0.1:9432"

    @Flag(help: "Print the answer as it came, as JSON.")
    var json = false

    func run() throws {
        do {
            let client = try AdminClient(admin)
            let answer = try client.get("/status")
            guard let status = StatusDocument(json: answer) else {
                throw AdminClientError.unexpectedAnswer(
                    address: client.address, reason: "it is no status document")
            }
            let text = json ? String(decoding: answer, as: UTF8.self) : StatusTable.render(status)
            print(text, terminator: "")
        } catch let error as AdminClientError {
            let text = "error: \(error.message)\nhint: \(error.hint)\n"
            let bytes = Array(text.utf8)
            _ = write(2, bytes, bytes.count)
            throw ExitCode(EX_UNAVAILABLE)
        }
    }
}
