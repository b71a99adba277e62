/// SASLprep (RFC 4013) of passwords, for those that we derive keys from ourselves. The proxy itself
/// never sees a client's password.
///
/// As PostgreSQL does it: ASCII and what is not UTF-8 stays as it is; so does a password that
/// SASLprep prohibits (control characters, private use, unassigned in Unicode 3.2, nothing left).
///
/// Left out: normalisation (NFKC) in general. Characters that it may change or combine, other than
/// the few in `compatible`, and scripts from right to left are refused instead of guessed: a wrong
/// guess would lock a role out.
///
/// - Source: saslprep.c; RFC 3454 for the tables.
package enum SaslPrep {
    private enum Mapping { case keep, drop, replace([Unicode.Scalar]), prohibited, unknown }

    /// - Errors: `unsupportedPassword`.
    package static func prepared(_ password: [UInt8]) throws(AuthenticationError) -> [UInt8] {
        guard password.contains(where: { $0 >= 0x80 }),
            let text = String(validating: password, as: UTF8.self)
        else { return password }
        var out = String.UnicodeScalarView()
        var isProhibited = false
        var unknown: Unicode.Scalar?
        for scalar in text.unicodeScalars {
            switch mapping(scalar) {
            case .keep: out.append(scalar)
            case .drop: break
            case .replace(let scalars): out.append(contentsOf: scalars)
            case .prohibited: isProhibited = true
            case .unknown: unknown = scalar
            }
        }
        if isProhibited { return password }
        if let unknown {
            throw AuthenticationError(
                .unsupportedPassword,
                "the password has a character (block U+\(block(unknown))) that pgtee cannot prepare"
            )
        }
        return out.isEmpty ? password : Array(String(out).utf8)
    }

    /// Which 256 characters it is from, and no more of a password.
    private static func block(_ scalar: Unicode.Scalar) -> String {
        String(scalar.value >> 8, radix: 16, uppercase: true) + "xx"
    }

    private static func mapping(_ scalar: Unicode.Scalar) -> Mapping {
        let value = scalar.value
        switch value {
        // Spaces first, as in PostgreSQL: U+200B is in both tables.
        case 0xA0, 0x1680, 0x2000...0x200B, 0x202F, 0x205F, 0x3000: return .replace([" "])
        case 0xAD, 0x34F, 0x1806, 0x180B...0x180D, 0x200C, 0x200D, 0x2060, 0xFE00...0xFE0F, 0xFEFF:
            return .drop
        case 0...0x1F, 0x7F...0x9F, 0x2028, 0x2029, 0xE000...0xF8FF, 0xFFF9...0xFFFD,
            0xF0000...0x10FFFF:
            return .prohibited
        // Not in Unicode 3.2, and stable in NFKC.
        case 0x1F300...0x1FAFF: return .prohibited
        case 0xFF01...0xFF5E:
            return Unicode.Scalar(value - 0xFEE0).map { .replace([$0]) } ?? .unknown
        default: break
        }
        if let replacement = compatible[value] { return .replace(replacement) }
        return isStable(value) ? .keep : .unknown
    }

    /// Characters of left-to-right scripts that are in Unicode 3.2, and that NFKC neither changes
    /// nor combines with a neighbour.
    private static func isStable(_ value: UInt32) -> Bool {
        switch value {
        case 0x20...0x7E: true
        case 0xA8, 0xAA, 0xAF, 0xB2...0xB5, 0xB8...0xBA, 0xBC...0xBE: false
        case 0xA1...0xFF: true
        case 0x132, 0x133, 0x13F, 0x140, 0x149: false
        case 0x100...0x17E: true
        case 0x386, 0x388...0x38A, 0x38C, 0x38E...0x3A1, 0x3A3...0x3CE: true
        case 0x400...0x45F: true
        case 0x2013, 0x2014, 0x2018...0x201E, 0x2020...0x2022, 0x2030, 0x2039, 0x203A, 0x20AC: true
        case 0x3041...0x3094, 0x30A1...0x30FA, 0x30FC: true
        case 0x4E00...0x9FA5: true
        case 0xAC00...0xD7A3: true
        default: false
        }
    }

    /// What NFKC makes of characters that keyboards have, and of the Roman numerals.
    private static let compatible: [UInt32: [Unicode.Scalar]] = {
        var table: [UInt32: [Unicode.Scalar]] = [
            0xAA: ["a"], 0xBA: ["o"], 0xB9: ["1"], 0xB2: ["2"], 0xB3: ["3"], 0xB5: ["\u{3BC}"],
            0x2026: [".", ".", "."], 0x2122: ["T", "M"],
        ]
        let numerals = [
            "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "L", "C", "D",
            "M",
        ]
        for (index, numeral) in numerals.enumerated() {
            table[0x2160 + UInt32(index)] = Array(numeral.unicodeScalars)
            table[0x2170 + UInt32(index)] = Array(numeral.lowercased().unicodeScalars)
        }
        return table
    }()
}
