/// The type bytes of messages that a client sends, named and ordered as in PostgreSQL's protocol.h.
package enum FrontendType {
    package static let bind: UInt8 = 0x42  // B
    package static let close: UInt8 = 0x43  // C
    package static let describe: UInt8 = 0x44  // D
    package static let execute: UInt8 = 0x45  // E
    package static let functionCall: UInt8 = 0x46  // F
    package static let flush: UInt8 = 0x48  // H
    package static let parse: UInt8 = 0x50  // P
    package static let query: UInt8 = 0x51  // Q
    package static let sync: UInt8 = 0x53  // S
    package static let terminate: UInt8 = 0x58  // X
    package static let copyFail: UInt8 = 0x66  // f
    /// PasswordMessage, SASLInitialResponse, SASLResponse and GSSResponse share one byte.
    package static let authenticationData: UInt8 = 0x70  // p
    package static let copyData: UInt8 = 0x64  // d
    package static let copyDone: UInt8 = 0x63  // c

    package static let all: [UInt8] = [
        bind, close, describe, execute, functionCall, flush, parse, query, sync, terminate,
        copyFail, authenticationData, copyData, copyDone,
    ]
}

/// The type bytes of messages that a server sends, named and ordered as in PostgreSQL's protocol.h.
package enum BackendType {
    package static let parseComplete: UInt8 = 0x31  // 1
    package static let bindComplete: UInt8 = 0x32  // 2
    package static let closeComplete: UInt8 = 0x33  // 3
    package static let notificationResponse: UInt8 = 0x41  // A
    package static let commandComplete: UInt8 = 0x43  // C
    package static let dataRow: UInt8 = 0x44  // D
    package static let errorResponse: UInt8 = 0x45  // E
    package static let copyInResponse: UInt8 = 0x47  // G
    package static let copyOutResponse: UInt8 = 0x48  // H
    package static let emptyQueryResponse: UInt8 = 0x49  // I
    package static let backendKeyData: UInt8 = 0x4B  // K
    package static let noticeResponse: UInt8 = 0x4E  // N
    package static let authentication: UInt8 = 0x52  // R
    package static let parameterStatus: UInt8 = 0x53  // S
    package static let rowDescription: UInt8 = 0x54  // T
    package static let functionCallResponse: UInt8 = 0x56  // V
    package static let copyBothResponse: UInt8 = 0x57  // W
    package static let readyForQuery: UInt8 = 0x5A  // Z
    package static let noData: UInt8 = 0x6E  // n
    package static let portalSuspended: UInt8 = 0x73  // s
    package static let parameterDescription: UInt8 = 0x74  // t
    package static let negotiateProtocolVersion: UInt8 = 0x76  // v
    package static let copyData: UInt8 = 0x64  // d
    package static let copyDone: UInt8 = 0x63  // c

    package static let all: [UInt8] = [
        parseComplete, bindComplete, closeComplete, notificationResponse, commandComplete, dataRow,
        errorResponse, copyInResponse, copyOutResponse, emptyQueryResponse, backendKeyData,
        noticeResponse, authentication, parameterStatus, rowDescription, functionCallResponse,
        copyBothResponse, readyForQuery, noData, portalSuspended, parameterDescription,
        negotiateProtocolVersion, copyData, copyDone,
    ]
}
