/// The codes that stand where a StartupMessage has its version.
package enum RequestCode {
    package static let cancel: UInt32 = 80_877_102  // 1234.5678
    package static let ssl: UInt32 = 80_877_103  // 1234.5679
    package static let gssEncryption: UInt32 = 80_877_104  // 1234.5680
}

/// A packet without a type byte, which only a client sends, before all else.
///
/// - Shape: length, 4 bytes big-endian, counts itself; code or version, 4 bytes; body.
/// - Source: manual, protocol-message-formats.
package enum InitialPacket: Equatable, Sendable {
    case sslRequest
    case gssEncRequest
    case cancelRequest(CancelRequest)
    case startup(StartupMessage)

    package func encoded() throws(EncodingError) -> [UInt8] {
        switch self {
        case .sslRequest: [0, 0, 0, 8] + bigEndian(RequestCode.ssl)
        case .gssEncRequest: [0, 0, 0, 8] + bigEndian(RequestCode.gssEncryption)
        case .cancelRequest(let request): try request.encoded()
        case .startup(let message): try message.encoded()
        }
    }
}

func bigEndian(_ value: UInt32) -> [UInt8] {
    [
        UInt8(truncatingIfNeeded: value >> 24), UInt8(truncatingIfNeeded: value >> 16),
        UInt8(truncatingIfNeeded: value >> 8), UInt8(truncatingIfNeeded: value),
    ]
}
