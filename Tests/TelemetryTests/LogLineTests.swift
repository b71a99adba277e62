import Foundation
import Telemetry
import Testing

@testable import Admin

/// What a peer may send to spoil a log.
private let hostileTexts: [[UInt8]] = [
    Array("two\r\nlines".utf8), Array("\u{1b}[2J\u{1b}]0;title\u{7}".utf8),
    [0x00, 0x01, 0x1f, 0x7f],
    [0xff, 0xfe, 0xc3, 0x28, 0x80], Array("a\u{202e}b\u{2066}c\u{200f}".utf8),
    Array("say \"no\" \\ a=b".utf8), Array("\\x0a".utf8), Array("\u{2028}\u{85}".utf8), [],
    Array("<0>fake".utf8), Array("\"} {\"level\":\"error".utf8), Array("müller 🐘".utf8),
    [UInt8](repeating: 0x0a, count: 1_000_000),
]

@Suite struct LogLineTests {
    @Test func `a plain record reads as logfmt`() {
        let record = LogRecord(
            timeMilliseconds: 0, level: .info, message: "session ended",
            fields: [
                LogField(.tenant, .text("acme")), LogField(.worker, .number(-1)),
                LogField(.durationMilliseconds, .milliseconds(nanoseconds: 1_250_999)),
                LogField(.user, .bytes(Array("re mi".utf8))),
            ])
        let line = String(decoding: LogLine.encode(record, as: .logfmt), as: UTF8.self)
        #expect(
            line == "time=1970-01-01T00:00:00.000Z level=info msg=\"session ended\" tenant=acme "
                + "worker=-1 duration_ms=1.250 user=\"re mi\"\n")
    }

    @Test func `a plain record reads as JSON`() {
        let record = LogRecord(
            timeMilliseconds: 1, level: .error, message: "it broke",
            fields: [LogField(.tenant, .text("acme")), LogField(.worker, .number(2))])
        let line = String(decoding: LogLine.encode(record, as: .json), as: UTF8.self)
        #expect(
            line
                == "{\"time\":\"1970-01-01T00:00:00.001Z\",\"level\":\"error\","
                + "\"msg\":\"it broke\",\"tenant\":\"acme\",\"worker\":2}\n")
    }

    @Test func `the priority stands in front`() {
        let levels: [(EventLevel, String)] = [
            (.debug, "<7>"), (.info, "<6>"), (.notice, "<5>"), (.warning, "<4>"), (.error, "<3>"),
        ]
        for (level, prefix) in levels {
            let record = LogRecord(level: level, message: "x")
            let line = LogLine.encode(record, as: .json, withPriority: true)
            #expect(String(decoding: line, as: UTF8.self).hasPrefix(prefix + "{"))
        }
    }

    @Test func `hostile bytes stay in their field of their line`() throws {
        for bytes in hostileTexts { try check(bytes) }
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
    func `random bytes stay in their field of their line`(seed: UInt64) throws {
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<400 {
            let count = Int.random(in: 0...64, using: &generator)
            try check((0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) })
        }
    }

    @Test func `a key can not leave its place`() {
        let record = LogRecord(
            level: .info, message: "m",
            fields: [LogField("a b=\"\n\u{202e}", .text("v")), LogField("", .text("v"))])
        let line = String(decoding: LogLine.encode(record, as: .logfmt), as: UTF8.self)
        #expect(line.hasSuffix(" msg=m a_b______=v _=v\n"))
    }

    @Test func `a long value is cut and says by how much`() {
        let longest = [UInt8](repeating: UInt8(ascii: "a"), count: LogLine.valueBytesMax)
        #expect(text(longest).hasSuffix("=" + String(decoding: longest, as: UTF8.self) + "\n"))
        #expect(text(longest + [UInt8(ascii: "b")]).hasSuffix("a... (1 bytes more)\"\n"))
    }

    @Test func `a record has at most so many fields`() {
        let fields = (0..<200).map { LogField("k\($0)", .number(1)) }
        let line = LogLine.encode(
            LogRecord(level: .info, message: "m", fields: fields), as: .logfmt)
        #expect(String(decoding: line, as: UTF8.self).split(separator: " ").count == 3 + 48)
    }

    private func text(_ value: [UInt8]) -> String {
        let record = LogRecord(level: .info, message: "m", fields: [LogField("k", .bytes(value))])
        return String(decoding: LogLine.encode(record, as: .logfmt), as: UTF8.self)
    }

    /// One printable line in both formats, and the value can be had back from it.
    private func check(_ bytes: [UInt8]) throws {
        let asText = String(decoding: bytes, as: UTF8.self)
        let record = LogRecord(
            level: .info, message: asText,
            fields: [
                LogField(.user, .bytes(bytes)), LogField(.errorDetail, .text(asText)),
                LogField(.worker, .number(7)),
            ])
        for format in [LogLineFormat.logfmt, .json] {
            let line = LogLine.encode(record, as: format)
            #expect(line.last == UInt8(ascii: "\n"))
            #expect(line.dropLast().allSatisfy { $0 >= 0x20 && $0 < 0x7f }, "\(bytes)")
            #expect(line.count < 5 * 3 * LogLine.valueBytesMax + 512)
        }
        let json = try JSONSerialization.jsonObject(with: Data(LogLine.encode(record, as: .json)))
        let object = try #require(json as? [String: Any])
        #expect(Set(object.keys) == ["time", "level", "msg", "user", "error.detail", "worker"])
        #expect(object["worker"] as? Int == 7)
        let fields = try #require(logfmt(LogLine.encode(record, as: .logfmt)))
        #expect(Set(fields.keys) == Set(object.keys))
        #expect(fields["worker"] == Array("7".utf8))
        guard bytes.count <= LogLine.valueBytesMax else { return }
        #expect(fields["user"] == bytes)
        let user = try #require(object["user"] as? String)
        #expect(unescaped(Array(user.utf8)) == bytes)
    }
}

/// A reader of logfmt, written from its description: nil when the line is not logfmt.
private func logfmt(_ line: [UInt8]) -> [String: [UInt8]]? {
    var fields: [String: [UInt8]] = [:]
    var rest = line[...]
    guard rest.popLast() == UInt8(ascii: "\n") else { return nil }
    while !rest.isEmpty {
        let key = rest.prefix { $0 != UInt8(ascii: "=") }
        rest = rest.dropFirst(key.count + 1)
        var raw: [UInt8] = []
        if rest.first == UInt8(ascii: "\"") {
            rest = rest.dropFirst()
            while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
                raw.append(byte)
                if byte == UInt8(ascii: "\\"), let next = rest.popFirst() { raw.append(next) }
            }
        } else {
            raw = Array(rest.prefix { $0 != UInt8(ascii: " ") })
            rest = rest.dropFirst(raw.count)
        }
        guard let value = unescaped(raw) else { return nil }
        fields[String(decoding: key, as: UTF8.self)] = value
        guard rest.isEmpty || rest.popFirst() == UInt8(ascii: " ") else { return nil }
    }
    return fields
}

/// `\\`, `\"` and `\xNN` back to bytes.
private func unescaped(_ text: [UInt8]) -> [UInt8]? {
    var bytes: [UInt8] = []
    var rest = text[...]
    while let byte = rest.popFirst() {
        guard byte == UInt8(ascii: "\\") else {
            bytes.append(byte)
            continue
        }
        guard let kind = rest.popFirst() else { return nil }
        if kind == UInt8(ascii: "x") {
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            guard let value = UInt8(digits, radix: 16) else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        } else {
            bytes.append(kind)
        }
    }
    return bytes
}

@Suite struct RealTimeTests {
    @Test func `known instants`() {
        #expect(RealTime.text(milliseconds: 951_782_399_999) == "2000-02-28T23:59:59.999Z")
        #expect(RealTime.text(milliseconds: 951_782_400_000) == "2000-02-29T00:00:00.000Z")
        #expect(RealTime.text(milliseconds: 4_107_542_400_000) == "2100-03-01T00:00:00.000Z")
    }

    @Test func `agrees with the C library over four centuries`() {
        // Each day around two leap days that are unlike (2000 is one, 2100 is none), and samples.
        let days = Array(10_900...11_100) + Array(47_500...47_700)
        for day in days + stride(from: 0, to: 146_097, by: 97) {
            var seconds = time_t(day * 86_400 + day % 86_400)
            var parts = tm()
            gmtime_r(&seconds, &parts)
            let text = RealTime.text(milliseconds: UInt64(seconds) * 1_000)
            let expected = String(
                format: "%04d-%02d-%02dT%02d:%02d:%02d.000Z", Int(parts.tm_year) + 1_900,
                Int(parts.tm_mon) + 1, Int(parts.tm_mday), Int(parts.tm_hour), Int(parts.tm_min),
                Int(parts.tm_sec))
            guard text == expected else {
                Issue.record("\(text) is not \(expected)")
                return
            }
        }
    }

    @Test func `no instant traps`() {
        #expect(RealTime.text(milliseconds: .max).hasSuffix("Z"))
    }
}
