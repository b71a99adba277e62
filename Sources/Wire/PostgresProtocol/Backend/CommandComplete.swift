/// CommandComplete: a statement has run. In the extended protocol an error may still follow, since
/// the commit happens at Sync.
///
/// - Shape: tag, string: `INSERT 0 5`, `SELECT 5`, `CREATE TABLE`.
package struct CommandComplete: Equatable, Sendable {
    package var tag: [UInt8]

    package init(tag: [UInt8]) { self.tag = tag }

    init(_ body: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: BackendType.commandComplete)
        tag = try reader.string(body)
        try reader.finish(body)
    }

    /// The number at the tag's end: rows returned, changed or copied. nil when there is none.
    package var rows: UInt64? {
        guard let space = tag.lastIndex(of: 0x20) else { return nil }
        var rows: UInt64 = 0
        let digits = tag[(space + 1)...]
        if digits.isEmpty { return nil }
        for digit in digits {
            guard digit >= 0x30 && digit <= 0x39 else { return nil }
            let (tens, tooMany) = rows.multipliedReportingOverflow(by: 10)
            let (sum, tooMuch) = tens.addingReportingOverflow(UInt64(digit - 0x30))
            if tooMany || tooMuch { return nil }
            rows = sum
        }
        return rows
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(backend: BackendType.commandComplete) { (writer) throws(EncodingError) in
            try writer.append(string: tag)
        }
    }
}
