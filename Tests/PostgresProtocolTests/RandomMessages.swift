import PostgresProtocol

/// Random messages of every kind that can be encoded.
extension SeededRandom {
    mutating func frontendMessage() -> FrontendMessage {
        switch below(14) {
        case 0:
            .bind(
                Bind(
                    portal: string(upTo: 9), statement: string(upTo: 9),
                    parameterFormats: list(upTo: 3) { $0.int16() },
                    parameters: list(upTo: 4) { $0.value() },
                    resultFormats: list(upTo: 3) { $0.int16() }))
        case 1: .close(statementOrPortal())
        case 2: .describe(statementOrPortal())
        case 3: .execute(Execute(portal: string(upTo: 9), rowsMax: int32()))
        case 4:
            .functionCall(
                FunctionCall(
                    function: uint32(), argumentFormats: list(upTo: 3) { $0.int16() },
                    arguments: list(upTo: 4) { $0.value() }, resultFormat: int16()))
        case 5: .flush
        case 6:
            .parse(
                Parse(
                    statement: string(upTo: 9), query: string(upTo: 200),
                    parameterTypes: list(upTo: 5) { $0.uint32() }))
        case 7: .query(Query(query: string(upTo: 300)))
        case 8: .sync
        case 9: .terminate
        case 10: .copyFail(CopyFail(reason: string(upTo: 20)))
        case 11: .authenticationData(AuthenticationData(data: bytes(upTo: 100)))
        case 12: .copyData(CopyData(data: bytes(upTo: 300)))
        default: .copyDone
        }
    }

    mutating func backendMessage() -> BackendMessage {
        switch below(24) {
        case 0: .authentication(authenticationRequest())
        case 1:
            .backendKeyData(
                BackendKeyData(
                    processID: int32(), secret: string(upTo: 256, from: 4)))
        case 2: .bindComplete
        case 3: .closeComplete
        case 4: .commandComplete(CommandComplete(tag: string(upTo: 30)))
        case 5: .copyData(CopyData(data: bytes(upTo: 300)))
        case 6: .copyDone
        case 7: .copyInResponse(copyResponse())
        case 8: .copyOutResponse(copyResponse())
        case 9: .copyBothResponse(copyResponse())
        case 10: .dataRow(DataRow(values: list(upTo: 6) { $0.value() }))
        case 11: .emptyQueryResponse
        case 12: .errorResponse(errorFields())
        case 13: .functionCallResponse(FunctionCallResponse(value: value()))
        case 14:
            .negotiateProtocolVersion(
                NegotiateProtocolVersion(
                    version: ProtocolVersion(code: uint32()),
                    unrecognized: list(upTo: 3) { $0.string(upTo: 20) }))
        case 15: .noData
        case 16: .noticeResponse(errorFields())
        case 17:
            .notificationResponse(
                NotificationResponse(
                    processID: int32(), channel: string(upTo: 9), payload: string(upTo: 50)))
        case 18: .parameterDescription(ParameterDescription(types: list(upTo: 9) { $0.uint32() }))
        case 19: .parameterStatus(ParameterStatus(name: string(upTo: 9), value: string(upTo: 9)))
        case 20: .parseComplete
        case 21: .portalSuspended
        case 22: .readyForQuery(ReadyForQuery(status: pick(TransactionStatus.allCases)))
        default: .rowDescription(RowDescription(columns: list(upTo: 5) { $0.column() }))
        }
    }

    mutating func startupMessage() -> StartupMessage {
        var parameters: [StartupParameter] = []
        for name in StartupMessage.Routed.allCases where chance(2) {
            parameters.append(
                StartupParameter(name: ascii(name.rawValue), value: string(upTo: 70)))
        }
        parameters += list(upTo: 6) {
            StartupParameter(name: ascii("x") + $0.string(upTo: 9), value: $0.string(upTo: 20))
        }
        return StartupMessage(
            version: ProtocolVersion(major: 3, minor: UInt16(below(4))),
            parameters: parameters.shuffled(using: &self))
    }

    private mutating func authenticationRequest() -> AuthenticationRequest {
        switch below(11) {
        case 0: .ok
        case 1: .kerberosV5
        case 2: .cleartextPassword
        case 3: .md5Password(salt: string(upTo: 4, from: 4))
        case 4: .gss
        case 5: .gssContinue(bytes(upTo: 99))
        case 6: .sspi
        case 7: .sasl(mechanisms: list(upTo: 3) { $0.string(upTo: 20, from: 1) })
        case 8: .saslContinue(bytes(upTo: 99))
        case 9: .saslFinal(bytes(upTo: 99))
        default: .other(code: UInt32(100 + below(100)), data: bytes(upTo: 9))
        }
    }

    private mutating func errorFields() -> ErrorFields {
        ErrorFields(
            fields: list(upTo: 6) {
                .init(code: UInt8(1 + $0.below(255)), value: $0.string(upTo: 30))
            })
    }

    private mutating func copyResponse() -> CopyResponse {
        CopyResponse(
            format: Int8(truncatingIfNeeded: next()), columnFormats: list(upTo: 4) { $0.int16() })
    }

    private mutating func column() -> RowDescription.Column {
        .init(
            name: string(upTo: 12), table: uint32(), number: int16(), type: uint32(),
            typeSize: int16(), typeModifier: int32(), format: int16())
    }

    private mutating func statementOrPortal() -> StatementOrPortal {
        StatementOrPortal(chance(2) ? .statement : .portal, string(upTo: 9))
    }

    private mutating func int16() -> Int16 { Int16(truncatingIfNeeded: next()) }
    private mutating func int32() -> Int32 { Int32(truncatingIfNeeded: next()) }
    private mutating func uint32() -> UInt32 { UInt32(truncatingIfNeeded: next()) }
}

/// Encodes, decodes and frames a message of either side in one way.
func encode(_ message: Sample.Message) throws(EncodingError) -> [UInt8] {
    var writer = MessageWriter()
    switch message {
    case .frontend(let message): try message.encode(into: &writer)
    case .backend(let message): try message.encode(into: &writer)
    }
    return writer.bytes
}

func decode(_ bytes: [UInt8], from side: Side) throws(ProtocolViolation) -> Sample.Message {
    let body = bytes.span.bytes.extracting(5..<bytes.count)
    return switch side {
    case .client: .frontend(try FrontendMessage.decode(type: bytes[0], body: body))
    case .server: .backend(try BackendMessage.decode(type: bytes[0], body: body))
    }
}
