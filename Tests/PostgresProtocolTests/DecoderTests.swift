import PostgresProtocol
import Testing

@Suite struct DecoderTests {
    @Test(arguments: Sample.all)
    func `a sample decodes to its message`(_ sample: Sample) throws {
        #expect(try decode(sample.bytes, from: sample.side) == sample.message)
    }

    @Test(arguments: Sample.all)
    func `a message encodes to its sample`(_ sample: Sample) throws {
        #expect(try encode(sample.message) == sample.bytes)
    }

    @Test func `there is a sample of every type`() {
        let clients = Set(Sample.frontend.map { $0.bytes[0] })
        let servers = Set(Sample.backend.map { $0.bytes[0] })
        #expect(clients == Set(FrontendType.all))
        #expect(servers == Set(BackendType.all))
    }

    @Test(arguments: Sample.all)
    func `a body that stops anywhere is refused or is another message`(_ sample: Sample) {
        for count in 5..<sample.bytes.count {
            let cut = [UInt8](sample.bytes[..<count])
            let result = Result { () throws(ProtocolViolation) in
                try decode(cut, from: sample.side)
            }
            switch result {
            case .success(let message):
                #expect(takesAnyBody(sample), "\(count) bytes")
                #expect(message != sample.message)
            case .failure(let violation):
                #expect(
                    violation == .bodyTooShort(type: cut[0])
                        || violation == .unterminatedString(type: cut[0]))
            }
        }
    }

    @Test(arguments: Sample.all)
    func `a byte behind the body is refused`(_ sample: Sample) {
        if takesAnyBody(sample) { return }
        #expect(throws: ProtocolViolation.bodyTooLong(type: sample.bytes[0])) {
            try decode(sample.bytes + [0], from: sample.side)
        }
    }

    @Test func `unknown types are refused`() {
        for side in Side.allCases {
            let known = side == .client ? FrontendType.all : BackendType.all
            for type in UInt8.min...UInt8.max where !known.contains(type) {
                #expect(throws: ProtocolViolation.unknownMessageType(type)) {
                    try decode([type, 0, 0, 0, 4], from: side)
                }
            }
        }
    }

    @Test func `a count larger than the body reserves no memory and is refused`() {
        for bytes in [
            raw("D", [255, 255]), raw("T", [255, 255]), raw("t", [255, 255]),
            raw("G", [0, 255, 255]), raw("v", [0, 3, 0, 0, 127, 255, 255, 255]),
        ] {
            #expect(throws: ProtocolViolation.self) { try decode(bytes, from: .server) }
        }
        #expect(throws: ProtocolViolation.self) {
            try decode(raw("P", [0, 0, 255, 255]), from: .client)
        }
    }

    @Test func `negative lengths other than -1 are refused`() {
        let length: [UInt8] = [255, 255, 255, 254]
        #expect(throws: ProtocolViolation.invalidField(type: 0x44)) {
            try decode(raw("D", [0, 1], length), from: .server)
        }
        #expect(throws: ProtocolViolation.invalidField(type: 0x56)) {
            try decode(raw("V", length), from: .server)
        }
        #expect(throws: ProtocolViolation.invalidField(type: 0x76)) {
            try decode(raw("v", [0, 3, 0, 0], length), from: .server)
        }
    }

    @Test func `only S and P can be described or closed`() {
        for type: Character in ["D", "C"] {
            #expect(throws: ProtocolViolation.invalidField(type: type.asciiValue ?? 0)) {
                try decode(raw(type, ascii("Xa\0")), from: .client)
            }
        }
    }

    @Test(arguments: [(3, false), (4, true), (256, true), (257, false)])
    func `a secret has 4 to 256 bytes`(_ count: Int, _ isAllowed: Bool) {
        let secret = [UInt8](repeating: 1, count: count)
        let bytes = raw("K", [0, 0, 0, 1], secret)
        #expect(((try? decode(bytes, from: .server)) != nil) == isAllowed)
        let message = BackendMessage.backendKeyData(BackendKeyData(processID: 1, secret: secret))
        #expect(((try? encode(.backend(message))) != nil) == isAllowed)
    }

    @Test func `passwords are one string`() throws {
        let good = AuthenticationData(data: ascii("secret\0"))
        #expect(try PasswordMessage(good).password == ascii("secret"))
        #expect(try PasswordMessage(AuthenticationData(data: [0])).password == [])
        #expect(throws: ProtocolViolation.unterminatedString(type: 0x70)) {
            try PasswordMessage(AuthenticationData(data: ascii("secret")))
        }
        #expect(throws: ProtocolViolation.bodyTooLong(type: 0x70)) {
            try PasswordMessage(AuthenticationData(data: ascii("secret\0x")))
        }
        var writer = MessageWriter()
        try PasswordMessage(password: ascii("secret")).encode(into: &writer)
        #expect(writer.bytes == raw("p", ascii("secret\0")))
    }

    @Test(arguments: [nil, [], ascii("n,,n=,r=abc")])
    func `a SASL choice comes back`(_ data: [UInt8]?) throws {
        let choice = SASLInitialResponse(mechanism: ascii("SCRAM-SHA-256"), data: data)
        var writer = MessageWriter()
        try choice.encode(into: &writer)
        guard
            case .frontend(.authenticationData(let message)) = try decode(
                writer.bytes, from: .client)
        else { throw ProtocolViolation.unknownMessageType(0) }
        #expect(try SASLInitialResponse(message) == choice)
        #expect(throws: ProtocolViolation.self) {
            try SASLInitialResponse(AuthenticationData(data: message.data + [0]))
        }
        #expect(throws: ProtocolViolation.self) {
            try SASLInitialResponse(AuthenticationData(data: [UInt8](message.data.dropLast())))
        }
    }

    @Test(
        arguments: [
            ("INSERT 0 5", 5), ("SELECT 18446744073709551615", UInt64.max),
            ("SELECT 18446744073709551616", nil), ("CREATE TABLE", nil), ("BEGIN", nil),
            ("SELECT ", nil), ("", nil), ("COPY 0", 0), ("SELECT -1", nil),
        ] as [(String, UInt64?)])
    func `a tag's rows are read`(_ tag: String, _ rows: UInt64?) {
        #expect(CommandComplete(tag: ascii(tag)).rows == rows)
    }

    /// Messages whose body is whatever is left, or whose bytes can be cut to a shorter one.
    private func takesAnyBody(_ sample: Sample) -> Bool {
        switch sample.message {
        case .frontend(.copyData), .frontend(.authenticationData), .backend(.copyData),
            .backend(.backendKeyData), .backend(.authentication(.gssContinue)),
            .backend(.authentication(.saslContinue)), .backend(.authentication(.saslFinal)),
            .backend(.authentication(.other)):
            true
        default: false
        }
    }
}
