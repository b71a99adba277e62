/// The head of an HTTP/1 request, read strictly: what is ambiguous is refused, never repaired.
///
/// - Bounds: `bytesMax` for the whole head. Lines end in CR LF; no folded lines; header names are
///   tokens without a space before the colon.
/// - Source: RFC 9112, 2 to 5; RFC 9110, 5.6.2 (tokens) and 7.2 (Host).
struct HTTPRequestHead: Equatable {
    static let bytesMax = 8_192

    var method: String
    /// Without the query.
    var path: String
    /// The one Host header, or nil in HTTP/1.0.
    var host: String?

    enum Problem: Error, Equatable {
        /// More bytes are needed.
        case incomplete
        case tooLong
        case malformed
        case versionNotSupported
        /// Content-Length or Transfer-Encoding: no request here has a body.
        case body
    }

    init(_ bytes: [UInt8]) throws(Problem) {
        let lines = try Self.lines(bytes)
        let request = lines[0].split(
            separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard request.count == 3, Self.isToken(request[0]) else { throw .malformed }
        guard request[1].first == UInt8(ascii: "/"), request[1].allSatisfy(Self.isVisible) else {
            throw .malformed
        }
        let version = String(decoding: request[2], as: UTF8.self)
        guard version == "HTTP/1.1" || version == "HTTP/1.0" else {
            throw version.hasPrefix("HTTP/") ? .versionNotSupported : .malformed
        }
        method = String(decoding: request[0], as: UTF8.self)
        path = String(decoding: request[1].prefix { $0 != UInt8(ascii: "?") }, as: UTF8.self)
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")),
                Self.isToken(line[..<colon]),
                line.allSatisfy({ $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7f) })
            else { throw .malformed }
            switch String(decoding: line[..<colon], as: UTF8.self).lowercased() {
            case "host":
                guard host == nil else { throw .malformed }
                host = Self.trimmed(line[(colon + 1)...])
            case "content-length":
                guard Self.trimmed(line[(colon + 1)...]) == "0" else { throw .body }
            case "transfer-encoding": throw .body
            default: break
            }
        }
        if host == nil && version == "HTTP/1.1" { throw .malformed }
    }

    /// All lines of the head without their ends; at least one.
    private static func lines(_ bytes: [UInt8]) throws(Problem) -> [ArraySlice<UInt8>] {
        var lines: [ArraySlice<UInt8>] = []
        var start = 0
        for index in bytes.indices {
            guard index < bytesMax else { throw .tooLong }
            guard bytes[index] == UInt8(ascii: "\n") else { continue }
            guard index > start, bytes[index - 1] == UInt8(ascii: "\r") else { throw .malformed }
            if index - 1 == start {
                guard !lines.isEmpty else { throw .malformed }
                return lines
            }
            lines.append(bytes[start..<(index - 1)])
            start = index + 1
        }
        throw bytes.count >= bytesMax ? .tooLong : .incomplete
    }

    private static func isToken(_ bytes: ArraySlice<UInt8>) -> Bool {
        !bytes.isEmpty
            && bytes.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    private static func isVisible(_ byte: UInt8) -> Bool { byte > 0x20 && byte < 0x7f }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> String {
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
        let rest = bytes.drop(while: isSpace)
        let end = rest.lastIndex { !isSpace($0) }.map { $0 + 1 } ?? rest.startIndex
        return String(decoding: rest[rest.startIndex..<end], as: UTF8.self)
    }
}
