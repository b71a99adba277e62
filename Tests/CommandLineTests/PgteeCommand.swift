import TestSupport

/// The program's command line, run as a person would.
enum PgteeCommand {
    /// Runs pgtee without a terminal, 100 columns wide: help texts must not depend on either.
    static func run(_ arguments: [String], directory: String? = nil) throws -> RunResult {
        try TestSupport.run(
            [Repository.program] + arguments,
            environment: ["COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"],
            directory: directory, deadline: .seconds(30))
    }
}

/// Exit codes as sysexits.h has them.
enum ExitCode {
    static let fine: Int32 = 0
    static let usage: Int32 = 64
    static let badData: Int32 = 65
    static let noInput: Int32 = 66
    static let unavailable: Int32 = 69
    static let badConfiguration: Int32 = 78
}
