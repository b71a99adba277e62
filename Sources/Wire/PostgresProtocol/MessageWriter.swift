/// Bytes of messages that are written one after the other. The length word of each is patched when
/// the message ends.
///
/// - Invariant: outside of an open message `bytes` holds whole messages only.
/// - Errors: `messageTooLong` when a message is over its type's limit; it is then removed, so that
///   a wrong length never leaves.
package struct MessageWriter: Sendable {
    package private(set) var bytes: [UInt8] = []
    /// Where the open message begins; nil between messages.
    private var start: Int?
    private var lengthMax: UInt32 = 0
    private var type: UInt8 = 0

    package init() {}

    package mutating func removeAll(keepingCapacity: Bool = true) {
        bytes.removeAll(keepingCapacity: keepingCapacity)
        start = nil
    }

    /// Writes one message. When `body` throws, nothing of it stays.
    package mutating func message(
        frontend type: UInt8,
        _ body: (inout MessageWriter) throws(EncodingError) -> Void = { _ in }
    ) throws(EncodingError) {
        try message(type, lengthMax: MessageLimits.lengthMax(frontend: type) ?? 4, body)
    }

    /// Writes one message. When `body` throws, nothing of it stays.
    package mutating func message(
        backend type: UInt8,
        _ body: (inout MessageWriter) throws(EncodingError) -> Void = { _ in }
    ) throws(EncodingError) {
        try message(type, lengthMax: MessageLimits.lengthMax(backend: type) ?? 4, body)
    }

    mutating func message(
        _ type: UInt8, lengthMax: UInt32,
        _ body: (inout MessageWriter) throws(EncodingError) -> Void
    ) throws(EncodingError) {
        beginMessage(type, lengthMax: lengthMax)
        do throws(EncodingError) {
            try body(&self)
        } catch {
            abandonMessage()
            throw error
        }
        try endMessage()
    }

    /// Opens a message; `lengthMax` is the largest length word, from `MessageLimits`.
    private mutating func beginMessage(_ type: UInt8, lengthMax: UInt32) {
        precondition(start == nil, "BUG: a message is written inside another")
        start = bytes.count
        self.type = type
        self.lengthMax = lengthMax
        bytes.append(type)
        bytes.append(contentsOf: [0, 0, 0, 0])
    }

    private mutating func endMessage() throws(EncodingError) {
        guard let start else { preconditionFailure("BUG: no message is open") }
        let length = bytes.count - start - 1
        if length > Int(lengthMax) {
            abandonMessage()
            throw .messageTooLong(type: type)
        }
        patch(UInt32(length), at: start + 1)
        self.start = nil
    }

    /// Takes an open message away; nothing happens when none is open.
    private mutating func abandonMessage() {
        guard let start else { return }
        bytes.removeLast(bytes.count - start)
        self.start = nil
    }

    package mutating func append(_ value: UInt8) { bytes.append(value) }

    package mutating func append(_ value: UInt16) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        bytes.append(UInt8(truncatingIfNeeded: value))
    }

    package mutating func append(_ value: UInt32) {
        append(UInt16(truncatingIfNeeded: value >> 16))
        append(UInt16(truncatingIfNeeded: value))
    }

    package mutating func append(_ value: Int16) { append(UInt16(bitPattern: value)) }

    package mutating func append(_ value: Int32) { append(UInt32(bitPattern: value)) }

    package mutating func append(bytes value: [UInt8]) { bytes.append(contentsOf: value) }

    /// Bytes and a terminating zero.
    package mutating func append(string value: [UInt8]) throws(EncodingError) {
        if value.contains(0) { throw .zeroByteInString }
        bytes.append(contentsOf: value)
        bytes.append(0)
    }

    /// A 16-bit count and so many 16-bit numbers.
    package mutating func append(list: [Int16]) throws(EncodingError) {
        try append(count: list.count)
        for item in list { append(item) }
    }

    /// A 16-bit count and so many 32-bit numbers.
    package mutating func append(list: [UInt32]) throws(EncodingError) {
        try append(count: list.count)
        for item in list { append(item) }
    }

    /// A 16-bit count and so many values.
    package mutating func append(list: [[UInt8]?]) throws(EncodingError) {
        try append(count: list.count)
        for item in list { try append(value: item) }
    }

    /// A 16-bit count of items.
    package mutating func append(count: Int) throws(EncodingError) {
        guard let count = UInt16(exactly: count) else { throw .tooManyItems }
        append(count)
    }

    /// A 32-bit length and the bytes; -1 alone for null.
    package mutating func append(value: [UInt8]?) throws(EncodingError) {
        guard let value else { return append(Int32(-1)) }
        guard let length = Int32(exactly: value.count) else {
            throw .messageTooLong(type: type)
        }
        append(length)
        bytes.append(contentsOf: value)
    }

    private mutating func patch(_ length: UInt32, at offset: Int) {
        for byte in 0..<4 {
            bytes[offset + byte] = UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * byte))
        }
    }
}
