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
        let count = (bytes.count + 2) / 3 * 4
        return [UInt8](unsafeUninitializedCapacity: count) { out, initialized in
            var target = 0
            for start in stride(from: 0, to: bytes.count, by: 3) {
                let left = bytes.count - start
                let group =
                    UInt32(bytes[start]) << 16 | (left > 1 ? UInt32(bytes[start + 1]) << 8 : 0)
                    | (left > 2 ? UInt32(bytes[start + 2]) : 0)
                let pad = UInt8(ascii: "=")
                out[target] = alphabet[Int(group >> 18)]
                out[target + 1] = alphabet[Int(group >> 12) & 63]
                out[target + 2] = left > 1 ? alphabet[Int(group >> 6) & 63] : pad
                out[target + 3] = left > 2 ? alphabet[Int(group) & 63] : pad
                target += 4
            }
            initialized = count
        }
    }

    static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        guard let last = text.last else { return [] }
        var padding = last == UInt8(ascii: "=") ? 1 : 0
        if padding == 1 && text[text.endIndex - 2] == UInt8(ascii: "=") { padding = 2 }
        var out: [UInt8] = []
        out.reserveCapacity(text.count / 4 * 3)
        var group: UInt32 = 0
        var bits = 0
        for character in text.dropLast(padding) {
            let value = values[Int(character)]
            guard value != 255 else { return nil }
            group = group << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                out.append(UInt8(truncatingIfNeeded: group >> UInt32(bits)))
                group &= (1 << UInt32(bits)) - 1
            }
        }
        // Bits behind the last byte must be zero, or two texts would stand for the same bytes.
        return group == 0 ? out : nil
    }

    static func decode(_ text: [UInt8]) -> [UInt8]? { decode(text[...]) }
}
