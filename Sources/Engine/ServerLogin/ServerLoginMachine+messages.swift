package import Authentication
internal import PostgresProtocol
internal import Tenancy

/// What the machine answers to each message of the cluster.
extension ServerLoginMachine {
    mutating func message(
        _ type: UInt8, _ body: [UInt8]
    ) throws(ServerLoginFailure) -> [ServerLoginAction] {
        if type == BackendType.parameterStatus, state == .parameters {
            try parameterStatus(body)
            return []
        }
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
            try negotiated(answer)
        case .noticeResponse(let fields) where state == .parameters:
            result.notices.append(fields)
        case .backendKeyData(let key) where state == .parameters:
            // Decoded: 4 to 256 bytes, as 3.2 allows.
            guard result.version.minor >= 2 || key.secret.count == 4 else {
                throw ServerLoginFailure(
                    .protocolViolation, "a cancel key of \(key.secret.count) bytes in protocol 3.0")
            }
            result.processID = key.processID
            result.secret = key.secret
        case .readyForQuery(let ready) where state == .parameters:
            result.status = ready.status
            state = .over
            return [.ready(result)]
        default:
            throw ServerLoginFailure(
                .protocolViolation, ProtocolViolation.unexpectedMessage(type).text)
        }
        return []
    }

    /// A dozen of them come in each login, for the client: checked, not taken apart.
    private mutating func parameterStatus(_ body: [UInt8]) throws(ServerLoginFailure) {
        var zeros = 0
        for byte in body where byte == 0 { zeros += 1 }
        guard zeros == 2, body.last == 0 else {
            throw ServerLoginFailure(
                .protocolViolation,
                ProtocolViolation.unterminatedString(type: BackendType.parameterStatus).text)
        }
        let length = UInt32(truncatingIfNeeded: body.count + 4)
        result.parameterMessages.append(BackendType.parameterStatus)
        for shift in [24, 16, 8, 0] as [UInt32] {
            result.parameterMessages.append(UInt8(truncatingIfNeeded: length >> shift))
        }
        result.parameterMessages += body
    }

    private mutating func serverError(_ fields: ErrorFields) -> [ServerLoginAction] {
        // `allow` and `prefer` try the other way when the cluster refuses this one (pg_hba.conf).
        if canTryOtherWay && !sawAuthentication {
            firstRefusal = fields
            return tryOtherWay()
        }
        state = .over
        return [.failed(ServerLoginFailure(.serverError(fields), Self.refusalText(fields)))]
    }

    static func refusalText(_ fields: ErrorFields) -> String {
        "the cluster refused the login: \(fields.sqlState) \(fields.message)"
    }

    /// libpq's checks: once, before anything else, not higher than asked, not below 3.0, not what
    /// was asked anyway, and no option that was not asked for (we ask for none).
    private mutating func negotiated(
        _ answer: NegotiateProtocolVersion
    ) throws(ServerLoginFailure) {
        guard !sawNegotiation, !sawAuthentication, answer.version.major == 3,
            answer.version.code < options.version.code, answer.version.minor != 1,
            answer.unrecognized.isEmpty
        else {
            throw ServerLoginFailure(
                .protocolViolation, "invalid negotiation of the protocol version")
        }
        sawNegotiation = true
        result.version = answer.version
    }

    private mutating func authentication(
        _ request: AuthenticationRequest
    ) throws(ServerLoginFailure) -> [ServerLoginAction] {
        sawAuthentication = true
        if case .relay = options.credential { return try relayed(request) }
        switch request {
        case .ok: return try accepted()
        case .sasl(let mechanisms): return try beginScram(mechanisms)
        case .saslContinue(let data): return try challenged(data)
        case .saslFinal(let data):
            try step { exchange throws(AuthenticationError) in try exchange.final(data) }
            return []
        case .md5Password(let salt): return try answerMD5(salt)
        case .cleartextPassword: throw Self.refusedMethod("password")
        case .gss, .gssContinue, .kerberosV5: throw Self.refusedMethod("gss")
        case .sspi: throw Self.refusedMethod("sspi")
        case .other(let code, _): throw Self.refusedMethod("code \(code)")
        }
    }

    private mutating func challenged(
        _ data: [UInt8]
    ) throws(ServerLoginFailure) -> [ServerLoginAction] {
        if options.derivesElsewhere {
            let derivation = try step { exchange throws(AuthenticationError) in
                try exchange.derivation(for: data)
            }
            if let derivation {
                challenge = data
                return [.derive(derivation)]
            }
        }
        let answer = try step { exchange throws(AuthenticationError) in
            try exchange.challenge(data)
        }
        return [.send(try Self.authenticationData(answer))]
    }

    /// What `.derive` asked for; nil: the password can't be used.
    package mutating func derived(_ credential: ScramCredential?) -> [ServerLoginAction] {
        guard state == .authentication, let data = challenge else { return [] }
        challenge = nil
        do throws(ServerLoginFailure) {
            guard let credential else {
                throw ServerLoginFailure(
                    .unsupportedAuthentication, "the password cannot be prepared for SCRAM")
            }
            return [
                .send(
                    try Self.authenticationData(
                        step { exchange throws(AuthenticationError) in
                            exchange.use(credential)
                            return try exchange.challenge(data)
                        }))
            ]
        } catch {
            state = .over
            return [.failed(error)]
        }
    }

    /// The client answers every request but the last ones of an exchange.
    private mutating func relayed(
        _ request: AuthenticationRequest
    ) throws(ServerLoginFailure) -> [ServerLoginAction] {
        switch request {
        case .ok:
            state = .parameters
            awaitsClient = false
        case .saslFinal: awaitsClient = false
        default: awaitsClient = true
        }
        let bytes = try Self.encoded { writer throws(EncodingError) in
            try request.encode(into: &writer)
        }
        return [.forwardToClient(bytes)]
    }

    /// AuthenticationOk. Whoever answers at the cluster's address can say so; that it is the
    /// cluster is known from its SCRAM signature, from its verified certificate, or from where its
    /// socket is.
    private mutating func accepted() throws(ServerLoginFailure) -> [ServerLoginAction] {
        if let scram, !scram.isProven {
            throw ServerLoginFailure(
                .wrongServerSignature, "the cluster did not prove that it knows the password")
        }
        if options.tls.channelBinding == .require && scram?.isBound != true {
            throw ServerLoginFailure(
                .unsupportedAuthentication,
                "channel binding is required, but the cluster did not authenticate by it")
        }
        if scram == nil, !hasNoSecret, !isKnown { throw Self.refusedMethod("none") }
        result.isBound = scram?.isBound == true
        scram = nil
        state = .parameters
        return []
    }

    private var hasNoSecret: Bool {
        if case .none = options.credential { return true }
        return false
    }

    private var isKnown: Bool {
        let mode = options.tls.mode
        return options.isUnixSocket || isEncrypted && (mode == .verifyCA || mode == .verifyFull)
    }

    private mutating func beginScram(
        _ mechanisms: [[UInt8]]
    ) throws(ServerLoginFailure) -> [ServerLoginAction] {
        let credential: ScramCredential
        switch options.credential {
        case .password(let password): credential = .password(password)
        case .keys(let key, let verifier): credential = .keys(clientKey: key, verifier: verifier)
        case .none, .relay: throw Self.refusedMethod("scram-sha-256")
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
        let bytes = try Self.encoded { writer throws(EncodingError) in
            try response.encode(into: &writer)
        }
        return [.send(bytes)]
    }

    /// For our own roles, where we know who asks: the answer is as good as the password.
    private func answerMD5(_ salt: [UInt8]) throws(ServerLoginFailure) -> [ServerLoginAction] {
        guard case .password(let password) = options.credential, scram == nil, isKnown,
            options.tls.channelBinding != .require
        else { throw Self.refusedMethod("md5") }
        let user = options.parameters.last { $0.name.elementsEqual("user".utf8) }?.value ?? []
        guard let answer = MD5Password.response(password: password, user: user, salt: salt) else {
            throw Self.refusedMethod("md5")
        }
        let bytes = try Self.encoded { writer throws(EncodingError) in
            try PasswordMessage(password: answer).encode(into: &writer)
        }
        return [.send(bytes)]
    }

    private mutating func step<Answer>(
        _ body: (inout ScramClientExchange) throws(AuthenticationError) -> Answer
    ) throws(ServerLoginFailure) -> Answer {
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
                case .noMechanism, .unsupportedPassword: .unsupportedAuthentication
                case .invalidVerifier, .malformedMessage: .protocolViolation
                }
            throw ServerLoginFailure(kind, error.text)
        }
    }

    private static func refusedMethod(_ name: String) -> ServerLoginFailure {
        ServerLoginFailure(
            .unsupportedAuthentication,
            "the cluster asks for authentication method \"\(name)\", "
                + "which the policy does not allow"
        )
    }

    /// The body of a `p` message as the message.
    static func authenticationData(_ body: [UInt8]) throws(ServerLoginFailure) -> [UInt8] {
        try encoded { writer throws(EncodingError) in
            try AuthenticationData(data: body).encode(into: &writer)
        }
    }

    private static func encoded(
        _ body: (inout MessageWriter) throws(EncodingError) -> Void
    ) throws(ServerLoginFailure) -> [UInt8] {
        var writer = MessageWriter()
        do throws(EncodingError) {
            try body(&writer)
        } catch {
            throw ServerLoginFailure(.protocolViolation, "a message cannot be sent: \(error.text)")
        }
        return writer.bytes
    }
}
