/// Blanks comments and the contents of string literals, and keeps every line end.
struct CodeOnly {
    private let bytes: [UInt8]
    private var index = 0
    private var result: [UInt8] = []

    static func of(_ text: String) -> String {
        var scan = CodeOnly(bytes: Array(text.utf8))
        while scan.index < scan.bytes.count { scan.step() }
        return String(decoding: scan.result, as: UTF8.self)
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private mutating func step() {
        if starts("//") {
            while index < bytes.count && bytes[index] != UInt8(ascii: "\n") { index += 1 }
        } else if starts("/*") {
            skipComment()
        } else if let hashes = literalStart() {
            skipLiteral(hashes)
        } else {
            result.append(bytes[index])
            index += 1
        }
    }

    private func starts(_ text: String) -> Bool {
        bytes[index...].starts(with: text.utf8)
    }

    /// The number of `#` before a quote that begins here; nil when no literal does.
    private func literalStart() -> Int? {
        var end = index
        while end < bytes.count && bytes[end] == UInt8(ascii: "#") { end += 1 }
        guard end < bytes.count && bytes[end] == UInt8(ascii: "\"") else { return nil }
        return end - index
    }

    /// Steps over one byte that is no code.
    private mutating func drop() {
        if bytes[index] == UInt8(ascii: "\n") { result.append(bytes[index]) }
        index += 1
    }

    private mutating func skipComment() {
        var depth = 0
        repeat {
            if starts("/*") {
                depth += 1
                index += 2
            } else if starts("*/") {
                depth -= 1
                index += 2
            } else {
                drop()
            }
        } while depth > 0 && index < bytes.count
    }

    /// An interpolation's code is kept: rules hold in it, too.
    private mutating func skipLiteral(_ hashes: Int) {
        let pounds = String(repeating: "#", count: hashes)
        index += hashes
        let quote = starts("\"\"\"") ? "\"\"\"" : "\""
        index += quote.utf8.count
        result += quote.utf8
        while index < bytes.count && !starts(quote + pounds) {
            if starts("\\" + pounds + "(") {
                index += 2 + hashes
                skipInterpolation()
            } else if starts("\\" + pounds) && index + hashes + 1 < bytes.count {
                index += 1 + hashes
                drop()
            } else {
                drop()
            }
        }
        index = min(index + quote.utf8.count + hashes, bytes.count)
        result += quote.utf8
    }

    private mutating func skipInterpolation() {
        var depth = 1
        result.append(UInt8(ascii: "("))
        while depth > 0 && index < bytes.count {
            if let hashes = literalStart() {
                skipLiteral(hashes)
                continue
            }
            if bytes[index] == UInt8(ascii: "(") { depth += 1 }
            if bytes[index] == UInt8(ascii: ")") { depth -= 1 }
            result.append(bytes[index])
            index += 1
        }
    }
}
