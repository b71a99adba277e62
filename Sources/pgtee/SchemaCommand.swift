internal import ArgumentParser
internal import Registry

/// `pgtee schema`: the documents' form for editors and programs.
struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Print the JSON Schema of a document, or the guide to all keys.",
        discussion: """
            An editor with a YAML language server completes and checks keys with it, for example \
            by this first line in a document:

              # yaml-language-server: $schema=tenant.schema.json

            after "pgtee schema tenant > tenant.schema.json". The schema knows each key's type and \
            range; what depends on several keys only "pgtee check" knows.
            """)

    enum Form: String, ExpressibleByArgument, CaseIterable {
        case service, tenant, guide
    }

    @Argument(
        help: ArgumentHelp(
            "service: pgtee.yaml; tenant: a tenant's document; guide: docs/configuration.md.",
            valueName: "FORM"))
    var form = Form.service

    func run() {
        switch form {
        case .service: print(DocumentKind.service.schema, terminator: "")
        case .tenant: print(DocumentKind.tenant.schema, terminator: "")
        case .guide: print(ConfigurationGuide.text, terminator: "")
        }
    }
}
