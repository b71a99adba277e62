/// Texts with units: `15s`, `250ms`, `256KiB`. A number without a unit is refused unless it is 0:
/// in PostgreSQL's own files the bare number means another unit from key to key.
enum Units {
    /// Milliseconds.
    static func duration(_ text: String) -> Int? {
        guard let (number, unit) = split(text) else { return nil }
        let factor: Int
        switch unit {
        case "ms": factor = 1
        case "s": factor = 1_000
        case "m", "min": factor = 60_000
        case "h": factor = 3_600_000
        case "d": factor = 86_400_000
        case "": return number == 0 ? 0 : nil
        default: return nil
        }
        return product(number, factor)
    }

    /// Bytes: `KB`, `MB`, `GB` are powers of 1,000, `KiB`, `MiB`, `GiB` of 1,024.
    static func size(_ text: String) -> Int? {
        guard let (number, unit) = split(text) else { return nil }
        let factor: Int
        switch unit {
        case "B": factor = 1
        case "KB", "kB": factor = 1_000
        case "MB": factor = 1_000_000
        case "GB": factor = 1_000_000_000
        case "KiB": factor = 1 << 10
        case "MiB": factor = 1 << 20
        case "GiB": factor = 1 << 30
        case "": return number == 0 ? 0 : nil
        default: return nil
        }
        return product(number, factor)
    }

    static func integer(_ text: String) -> Int? {
        let digits = text.filter { $0 != "_" }
        return digits.isEmpty || digits.hasPrefix("+") ? nil : Int(digits)
    }

    static func durationText(_ milliseconds: Int) -> String {
        for (unit, factor) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000)]
        where milliseconds >= factor && milliseconds % factor == 0 {
            return "\(milliseconds / factor)\(unit)"
        }
        return milliseconds == 0 ? "0" : "\(milliseconds)ms"
    }

    static func sizeText(_ bytes: Int) -> String {
        for (unit, factor) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
        where bytes >= factor && bytes % factor == 0 {
            return "\(bytes / factor)\(unit)"
        }
        return bytes == 0 ? "0" : "\(bytes)B"
    }

    private static func split(_ text: String) -> (Int, String)? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard !digits.isEmpty, let number = Int(digits) else { return nil }
        let rest = text.dropFirst(digits.count).drop { $0 == " " }
        return (number, String(rest))
    }

    private static func product(_ number: Int, _ factor: Int) -> Int? {
        let (result, overflows) = number.multipliedReportingOverflow(by: factor)
        return overflows ? nil : result
    }
}
