/// docs/configuration.md, made from the tables of keys so that it can't lag behind.
package enum ConfigurationGuide {
    package static var text: String {
        var parts = [introduction]
        for kind in DocumentKind.allCases {
            parts.append("## \(kind.title)\n")
            parts.append(example(kind))
            parts.append(contentsOf: sections(kind.keys, path: ""))
        }
        return parts.joined(separator: "\n")
    }

    private static func sections(_ keys: [KeyDescription], path: String) -> [String] {
        var parts = [table(keys)]
        for key in keys where !key.children.isEmpty {
            let name = path.isEmpty ? key.name : "\(path).\(key.name)"
            parts.append("### `\(name)`\n")
            if !path.isEmpty || isListed(key.type) { parts.append("\(key.help)\n") }
            parts.append(contentsOf: sections(key.children, path: name))
        }
        return parts
    }

    private static func isListed(_ type: KeyType) -> Bool {
        switch type {
        case .list, .either: true
        default: false
        }
    }

    private static func table(_ keys: [KeyDescription]) -> String {
        var lines = [
            "| key | what | default | range | a change needs |", "| --- | --- | --- | --- | --- |",
        ]
        for key in keys {
            let initial = key.isRequired ? "required" : key.defaultText.map { "`\($0)`" } ?? ""
            let range = key.type.rangeText ?? ""
            let cells = [
                "`\(key.name)`", "\(key.help) *\(upperFirst(key.type.words)).*", initial, range,
                key.reload.rawValue,
            ]
            lines.append("| " + cells.map(escaped).joined(separator: " | ") + " |")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func escaped(_ text: String) -> String { text.replacing("|", with: "\\|") }

    private static func upperFirst(_ text: String) -> String {
        text.prefix(1).uppercased() + text.dropFirst()
    }

    private static func example(_ kind: DocumentKind) -> String {
        switch kind {
        case .service: serviceExample
        case .tenant: tenantExample
        }
    }

    private static let introduction = """
        # Configuration

        <!-- Made from the tables of keys in Sources/Services/Registry (pgtee schema guide).
             Do not edit. -->

        pgtee reads one document for the service and one per tenant. Both are YAML without anchors
        and tags. An unknown key is an error, so a slip of the pen can't switch anything off.
        `pgtee check pgtee.yaml` explains what is wrong, with file, line and column; `pgtee
        schema` prints a JSON Schema for editors.

        A duration is written with its unit (`250ms`, `15s`, `2m`, `1h`), a size as well
        (`256KiB`, `64MB`); only 0 needs none. Relative paths stand beside the document that names
        them. Files with secrets and keys must not be readable by others; documents must not be
        writable by everyone. Text that begins with `*`, such as `"*:6432"`, needs quotes.

        ## Reloading

        pgtee watches its documents, certificates, keys and password files, and reads them again
        when they change or when it gets SIGHUP. Sessions that are there go on; the next login
        sees the new values. Keys marked *restart* count from the next start.

        - A bad service document keeps the last good one.
        - A bad tenant document keeps that tenant's last good values; all other tenants change. At
          first start there is none, so that tenant is not served, the others are, and the log
          says so as an error. `pgtee check` fails in all these cases: run it before you install a
          document.
        - A file that is removed removes its tenants, except the very last ones.
        - Two documents that claim one tenant name or host: who had it keeps it; at first start
          the first in the order of file names.

        ## How a login finds its tenant

        The keys are looked at in this order; `routing.keys` can switch each of them off.

        | key | the client says | rewritten |
        | --- | --- | --- |
        | `sni` | the TLS server name: a tenant's host, or `tenant.domain` under a routing \
        domain | no |
        | `user` | `role@tenant` or `role@tenant.any.host.name`, split at the last `@` | to \
        `role`, and the database if it repeats the user or is empty |
        | `options` | `-c pgtee.tenant=tenant` | taken out |
        | `database` | a name that exactly one tenant maps | to the cluster's name |
        | `listener` | the address it connects to, if that has a tenant | no |

        All of them are looked at, and two that name different tenants refuse the login (28000). A
        key that names a tenant which does not exist refuses it, too: it never falls through to a
        weaker key or to the default tenant. A server name outside the routing domains that is no
        tenant's host says nothing. A role name with an `@` of its own needs the tenant after it:
        `ann@contoso.com@acme`.


        """

    private static let serviceExample = """
        ```yaml
        listen: ["*:6432"]
        tls: {mode: require, certificate: proxy.crt, key: proxy.key}
        tenants: tenants/
        routing: {domains: [db.example.com]}
        ```

        """

    private static let tenantExample = """
        One file may hold several documents, with `---` between them.

        ```yaml
        tenant: acme
        hosts: [pg.acme.example.org]
        backends:
          - name: blue
            host: 10.0.0.5
            tls: {mode: verify-full, ca: acme-ca.crt, name: db.acme.internal}
          - {name: green, socket: /run/postgresql, port: 5433}
        active: blue
        authentication: {lookup: {password_file: acme.pgtee_lookup}}
        limits: {sessions: 100}
        ```

        """
}
