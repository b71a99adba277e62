/// What is wrong with a document, and where, in words for the person who wrote it.
package struct DocumentProblem: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Severity: String, Sendable { case warning, error }

    /// What to do about it differs, and so does the exit code of `pgtee check`.
    package enum Kind: String, Sendable {
        /// The file is not there or can't be opened.
        case missing
        /// It is no YAML text.
        case malformed
        /// It says something that can't be.
        case invalid
    }

    package var severity = Severity.error
    package var kind = Kind.invalid
    package var file: String
    /// From 1; 0: the file as a whole.
    package var line = 0
    /// From 1, in Unicode scalars.
    package var column = 0
    /// Lower case, no full stop.
    package var message: String
    /// A full sentence, or `did you mean "…"?`.
    package var hint: String?

    /// `file:line:col: error: message (hint)`: the form that editors jump to.
    package var description: String {
        let place = line > 0 ? "\(file):\(line):\(column)" : file
        return "\(place): \(severity.rawValue): \(message)" + (hint.map { " (\($0))" } ?? "")
    }
}

/// Everything that is wrong, so that one run of `pgtee check` is enough.
package struct ProblemList: Error, Sendable, Equatable, CustomStringConvertible {
    package var problems: [DocumentProblem]

    package init(_ problems: [DocumentProblem]) { self.problems = problems }

    package var description: String { problems.map(\.description).joined(separator: "\n") }
}
