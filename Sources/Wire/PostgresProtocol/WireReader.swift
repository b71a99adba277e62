// Reads from a span at a position that advances. The only file of this room with unchecked loads;
// each stands behind the bounds check of its own function or of the scanner's loop.

extension RawSpan {
    /// - Precondition (checked in debug builds only): `0 <= offset < byteCount`.
    @inline(__always) func byteUnchecked(_ offset: Int) -> UInt8 {
        assert(offset >= 0 && offset < byteCount)
        return unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
    }

    /// - Precondition (checked in debug builds only): `0 <= offset <= byteCount - 4`.
    @inline(__always) func uint32Unchecked(_ offset: Int) -> UInt32 {
        assert(offset >= 0 && offset <= byteCount - 4)
        let raw = unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self)
        return UInt32(bigEndian: raw)
    }

    /// - Precondition (checked in debug builds only): `0 <= offset <= byteCount - 2`.
    @inline(__always) func uint16Unchecked(_ offset: Int) -> UInt16 {
        assert(offset >= 0 && offset <= byteCount - 2)
        let raw = unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt16.self)
        return UInt16(bigEndian: raw)
    }

    /// The bytes of a range that the caller has checked against `byteCount`.
    func bytes(_ range: Range<Int>) -> [UInt8] {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
        return withUnsafeBytes { buffer in [UInt8](buffer[range]) }
    }
}

/// A position in the body of one message. The span is passed to every read, since a struct that
/// holds one can't be stored.
///
/// - Invariant: `0 <= offset <= byteCount` of the span.
/// - Errors: `bodyTooShort`, `unterminatedString`; `finish` throws `bodyTooLong`.
struct WireReader {
    let type: UInt8
    private(set) var offset = 0

    init(type: UInt8) { self.type = type }

    func remaining(_ body: RawSpan) -> Int { body.byteCount - offset }

    private func require(_ count: Int, _ body: RawSpan) throws(ProtocolViolation) {
        if count < 0 || count > body.byteCount - offset { throw .bodyTooShort(type: type) }
    }

    mutating func uint8(_ body: RawSpan) throws(ProtocolViolation) -> UInt8 {
        try require(1, body)
        defer { offset += 1 }
        return body.byteUnchecked(offset)
    }

    mutating func uint16(_ body: RawSpan) throws(ProtocolViolation) -> UInt16 {
        try require(2, body)
        defer { offset += 2 }
        return body.uint16Unchecked(offset)
    }

    mutating func uint32(_ body: RawSpan) throws(ProtocolViolation) -> UInt32 {
        try require(4, body)
        defer { offset += 4 }
        return body.uint32Unchecked(offset)
    }

    mutating func int16(_ body: RawSpan) throws(ProtocolViolation) -> Int16 {
        Int16(bitPattern: try uint16(body))
    }

    mutating func int32(_ body: RawSpan) throws(ProtocolViolation) -> Int32 {
        Int32(bitPattern: try uint32(body))
    }

    /// The bytes up to a zero, which is read as well.
    mutating func string(_ body: RawSpan) throws(ProtocolViolation) -> [UInt8] {
        var end = offset
        while end < body.byteCount {
            if body.byteUnchecked(end) == 0 {
                defer { offset = end + 1 }
                return body.bytes(offset..<end)
            }
            end += 1
        }
        throw .unterminatedString(type: type)
    }

    mutating func bytes(_ count: Int, _ body: RawSpan) throws(ProtocolViolation) -> [UInt8] {
        try require(count, body)
        defer { offset += count }
        return body.bytes(offset..<offset + count)
    }

    mutating func rest(_ body: RawSpan) -> [UInt8] {
        defer { offset = body.byteCount }
        return body.bytes(offset..<body.byteCount)
    }

    /// A 32-bit length and so many bytes; -1 is null.
    mutating func value(_ body: RawSpan) throws(ProtocolViolation) -> [UInt8]? {
        let length = try int32(body)
        if length == -1 { return nil }
        if length < 0 { throw .invalidField(type: type) }
        return try bytes(Int(length), body)
    }

    /// A 16-bit count and so many 16-bit numbers.
    mutating func int16List(_ body: RawSpan) throws(ProtocolViolation) -> [Int16] {
        let count = Int(try uint16(body))
        var list: [Int16] = []
        list.reserveCapacity(capacity(count, itemBytes: 2, body))
        for _ in 0..<count { list.append(try int16(body)) }
        return list
    }

    /// A 16-bit count and so many 32-bit numbers.
    mutating func uint32List(_ body: RawSpan) throws(ProtocolViolation) -> [UInt32] {
        let count = Int(try uint16(body))
        var list: [UInt32] = []
        list.reserveCapacity(capacity(count, itemBytes: 4, body))
        for _ in 0..<count { list.append(try uint32(body)) }
        return list
    }

    /// A 16-bit count and so many values.
    mutating func valueList(_ body: RawSpan) throws(ProtocolViolation) -> [[UInt8]?] {
        let count = Int(try uint16(body))
        var list: [[UInt8]?] = []
        list.reserveCapacity(capacity(count, itemBytes: 4, body))
        for _ in 0..<count { list.append(try value(body)) }
        return list
    }

    /// How much an array of `count` items of at least `size` bytes may reserve: never more than
    /// the body can hold, whatever its count claims.
    func capacity(_ count: Int, itemBytes size: Int, _ body: RawSpan) -> Int {
        Swift.min(count, remaining(body) / size)
    }

    func finish(_ body: RawSpan) throws(ProtocolViolation) {
        if offset != body.byteCount { throw .bodyTooLong(type: type) }
    }
}
