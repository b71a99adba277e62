import PostgresProtocol

/// Framing as plainly as it can be written, to compare the scanner with: whole stream in memory,
/// one byte after the other, limits as the manual's tables have them.
struct ReferenceFraming: Equatable {
    /// Whole messages.
    var messages: [[UInt8]] = []
    /// Headers seen: whole messages, and one whose body is not all there.
    var headers = 0
    /// Bytes that may be sent on.
    var forwardable = 0
    var isImpossible = false
    var readyCount = 0

    init(_ stream: [UInt8], from side: Side) {
        var at = 0
        while stream.count - at >= 5 {
            let type = Character(UnicodeScalar(stream[at]))
            var length = 0
            for index in 1...4 { length = length * 256 + Int(stream[at + index]) }
            guard let limit = Self.limit(type, side), length >= 4, length <= limit else {
                isImpossible = true
                break
            }
            if type == "Z" && side == .server {
                if length != 5 { isImpossible = true }
                if isImpossible || stream.count - at < 6 { break }
                if !"ITE".utf8.contains(stream[at + 5]) {
                    isImpossible = true
                    break
                }
                readyCount += 1
            }
            headers += 1
            let end = at + 1 + length
            if end > stream.count {
                forwardable = stream.count
                return
            }
            messages.append([UInt8](stream[at..<end]))
            at = end
        }
        forwardable = at
    }

    /// nil for types that may not come after the login.
    static func limit(_ type: Character, _ side: Side) -> Int? {
        switch (side, type) {
        case (.client, "Q"), (.client, "P"), (.client, "B"), (.client, "F"), (.client, "d"):
            1_073_741_822
        case (.client, "D"), (.client, "C"), (.client, "E"), (.client, "H"), (.client, "S"),
            (.client, "X"), (.client, "c"), (.client, "f"):
            10_000
        case (.server, "d"), (.server, "D"), (.server, "E"), (.server, "V"), (.server, "N"),
            (.server, "A"), (.server, "T"):
            2_147_483_647
        case (.server, "t"): 262_146
        case (.server, "Z"): 5
        case (.server, "S"), (.server, "C"), (.server, "I"), (.server, "1"), (.server, "2"),
            (.server, "3"), (.server, "n"), (.server, "s"), (.server, "G"), (.server, "H"),
            (.server, "W"), (.server, "c"):
            30_000
        default: nil
        }
    }
}
