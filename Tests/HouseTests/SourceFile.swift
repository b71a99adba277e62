import Foundation
import TestSupport

/// A Swift file of this repository, as the house rules look at it.
struct SourceFile: Sendable {
    /// Relative to the repository.
    let path: String
    let lines: [String]
    /// The lines with comments and the contents of string literals blanked out.
    let code: [String]

    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { String($0) }
        code = CodeOnly.of(text).split(separator: "\n", omittingEmptySubsequences: false)
            .map { String($0) }
    }

    /// Places where the code matches, as `path:line: text`.
    func places(_ pattern: Regex<Substring>) -> [String] {
        // By Unicode's own rule `a.b` would be one word.
        let simple = pattern.wordBoundaryKind(.simple)
        return code.indices.filter { code[$0].contains(simple) }.map { place($0) }
    }

    func place(_ index: Int) -> String {
        "\(path):\(index + 1): \(lines[index].trimmingCharacters(in: .whitespaces))"
    }

    /// The floor and the room of a file in Sources, e.g. ("Wire", "PostgresProtocol").
    var room: (floor: String, name: String)? {
        let parts = path.split(separator: "/").map { String($0) }
        guard parts.first == "Sources" else { return nil }
        if parts.count > 3 { return (parts[1], parts[2]) }
        return parts.count > 2 ? ("program", parts[1]) : nil
    }

    static func all(under folder: String) -> [SourceFile] {
        let root = "\(Repository.root)/\(folder)"
        let names = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
        return names.filter { $0.hasSuffix(".swift") }.sorted().map { name in
            SourceFile(path: "\(folder)/\(name)", text: readText("\(root)/\(name)"))
        }
    }

    static let sources = all(under: "Sources")
    static let tests = all(under: "Tests")
}
