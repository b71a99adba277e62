internal import Tenancy

/// The two kinds of documents, and what their tables of keys say.
package enum DocumentKind: String, Sendable, CaseIterable {
    case service, tenant

    var keys: [KeyDescription] {
        switch self {
        case .service: ServiceKeys.table().descriptions
        case .tenant: TenantKeys.table().descriptions
        }
    }

    var title: String {
        switch self {
        case .service: "The service's document (pgtee.yaml)"
        case .tenant: "A tenant's document"
        }
    }

    /// JSON Schema (draft 2020-12) for editors and other programs; ends with a line feed.
    package var schema: String {
        let head: [(String, JSONText)] = [
            ("$schema", .text("https://json-schema.org/draft/2020-12/schema")),
            ("title", .text("pgtee: \(title)")),
        ]
        return JSONText.object(head + SchemaWriter.object(keys)).rendered() + "\n"
    }
}

enum SchemaWriter {
    static func object(_ keys: [KeyDescription]) -> [(String, JSONText)] {
        var pairs: [(String, JSONText)] = [
            ("type", .text("object")),
            ("properties", .object(keys.map { ($0.name, .object(property($0))) })),
            ("additionalProperties", .flag(false)),
        ]
        let required = keys.filter(\.isRequired).map { JSONText.text($0.name) }
        if !required.isEmpty { pairs.append(("required", .list(required))) }
        return pairs
    }

    private static func property(_ key: KeyDescription) -> [(String, JSONText)] {
        var help = key.help
        if let value = key.defaultText { help += " Default: \(value)." }
        return [("description", .text(help))] + type(key.type, key.children)
    }

    private static func type(_ type: KeyType, _ children: [KeyDescription])
        -> [(String, JSONText)]
    {
        switch type {
        case .text, .path: return [("type", .text("string"))]
        case .tenantName:
            return [("type", .text("string")), ("pattern", .text("^[a-z][a-z0-9_-]{0,62}$"))]
        case .flag: return [("type", .text("boolean"))]
        case .integer(let range):
            return [
                ("type", .text("integer")), ("minimum", .number(range.lowerBound)),
                ("maximum", .number(range.upperBound)),
            ]
        case .duration: return measure("ms|s|m|min|h|d")
        case .size: return measure("B|KB|kB|MB|GB|KiB|MiB|GiB")
        case .choice(let words):
            // `1.2` without quotes is a number to YAML.
            let numbers = words.filter { Double($0) != nil }.map(JSONText.decimal)
            return [("enum", .list(words.map(JSONText.text) + numbers))]
        case .list(let element):
            return [
                ("type", .text("array")), ("items", .object(self.type(element, children))),
            ]
        case .map(let value):
            return [
                ("type", .text("object")),
                ("additionalProperties", .object(self.type(value, []))),
            ]
        case .section: return object(children)
        case .either(_, let types):
            return [("anyOf", .list(types.map { .object(self.type($0, children)) }))]
        case .constant(let word):
            // YAML 1.1 readers take a bare `off` for false.
            return [("enum", .list([.text(word), .flag(false)]))]
        }
    }

    /// A number with a unit, or 0.
    private static func measure(_ units: String) -> [(String, JSONText)] {
        [
            ("type", .list([.text("string"), .text("integer")])),
            ("pattern", .text("^(0|[0-9]+ *(\(units)))$")), ("minimum", .number(0)),
            ("maximum", .number(0)),
        ]
    }
}
