/// Strict base64 (RFC 4648 §4): no white space, padding exactly where it belongs.
enum Base64 {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        return values
    }()

    static func encode(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group: UInt32 = 0
            for index in 0..<3 {
                group = group << 8 | (index < count ? UInt32(bytes[start + index]) : 0)
            }
            for index in 0..<4 {
                let value = Int(group >> UInt32(18 - 6 * index)) & 63
                out.append(index <= count ? alphabet[value] : UInt8(ascii: "="))
            }
        }
        return out
    }

    static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        let text = Array(text)
        guard text.count % 4 == 0 else { return nil }
        guard !text.isEmpty else { return [] }
        let padding = text.suffix(2).filter { $0 == UInt8(ascii: "=") }.count
        var out: [UInt8] = []
        out.reserveCapacity(text.count / 4 * 3)
        for start in stride(from: 0, to: text.count, by: 4) {
            let isLast = start + 4 == text.count
            var group: UInt32 = 0
            for index in 0..<4 {
                let character = text[start + index]
                if isLast && index >= 4 - padding {
                    guard character == UInt8(ascii: "=") else { return nil }
                    group <<= 6
                    continue
                }
                let value = values[Int(character)]
                guard value != 255 else { return nil }
                group = group << 6 | UInt32(value)
            }
            let count = isLast ? 3 - padding : 3
            for index in 0..<count {
                out.append(UInt8(truncatingIfNeeded: group >> UInt32(16 - 8 * index)))
            }
        }
        // Bits behind the last byte must be zero, or two texts would stand for the same bytes.
        return encode(out) == text ? out : nil
    }
}
