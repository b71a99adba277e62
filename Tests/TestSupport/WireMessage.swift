/// One message as raw bytes, made and read without the code under test.
package struct WireMessage: Sendable, Equatable, CustomStringConvertible {
    package let type: UInt8
    package let body: [UInt8]

    package init(_ type: Character, _ body: [UInt8] = []) {
        self.type = type.asciiValue ?? 0
        self.body = body
    }

    package init(type: UInt8, body: [UInt8]) {
        self.type = type
        self.body = body
    }

    package var letter: Character { Character(UnicodeScalar(type)) }
    package var bytes: [UInt8] { [type] + int32(body.count + 4) + body }

    /// The first four bytes of the body, e.g. the kind of an authentication message.
    package var code: Int32? { body.count >= 4 ? readInt32(body, 0) : nil }

    /// The fields of an ErrorResponse or NoticeResponse: `C` is the SQLSTATE, `M` the text.
    package var fields: [Character: String] {
        var fields: [Character: String] = [:]
        for part in body.split(separator: 0) {
            guard let key = part.first else { continue }
            let value = String(decoding: part.dropFirst(), as: UTF8.self)
            fields[Character(UnicodeScalar(key))] = value
        }
        return fields
    }

    package var description: String {
        letter == "E" || letter == "N" ? "\(letter) \(fields)" : "\(letter) \(body.count) bytes"
    }

    package static func query(_ sql: String) -> WireMessage { WireMessage("Q", cString(sql)) }
    package static let sync = WireMessage("S")
    package static let flush = WireMessage("H")
    package static let terminate = WireMessage("X")
}

/// Packets without a type byte, and the integers of the wire.
package enum WirePacket {
    package static let sslRequest = int32(8) + int32(80_877_103)
    package static let gssEncryptionRequest = int32(8) + int32(80_877_104)

    /// A startup packet, parameters in this order.
    package static func startup(
        _ parameters: [(String, String)], version: Int32 = 196_608
    ) -> [UInt8] {
        let body =
            int32(Int(version)) + parameters.flatMap { cString($0.0) + cString($0.1) } + [0]
        return int32(body.count + 4) + body
    }

    package static func cancel(processID: Int32, secret: [UInt8]) -> [UInt8] {
        int32(12 + secret.count) + int32(80_877_102) + int32(Int(processID)) + secret
    }
}

package func int32(_ value: Int) -> [UInt8] {
    let bits = UInt32(truncatingIfNeeded: value)
    return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: bits >> $0) }
}

package func int16(_ value: Int) -> [UInt8] {
    [UInt8(truncatingIfNeeded: value >> 8), UInt8(truncatingIfNeeded: value)]
}

package func cString(_ text: String) -> [UInt8] { Array(text.utf8) + [0] }

package func readInt32(_ bytes: [UInt8], _ offset: Int) -> Int32 {
    Int32(bitPattern: bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) })
}
