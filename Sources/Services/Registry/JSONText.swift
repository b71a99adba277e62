/// A JSON value whose keys keep their order, and its text.
indirect enum JSONText {
    case text(String)
    case number(Int)
    case decimal(String)
    case flag(Bool)
    case list([JSONText])
    case object([(String, JSONText)])

    func rendered(indent: String = "") -> String {
        let inner = indent + "  "
        switch self {
        case .text(let text): return Self.quoted(text)
        case .number(let number): return "\(number)"
        case .decimal(let text): return text
        case .flag(let flag): return "\(flag)"
        case .list(let values):
            let parts = values.map { $0.rendered(indent: inner) }
            let line = "[" + parts.joined(separator: ", ") + "]"
            guard line.utf8.count > 80 || line.contains("\n") else { return line }
            return "[\n" + parts.map { inner + $0 }.joined(separator: ",\n") + "\n\(indent)]"
        case .object(let pairs):
            if pairs.isEmpty { return "{}" }
            let parts = pairs.map { "\(inner)\(Self.quoted($0)): \($1.rendered(indent: inner))" }
            return "{\n" + parts.joined(separator: ",\n") + "\n\(indent)}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            default:
                if scalar.value < 0x20 {
                    let digits = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}
