/// What a document must not have, found without parsing it: control characters, anchors and aliases
/// (one line of aliases can stand for gigabytes), tags, deep nesting.
struct YAMLGuard {
    private enum Quote { case none, single, double }

    private var line = 1
    private var column = 0
    private var flowDepth = 0
    private var quote = Quote.none
    private var isEscaped = false
    private var isComment = false
    /// At the first byte of a token: after white space, a bracket or a comma.
    private var startsToken = true
    /// The single-quoted text has just ended; another quote at once is an apostrophe inside it.
    private var endedSingle = false
    /// Counted in every byte, whatever is quoted: a text can be built so that this reader and the
    /// parser disagree on where quotes are.
    private var bareDepth = 0
    private var anchors = 0
    private var aliases = 0
    /// Only indentation and block indicators so far in this line.
    private var isLeading = true

    /// The first problem, as line (from 1), column and text; nil: none.
    static func check(_ text: String) -> (line: Int, column: Int, message: String, hint: String?)? {
        var state = YAMLGuard()
        var previous: UInt8 = 0
        for byte in text.utf8 {
            if let message = state.step(byte, after: previous) {
                return (state.line, max(state.column, 1), message.text, message.hint)
            }
            previous = byte
        }
        return nil
    }

    private typealias Message = (text: String, hint: String?)

    private mutating func step(_ byte: UInt8, after previous: UInt8) -> Message? {
        if byte == 0x0A {
            line += 1
            column = 0
            isComment = false
            isLeading = true
            startsToken = true
            isEscaped = false
            return nil
        }
        // Continuation bytes of UTF-8 are no columns of their own.
        if byte & 0xC0 != 0x80 { column += 1 }
        if byte < 0x20, byte != 0x09, byte != 0x0D || byte == 0x7F {
            return ("a control character (0x\(String(byte, radix: 16)))", nil)
        }
        if let message = count(byte, after: previous) { return message }
        if isComment { return nil }
        let continues = endedSingle && byte == 0x27
        endedSingle = false
        if continues {
            quote = .single
            return nil
        }
        switch quote {
        case .double:
            if isEscaped {
                isEscaped = false
            } else if byte == 0x5C {
                isEscaped = true
            } else if byte == 0x22 {
                quote = .none
            }
            return nil
        case .single:
            if byte == 0x27 {
                quote = .none
                endedSingle = true
            }
            return nil
        case .none: return plain(byte, after: previous)
        }
    }

    private mutating func count(_ byte: UInt8, after previous: UInt8) -> Message? {
        let isIndicator =
            previous <= 0x20 || [0x5B, 0x7B, 0x2C, 0x3A, 0x3F, 0x2D].contains(previous)
        switch byte {
        case 0x5B, 0x7B: bareDepth += 1
        case 0x5D, 0x7D: bareDepth = max(0, bareDepth - 1)
        case 0x26 where isIndicator: anchors += 1
        case 0x2A where isIndicator: aliases += 1
        default: return nil
        }
        if bareDepth > DocumentFile.Limits.bareDepth {
            return ("the document is nested too deeply", nil)
        }
        if anchors > 0, aliases > DocumentFile.Limits.bareAliases {
            return ("anchors and aliases are not used in these documents", nil)
        }
        return nil
    }

    private mutating func plain(_ byte: UInt8, after previous: UInt8) -> Message? {
        let atStart = startsToken
        let isSpace = byte == 0x20 || byte == 0x09 || byte == 0x0D
        startsToken = isSpace || byte == 0x5B || byte == 0x7B || byte == 0x2C
        if isLeading, !isSpace, byte != 0x2D, byte != 0x3F { isLeading = false }
        if isLeading, column > DocumentFile.Limits.indentation {
            return ("the document is nested too deeply", nil)
        }
        switch byte {
        case 0x23 where atStart: isComment = true
        case 0x22 where atStart: quote = .double
        case 0x27 where atStart: quote = .single
        case 0x2A where atStart, 0x26 where atStart:
            return (
                "anchors and aliases are not used in these documents",
                "put the text in quotes if it begins with * or &"
            )
        case 0x21 where atStart:
            return ("tags are not used in these documents", "put the text in quotes")
        case 0x5B, 0x7B:
            flowDepth += 1
            if flowDepth > DocumentFile.Limits.flowDepth {
                return ("the document is nested too deeply", nil)
            }
        case 0x5D, 0x7D: flowDepth = max(0, flowDepth - 1)
        default: break
        }
        return nil
    }
}
