internal import Foundation

/// psql of one version. No ~/.psqlrc, no password file, no PG* variables of the caller.
package struct Psql: Sendable {
    private let program: String

    /// - Errors: that version is not installed.
    package init(major: Int = 15) throws {
        program = try PostgreSQLInstallation(major: major).program("psql")
    }

    /// Runs SQL; `connection` is a libpq connection string.
    ///
    /// The output is unaligned, `|` between columns, without headings. psql's status: 0 fine, 1 own
    /// error, 2 the connection failed or was lost, 3 an SQL error.
    package func run(
        _ connection: String, _ sql: String, password: String? = nil,
        environment: [String: String] = [:], options: [String] = [],
        deadline: Duration = .seconds(60)
    ) throws -> RunResult {
        try TestSupport.run(
            [program, "-XAtq", "-v", "ON_ERROR_STOP=1", "-f", "-"] + options + [connection],
            environment: Self.environment(password: password, with: environment), input: sql,
            deadline: deadline)
    }

    /// The output without its last line end; an error when the status is not 0.
    @discardableResult
    package func query(
        _ connection: String, _ sql: String, password: String? = nil,
        environment: [String: String] = [:], deadline: Duration = .seconds(60)
    ) throws -> String {
        let result = try run(
            connection, sql, password: password, environment: environment, deadline: deadline)
        guard result.status == 0 else { throw RunFailure(description: result.description) }
        return result.output.hasSuffix("\n") ? String(result.output.dropLast()) : result.output
    }

    /// psql in the background, running `sql`: to be interrupted (SIGINT cancels) or killed.
    package func start(
        _ connection: String, _ sql: String, password: String? = nil,
        environment: [String: String] = [:], outputPath: String
    ) throws -> ChildProcess {
        try ChildProcess(
            [program, "-XAt", "-c", sql, connection],
            environment: Self.environment(password: password, with: environment),
            outputPath: outputPath)
    }

    /// What libpq programs get: nothing from this machine's home directory can change a test.
    package static func environment(
        password: String?, with others: [String: String] = [:]
    ) -> [String: String] {
        var environment = [
            "PGPASSFILE": "/nonexistent", "PGSERVICEFILE": "/nonexistent",
            "PGCONNECT_TIMEOUT": "30",
            "PGSSLCERT": "/nonexistent", "PGSSLKEY": "/nonexistent", "PGCLIENTENCODING": "UTF8",
            "HOME": "/nonexistent", "LC_ALL": "C",
        ]
        if let password { environment["PGPASSWORD"] = password }
        return environment.merging(others) { $1 }
    }
}
