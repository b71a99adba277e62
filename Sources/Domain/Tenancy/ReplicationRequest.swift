/// What a startup packet's `replication` parameter asks for.
///
/// - Source: manual, protocol-replication; backend_startup.c `ProcessStartupPacket` and bool.c
///   `parse_bool_with_len`: every non-empty prefix of true, false, yes, no; on, of, off; 1, 0; in
///   any case; `database` in lower case only.
package enum ReplicationRequest: Sendable, Equatable {
    case none, physical, logical

    /// nil: not a value that PostgreSQL takes.
    package init?(parameter: [UInt8]?) {
        guard let parameter else {
            self = .none
            return
        }
        if parameter.elementsEqual("database".utf8) {
            self = .logical
            return
        }
        guard let isOn = Self.boolean(parameter) else { return nil }
        self = isOn ? .physical : .none
    }

    private static func boolean(_ value: [UInt8]) -> Bool? {
        if value == [UInt8(ascii: "1")] { return true }
        if value == [UInt8(ascii: "0")] { return false }
        if isPrefix(value, of: "true") || isPrefix(value, of: "yes") { return true }
        if isPrefix(value, of: "false") || isPrefix(value, of: "no") { return false }
        // A lone "o" could be either word.
        guard value.count >= 2 else { return nil }
        if isPrefix(value, of: "on") { return true }
        return isPrefix(value, of: "off") ? false : nil
    }

    private static func isPrefix(_ value: [UInt8], of word: StaticString) -> Bool {
        guard !value.isEmpty, value.count <= word.utf8CodeUnitCount else { return false }
        return word.withUTF8Buffer { letters in
            value.indices.allSatisfy { lowered(value[$0]) == letters[$0] }
        }
    }
}
