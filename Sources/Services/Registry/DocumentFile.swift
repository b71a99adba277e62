internal import Glibc

/// A file of YAML documents: read with bounds, and checked, before the YAML parser sees a byte of
/// it.
///
/// The parser recurses and expands, so depth, anchors and sizes are bounded here. Documents are cut
/// apart at their `---` lines, so that one that can't be parsed does not take its neighbours with
/// it.
enum DocumentFile {
    enum Limits {
        static let fileBytes = 16 << 20
        static let documentsPerFile = 100_000
        static let filesPerDirectory = 100_000
        /// Columns in front of the first word of a line; bounds the depth of block collections.
        static let indentation = 256
        static let flowDepth = 32
        /// Brackets and alias-like words in quotes or out of them; what the parser can be made to
        /// see.
        static let bareDepth = 256
        static let bareAliases = 16
    }

    struct Document {
        var text: String
        var lineOffset: Int
    }

    /// The bytes of a regular file that only trusted users can write.
    ///
    /// - Errors: a problem with the file as its place; `isMissing` says that there is no such file.
    static func read(_ path: String, limit: Int = Limits.fileBytes) throws(DocumentProblem)
        -> [UInt8]
    {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else {
            throw problem(path, "can't open: \(ErrnoText.current())", kind: .missing)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw problem(path, "can't read: \(ErrnoText.current())")
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw problem(path, "not a regular file") }
        if status.st_mode & S_IWOTH != 0 {
            throw problem(
                path, "everyone may write this file", hint: "Run chmod o-w on it.")
        }
        guard status.st_size <= limit else {
            throw problem(path, "the file has \(status.st_size) bytes; \(limit) are possible")
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(status.st_size) + 1)
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw problem(path, "can't read: \(ErrnoText.current())") }
            if count == 0 { return bytes }
            guard bytes.count + count <= limit else {
                throw problem(path, "the file grows while it is read; \(limit) bytes are possible")
            }
            bytes.append(contentsOf: chunk[..<count])
        }
    }

    static func documents(_ bytes: [UInt8], file: String) throws(DocumentProblem) -> [Document] {
        var start = 0
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { start = 3 }
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            throw problem(file, "the file is UTF-16", hint: "Save it as UTF-8.", kind: .malformed)
        }
        var documents: [Document] = []
        var documentStart = start
        var firstLine = 0
        var line = 0
        var position = start
        while position < bytes.count {
            let end = bytes[position...].firstIndex(of: 0x0A) ?? bytes.count
            if position > documentStart, isMarker(bytes[position..<end]) {
                documents.append(
                    try document(bytes[documentStart..<position], file: file, line: firstLine))
                documentStart = position
                firstLine = line
            }
            guard documents.count < Limits.documentsPerFile else {
                throw problem(file, "more than \(Limits.documentsPerFile) documents")
            }
            position = end + 1
            line += 1
        }
        documents.append(try document(bytes[documentStart...], file: file, line: firstLine))
        return documents.filter(hasContent)
    }

    /// `---` at a line's start begins a document, even inside a quoted text (YAML 1.2 §9.1.2).
    private static func isMarker(_ line: ArraySlice<UInt8>) -> Bool {
        guard line.starts(with: [0x2D, 0x2D, 0x2D]) else { return false }
        guard let next = line.dropFirst(3).first else { return true }
        return next == 0x20 || next == 0x09 || next == 0x0D
    }

    private static func document(_ bytes: ArraySlice<UInt8>, file: String, line: Int)
        throws(DocumentProblem) -> Document
    {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw DocumentProblem(
                kind: .malformed, file: file, line: line + 1, column: 1,
                message: "the document that begins here is not UTF-8")
        }
        return Document(text: text, lineOffset: line)
    }

    private static func hasContent(_ document: Document) -> Bool {
        document.text.split(whereSeparator: \.isNewline).contains { line in
            let words = line.drop { $0 == " " || $0 == "\t" }
            return !words.isEmpty && !words.hasPrefix("#")
                && !(words.hasPrefix("---") && words.dropFirst(3).allSatisfy(\.isWhitespace))
                && words != "..."
        }
    }

    static func problem(
        _ file: String, _ message: String, hint: String? = nil,
        kind: DocumentProblem.Kind = .invalid
    ) -> DocumentProblem {
        DocumentProblem(kind: kind, file: file, message: message, hint: hint)
    }
}

enum ErrnoText {
    static func current() -> String { text(errno) }

    static func text(_ code: Int32) -> String {
        switch code {
        case ENOENT: "no such file or directory"
        case EACCES: "permission denied"
        case EISDIR: "it is a directory"
        case ELOOP: "too many symbolic links"
        case ESTALE: "stale file handle"
        case ENOTDIR: "a part of the path is no directory"
        case EMFILE, ENFILE: "too many open files"
        default: "error \(code)"
        }
    }
}
