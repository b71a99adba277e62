/// SQL on a private cluster, as its superuser over the unix socket.
extension PrivateCluster {
    /// Runs `text` (several statements are fine) and returns what psql prints: unaligned, `|`
    /// between columns, no headings, without the last line end.
    @discardableResult
    package func sql(_ text: String, database: String = "postgres") throws -> String {
        let output = try runOrThrow(
            [
                installation.program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-f", "-",
                "host=\(socketDirectory) port=\(port) user=postgres dbname=\(database)",
            ], input: text)
        return output.hasSuffix("\n") ? String(output.dropLast()) : output
    }

    /// A role that may log in. The password may hold anything; it is quoted here.
    package func createRole(
        _ name: String, password: String?, attributes: String = ""
    ) throws {
        var text = "CREATE ROLE \(quoteIdentifier(name)) LOGIN \(attributes)"
        if let password { text += " PASSWORD \(quoteLiteral(password))" }
        try sql(text + ";")
    }

    package func createDatabase(_ name: String, owner: String = "postgres") throws {
        try sql("CREATE DATABASE \(quoteIdentifier(name)) OWNER \(quoteIdentifier(owner));")
    }

    /// The role's entry in pg_authid (`SCRAM-SHA-256$…`).
    package func verifier(of role: String) throws -> String {
        try sql("SELECT rolpassword FROM pg_authid WHERE rolname = \(quoteLiteral(role));")
    }

    /// Client sessions that the cluster has, without the one that asks.
    package func sessionCount() throws -> Int {
        let count = try sql(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
                + " AND pid <> pg_backend_pid();")
        return Int(count) ?? -1
    }

    /// The libpq address over TCP, without user and database.
    package var tcpAddress: String { "host=\(host) port=\(port)" }

    /// The libpq address over the unix socket, without user and database.
    package var socketAddress: String { "host=\(socketDirectory) port=\(port)" }
}

package func quoteIdentifier(_ name: String) -> String {
    "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
        + "\""
}

package func quoteLiteral(_ text: String) -> String {
    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
}
