import PostgresProtocol
import Testing

@Suite struct MessageWriterTests {
    @Test func `a message that does not fit leaves nothing`() throws {
        var writer = MessageWriter()
        try FrontendMessage.sync.encode(into: &writer)
        let name = [UInt8](repeating: 0x61, count: 9_991)
        // 4 of length, the name, its zero, 4 of count: 10,000.
        try Execute(portal: name).encode(into: &writer)
        let before = writer.bytes
        #expect(before.count == 5 + 10_001)
        #expect(throws: EncodingError.messageTooLong(type: 0x45)) {
            try Execute(portal: name + [0x61]).encode(into: &writer)
        }
        #expect(writer.bytes == before)
        try FrontendMessage.flush.encode(into: &writer)
        #expect(writer.bytes == before + raw("H"))
    }

    @Test func `a string with a zero byte leaves nothing`() throws {
        var writer = MessageWriter()
        try FrontendMessage.sync.encode(into: &writer)
        #expect(throws: EncodingError.zeroByteInString) {
            try Query(query: [0x61, 0, 0x62]).encode(into: &writer)
        }
        #expect(throws: EncodingError.zeroByteInString) {
            try Parse(statement: [], query: [0]).encode(into: &writer)
        }
        #expect(writer.bytes == raw("S"))
    }

    @Test(arguments: [(65_535, true), (65_536, false)])
    func `a list holds at most 65,535 items`(_ count: Int, _ isAllowed: Bool) {
        var writer = MessageWriter()
        let result = Result { () throws(EncodingError) in
            try DataRow(values: [[UInt8]?](repeating: nil, count: count)).encode(into: &writer)
        }
        switch result {
        case .success:
            #expect(isAllowed)
            #expect(writer.bytes.count == 5 + 2 + 4 * count)
        case .failure(let error):
            #expect(!isAllowed && error == .tooManyItems)
            #expect(writer.bytes.isEmpty)
        }
    }

    @Test func `what a reader could not tell apart is not written`() {
        var writer = MessageWriter()
        #expect(throws: EncodingError.emptyName) {
            try AuthenticationRequest.sasl(mechanisms: [[]]).encode(into: &writer)
        }
        #expect(throws: EncodingError.invalidField(type: 0x52)) {
            try AuthenticationRequest.md5Password(salt: [1, 2, 3]).encode(into: &writer)
        }
        #expect(throws: EncodingError.invalidField(type: 0x45)) {
            try ErrorFields(fields: [.init(code: 0, value: [])]).encodeError(into: &writer)
        }
        #expect(writer.bytes.isEmpty)
    }

    @Test func `our own errors carry severity twice and no zero byte`() throws {
        let fields = ErrorFields(
            .fatal, sqlState: SQLState.invalidAuthorization, message: "no\0pe", hint: "Try.")
        #expect(fields.severity == .fatal && fields.isFatal)
        #expect(fields.sqlState == "28000")
        #expect(fields.message == "nope")
        #expect(fields[ErrorFields.Code.hint] == ascii("Try."))
        #expect(fields[ErrorFields.Code.detail] == nil)
        var writer = MessageWriter()
        try fields.encodeError(into: &writer)
        #expect(
            writer.bytes == raw("E", ascii("SFATAL\0VFATAL\0C28000\0Mnope\0HTry.\0\0")))
    }

    @Test func `an error without the untranslated severity has none`() {
        let fields = ErrorFields(fields: [.init(code: 0x53, value: ascii("FATAL"))])
        #expect(fields.severity == nil && !fields.isFatal)
        #expect(fields.sqlState.isEmpty && fields.message.isEmpty)
    }
}
