internal import Yams

/// One row of a table of keys: its description and how its value gets into a `Target`.
///
/// The tables (`ServiceKeys`, `TenantKeys`) are the only place that knows which keys exist.
/// Decoding, errors, the JSON Schema and docs/configuration.md all read them.
struct Field<Target> {
    var description: KeyDescription
    let decode: (inout Target, Node, inout DocumentContext) -> Void

    var name: String { description.name }

    /// The same key, with another reload behaviour.
    func restart() -> Field {
        var copy = self
        copy.description.reload = .restart
        return copy
    }

    func required() -> Field {
        var copy = self
        copy.description.isRequired = true
        copy.description.defaultText = nil
        return copy
    }

    /// The same key, with words for a default that isn't a plain value.
    func otherwise(_ text: String) -> Field {
        var copy = self
        copy.description.defaultText = text
        return copy
    }
}

/// A table of keys for one mapping.
struct FieldTable<Target> {
    let fields: [Field<Target>]
    private let numbers: [String: Int]

    init(_ fields: [Field<Target>]) {
        self.fields = fields
        numbers = Dictionary(
            fields.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    var descriptions: [KeyDescription] { fields.map(\.description) }

    func decode(_ node: Node, into target: inout Target, _ context: inout DocumentContext) {
        guard case .mapping(let mapping) = node else {
            if !node.isNothing {
                context.report("expected a mapping of keys, found \(node.kindWords)", at: node)
            }
            return
        }
        var seen = Set<String>()
        for (key, value) in mapping {
            guard let name = key.text else {
                context.report("a key must be text, found \(key.kindWords)", at: key)
                continue
            }
            guard let number = numbers[name] else {
                let nearest = NearestKey.find(name, among: fields.map(\.name))
                context.report(
                    "unknown key \"\(name)\"", at: key,
                    hint: nearest.map { "did you mean \"\($0)\"?" }
                        ?? "known keys: " + fields.map(\.name).joined(separator: ", "))
                continue
            }
            seen.insert(name)
            if !value.isNothing { fields[number].decode(&target, value, &context) }
        }
        for field in fields where field.description.isRequired && !seen.contains(field.name) {
            context.report("the key \"\(field.name)\" is missing", at: node)
        }
    }
}

/// The kinds of keys. Each takes its default from a fresh `Target`, so documents can't disagree
/// with code.
struct FieldMaker<Target> {
    let fresh: Target

    func scalar<Value>(
        _ name: String, _ path: WritableKeyPath<Target, Value>, _ type: KeyType, _ help: String,
        show: (Value) -> String?,
        parse: @escaping (Node, inout DocumentContext) -> Value?
    ) -> Field<Target> {
        let description = KeyDescription(
            name: name, type: type, defaultText: show(fresh[keyPath: path]), help: help)
        return Field(description: description) { target, node, context in
            if let value = parse(node, &context) { target[keyPath: path] = value }
        }
    }

    func text(_ name: String, _ path: WritableKeyPath<Target, String>, _ help: String)
        -> Field<Target>
    {
        scalar(name, path, .text, help, show: { $0.isEmpty ? nil : $0 }) {
            Scalars.text($0, .text, &$1)
        }
    }

    func text(_ name: String, _ path: WritableKeyPath<Target, String?>, _ help: String)
        -> Field<Target>
    {
        scalar(name, path, .text, help, show: { $0 }) { Scalars.text($0, .text, &$1) }
    }

    func path(_ name: String, _ path: WritableKeyPath<Target, String>, _ help: String)
        -> Field<Target>
    {
        scalar(name, path, .path, help, show: { $0.isEmpty ? nil : $0 }) {
            Scalars.path($0, &$1)
        }
    }

    func path(_ name: String, _ path: WritableKeyPath<Target, String?>, _ help: String)
        -> Field<Target>
    {
        scalar(name, path, .path, help, show: { $0 }) { Scalars.path($0, &$1) }
    }

    func flag(_ name: String, _ path: WritableKeyPath<Target, Bool>, _ help: String)
        -> Field<Target>
    {
        scalar(name, path, .flag, help, show: { "\($0)" }) { Scalars.flag($0, &$1) }
    }

    func integer(
        _ name: String, _ path: WritableKeyPath<Target, Int>, _ range: ClosedRange<Int>,
        _ help: String
    ) -> Field<Target> {
        scalar(name, path, .integer(range), help, show: { "\($0)" }) {
            Scalars.number($0, .integer(range), range, Units.integer, &$1)
        }
    }

    func integer(
        _ name: String, _ path: WritableKeyPath<Target, Int?>, _ range: ClosedRange<Int>,
        _ help: String
    ) -> Field<Target> {
        scalar(name, path, .integer(range), help, show: { $0.map { "\($0)" } }) {
            Scalars.number($0, .integer(range), range, Units.integer, &$1)
        }
    }

    func duration(
        _ name: String, _ path: WritableKeyPath<Target, Int>,
        in range: ClosedRange<Int> = Ranges.duration, _ help: String
    ) -> Field<Target> {
        scalar(name, path, .duration(range), help, show: Units.durationText) {
            Scalars.number($0, .duration(range), range, Units.duration, &$1)
        }
    }

    func duration(
        _ name: String, _ path: WritableKeyPath<Target, Int?>,
        in range: ClosedRange<Int> = Ranges.duration, _ help: String
    ) -> Field<Target> {
        scalar(name, path, .duration(range), help, show: { $0.map(Units.durationText) }) {
            Scalars.number($0, .duration(range), range, Units.duration, &$1)
        }
    }

    func size(
        _ name: String, _ path: WritableKeyPath<Target, Int>, _ range: ClosedRange<Int>,
        _ help: String
    ) -> Field<Target> {
        scalar(name, path, .size(range), help, show: Units.sizeText) {
            Scalars.number($0, .size(range), range, Units.size, &$1)
        }
    }

    func choice<Value: RawRepresentable<String> & CaseIterable>(
        _ name: String, _ path: WritableKeyPath<Target, Value>, _ help: String
    ) -> Field<Target> {
        let type = KeyType.choice(Value.allCases.map(\.rawValue))
        return scalar(name, path, type, help, show: { $0.rawValue }) { Scalars.choice($0, &$1) }
    }

    func choice<Value: RawRepresentable<String> & CaseIterable>(
        _ name: String, _ path: WritableKeyPath<Target, Value?>, _ help: String
    ) -> Field<Target> {
        let type = KeyType.choice(Value.allCases.map(\.rawValue))
        return scalar(name, path, type, help, show: { $0?.rawValue }) { Scalars.choice($0, &$1) }
    }

    func texts(_ name: String, _ path: WritableKeyPath<Target, [String]>, _ help: String)
        -> Field<Target>
    {
        scalar(
            name, path, .list(.text), help,
            show: { $0.isEmpty ? nil : "[\($0.joined(separator: ", "))]" }
        ) { node, context in
            Scalars.list(node, .list(.text), &context) { Scalars.text($0, .text, &$1) }
        }
    }

    func map(_ name: String, _ path: WritableKeyPath<Target, [String: String]>, _ help: String)
        -> Field<Target>
    {
        scalar(name, path, .map(.text), help, show: { _ in nil }) { Scalars.map($0, &$1) }
    }

    /// A mapping inside this one.
    func section<Inner>(
        _ name: String, _ path: WritableKeyPath<Target, Inner>, _ table: FieldTable<Inner>,
        _ help: String
    ) -> Field<Target> {
        let description = KeyDescription(
            name: name, type: .section, help: help, children: table.descriptions)
        return Field(description: description) { target, node, context in
            table.decode(node, into: &target[keyPath: path], &context)
        }
    }

    /// A mapping inside this one that may be left out; given, it starts from `make()`.
    func section<Inner>(
        _ name: String, _ path: WritableKeyPath<Target, Inner?>, _ table: FieldTable<Inner>,
        _ help: String, make: @escaping () -> Inner
    ) -> Field<Target> {
        let description = KeyDescription(
            name: name, type: .section, help: help, children: table.descriptions)
        return Field(description: description) { target, node, context in
            var inner = make()
            table.decode(node, into: &inner, &context)
            target[keyPath: path] = inner
        }
    }

    func custom(
        _ name: String, _ type: KeyType, _ help: String, defaultText: String? = nil,
        children: [KeyDescription] = [],
        decode: @escaping (inout Target, Node, inout DocumentContext) -> Void
    ) -> Field<Target> {
        let description = KeyDescription(
            name: name, type: type, defaultText: defaultText, help: help, children: children)
        return Field(description: description, decode: decode)
    }
}

enum Ranges {
    static let duration = 0...30 * 86_400_000
    static let count = 0...10_000_000
    static let port = 1...65_535
}
