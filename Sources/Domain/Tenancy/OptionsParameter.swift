/// Route key 3: `-c pgtee.tenant=NAME` in the startup parameter `options`, found and cut out.
///
/// The words are split as the server splits them (postinit.c `pg_split_opts`: white space
/// separates, a backslash takes the next byte as it is), and read as its getopt(3) reads them
/// (postgres.c `process_postgres_switches`), so every spelling that would set the parameter there
/// is seen here: `-c n=v`, `-cn=v`, `--n=v`, after other letters (`-ec n=v`), with escapes, in any
/// case of `n`. What isn't ours keeps its bytes.
struct OptionsParameter {
    /// The names given, in order. More than one may differ; that is a conflict.
    private(set) var tenants: [[UInt8]] = []
    /// What is left to forward; nil when nothing is.
    private(set) var remaining: [UInt8]?

    /// Letters of the server's option string that take a value (PostgreSQL 13 to 18).
    private static let lettersWithValue = Array("BCcDdfhkNprStvW-".utf8)
    private static let lettersAlone = Array("bEeFijlnOPsT".utf8)
    private static let name = Array("pgtee.tenant".utf8)

    init(_ options: [UInt8]) {
        guard options.count >= Self.name.count else {
            remaining = options
            return
        }
        let words = Self.split(options)
        var cuts: [Range<Int>] = []
        var index = 0
        while index < words.count {
            let word = words[index]
            if word.bytes.elementsEqual("--".utf8) { break }
            let found = Self.valueLetter(in: word.bytes)
            guard let found else {
                index += 1
                continue
            }
            let isSetting = found.letter == UInt8(ascii: "c") || found.letter == dash
            let hasOwnValue = found.position + 1 < word.bytes.count
            let last = hasOwnValue ? index : index + 1
            guard last < words.count else { break }
            if isSetting {
                let value =
                    hasOwnValue ? word.bytes[(found.position + 1)...] : words[last].bytes[...]
                if let tenant = Self.tenant(in: value) {
                    tenants.append(tenant)
                    // Letters in front of this one stay; otherwise the word goes with the white
                    // space before it.
                    let wordStart = index > 0 ? words[index - 1].end : 0
                    let start = found.position > 1 ? word.offsets[found.position] : wordStart
                    cuts.append(start..<words[last].end)
                }
            }
            index = last + 1
        }
        remaining = cuts.isEmpty ? options : Self.cut(cuts, from: options)
    }

    private struct Word {
        /// Without escapes.
        var bytes: [UInt8] = []
        /// Where each byte (with its backslash) starts in the parameter.
        var offsets: [Int] = []
        var end = 0
    }

    private static func split(_ options: [UInt8]) -> [Word] {
        var words: [Word] = []
        var index = 0
        while index < options.count {
            while index < options.count, isSpace(options[index]) { index += 1 }
            guard index < options.count else { break }
            var word = Word()
            while index < options.count, !isSpace(options[index]) {
                let start = index
                if options[index] == backslash { index += 1 }
                guard index < options.count else { break }
                word.bytes.append(options[index])
                word.offsets.append(start)
                index += 1
            }
            word.end = index
            if !word.bytes.isEmpty { words.append(word) }
        }
        return words
    }

    /// The letter of this word that takes a value, if the word has one: getopt's walk.
    private static func valueLetter(in word: [UInt8]) -> (letter: UInt8, position: Int)? {
        guard word.count >= 2, word[0] == dash else { return nil }
        for position in 1..<word.count {
            let letter = word[position]
            if lettersWithValue.contains(letter) { return (letter, position) }
            if !lettersAlone.contains(letter) { return nil }
        }
        return nil
    }

    /// The value, when this is `pgtee.tenant=value`; the server ignores case in a setting's name.
    private static func tenant(in setting: ArraySlice<UInt8>) -> [UInt8]? {
        let end = setting.firstIndex(of: equalsSign) ?? setting.endIndex
        let given = setting[setting.startIndex..<end]
        guard given.count == name.count, zip(given, name).allSatisfy({ lowered($0) == $1 }) else {
            return nil
        }
        return end < setting.endIndex ? Array(setting[(end + 1)...]) : []
    }

    private static func cut(_ cuts: [Range<Int>], from options: [UInt8]) -> [UInt8]? {
        var kept: [UInt8] = []
        var position = 0
        for range in cuts {
            kept.append(contentsOf: options[position..<range.lowerBound])
            position = range.upperBound
        }
        kept.append(contentsOf: options[position...])
        if let first = kept.firstIndex(where: { !isSpace($0) }) {
            return first == 0 ? kept : Array(kept[first...])
        }
        return nil
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || (byte >= 0x09 && byte <= 0x0D)
    }
}
