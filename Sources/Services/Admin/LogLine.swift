internal import Telemetry

/// The words of `log.format`.
package enum LogLineFormat: String, Sendable, CaseIterable { case logfmt, json }

/// Records as lines of bytes.
///
/// - Shape: printable ASCII and one line feed at the end, whatever is in the record. In values a
///   byte outside printable ASCII is `\xNN` and a backslash `\\`, so nothing is lost and nothing
///   can move a terminal's cursor, reorder text or begin a line. In logfmt such a value is quoted;
///   in JSON that text is put into a JSON string.
/// - Bounds: a value has at most `valueBytesMax` bytes of what was given; then follows how many
///   were cut. At most `fieldsMax` fields.
package enum LogLine {
    package static let valueBytesMax = 1_024
    package static let fieldsMax = 48

    package static func encode(
        _ record: LogRecord, as format: LogLineFormat, withPriority: Bool = false
    ) -> [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(256 + record.fields.count * 24)
        if withPriority { line += "<\(record.level.priority)>".utf8 }
        switch format {
        case .logfmt: encodeLogfmt(record, into: &line)
        case .json: encodeJSON(record, into: &line)
        }
        line.append(UInt8(ascii: "\n"))
        return line
    }

    private static func encodeLogfmt(_ record: LogRecord, into line: inout [UInt8]) {
        line += "time=\(RealTime.text(milliseconds: record.timeMilliseconds))".utf8
        line += " level=\(record.level.rawValue) msg=".utf8
        appendLogfmt(Array(record.message.utf8), to: &line)
        for field in record.fields.prefix(fieldsMax) {
            line.append(UInt8(ascii: " "))
            appendKey(field.key, to: &line)
            line.append(UInt8(ascii: "="))
            switch field.value {
            case .text(let text): appendLogfmt(Array(text.utf8), to: &line)
            case .bytes(let bytes): appendLogfmt(bytes, to: &line)
            case .number(let number): line += String(number).utf8
            case .milliseconds(let nanoseconds): line += milliseconds(nanoseconds).utf8
            }
        }
    }

    private static func encodeJSON(_ record: LogRecord, into line: inout [UInt8]) {
        line += "{\"time\":\"\(RealTime.text(milliseconds: record.timeMilliseconds))\"".utf8
        line += ",\"level\":\"\(record.level.rawValue)\",\"msg\":".utf8
        appendJSON(Array(record.message.utf8), to: &line)
        for field in record.fields.prefix(fieldsMax) {
            line += ",\"".utf8
            appendKey(field.key, to: &line)
            line += "\":".utf8
            switch field.value {
            case .text(let text): appendJSON(Array(text.utf8), to: &line)
            case .bytes(let bytes): appendJSON(bytes, to: &line)
            case .number(let number): line += String(number).utf8
            case .milliseconds(let nanoseconds): line += milliseconds(nanoseconds).utf8
            }
        }
        line.append(UInt8(ascii: "}"))
    }

    /// Keys are constants of ours; whatever else comes (swift-log's metadata) can't leave its
    /// place.
    private static func appendKey(_ key: String, to line: inout [UInt8]) {
        if key.isEmpty { line.append(UInt8(ascii: "_")) }
        for byte in key.utf8.prefix(64) {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "-"):
                line.append(byte)
            default: line.append(UInt8(ascii: "_"))
            }
        }
    }

    private static func appendLogfmt(_ bytes: [UInt8], to line: inout [UInt8]) {
        let isPlain =
            !bytes.isEmpty && bytes.count <= valueBytesMax
            && bytes.allSatisfy {
                $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=")
                    && $0 != UInt8(ascii: "\\")
            }
        if isPlain {
            line += bytes
            return
        }
        line.append(UInt8(ascii: "\""))
        for byte in bytes.prefix(valueBytesMax) {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): line += [UInt8(ascii: "\\"), byte]
            case 0x20..<0x7f: line.append(byte)
            default: line += [UInt8(ascii: "\\")] + hex(byte)
            }
        }
        appendCut(bytes.count, to: &line)
        line.append(UInt8(ascii: "\""))
    }

    private static func appendJSON(_ bytes: [UInt8], to line: inout [UInt8]) {
        line.append(UInt8(ascii: "\""))
        for byte in bytes.prefix(valueBytesMax) {
            switch byte {
            case UInt8(ascii: "\""): line += [UInt8(ascii: "\\"), byte]
            // Escaped once for us and once more for JSON.
            case UInt8(ascii: "\\"): line += [byte, byte, byte, byte]
            case 0x20..<0x7f: line.append(byte)
            default: line += [UInt8(ascii: "\\"), UInt8(ascii: "\\")] + hex(byte)
            }
        }
        appendCut(bytes.count, to: &line)
        line.append(UInt8(ascii: "\""))
    }

    private static func appendCut(_ count: Int, to line: inout [UInt8]) {
        if count > valueBytesMax { line += "... (\(count - valueBytesMax) bytes more)".utf8 }
    }

    /// `xNN`, lower case.
    private static func hex(_ byte: UInt8) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return [UInt8(ascii: "x"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }

    /// `1.250` for 1,250,000 ns: a JSON number too.
    private static func milliseconds(_ nanoseconds: UInt64) -> String {
        let micros = nanoseconds / 1_000
        let rest = String(micros % 1_000)
        return "\(micros / 1_000).\(String(repeating: "0", count: 3 - rest.utf8.count))\(rest)"
    }
}
