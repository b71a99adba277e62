import PostgresProtocol
import Testing

@Suite struct InitialPacketTests {
    static let ssl: [UInt8] = [0, 0, 0, 8, 4, 210, 22, 47]
    static let gss: [UInt8] = [0, 0, 0, 8, 4, 210, 22, 48]
    static let cancel: [UInt8] = [0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 1, 2, 9, 8, 7, 6]

    static func packet(_ code: [UInt8], _ body: [UInt8]) -> [UInt8] {
        let length = 8 + body.count
        return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) } + code + body
    }

    static func startup(_ body: String) -> [UInt8] { packet([0, 3, 0, 0], ascii(body)) }

    static func decode(_ bytes: [UInt8]) throws(ProtocolViolation) -> InitialPacket {
        try InitialPacketFraming.decode(bytes.span.bytes)
    }

    static let samples: [(InitialPacket, [UInt8])] = [
        (.sslRequest, ssl), (.gssEncRequest, gss),
        (.cancelRequest(CancelRequest(processID: 258, secret: [9, 8, 7, 6])), cancel),
        (
            .startup(
                StartupMessage(
                    version: .v3_0,
                    parameters: [StartupParameter("user", "remi"), StartupParameter("x", "")])),
            startup("user\0remi\0x\0\0\0")
        ),
    ]

    @Test func `samples decode and encode`() throws {
        for (packet, bytes) in Self.samples {
            #expect(try Self.decode(bytes) == packet)
            #expect(try packet.encoded() == bytes)
        }
    }

    @Test func `a packet that stops anywhere is waited for`() throws {
        for (_, bytes) in Self.samples {
            for count in 0..<bytes.count {
                let cut = [UInt8](bytes[..<count])
                let length = try InitialPacketFraming.packetLength(cut.span.bytes)
                #expect(length == (count < 4 ? nil : bytes.count))
                #expect(throws: ProtocolViolation.initialPacketIncomplete) {
                    try Self.decode(cut)
                }
            }
            #expect(throws: ProtocolViolation.initialPacketIncomplete) {
                try Self.decode(bytes + [0])
            }
        }
    }

    @Test func `an impossible length is refused with its fourth byte`() {
        for length: UInt32 in [0, 1, 4, 7, 10_005, 0x4745_5420, .max] {
            let bytes = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) }
            #expect(throws: ProtocolViolation.initialPacketLength(length)) {
                try InitialPacketFraming.packetLength(bytes.span.bytes)
            }
        }
    }

    @Test(
        arguments: [(12, false), (13, true), (15, true), (16, true), (17, true), (44, true)]
            + [(267, true), (268, true), (269, false)])
    func `a cancel request's length has bounds`(_ length: Int, _ isAllowed: Bool) {
        let body = [UInt8](repeating: 1, count: length - 8)
        let bytes = Self.packet([4, 210, 22, 46], body)
        #expect(((try? Self.decode(bytes)) != nil) == isAllowed)
        let secret = [UInt8](repeating: 1, count: length - 12)
        let encoded = try? CancelRequest(processID: 1, secret: secret).encoded()
        #expect((encoded != nil) == isAllowed)
    }

    @Test(arguments: [(7, false), (8, true), (9, false), (12, false)])
    func `requests for encryption have eight bytes`(_ length: Int, _ isAllowed: Bool) {
        for code: [UInt8] in [[4, 210, 22, 47], [4, 210, 22, 48]] {
            let bytes = [0, 0, 0, UInt8(length)] + code + [UInt8](repeating: 0, count: 4)
            let decoded = try? Self.decode([UInt8](bytes[..<length]))
            #expect((decoded != nil) == isAllowed)
        }
    }

    @Test(arguments: [(10_003, true), (10_004, true), (10_005, false)])
    func `a startup packet's length has an upper bound`(_ length: Int, _ isAllowed: Bool) {
        // 8 of length and version, 5 of "user" and zero, the value and its zero, the terminator.
        let value = String(repeating: "a", count: length - 8 - 5 - 2)
        let bytes = Self.startup("user\0\(value)\0\0")
        #expect(bytes.count == length)
        #expect(((try? Self.decode(bytes)) != nil) == isAllowed)
        let message = StartupMessage(
            version: .v3_0, parameters: [StartupParameter("user", value)])
        #expect(((try? message.encoded()) != nil) == isAllowed)
    }

    @Test func `the shortest startup packet is its terminator`() throws {
        #expect(throws: ProtocolViolation.startupTerminator) { try Self.decode(Self.startup("")) }
        let empty = StartupMessage(version: .v3_0, parameters: [])
        #expect(try Self.decode(Self.startup("\0")) == .startup(empty))
        #expect(try empty.encoded().count == 9)
    }

    @Test(arguments: ["user", "user\0", "user\0a", "user\0a\0", "\0x", "\0\0", "user\0a\0\0x"])
    func `the terminator is the last byte`(_ body: String) {
        #expect(throws: ProtocolViolation.startupTerminator) {
            try Self.decode(Self.startup(body))
        }
    }

    @Test(arguments: StartupMessage.Routed.allCases)
    func `two values for what decides the route are refused`(_ name: StartupMessage.Routed) {
        let bytes = Self.startup("\(name.rawValue)\0a\0x\0y\0\(name.rawValue)\0a\0\0")
        #expect(throws: ProtocolViolation.duplicateStartupParameter(name)) {
            try Self.decode(bytes)
        }
    }

    @Test func `of other names the last value counts and all are kept`() throws {
        guard
            case .startup(let message) = try Self.decode(
                Self.startup("user\0u\0x\0a\0x\0b\0User\0v\0\0"))
        else { throw ProtocolViolation.initialPacketIncomplete }
        #expect(message.parameters.map(\.value) == ["u", "a", "b", "v"].map(ascii))
        #expect(message.value(of: "x") == ascii("b"))
        #expect(message.value(of: "user") == ascii("u"))
        #expect(message.value(of: "database") == nil)
    }

    @Test func `empty values are kept`() throws {
        let bytes = Self.startup("user\0\0database\0\0\0")
        guard case .startup(let message) = try Self.decode(bytes) else {
            throw ProtocolViolation.initialPacketIncomplete
        }
        #expect(message.value(of: "user") == [])
        #expect(message.value(of: "database") == [])
        #expect(try message.encoded() == bytes)
    }

    @Test(
        arguments: [0x0002_0000, 0x0004_0000, 0x04D2_162D, 0x04D2_1631, 0, 0xFFFF_FFFF] as [UInt32])
    func `other major versions are refused before the body is read`(_ code: UInt32) {
        let bytes = Self.packet([24, 16, 8, 0].map { UInt8(truncatingIfNeeded: code >> $0) }, [9])
        #expect(throws: ProtocolViolation.unsupportedVersion(code: code)) {
            try Self.decode(bytes)
        }
        let violation = ProtocolViolation.unsupportedVersion(code: code)
        #expect("\(violation.sqlState)" == "0A000")
        #expect(violation.text.contains("server supports 3.0 to 3.2"))
    }

    @Test func `what a packet can't say is not encoded`() {
        func encoded(_ name: [UInt8], _ value: [UInt8]) throws -> [UInt8] {
            try StartupMessage(
                version: .v3_0, parameters: [StartupParameter(name: name, value: value)]
            ).encoded()
        }
        #expect(throws: EncodingError.emptyName) { try encoded([], [1]) }
        #expect(throws: EncodingError.zeroByteInString) { try encoded([1, 0], [1]) }
        #expect(throws: EncodingError.zeroByteInString) { try encoded([1], [0]) }
    }
}
