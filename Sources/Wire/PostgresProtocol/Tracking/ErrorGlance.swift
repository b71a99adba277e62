/// The severity and SQLSTATE of an ErrorResponse or NoticeResponse in a burst, as far as the burst
/// holds them; nothing is copied. The body proper is read by `ErrorFields`.
struct ErrorGlance {
    /// Severity FATAL or PANIC, in the field that is never translated.
    private(set) var isFatal = false
    /// SQLSTATE 57P01 or 57P02.
    private(set) var isShutdown = false

    /// Severity twice and SQLSTATE come first in what PostgreSQL sends.
    private static let fieldsMax = 4

    /// `offset` is that of the header in the burst.
    init(_ burst: RawSpan, _ offset: Int, _ length: UInt32) {
        let end = min(burst.byteCount, offset + 1 + Int(length))
        var at = offset + 5
        for _ in 0..<Self.fieldsMax where at < end {
            let code = burst.byteUnchecked(at)
            let start = at + 1
            at = start
            while at < end && burst.byteUnchecked(at) != 0 { at += 1 }
            if at == end || code == 0 { return }
            switch code {
            case 0x56:  // V
                isFatal =
                    Self.equal(burst, start..<at, "FATAL") || Self.equal(burst, start..<at, "PANIC")
            case 0x43:  // C
                isShutdown =
                    Self.equal(burst, start..<at, "57P01") || Self.equal(burst, start..<at, "57P02")
            default: break
            }
            at += 1
        }
    }

    private static func equal(_ burst: RawSpan, _ range: Range<Int>, _ text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        return text.withUTF8Buffer { expected in
            for index in 0..<expected.count
            where expected[index] != burst.byteUnchecked(range.lowerBound + index) {
                return false
            }
            return true
        }
    }
}
