/// A message of the client, after the packets without a type byte.
///
/// - Errors: `decode` refuses what PostgreSQL refuses: bodies with bytes missing or left over.
///   It does not check lengths against `MessageLimits`; whoever collected the body has.
/// - Cost: copies the body's values. The relay does not decode.
/// - Source: manual, protocol-message-formats.
package enum FrontendMessage: Equatable, Sendable {
    case bind(Bind)
    case close(StatementOrPortal)
    case describe(StatementOrPortal)
    case execute(Execute)
    case functionCall(FunctionCall)
    case flush
    case parse(Parse)
    case query(Query)
    case sync
    case terminate
    case copyFail(CopyFail)
    case authenticationData(AuthenticationData)
    case copyData(CopyData)
    case copyDone

    package static func decode(
        type: UInt8, body: RawSpan
    ) throws(ProtocolViolation) -> FrontendMessage {
        switch type {
        case FrontendType.bind: return .bind(try Bind(body))
        case FrontendType.close: return .close(try StatementOrPortal(body, type: type))
        case FrontendType.describe: return .describe(try StatementOrPortal(body, type: type))
        case FrontendType.execute: return .execute(try Execute(body))
        case FrontendType.functionCall: return .functionCall(try FunctionCall(body))
        case FrontendType.parse: return .parse(try Parse(body))
        case FrontendType.query: return .query(try Query(body))
        case FrontendType.copyFail: return .copyFail(try CopyFail(body))
        case FrontendType.authenticationData: return .authenticationData(AuthenticationData(body))
        case FrontendType.copyData: return .copyData(CopyData(body))
        default: break
        }
        guard let message = bodiless(type) else { throw .unknownMessageType(type) }
        try WireReader(type: type).finish(body)
        return message
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        switch self {
        case .bind(let message): try message.encode(into: &writer)
        case .close(let target): try target.encode(FrontendType.close, into: &writer)
        case .describe(let target): try target.encode(FrontendType.describe, into: &writer)
        case .execute(let message): try message.encode(into: &writer)
        case .functionCall(let message): try message.encode(into: &writer)
        case .flush: try writer.message(frontend: FrontendType.flush)
        case .parse(let message): try message.encode(into: &writer)
        case .query(let message): try message.encode(into: &writer)
        case .sync: try writer.message(frontend: FrontendType.sync)
        case .terminate: try writer.message(frontend: FrontendType.terminate)
        case .copyFail(let message): try message.encode(into: &writer)
        case .authenticationData(let message): try message.encode(into: &writer)
        case .copyData(let message): try message.encode(from: .client, into: &writer)
        case .copyDone: try writer.message(frontend: FrontendType.copyDone)
        }
    }

    private static func bodiless(_ type: UInt8) -> FrontendMessage? {
        switch type {
        case FrontendType.flush: .flush
        case FrontendType.sync: .sync
        case FrontendType.terminate: .terminate
        case FrontendType.copyDone: .copyDone
        default: nil
        }
    }
}
