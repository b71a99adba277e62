/// The rule for a tenant's name, in one place: `[a-z][a-z0-9_-]{0,62}`.
///
/// A name is a DNS label, a part of a user name, a part of file and unit names. It's ASCII and
/// lower case so that no two names can differ by case or by Unicode form only.
package enum TenantName {
    package static let bytesMax = 63
    package static let rule = "a lower-case letter, then at most 62 of a-z, 0-9, _ and -"

    package static func isValid(_ name: some Collection<UInt8>) -> Bool {
        guard let first = name.first, isLower(first), name.count <= bytesMax else { return false }
        return name.allSatisfy { isLower($0) || isDigit($0) || $0 == dash || $0 == underscore }
    }

    package static func isValid(_ name: String) -> Bool { isValid(name.utf8) }
}

let dash = UInt8(ascii: "-")
let underscore = UInt8(ascii: "_")
let dot = UInt8(ascii: ".")
let backslash = UInt8(ascii: "\\")
let equalsSign = UInt8(ascii: "=")

func isLower(_ byte: UInt8) -> Bool { byte >= 0x61 && byte <= 0x7A }
func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

/// ASCII only: `İ`, `ı` and all other letters outside ASCII stay as they are.
func lowered(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }
