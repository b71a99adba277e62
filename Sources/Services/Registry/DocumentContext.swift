internal import Yams

/// Where decoding stands: the document's place, and what was found wrong so far.
struct DocumentContext {
    let file: String
    /// Lines in front of this document in its file.
    let lineOffset: Int
    var problems: [DocumentProblem] = []

    init(file: String, lineOffset: Int) {
        self.file = file
        self.lineOffset = lineOffset
    }

    var hasErrors: Bool { problems.contains { $0.severity == .error } }

    mutating func report(
        _ message: String, at node: Node, hint: String? = nil,
        severity: DocumentProblem.Severity = .error
    ) {
        let mark = node.mark
        problems.append(
            DocumentProblem(
                severity: severity, file: file, line: (mark?.line ?? 0) + lineOffset,
                column: mark?.column ?? 1, message: message, hint: hint))
    }

    /// Relative paths stand beside the document.
    func resolve(_ path: String) -> String {
        Paths.absolute(path, beside: file)
    }
}

enum Paths {
    static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    static func absolute(_ path: String, beside file: String) -> String {
        if path.hasPrefix("/") { return path }
        let directory = directory(of: file)
        return directory == "/" ? "/\(path)" : "\(directory)/\(path)"
    }
}

extension Node {
    /// `key:` with nothing after it, `~` or `null`: as if the key were not there.
    var isNothing: Bool {
        guard case .scalar(let scalar) = self, scalar.style == .plain || scalar.style == .any else {
            return false
        }
        return scalar.string.isEmpty || scalar.string == "~" || scalar.string == "null"
    }

    var text: String? {
        guard case .scalar(let scalar) = self else { return nil }
        return scalar.string
    }

    /// A scalar without quotes: only those are numbers or truth values.
    var plainText: String? {
        guard case .scalar(let scalar) = self, scalar.style == .plain || scalar.style == .any else {
            return nil
        }
        return scalar.string
    }

    var kindWords: String {
        switch self {
        case .scalar: "text"
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .alias: "an alias"
        }
    }
}
