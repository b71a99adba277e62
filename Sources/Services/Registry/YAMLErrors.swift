internal import Tenancy
internal import Yams

/// The YAML parser's errors in our words and with our places.
enum YAMLErrors {
    static func problem(_ error: YamlError, _ context: DocumentContext) -> DocumentProblem {
        switch error {
        case .scanner(_, let text, let mark, _), .parser(_, let text, let mark, _),
            .composer(_, let text, let mark, _):
            return place("not YAML: \(text)", mark, context, hint: hint(text))
        case .duplicatedKeysInMapping(let keys, let first):
            let names = keys.map { "\"\($0)\"" }.joined(separator: ", ")
            return place("the key \(names) is given twice", first.mark, context, hint: nil)
        case .reader(let text, _, _, _):
            return DocumentProblem(
                kind: .malformed, file: context.file, line: context.lineOffset + 1, column: 1,
                message: "not YAML: \(text)")
        default:
            return DocumentProblem(
                kind: .malformed, file: context.file, line: context.lineOffset + 1, column: 1,
                message: "not YAML")
        }
    }

    private static func place(
        _ message: String, _ mark: Mark, _ context: DocumentContext, hint: String?
    ) -> DocumentProblem {
        DocumentProblem(
            kind: .malformed, file: context.file, line: mark.line + context.lineOffset,
            column: mark.column,
            message: message, hint: hint)
    }

    private static func hint(_ text: String) -> String? {
        if text.contains("tab") { return "indent with spaces, not tabs" }
        if text.contains("mapping values are not allowed") || text.contains("block mapping") {
            return "check the indentation and the colon of this line and the one before"
        }
        return nil
    }
}

extension DocumentContext {
    /// Takes over what validation found, with the places of the values it speaks of.
    mutating func add(_ found: [TenancyProblem], root: Node) {
        for problem in found {
            report(
                problem.message, at: Self.locate(problem.path, in: root), hint: problem.hint,
                severity: problem.isWarning ? .warning : .error)
        }
    }

    /// The value at a path, or the nearest one around it that is there.
    static func locate(_ path: [String], in root: Node) -> Node {
        var node = root
        for part in path {
            switch node {
            case .mapping(let mapping):
                guard let pair = mapping.first(where: { $0.key.text == part }) else { return node }
                if case .mapping = pair.value, part == path.last { return pair.key }
                node = pair.value
            case .sequence(let sequence):
                guard let index = Int(part), sequence.indices.contains(index) else { return node }
                node = sequence[index]
            default: return node
            }
        }
        return node
    }
}
