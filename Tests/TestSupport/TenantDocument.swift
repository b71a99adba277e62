/// The YAML of one tenant, made from a private cluster: only what a test wants to differ is said.
package struct TenantDocument: Sendable {
    package enum ServerLeg: Sendable {
        /// TCP without TLS.
        case plain
        case unixSocket
        /// TLS, `verify-full` unless another word is given, against this CA and name.
        case tls(ca: String, name: String, mode: String = "verify-full")
    }

    package var name: String
    /// Lines of YAML at the document's top level, after the others.
    package var extra: [String]
    private let backends: [String]
    private let authentication: [String]

    /// A tenant whose roles are looked up by `pgtee_lookup` (see `installLookup`).
    package init(
        _ name: String, _ cluster: PrivateCluster, _ leg: ServerLeg = .plain,
        lookupPasswordFile: String, extra: [String] = []
    ) {
        self.init(
            name, backends: [Self.backend("main", cluster, leg)],
            authentication: [
                "mode: scram",
                "lookup: {user: pgtee_lookup, password_file: \(lookupPasswordFile)}",
            ], extra: extra)
    }

    /// A tenant whose verifiers stand in the document.
    package init(
        _ name: String, _ cluster: PrivateCluster, _ leg: ServerLeg = .plain,
        verifiers: [String: String], extra: [String] = []
    ) {
        let list = verifiers.sorted { $0.key < $1.key }.map { "    \($0.key): \"\($0.value)\"" }
        self.init(
            name, backends: [Self.backend("main", cluster, leg)],
            authentication: ["mode: scram", "verifiers:"] + list, extra: extra)
    }

    /// Any backends (see `backend`) and the lines below `authentication:`.
    package init(
        _ name: String, backends: [String], authentication: [String], extra: [String] = []
    ) {
        self.name = name
        self.backends = backends
        self.authentication = authentication
        self.extra = extra
    }

    /// One element of `backends`.
    package static func backend(
        _ name: String, _ cluster: PrivateCluster, _ leg: ServerLeg
    ) -> String {
        switch leg {
        case .plain:
            "{name: \(name), host: 127.0.0.1, port: \(cluster.port), tls: {mode: disable}}"
        case .unixSocket:
            "{name: \(name), socket: \(cluster.socketDirectory), port: \(cluster.port)}"
        case .tls(let ca, let host, let mode):
            "{name: \(name), host: 127.0.0.1, port: \(cluster.port),"
                + " tls: {mode: \(mode), ca: \(ca), name: \(host)}}"
        }
    }

    package var yaml: String {
        let lines =
            ["tenant: \(name)", "backends:"] + backends.map { "  - \($0)" } + ["authentication:"]
            + authentication.map { "  \($0)" } + extra
        return lines.joined(separator: "\n") + "\n"
    }
}

extension PrivateCluster {
    /// Makes the look-up role and its function by the SQL that `pgtee tenant sql` prints.
    package func installLookup(sql text: String, password: String) throws {
        try sql(text)
        try sql("ALTER ROLE pgtee_lookup PASSWORD \(quoteLiteral(password));")
    }
}
