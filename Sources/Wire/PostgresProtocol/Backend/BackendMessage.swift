/// A message of the server.
///
/// - Errors: `decode` refuses bodies with bytes missing or left over, as libpq does. It does not
///   check lengths against `MessageLimits`; whoever collected the body has.
/// - Cost: copies the body's values. The relay does not decode.
/// - Source: manual, protocol-message-formats.
package enum BackendMessage: Equatable, Sendable {
    case authentication(AuthenticationRequest)
    case backendKeyData(BackendKeyData)
    case bindComplete
    case closeComplete
    case commandComplete(CommandComplete)
    case copyData(CopyData)
    case copyDone
    case copyInResponse(CopyResponse)
    case copyOutResponse(CopyResponse)
    case copyBothResponse(CopyResponse)
    case dataRow(DataRow)
    case emptyQueryResponse
    case errorResponse(ErrorFields)
    case functionCallResponse(FunctionCallResponse)
    case negotiateProtocolVersion(NegotiateProtocolVersion)
    case noData
    case noticeResponse(ErrorFields)
    case notificationResponse(NotificationResponse)
    case parameterDescription(ParameterDescription)
    case parameterStatus(ParameterStatus)
    case parseComplete
    case portalSuspended
    case readyForQuery(ReadyForQuery)
    case rowDescription(RowDescription)

    package static func decode(
        type: UInt8, body: RawSpan
    ) throws(ProtocolViolation) -> BackendMessage {
        switch type {
        case BackendType.dataRow: return .dataRow(try DataRow(body))
        case BackendType.copyData: return .copyData(CopyData(body))
        case BackendType.authentication: return .authentication(try AuthenticationRequest(body))
        case BackendType.backendKeyData: return .backendKeyData(try BackendKeyData(body))
        case BackendType.commandComplete: return .commandComplete(try CommandComplete(body))
        case BackendType.copyInResponse: return .copyInResponse(try CopyResponse(body, type: type))
        case BackendType.copyOutResponse:
            return .copyOutResponse(try CopyResponse(body, type: type))
        case BackendType.copyBothResponse:
            return .copyBothResponse(try CopyResponse(body, type: type))
        case BackendType.errorResponse: return .errorResponse(try ErrorFields(body, type: type))
        case BackendType.noticeResponse: return .noticeResponse(try ErrorFields(body, type: type))
        case BackendType.functionCallResponse:
            return .functionCallResponse(try FunctionCallResponse(body))
        case BackendType.negotiateProtocolVersion:
            return .negotiateProtocolVersion(try NegotiateProtocolVersion(body))
        case BackendType.notificationResponse:
            return .notificationResponse(try NotificationResponse(body))
        case BackendType.parameterDescription:
            return .parameterDescription(try ParameterDescription(body))
        case BackendType.parameterStatus: return .parameterStatus(try ParameterStatus(body))
        case BackendType.readyForQuery: return .readyForQuery(try ReadyForQuery(body))
        case BackendType.rowDescription: return .rowDescription(try RowDescription(body))
        default: break
        }
        guard let message = bodiless(type) else { throw .unknownMessageType(type) }
        try WireReader(type: type).finish(body)
        return message
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        switch self {
        case .authentication(let message): try message.encode(into: &writer)
        case .backendKeyData(let message): try message.encode(into: &writer)
        case .bindComplete: try writer.message(backend: BackendType.bindComplete)
        case .closeComplete: try writer.message(backend: BackendType.closeComplete)
        case .commandComplete(let message): try message.encode(into: &writer)
        case .copyData(let message): try message.encode(from: .server, into: &writer)
        case .copyDone: try writer.message(backend: BackendType.copyDone)
        case .copyInResponse(let message):
            try message.encode(BackendType.copyInResponse, into: &writer)
        case .copyOutResponse(let message):
            try message.encode(BackendType.copyOutResponse, into: &writer)
        case .copyBothResponse(let message):
            try message.encode(BackendType.copyBothResponse, into: &writer)
        case .dataRow(let message): try message.encode(into: &writer)
        case .emptyQueryResponse: try writer.message(backend: BackendType.emptyQueryResponse)
        case .errorResponse(let fields): try fields.encodeError(into: &writer)
        case .functionCallResponse(let message): try message.encode(into: &writer)
        case .negotiateProtocolVersion(let message): try message.encode(into: &writer)
        case .noData: try writer.message(backend: BackendType.noData)
        case .noticeResponse(let fields): try fields.encodeNotice(into: &writer)
        case .notificationResponse(let message): try message.encode(into: &writer)
        case .parameterDescription(let message): try message.encode(into: &writer)
        case .parameterStatus(let message): try message.encode(into: &writer)
        case .parseComplete: try writer.message(backend: BackendType.parseComplete)
        case .portalSuspended: try writer.message(backend: BackendType.portalSuspended)
        case .readyForQuery(let message): try message.encode(into: &writer)
        case .rowDescription(let message): try message.encode(into: &writer)
        }
    }

    private static func bodiless(_ type: UInt8) -> BackendMessage? {
        switch type {
        case BackendType.bindComplete: .bindComplete
        case BackendType.closeComplete: .closeComplete
        case BackendType.copyDone: .copyDone
        case BackendType.emptyQueryResponse: .emptyQueryResponse
        case BackendType.noData: .noData
        case BackendType.parseComplete: .parseComplete
        case BackendType.portalSuspended: .portalSuspended
        default: nil
        }
    }
}
