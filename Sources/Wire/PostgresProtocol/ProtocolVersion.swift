/// A protocol version as the wire writes it: 16 bits major, 16 bits minor.
///
/// - Source: manual, protocol-message-formats (StartupMessage, NegotiateProtocolVersion).
package struct ProtocolVersion: Hashable, Sendable {
    package let major: UInt16
    package let minor: UInt16

    package static let v3_0 = ProtocolVersion(major: 3, minor: 0)
    package static let v3_2 = ProtocolVersion(major: 3, minor: 2)

    package init(major: UInt16, minor: UInt16) {
        self.major = major
        self.minor = minor
    }

    /// Every code has a version; whether we speak it is `Negotiation`'s question.
    package init(code: UInt32) {
        major = UInt16(truncatingIfNeeded: code >> 16)
        minor = UInt16(truncatingIfNeeded: code)
    }

    package var code: UInt32 { UInt32(major) << 16 | UInt32(minor) }
}

extension ProtocolVersion: CustomStringConvertible {
    package var description: String { "\(major).\(minor)" }
}
