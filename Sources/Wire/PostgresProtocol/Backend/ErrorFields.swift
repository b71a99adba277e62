/// The body of ErrorResponse and NoticeResponse.
///
/// - Shape: code, 1 byte, and string, again and again; a zero byte.
/// - Invariant: no code is 0. Codes that nobody knows are kept, since readers must skip them.
/// - Source: manual, protocol-error-fields.
package struct ErrorFields: Equatable, Sendable {
    package struct Field: Equatable, Sendable {
        package var code: UInt8
        package var value: [UInt8]

        package init(code: UInt8, value: [UInt8]) {
            self.code = code
            self.value = value
        }
    }

    package enum Code {
        package static let severity: UInt8 = 0x53  // S
        /// As severity, but never translated.
        package static let severityUntranslated: UInt8 = 0x56  // V
        package static let sqlState: UInt8 = 0x43  // C
        package static let message: UInt8 = 0x4D  // M
        package static let detail: UInt8 = 0x44  // D
        package static let hint: UInt8 = 0x48  // H
        package static let position: UInt8 = 0x50  // P
        package static let file: UInt8 = 0x46  // F
        package static let line: UInt8 = 0x4C  // L
        package static let routine: UInt8 = 0x52  // R
    }

    package enum Severity: String, Sendable, CaseIterable {
        case error = "ERROR"
        case fatal = "FATAL"
        case panic = "PANIC"
        case warning = "WARNING"
        case notice = "NOTICE"
        case debug = "DEBUG"
        case info = "INFO"
        case log = "LOG"
    }

    /// In the order of the message.
    package var fields: [Field]

    package init(fields: [Field]) { self.fields = fields }

    /// What we report ourselves: severity twice, SQLSTATE, text and, where given, detail and hint.
    package init(
        _ severity: Severity, sqlState: String, message: String, detail: String? = nil,
        hint: String? = nil
    ) {
        fields = []
        append(Code.severity, severity.rawValue)
        append(Code.severityUntranslated, severity.rawValue)
        append(Code.sqlState, sqlState)
        append(Code.message, message)
        if let detail { append(Code.detail, detail) }
        if let hint { append(Code.hint, hint) }
    }

    init(_ body: RawSpan, type: UInt8) throws(ProtocolViolation) {
        var reader = WireReader(type: type)
        fields = []
        while true {
            let code = try reader.uint8(body)
            if code == 0 { break }
            fields.append(Field(code: code, value: try reader.string(body)))
        }
        try reader.finish(body)
    }

    /// The first value of a field; nil when there is none.
    package subscript(_ code: UInt8) -> [UInt8]? { fields.first { $0.code == code }?.value }

    /// nil when the message has none, as servers before 9.6, or one that is not PostgreSQL's.
    package var severity: Severity? {
        guard let value = self[Code.severityUntranslated] else { return nil }
        return Severity(rawValue: String(decoding: value, as: UTF8.self))
    }

    /// The session ends after this message.
    package var isFatal: Bool { severity == .fatal || severity == .panic }

    /// Empty when the message has none.
    package var sqlState: String { text(Code.sqlState) }

    /// Empty when the message has none.
    package var message: String { text(Code.message) }

    package func encodeError(into writer: inout MessageWriter) throws(EncodingError) {
        try encode(BackendType.errorResponse, into: &writer)
    }

    package func encodeNotice(into writer: inout MessageWriter) throws(EncodingError) {
        try encode(BackendType.noticeResponse, into: &writer)
    }

    private func encode(_ type: UInt8, into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(backend: type) { (writer) throws(EncodingError) in
            for field in fields {
                if field.code == 0 { throw .invalidField(type: type) }
                writer.append(field.code)
                try writer.append(string: field.value)
            }
            writer.append(UInt8(0))
        }
    }

    private mutating func append(_ code: UInt8, _ text: String) {
        // A zero byte would end the field early; names that peers sent can't hold one.
        fields.append(Field(code: code, value: text.utf8.filter { $0 != 0 }))
    }

    private func text(_ code: UInt8) -> String {
        String(decoding: self[code] ?? [], as: UTF8.self)
    }
}
