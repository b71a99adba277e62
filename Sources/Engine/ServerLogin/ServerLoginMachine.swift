internal import Authentication
internal import PostgresProtocol
internal import Tenancy

// The room's map: ServerLoginMachine decides what our side as a client of PostgreSQL does from the
// connect to ReadyForQuery; whoever owns the connection (the proxy's server leg, a look-up, a cancel
// request, the shadow, the replayer) does what its actions say. VerifierLookupQuery is the question
// that look-up connections ask afterwards, LookupRoleSQL makes the role that may ask it.

/// A login to a cluster as a value without I/O: events in, actions out.
///
/// connecting → (TLS answer → TLS handshake) → authentication → parameters → ready. TLS follows
/// libpq's sslmode: `allow` tries plain first, `prefer` TLS first, and each tries the other way once
/// (manual: libpq-ssl).
///
/// - Bounds: at most `loginBytesMax` from the cluster before ReadyForQuery.
/// - Source: PostgreSQL manual, protocol-flow; fe-connect.c and fe-auth.c of REL_18 for what a client
///   accepts when.
package struct ServerLoginMachine: Sendable {
    private enum State {
        case connecting, tlsAnswer, tlsHandshake, authentication, parameters, cancelSent, over
    }

    /// What a cluster may say before ReadyForQuery (S-56).
    package static let loginBytesMax = 256 * 1024
    /// libpq's bounds of an authentication request's length.
    private static let authenticationLength = 8...2000
    private static let errorTextMax = 30_000

    private let options: ServerLoginOptions
    private let nonce: [UInt8]
    private var state = State.connecting
    private var usesTLS: Bool
    private var canTryOtherWay: Bool
    private var isEncrypted = false
    private var binding: [UInt8]?
    private var input: [UInt8] = []
    private var received = 0
    private var scram: ScramClientExchange?
    private var isAuthenticated = false
    private var sawNegotiation = false
    private var result = ServerLoginResult()

    /// - Parameter nonce: 18 random bytes.
    package init(options: ServerLoginOptions, nonce: [UInt8]) {
        self.options = options
        self.nonce = nonce
        switch options.tls.mode {
        case _ where options.isUnixSocket: (usesTLS, canTryOtherWay) = (false, false)
        case .disable: (usesTLS, canTryOtherWay) = (false, false)
        case .allow: (usesTLS, canTryOtherWay) = (false, true)
        case .prefer: (usesTLS, canTryOtherWay) = (true, true)
        case .require, .verifyCA, .verifyFull: (usesTLS, canTryOtherWay) = (true, false)
        }
        result.version = options.version
    }

    /// The connection is there (the first, or after `.reconnect`).
    package mutating func connected() -> [ServerLoginAction] {
        input = []
        guard usesTLS else { return begin() }
        if options.tls.negotiation == .direct {
            state = .tlsHandshake
            return [.startTLS]
        }
        state = .tlsAnswer
        guard let request = try? InitialPacket.sslRequest.encoded() else { return [] }
        return [.send(request)]
    }

    /// - Parameters:
    ///   - binding: the hash of the cluster's certificate, when it has one.
    ///   - hasALPN: whether the cluster chose "postgresql".
    package mutating func tlsEstablished(binding: [UInt8]?, hasALPN: Bool) -> [ServerLoginAction] {
        guard state == .tlsHandshake else { return [] }
        if options.tls.negotiation == .direct && !hasALPN {
            return fail(.tlsRefused, "the cluster did not choose ALPN \"postgresql\" in direct TLS")
        }
        isEncrypted = true
        self.binding = binding
        return begin()
    }

    package mutating func tlsFailed(_ reason: String) -> [ServerLoginAction] {
        guard state == .tlsHandshake else { return [] }
        // Only `prefer` may go on without TLS after a failed handshake.
        if canTryOtherWay && options.tls.mode == .prefer { return tryOtherWay() }
        return fail(.tlsFailed, "TLS handshake with the cluster failed: \(reason)")
    }

    /// Bytes of the cluster, decrypted, in any pieces.
    package mutating func received(_ bytes: [UInt8]) -> [ServerLoginAction] {
        switch state {
        case .tlsAnswer: return tlsAnswer(bytes)
        case .connecting, .tlsHandshake, .over: return []
        case .cancelSent: return []
        case .authentication, .parameters: break
        }
        received += bytes.count
        input += bytes
        var actions: [ServerLoginAction] = []
        var offset = 0
        do throws(ServerLoginFailure) {
            while state == .authentication || state == .parameters {
                guard let (type, body) = try nextMessage(from: offset) else { break }
                offset = body.upperBound
                let content = Array(input[body])
                actions += try message(type, content)
            }
            if received > Self.loginBytesMax && state != .over {
                throw ServerLoginFailure(
                    .protocolViolation, "the cluster's answer to the login is too long")
            }
        } catch {
            state = .over
            return actions + [.failed(error)]
        }
        input.removeFirst(offset)
        if case .ready(var ready)? = actions.last {
            ready.leftover = input
            actions[actions.count - 1] = .ready(ready)
            input = []
        }
        return actions
    }

    /// The body of the client's `p` message (`relay`).
    package mutating func clientMessage(_ body: [UInt8]) -> [ServerLoginAction] {
        guard case .relay = options.credential, state == .authentication else { return [] }
        return [.send(Self.encoded { writer throws(EncodingError) in
                try AuthenticationData(data: body).encode(into: &writer)
            })]
    }

    /// Exactly one byte is a legal answer; more would be plain text that pretends to be encrypted
    /// (CVE-2021-23222).
    private mutating func tlsAnswer(_ bytes: [UInt8]) -> [ServerLoginAction] {
        received += bytes.count
        switch bytes.first {
        case UInt8(ascii: "S"):
            guard bytes.count == 1 else {
                return fail(.tlsRefused, "the cluster sent plain bytes after its answer to SSLRequest")
            }
            state = .tlsHandshake
            return [.startTLS]
        case UInt8(ascii: "N"):
            guard bytes.count == 1 else {
                return fail(.tlsRefused, "the cluster sent bytes after its answer to SSLRequest")
            }
            guard options.tls.mode == .prefer || options.tls.mode == .allow else {
                return fail(.tlsRefused, "the cluster does not support TLS, but it is required")
            }
            canTryOtherWay = false
            usesTLS = false
            return begin()
        default:
            // An error's text at this place is not authenticated: never shown (CVE-2024-10977).
            return fail(.tlsRefused, "the cluster answered SSLRequest with neither S nor N")
        }
    }

    private mutating func tryOtherWay() -> [ServerLoginAction] {
        canTryOtherWay = false
        usesTLS.toggle()
        isEncrypted = false
        binding = nil
        state = .connecting
        return [.reconnect]
    }

    private mutating func begin() -> [ServerLoginAction] {
        if case .cancel(let request) = options.purpose {
            guard let packet = try? request.encoded() else {
                return fail(.closed, "the cluster gave no cancel key")
            }
            state = .cancelSent
            return [.send(packet)]
        }
        let startup = StartupMessage(version: options.version, parameters: options.parameters)
        do throws(EncodingError) {
            state = .authentication
            return [.send(try startup.encoded())]
        } catch {
            return fail(.protocolViolation, "the startup packet cannot be sent: \(error.text)")
        }
    }

    /// The type and the body's range in `input` of the message at `offset`; nil: not whole yet.
    private func nextMessage(
        from offset: Int
    ) throws(ServerLoginFailure) -> (UInt8, Range<Int>)? {
        guard input.count - offset >= 5 else { return nil }
        let type = input[offset]
        let length = input[(offset + 1)..<(offset + 5)].reduce(0) { $0 << 8 | Int($1) }
        let isOldError =
            type == BackendType.errorResponse && state == .authentication
            && (length < 8 || length > Self.errorTextMax)
        if isOldError {
            // The form of protocol 2, or of a failed fork: a text, not a message.
            throw ServerLoginFailure(
                .closed, "the cluster refused the connection before the protocol began")
        }
        guard length >= 4, length <= Self.loginBytesMax else {
            throw ServerLoginFailure(
                .protocolViolation, "invalid message length \(length) for message type \(type)")
        }
        if type == BackendType.authentication, !Self.authenticationLength.contains(length) {
            throw ServerLoginFailure(
                .protocolViolation, "invalid length \(length) of an authentication request")
        }
        guard input.count - offset >= 1 + length else { return nil }
        return (type, (offset + 5)..<(offset + 1 + length))
    }

    private mutating func message(
        _ type: UInt8, _ body: [UInt8]
    ) throws(ServerLoginFailure) -> [ServerLoginAction] {
        let message: BackendMessage
        do throws(ProtocolViolation) {
            message = try BackendMessage.decode(type: type, body: body.span.bytes)
        } catch {
            throw ServerLoginFailure(.protocolViolation, error.text)
        }
        switch message {
        case .errorResponse(let fields): return serverError(fields)
        case .authentication(let request) where state == .authentication:
            return try authentication(request)
        case .negotiateProtocolVersion(let answer) where state == .authentication:
            return try negotiated(answer)
        case .parameterStatus(let parameter) where state == .parameters:
            result.parameters.append(parameter)
            return []
        case .noticeResponse(let fields) where state == .parameters:
            result.notices.append(fields)
            return []
        case .backendKeyData(let key) where state == .parameters:
            guard result.version.minor >= 2 || key.secret.count == 4 else {
                throw ServerLoginFailure(.protocolViolation, "invalid length of a cancel key")
            }
            result.processID = key.processID
            result.secret = key.secret
            return []
        case .readyForQuery(let ready) where state == .parameters:
            result.status = ready.status
            state = .over
            return [.ready(result)]
        default:
            throw ServerLoginFailure(
                .protocolViolation, "unexpected message type \(type) during the login")
        }
    }

    private mutating func serverError(_ fields: ErrorFields) -> [ServerLoginAction] {
        // `allow` and `prefer` try the other way when the cluster refuses this one (pg_hba.conf).
        if canTryOtherWay && !isAuthenticated && scram == nil { return tryOtherWay() }
        state = .over
        return [
            .failed(
                ServerLoginFailure(
                    .serverError(fields), "the cluster refused the login: \(fields.message)"))
        ]
    }

    /// libpq's checks: once, not higher than asked, not below 3.0, and nothing that was not asked.
    private mutating func negotiated(
        _ answer: NegotiateProtocolVersion
    ) throws(ServerLoginFailure) -> [ServerLoginAction] {
        guard !sawNegotiation, answer.version.major == 3,
            answer.version.code <= options.version.code, answer.version.minor != 1,
            answer.unrecognized.isEmpty, answer.version != options.version
        else {
            throw ServerLoginFailure(.protocolViolation, "invalid negotiation of the version")
        }
        sawNegotiation = true
        result.version = answer.version
        return []
    }

    private mutating func authentication(
        _ request: AuthenticationRequest
    ) throws(ServerLoginFailure) -> [ServerLoginAction] {
        if case .ok = request {
            if let scram, !scram.isProven {
                throw ServerLoginFailure(
                    .wrongServerSignature, "the cluster did not prove that it knows the password")
            }
            isAuthenticated = true
            state = .parameters
        }
        if case .relay = options.credential {
            return [.forwardToClient(Self.encoded { writer throws(EncodingError) in
                try request.encode(into: &writer)
            })]
        }
        switch request {
        case .ok: return isAcceptedWithoutProof ? [] : try refuseMethod("none")
        case .sasl(let mechanisms): return try beginScram(mechanisms)
        case .saslContinue(let data):
            let answer = try step { exchange throws(AuthenticationError) in
                try exchange.challenge(data)
            }
            let message = AuthenticationData(data: answer)
            return [.send(Self.encoded { writer throws(EncodingError) in
                try message.encode(into: &writer)
            })]
        case .saslFinal(let data):
            try step { exchange throws(AuthenticationError) in try exchange.final(data) }
            return []
        case .md5Password(let salt):
            guard case .password(let password) = options.credential else {
                return try refuseMethod("md5")
            }
            let user = options.parameters.first?.value ?? []
            let answer = MD5Password.response(password: password, user: user, salt: salt)
            return [.send(Self.encoded { writer throws(EncodingError) in
                try PasswordMessage(password: answer).encode(into: &writer)
            })]
        case .cleartextPassword: return try refuseMethod("password")
        default: return try refuseMethod("code \(request.code)")
        }
    }

    /// A cluster that lets anybody in (`trust`, `peer`, `cert`) proves nothing, so over an unverified
    /// leg it could be anybody's. That is the policy of the backend's tls section, not of this login.
    private var isAcceptedWithoutProof: Bool {
        options.tls.channelBinding != .require || scram?.isProven == true || options.isUnixSocket
    }

    private mutating func beginScram(
        _ mechanisms: [[UInt8]]
    ) throws(ServerLoginFailure) -> [ServerLoginAction] {
        let credential: ScramCredential
        switch options.credential {
        case .password(let password): credential = .password(password)
        case .keys(let key, let verifier): credential = .keys(clientKey: key, verifier: verifier)
        case .none, .relay: return try refuseMethod("scram-sha-256")
        }
        guard scram == nil else {
            throw ServerLoginFailure(.protocolViolation, "the cluster began SASL twice")
        }
        let choice: ChannelBindingChoice =
            switch options.tls.channelBinding {
            case .disable: .disable
            case .prefer: .prefer
            case .require: .require
            }
        scram = ScramClientExchange(
            credential: credential, choice: choice, binding: binding, isTLS: isEncrypted,
            nonce: nonce)
        let (mechanism, data) = try step { exchange throws(AuthenticationError) in
            try exchange.begin(offered: mechanisms)
        }
        let response = SASLInitialResponse(mechanism: mechanism, data: data)
        return [.send(Self.encoded { writer throws(EncodingError) in
                try response.encode(into: &writer)
            })]
    }

    private mutating func step<Result>(
        _ body: (inout ScramClientExchange) throws(AuthenticationError) -> Result
    ) throws(ServerLoginFailure) -> Result {
        guard var exchange = scram else {
            throw ServerLoginFailure(.protocolViolation, "a SASL message out of order")
        }
        do throws(AuthenticationError) {
            let answer = try body(&exchange)
            scram = exchange
            return answer
        } catch {
            let kind: ServerLoginFailure.Kind =
                switch error.kind {
                case .staleVerifier: .staleVerifier
                case .wrongSignature: .wrongServerSignature
                case .noMechanism: .unsupportedAuthentication
                case .invalidVerifier, .malformedMessage: .protocolViolation
                }
            throw ServerLoginFailure(kind, error.text)
        }
    }

    private func refuseMethod(_ name: String) throws(ServerLoginFailure) -> [ServerLoginAction] {
        throw ServerLoginFailure(
            .unsupportedAuthentication,
            "the cluster asks for authentication method \"\(name)\", which the policy does not allow")
    }

    private mutating func fail(
        _ kind: ServerLoginFailure.Kind, _ text: String
    ) -> [ServerLoginAction] {
        state = .over
        return [.failed(ServerLoginFailure(kind, text))]
    }

    private static func encoded(
        _ body: (inout MessageWriter) throws(EncodingError) -> Void
    ) -> [UInt8] {
        var writer = MessageWriter()
        do throws(EncodingError) { try body(&writer) } catch { return [] }
        return writer.bytes
    }
}
