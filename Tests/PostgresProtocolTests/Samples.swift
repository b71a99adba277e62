import PostgresProtocol

/// One message of each kind, with the bytes written out by hand, so that encoder and decoder are
/// not only compared with each other.
struct Sample: CustomStringConvertible, Sendable {
    enum Message: Equatable {
        case frontend(FrontendMessage)
        case backend(BackendMessage)
    }

    let message: Message
    let bytes: [UInt8]
    let description: String

    var side: Side {
        if case .frontend = message { .client } else { .server }
    }

    /// After the login's end only these may pass.
    var isLoginOnly: Bool { MessageLimits.isLoginOnly(side, bytes[0]) }

    init(_ name: String, _ message: FrontendMessage, _ bytes: [UInt8]) {
        self.message = .frontend(message)
        self.bytes = bytes
        description = name
    }

    init(_ name: String, _ message: BackendMessage, _ bytes: [UInt8]) {
        self.message = .backend(message)
        self.bytes = bytes
        description = name
    }
}

func ascii(_ text: String) -> [UInt8] { [UInt8](text.utf8) }

/// A message from its type and the pieces of its body; the length is counted here, not by the room.
func raw(_ type: Character, _ pieces: [UInt8]...) -> [UInt8] {
    let body = pieces.flatMap { $0 }
    let length = body.count + 4
    let word = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) }
    return [type.asciiValue ?? 0] + word + body
}

extension Sample {
    static let all = frontend + backend
    static let afterLogin = all.filter { !$0.isLoginOnly }

    static let frontend: [Sample] = [
        Sample(
            "Bind",
            .bind(
                Bind(
                    portal: ascii("p"), statement: ascii("st"), parameterFormats: [0, 1],
                    parameters: [ascii("42"), nil, []], resultFormats: [1])),
            raw(
                "B", ascii("p\0st\0"), [0, 2, 0, 0, 0, 1], [0, 3], [0, 0, 0, 2], ascii("42"),
                [255, 255, 255, 255], [0, 0, 0, 0], [0, 1, 0, 1])),
        Sample(
            "Close", .close(StatementOrPortal(.statement, ascii("st"))), raw("C", ascii("Sst\0"))),
        Sample("Describe", .describe(StatementOrPortal(.portal, [])), raw("D", ascii("P\0"))),
        Sample(
            "Execute", .execute(Execute(portal: ascii("p"), rowsMax: 258)),
            raw("E", ascii("p\0"), [0, 0, 1, 2])),
        Sample(
            "FunctionCall",
            .functionCall(
                FunctionCall(
                    function: 65_538, argumentFormats: [1], arguments: [[9, 0], nil],
                    resultFormat: 1)),
            raw(
                "F", [0, 1, 0, 2], [0, 1, 0, 1], [0, 2, 0, 0, 0, 2, 9, 0, 255, 255, 255, 255],
                [0, 1])),
        Sample("Flush", .flush, raw("H")),
        Sample(
            "Parse",
            .parse(Parse(statement: ascii("st"), query: ascii("select $1"), parameterTypes: [23])),
            raw("P", ascii("st\0select $1\0"), [0, 1, 0, 0, 0, 23])),
        Sample("Query", .query(Query("select 1")), raw("Q", ascii("select 1\0"))),
        Sample("Sync", .sync, raw("S")),
        Sample("Terminate", .terminate, raw("X")),
        Sample("CopyFail", .copyFail(CopyFail(reason: ascii("no"))), raw("f", ascii("no\0"))),
        Sample(
            "AuthenticationData", .authenticationData(AuthenticationData(data: [0, 1, 255])),
            raw("p", [0, 1, 255])),
        Sample(
            "CopyData (client)", FrontendMessage.copyData(CopyData(data: ascii("1\t2\n"))),
            raw("d", ascii("1\t2\n"))),
        Sample("CopyDone (client)", FrontendMessage.copyDone, raw("c")),
    ]

    static let backend: [Sample] = login + answers + reports + copy

    private static let login: [Sample] = [
        Sample("AuthenticationOk", .authentication(.ok), raw("R", [0, 0, 0, 0])),
        Sample("KerberosV5", .authentication(.kerberosV5), raw("R", [0, 0, 0, 2])),
        Sample("CleartextPassword", .authentication(.cleartextPassword), raw("R", [0, 0, 0, 3])),
        Sample(
            "MD5Password", .authentication(.md5Password(salt: [1, 2, 0, 4])),
            raw("R", [0, 0, 0, 5, 1, 2, 0, 4])),
        Sample("GSS", .authentication(.gss), raw("R", [0, 0, 0, 7])),
        Sample(
            "GSSContinue", .authentication(.gssContinue([7, 0])), raw("R", [0, 0, 0, 8, 7, 0])),
        Sample("SSPI", .authentication(.sspi), raw("R", [0, 0, 0, 9])),
        Sample(
            "SASL",
            .authentication(
                .sasl(mechanisms: [ascii("SCRAM-SHA-256-PLUS"), ascii("SCRAM-SHA-256")])),
            raw("R", [0, 0, 0, 10], ascii("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"))),
        Sample(
            "SASLContinue", .authentication(.saslContinue(ascii("r=a,s=b,i=1"))),
            raw("R", [0, 0, 0, 11], ascii("r=a,s=b,i=1"))),
        Sample(
            "SASLFinal", .authentication(.saslFinal(ascii("v=c"))),
            raw("R", [0, 0, 0, 12], ascii("v=c"))),
        Sample(
            "Authentication of code 6", .authentication(.other(code: 6, data: [1])),
            raw("R", [0, 0, 0, 6, 1])),
        Sample(
            "BackendKeyData 3.0",
            .backendKeyData(BackendKeyData(processID: 258, secret: [1, 2, 3, 4])),
            raw("K", [0, 0, 1, 2, 1, 2, 3, 4])),
        Sample(
            "BackendKeyData 3.2",
            .backendKeyData(
                BackendKeyData(processID: -1, secret: [UInt8](repeating: 7, count: 32))),
            raw("K", [255, 255, 255, 255], [UInt8](repeating: 7, count: 32))),
        Sample(
            "NegotiateProtocolVersion",
            .negotiateProtocolVersion(
                NegotiateProtocolVersion(version: .v3_2, unrecognized: [ascii("_pq_.a")])),
            raw("v", [0, 3, 0, 2, 0, 0, 0, 1], ascii("_pq_.a\0"))),
    ]

    private static let answers: [Sample] = [
        Sample("ParseComplete", .parseComplete, raw("1")),
        Sample("BindComplete", .bindComplete, raw("2")),
        Sample("CloseComplete", .closeComplete, raw("3")),
        Sample(
            "CommandComplete", .commandComplete(CommandComplete(tag: ascii("INSERT 0 5"))),
            raw("C", ascii("INSERT 0 5\0"))),
        Sample(
            "DataRow", .dataRow(DataRow(values: [ascii("abc"), nil, []])),
            raw("D", [0, 3, 0, 0, 0, 3], ascii("abc"), [255, 255, 255, 255, 0, 0, 0, 0])),
        Sample("EmptyQueryResponse", .emptyQueryResponse, raw("I")),
        Sample("NoData", .noData, raw("n")),
        Sample(
            "ParameterDescription",
            .parameterDescription(ParameterDescription(types: [23, 0x0102_0304])),
            raw("t", [0, 2, 0, 0, 0, 23, 1, 2, 3, 4])),
        Sample("PortalSuspended", .portalSuspended, raw("s")),
        Sample("ReadyForQuery", .readyForQuery(ReadyForQuery(status: .failed)), raw("Z", [0x45])),
        Sample(
            "RowDescription",
            .rowDescription(
                RowDescription(columns: [
                    .init(
                        name: ascii("id"), table: 1, number: 2, type: 23, typeSize: -1,
                        typeModifier: -1, format: 1)
                ])),
            raw(
                "T", [0, 1], ascii("id\0"), [0, 0, 0, 1, 0, 2, 0, 0, 0, 23, 255, 255],
                [255, 255, 255, 255, 0, 1])),
        Sample(
            "FunctionCallResponse", .functionCallResponse(FunctionCallResponse(value: [1, 0])),
            raw("V", [0, 0, 0, 2, 1, 0])),
        Sample(
            "FunctionCallResponse null", .functionCallResponse(FunctionCallResponse(value: nil)),
            raw("V", [255, 255, 255, 255])),
    ]

    private static let reports: [Sample] = [
        Sample(
            "ErrorResponse",
            .errorResponse(
                ErrorFields(
                    .error, sqlState: "42601", message: "syntax error", detail: "Here.",
                    hint: "Look.")),
            raw("E", ascii("SERROR\0VERROR\0C42601\0Msyntax error\0DHere.\0HLook.\0\0"))),
        Sample(
            "NoticeResponse of an unknown field",
            .noticeResponse(ErrorFields(fields: [.init(code: 0x7E, value: ascii("x"))])),
            raw("N", ascii("~x\0\0"))),
        Sample(
            "NotificationResponse",
            .notificationResponse(
                NotificationResponse(processID: 7, channel: ascii("c"), payload: [])),
            raw("A", [0, 0, 0, 7], ascii("c\0\0"))),
        Sample(
            "ParameterStatus",
            .parameterStatus(ParameterStatus(name: ascii("TimeZone"), value: ascii("UTC"))),
            raw("S", ascii("TimeZone\0UTC\0"))),
    ]

    private static let copy: [Sample] = [
        Sample(
            "CopyInResponse",
            .copyInResponse(CopyResponse(format: 0, columnFormats: [0, 0])),
            raw("G", [0, 0, 2, 0, 0, 0, 0])),
        Sample(
            "CopyOutResponse", .copyOutResponse(CopyResponse(format: 1, columnFormats: [1])),
            raw("H", [1, 0, 1, 0, 1])),
        Sample(
            "CopyBothResponse", .copyBothResponse(CopyResponse(format: 0, columnFormats: [])),
            raw("W", [0, 0, 0])),
        Sample(
            "CopyData (server)", BackendMessage.copyData(CopyData(data: [0, 255])),
            raw("d", [0, 255])),
        Sample("CopyDone (server)", BackendMessage.copyDone, raw("c")),
    ]
}
