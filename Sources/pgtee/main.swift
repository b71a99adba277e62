internal import ArgumentParser

/// The command line: parsing and wiring, no logic.
struct Pgtee: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pgtee",
        abstract: "One address, and every tenant's own PostgreSQL cluster behind it.",
        discussion: """
            "pgtee serve" routes psql -U remi@acme to the cluster of acme, with TLS verified on both \
            legs. Tenants are YAML documents: see "pgtee schema" for their keys and "pgtee check" to \
            try them before they are in force.
            """,
        version: version,
        subcommands: [
            ServeCommand.self, CheckCommand.self, StatusCommand.self, TenantCommand.self,
            SchemaCommand.self,
        ])
}

let version = "0.1.0"

Pgtee.main()
