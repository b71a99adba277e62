internal import PostgresProtocol

/// What a client's bytes before the routing ask for; a value without I/O.
///
/// States: first packet → (SSLRequest or GSSENCRequest answered → first packet again) or TLS →
/// startup → messages of authentication. Bytes are taken from the front of the session's input.
struct ClientLogin {
    enum Step: Equatable {
        case needsInput
        /// Send one byte: `S`, `N` (also for GSSENCRequest).
        case answer(UInt8)
        /// What is left of the input belongs to TLS. `isDirect`: without an SSLRequest.
        case beginTLS(isDirect: Bool)
        case cancel(CancelRequest)
        case startup(StartupMessage)
        /// The body of a `p` message.
        case authentication([UInt8])
        case bytesBeforeTLS
        case violation(ProtocolViolation)
        /// A version that is not ours, or a negotiation packet where none is allowed.
        case unsupportedVersion(major: UInt16, minor: UInt16)
        case unexpectedMessage
    }

    private enum State { case firstPacket, startup, authentication }

    private var state = State.firstPacket
    private var askedTLS = false
    private var askedGSS = false
    private(set) var isEncrypted = false
    /// An authentication message is at most as long as PostgreSQL allows (auth.c).
    private static let authenticationLengthMax = 65_535

    init() {}

    mutating func tlsEstablished() { isEncrypted = true }

    mutating func next(_ input: inout [UInt8], offersTLS: Bool) -> Step {
        switch state {
        case .firstPacket, .startup: nextPacket(&input, offersTLS: offersTLS)
        case .authentication: nextAuthentication(&input)
        }
    }

    private mutating func nextPacket(_ input: inout [UInt8], offersTLS: Bool) -> Step {
        if input.first == 0x16, state == .firstPacket, !isEncrypted, !askedGSS {
            return offersTLS ? .beginTLS(isDirect: true) : .unexpectedMessage
        }
        let packet: InitialPacket
        do throws(ProtocolViolation) {
            guard let length = try InitialPacketFraming.packetLength(input.span.bytes),
                input.count >= length
            else { return .needsInput }
            packet = try InitialPacketFraming.decode(input.span.bytes.extracting(0..<length))
            input.removeFirst(length)
        } catch {
            return .violation(error)
        }
        switch packet {
        case .sslRequest:
            guard !askedTLS, !isEncrypted else {
                return .unsupportedVersion(major: 1234, minor: 5679)
            }
            askedTLS = true
            guard offersTLS else { return .answer(UInt8(ascii: "N")) }
            // A ClientHello may follow at once; anything else would be taken for encrypted bytes.
            if let first = input.first, first != 0x16 { return .bytesBeforeTLS }
            state = .startup
            return .beginTLS(isDirect: false)
        case .gssEncRequest:
            guard !askedGSS, !isEncrypted else {
                return .unsupportedVersion(major: 1234, minor: 5680)
            }
            askedGSS = true
            return input.isEmpty ? .answer(UInt8(ascii: "N")) : .bytesBeforeTLS
        case .cancelRequest(let request): return .cancel(request)
        case .startup(let message):
            state = .authentication
            return .startup(message)
        }
    }

    private mutating func nextAuthentication(_ input: inout [UInt8]) -> Step {
        guard let type = input.first else { return .needsInput }
        guard type == UInt8(ascii: "p") else { return .unexpectedMessage }
        guard input.count >= 5 else { return .needsInput }
        let length = input[1..<5].reduce(0) { $0 << 8 | Int($1) }
        guard length >= 4, length <= Self.authenticationLengthMax else { return .unexpectedMessage }
        guard input.count >= 1 + length else { return .needsInput }
        let body = Array(input[5..<(1 + length)])
        input.removeFirst(1 + length)
        return .authentication(body)
    }
}
