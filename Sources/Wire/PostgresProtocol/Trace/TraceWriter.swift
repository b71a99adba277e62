/// Writes the fields of one message as text while it reads them. A body that ends early throws;
/// what was written stays.
struct TraceWriter {
    private(set) var text: [UInt8] = []
    var reader: WireReader

    init(type: UInt8) { reader = WireReader(type: type) }

    mutating func write(_ text: String) { self.text.append(contentsOf: text.utf8) }

    /// A name and the tab before its fields.
    mutating func name(_ name: String) { write(name + "\t") }

    @discardableResult
    mutating func byte(_ body: RawSpan) throws(ProtocolViolation) -> UInt8 {
        let value = try reader.uint8(body)
        text.append(0x20)
        printable(value)
        return value
    }

    /// Unsigned, also where the manual's field is signed.
    @discardableResult
    mutating func int16(_ body: RawSpan) throws(ProtocolViolation) -> Int {
        let value = Int(try reader.uint16(body))
        write(" \(value)")
        return value
    }

    @discardableResult
    mutating func int32(
        _ body: RawSpan, masked: Bool = false
    ) throws(ProtocolViolation) -> Int32 {
        let value = try reader.int32(body)
        write(masked ? " NNNN" : " \(value)")
        return value
    }

    @discardableResult
    mutating func string(
        _ body: RawSpan, masked: Bool = false
    ) throws(ProtocolViolation) -> Bool {
        let value = try reader.string(body)
        write(" \"")
        if masked { write("SSSS") } else { text.append(contentsOf: value) }
        write("\"")
        return !value.isEmpty
    }

    mutating func bytes(
        _ count: Int, _ body: RawSpan, masked: Bool = false
    ) throws(ProtocolViolation) {
        let value = try reader.bytes(count, body)
        write(" '")
        if masked { write("BBBB") } else { for byte in value { printable(byte) } }
        write("'")
    }

    mutating func rest(_ body: RawSpan, masked: Bool = false) throws(ProtocolViolation) {
        try bytes(reader.remaining(body), body, masked: masked)
    }

    mutating func value(_ body: RawSpan, masked: Bool = false) throws(ProtocolViolation) {
        let count = try int32(body)
        if count != -1 { try bytes(Int(count), body, masked: masked) }
    }

    mutating func int16List(_ body: RawSpan) throws(ProtocolViolation) {
        for _ in 0..<(try int16(body)) { try int16(body) }
    }

    mutating func int32List(_ body: RawSpan, masked: Bool) throws(ProtocolViolation) {
        for _ in 0..<(try int16(body)) { try int32(body, masked: masked) }
    }

    mutating func valueList(_ body: RawSpan) throws(ProtocolViolation) {
        for _ in 0..<(try int16(body)) { try value(body) }
    }

    private mutating func printable(_ byte: UInt8) {
        if byte >= 0x20 && byte < 0x7F { return text.append(byte) }
        let digits: StaticString = "0123456789abcdef"
        text.append(contentsOf: [0x5C, 0x78])
        digits.withUTF8Buffer { digits in
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
    }
}
