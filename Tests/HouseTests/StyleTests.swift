import TestSupport
import Testing

/// How the code is written.
@Suite struct StyleTests {
    private static let everything = SourceFile.sources + SourceFile.tests

    @Test func `no line is longer than 100 columns`() {
        let manifest = SourceFile(path: "Package.swift", text: Manifest.current.text)
        let offenders = (Self.everything + [manifest]).flatMap { file in
            file.lines.indices.filter { file.lines[$0].count > 100 && !Self.isText(file, $0) }
                .map { file.place($0) }
        }
        #expect(offenders == [])
    }

    /// A line that holds nothing but a literal: texts of errors, and what a multi-line literal
    /// says.
    private static func isText(_ file: SourceFile, _ index: Int) -> Bool {
        let isComment = file.lines[index].drop { $0 == " " }.hasPrefix("//")
        return !isComment && file.code[index].filter { $0 != " " }.count <= 12
    }

    @Test func `no file is longer than 500 lines`() {
        let offenders = Self.everything.filter { $0.lines.count > 501 }
            .map { "\($0.path): \($0.lines.count) lines" }
        #expect(offenders == [])
    }

    @Test func `no function is longer than 70 lines`() {
        let offenders = SourceFile.sources.flatMap { FunctionLengths.longer(than: 70, in: $0) }
        #expect(offenders == [])
    }

    @Test func `nothing is public`() {
        let offenders = SourceFile.sources.flatMap { $0.places(/\bpublic\b|\bopen\s+class\b/) }
        #expect(offenders == [])
    }

    @Test func `nothing traps on purpose: no try!, as!, fatalError or forced unwrapping`() {
        let offenders = SourceFile.sources.flatMap { file in
            file.places(/\bfatalError\s*\(/) + file.places(ForcedUnwrapping.pattern)
        }
        #expect(offenders == [])
    }

    @Test func `no line ends in spaces, and none holds a tab`() {
        let offenders = Self.everything.flatMap { file in
            file.lines.indices.filter { index in
                file.lines[index].hasSuffix(" ") || file.lines[index].contains("\t")
            }.map { file.place($0) }
        }
        #expect(offenders == [])
    }

    @Test func `tests do not sleep, and none is switched off`() {
        // TestSupport is where waiting with a deadline is made.
        let files = SourceFile.tests.filter { !$0.path.hasPrefix("Tests/TestSupport/") }
        let offenders = files.flatMap {
            $0.places(/\b(?:u?sleep|nanosleep|Task\.sleep|Thread\.sleep)\s*\(/)
                + $0.places(/\.disabled\(|\bwithKnownIssue\b/)
        }
        #expect(offenders == [])
    }
}

enum ForcedUnwrapping {
    /// `x!`, `f()!`, `a[0]!`, `T!`, `try!`, `as!`, but not `x != y`.
    static var pattern: Regex<Substring> { /[\w)\]`?]!(?![=])/ }
}

enum FunctionLengths {
    /// Functions by the lines from `func` (or init, deinit, subscript, an accessor's owner) to the
    /// closing brace.
    static func longer(than limit: Int, in file: SourceFile) -> [String] {
        var offenders: [String] = []
        for (index, line) in file.code.enumerated() {
            guard line.contains(/^\s*(?:[@\w()]+\s+)*(?:func\s|init[?(<]|deinit\s|subscript[(<])/)
            else { continue }
            guard let end = closingBrace(file.code, from: index) else { continue }
            let length = end - index + 1
            if length > limit { offenders.append("\(file.place(index)) (\(length) lines)") }
        }
        return offenders
    }

    /// The line of the brace that closes the first one opened at or after `start`; nil when the
    /// declaration has no body.
    private static func closingBrace(_ code: [String], from start: Int) -> Int? {
        var braces = 0
        var parentheses = 0
        for index in start..<code.count {
            for character in code[index] {
                switch character {
                case "(": parentheses += 1
                case ")": parentheses -= 1
                case "{": braces += 1
                case "}":
                    braces -= 1
                    if braces == 0 && parentheses <= 0 { return index }
                    if braces < 0 { return nil }
                default: break
                }
            }
            // A protocol's requirement ends on its line.
            let isOpen = braces > 0 || parentheses > 0
            if !isOpen && index > start + 8 { return nil }
        }
        return nil
    }
}
