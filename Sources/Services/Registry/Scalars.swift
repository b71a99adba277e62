internal import Yams

/// From YAML nodes to values, with an error in words when the kind is wrong.
enum Scalars {
    static func text(_ node: Node, _ type: KeyType, _ context: inout DocumentContext) -> String? {
        guard let text = node.text else {
            wrongType(node, type, &context)
            return nil
        }
        guard text.utf8.count <= 16_384, !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F })
        else {
            context.report("the text is too long or has control characters in it", at: node)
            return nil
        }
        return text
    }

    static func path(_ node: Node, _ context: inout DocumentContext) -> String? {
        guard let text = text(node, .path, &context) else { return nil }
        guard text.utf8.count <= 4_000, !text.isEmpty else {
            context.report("a path has 1 to 4000 bytes", at: node)
            return nil
        }
        return context.resolve(text)
    }

    static func flag(_ node: Node, _ context: inout DocumentContext) -> Bool? {
        switch node.plainText {
        case "true": return true
        case "false": return false
        default:
            wrongType(node, .flag, &context)
            return nil
        }
    }

    static func number(
        _ node: Node, _ type: KeyType, _ range: ClosedRange<Int>, _ parse: (String) -> Int?,
        _ context: inout DocumentContext
    ) -> Int? {
        guard let text = node.plainText, let number = parse(text) else {
            wrongType(node, type, &context)
            return nil
        }
        guard range.contains(number) else {
            let bounds = type.rangeText ?? ""
            context.report("\(text) is out of range: \(bounds) is possible", at: node)
            return nil
        }
        return number
    }

    static func choice<Value: RawRepresentable<String> & CaseIterable>(
        _ node: Node, _ context: inout DocumentContext
    ) -> Value? {
        let words = Value.allCases.map(\.rawValue)
        guard let text = node.text else {
            wrongType(node, .choice(words), &context)
            return nil
        }
        if let value = Value(rawValue: text) { return value }
        let nearest = NearestKey.find(text, among: words)
        context.report(
            "\"\(text)\" is not \(KeyType.choice(words).words)", at: node,
            hint: nearest.map { "did you mean \"\($0)\"?" })
        return nil
    }

    static func list<Value>(
        _ node: Node, _ type: KeyType, _ context: inout DocumentContext,
        element: (Node, inout DocumentContext) -> Value?
    ) -> [Value]? {
        guard case .sequence(let sequence) = node else {
            wrongType(node, type, &context)
            return nil
        }
        return sequence.compactMap { element($0, &context) }
    }

    static func map(_ node: Node, _ context: inout DocumentContext) -> [String: String]? {
        guard case .mapping(let mapping) = node else {
            wrongType(node, .map(.text), &context)
            return nil
        }
        var result: [String: String] = [:]
        for (key, value) in mapping {
            guard let name = text(key, .text, &context), let text = text(value, .text, &context)
            else { continue }
            result[name] = text
        }
        return result
    }

    static func wrongType(_ node: Node, _ type: KeyType, _ context: inout DocumentContext) {
        let found = node.text.map { "\"\($0.prefix(60))\"" } ?? node.kindWords
        var hint: String?
        if case .list = type, let text = node.text { hint = "write it as a list: [\(text)]" }
        if case .flag = type, node.text != nil { hint = "YAML's yes, no, on and off are not used" }
        context.report("expected \(type.words), found \(found)", at: node, hint: hint)
    }
}
