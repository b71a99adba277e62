/// Which version a session speaks, and whether the client must be told.
///
/// Clients that ask for 3.0 without options never get the answer: libpq up to 17 ends the
/// connection when it sees one. libpq 19 asks for 3.9999 and an option that nobody knows, and ends
/// the connection unless exactly one correct answer comes.
package enum Negotiation {
    package struct Answer: Equatable, Sendable {
        package let version: ProtocolVersion
        /// To be sent before any other message; nil when the client gets what it asked for.
        package let negotiate: NegotiateProtocolVersion?
    }

    /// - Errors: `unsupportedVersion` for a major version other than 3.
    package static func answer(to message: StartupMessage) throws(ProtocolViolation) -> Answer {
        let asked = message.version
        guard asked.major == 3 else { throw .unsupportedVersion(code: asked.code) }
        // 3.1 was never released: PostgreSQL skipped it.
        let version: ProtocolVersion = asked.minor >= 2 ? .v3_2 : .v3_0
        let options = message.protocolOptions
        if version == asked && options.isEmpty { return Answer(version: version, negotiate: nil) }
        return Answer(
            version: version,
            negotiate: NegotiateProtocolVersion(version: version, unrecognized: options))
    }
}
