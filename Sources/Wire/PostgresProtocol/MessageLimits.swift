/// The largest length words that are believed, by message type. A length word counts itself but not
/// the type byte.
///
/// - Invariant: `lengthMin <= length <= lengthMax(type)` for every message that is forwarded.
package enum MessageLimits {
    package static let lengthMin: UInt32 = 4

    /// MaxAllocSize - 1: what a server reads into memory. Source: pqcomm.h PQ_LARGE_MESSAGE_LIMIT.
    package static let frontendLong: UInt32 = 1_073_741_822
    /// Source: pqcomm.h PQ_SMALL_MESSAGE_LIMIT.
    package static let frontendShort: UInt32 = 10_000
    /// Source: auth.c PG_MAX_AUTH_TOKEN_LENGTH.
    package static let authenticationData: UInt32 = 65_535

    /// libpq reads a length word as a signed number and believes all of it for the long types.
    package static let backendLong: UInt32 = 0x7FFF_FFFF
    /// Source: fe-protocol3.c, the bound for types that are not VALID_LONG_MESSAGE_TYPE.
    package static let backendShort: UInt32 = 30_000
    /// 65,535 parameters. libpq stops at `backendShort`, but other drivers do read such an answer.
    package static let parameterDescription: UInt32 = 6 + 4 * 65_535
    /// Source: fe-connect.c, the bound for R and v during the login.
    package static let login: UInt32 = 2_000

    /// Counts its own length word. Source: pqcomm.h MAX_STARTUP_PACKET_LENGTH, which does not.
    package static let startupPacket = 10_004
    package static let initialPacketMin = 8
    /// Source: manual, protocol-message-formats (BackendKeyData): 4 bytes in 3.0, 4 to 256 in 3.2.
    package static let cancelKey = 256

    /// nil for a type that no client sends.
    package static func lengthMax(frontend type: UInt8) -> UInt32? {
        switch type {
        case FrontendType.query, FrontendType.parse, FrontendType.bind, FrontendType.functionCall,
            FrontendType.copyData:
            frontendLong
        case FrontendType.describe, FrontendType.close, FrontendType.execute, FrontendType.flush,
            FrontendType.sync, FrontendType.terminate, FrontendType.copyDone,
            FrontendType.copyFail:
            frontendShort
        case FrontendType.authenticationData: authenticationData
        default: nil
        }
    }

    /// nil for a type that no server sends.
    package static func lengthMax(backend type: UInt8) -> UInt32? {
        switch type {
        case BackendType.dataRow, BackendType.copyData, BackendType.errorResponse,
            BackendType.noticeResponse, BackendType.rowDescription,
            BackendType.functionCallResponse, BackendType.notificationResponse:
            backendLong
        case BackendType.readyForQuery: 5
        case BackendType.parameterDescription: parameterDescription
        case BackendType.authentication, BackendType.negotiateProtocolVersion: login
        default: BackendType.all.contains(type) ? backendShort : nil
        }
    }

    package static func lengthMax(_ side: Side, _ type: UInt8) -> UInt32? {
        side == .client ? lengthMax(frontend: type) : lengthMax(backend: type)
    }

    /// Types that may not come after the login's ReadyForQuery.
    package static func isLoginOnly(_ side: Side, _ type: UInt8) -> Bool {
        switch side {
        case .client: type == FrontendType.authenticationData
        case .server:
            type == BackendType.authentication || type == BackendType.backendKeyData
                || type == BackendType.negotiateProtocolVersion
        }
    }
}
