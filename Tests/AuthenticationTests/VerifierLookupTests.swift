import Authentication
import PostgresProtocol
import Tenancy
import Testing

@testable import ServerLogin

struct VerifierLookupTests {
    private static let verifier =
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        + "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

    @Test(arguments: ["remi", "'; DROP ROLE x; --", "a\"b", "$1", "é", ""])
    func `a name is a parameter and never part of the statement`(name: String) throws {
        let query = VerifierLookupQuery(
            function: "pgtee.lookup_verifier", user: Array(name.utf8))
        let bytes = try query.encoded()
        var messages: [FrontendMessage] = []
        var offset = 0
        while offset < bytes.count {
            let rest = Array(bytes[offset...])
            let header = try #require(try MessageHeader.read(rest.span.bytes, from: .client))
            let body = Array(rest[5..<header.totalCount])
            messages.append(try FrontendMessage.decode(type: header.type, body: body.span.bytes))
            offset += header.totalCount
        }
        let statement = "SELECT rolname, rolpassword FROM pgtee.lookup_verifier($1)"
        #expect(messages.count == 4)
        guard case .parse(let parse) = messages[0], case .bind(let bind) = messages[1] else {
            Issue.record("not Parse and Bind")
            return
        }
        #expect(parse.query == Array(statement.utf8))
        #expect(bind.parameters == [Array(name.utf8)])
        #expect(messages[3] == .sync)
    }

    private static func row(_ values: String?...) -> BackendMessage {
        .dataRow(DataRow(values: values.map { $0.map { Array($0.utf8) } }))
    }

    private static func answer(_ messages: [BackendMessage]) throws -> [String] {
        var reader = VerifierAnswerReader()
        let answers = try reader.receive(ServerScript.bytes(messages))
        return answers.map {
            switch $0 {
            case .found(let verifier): verifier.text
            case .unknownRole: "unknown"
            case .failed(let text): "failed \(text)"
            }
        }
    }

    @Test func `answers come in the order of their questions`() throws {
        let stream: [BackendMessage] = [
            .parseComplete, .bindComplete, Self.row("remi", Self.verifier), .ready,
            .parseComplete, .bindComplete, .ready,
            .error("42501"), .ready,
            .noticeResponse(ErrorFields(.notice, sqlState: "00000", message: "x")),
            Self.row("remi", Self.verifier), .ready,
        ]
        let expected = [Self.verifier, "unknown", "failed 42501: no", Self.verifier]
        #expect(try Self.answer(stream) == expected)
        let bytes = ServerScript.bytes(stream)
        var reader = VerifierAnswerReader()
        var count = 0
        for byte in bytes { count += try reader.receive([byte]).count }
        #expect(count == 4)
    }

    @Test func `what is not exactly one SCRAM verifier is an unknown role`() throws {
        let rows: [[BackendMessage]] = [
            [Self.row("remi", nil)], [Self.row("remi", "md557fa79c6dd4b727eb8fa284833028c33")],
            [Self.row("remi", "")], [Self.row("remi")], [Self.row("a", "b", "c")], [Self.row()],
            [Self.row("remi", Self.verifier), Self.row("remi", Self.verifier)],
        ]
        for messages in rows { #expect(try Self.answer(messages + [.ready]) == ["unknown"]) }
    }

    @Test(arguments: [
        ServerScript.raw("D", [], length: 3), ServerScript.raw("D", [], length: 65_537),
        ServerScript.raw("D", [], length: -1), ServerScript.raw("D", [0, 1]),
        ServerScript.raw("x", []), ServerScript.raw("Z", [0]),
    ])
    func `an impossible message is a violation`(bytes: [UInt8]) {
        var reader = VerifierAnswerReader()
        #expect(throws: ProtocolViolation.self) { try reader.receive(bytes) }
    }
}
