import TestSupport
import Testing

/// What the command line says and how it ends.
@Suite struct CommandTests {
    @Test(arguments: [
        "", "serve", "check", "status", "schema", "tenant", "tenant list", "tenant sql",
    ])
    func `the help text is the kept one`(command: String) throws {
        let words = command.split(separator: " ").map { String($0) }
        let result = try PgteeCommand.run(words + ["--help"])
        #expect(result.status == ExitCode.fine)
        let name = (["pgtee"] + words).joined(separator: "-")
        #expect(try Golden.difference("help/\(name).txt", result.output) == nil)
    }

    @Test func `an unknown command is a usage error`() throws {
        #expect(try PgteeCommand.run(["bogus"]).status == ExitCode.usage)
        #expect(try PgteeCommand.run(["serve", "--bogus"]).status == ExitCode.usage)
    }

    @Test func `a document that is not there is no input`() throws {
        for command in [["serve", "--config"], ["check"]] {
            let result = try PgteeCommand.run(command + ["/nonexistent/pgtee.yaml"])
            #expect(result.status == ExitCode.noInput, "\(result)")
        }
    }

    @Test func `a wrong document is explained with its line and the nearest key`() throws {
        let directory = try TemporaryDirectory("documents")
        let path = try directory.write("pgtee.yaml", "tenants: t\nlistn: [127.0.0.1:1]\n")
        let result = try PgteeCommand.run(["check", path])
        #expect(result.status == ExitCode.badConfiguration)
        let text = result.output + result.error
        #expect(text.contains(":2:1: error: unknown key \"listn\" (did you mean \"listen\"?)"))
    }

    @Test func `a service that does not answer is unavailable`() throws {
        let port = try PortLock()
        let result = try PgteeCommand.run(["status", "--admin", "127.0.0.1:\(port.port)"])
        #expect(result.status == ExitCode.unavailable)
    }
}
