internal import Authentication
internal import EventLoop
internal import Handoff
internal import PostgresProtocol
internal import Telemetry
internal import Tenancy

/// From the startup packet to the proof of who the client is.
extension ProxyWorker {
    func route(_ session: SessionPointer, _ message: StartupMessage) {
        guard let details = details(session), let login = details.login else { return }
        login.startup = message
        details.applicationName = message.value(of: "application_name") ?? []
        do throws(ProtocolViolation) {
            let answer = try Negotiation.answer(to: message)
            login.negotiation = answer.negotiate
            login.clientVersion = answer.version
            details.protocolMinor = UInt8(truncatingIfNeeded: answer.version.minor)
        } catch {
            return refuse(session, .protocolViolation(error.text))
        }
        if let error = serviceRefusal(details) { return refuse(session, error) }
        let sni = session.pointee.legs[0].tls?.takeUnretainedValue().serverName
        let decision = snapshot.routes.decide(
            RouteRequest(
                sni: sni, user: message.value(of: "user"), database: message.value(of: "database"),
                options: message.value(of: "options"),
                replication: message.value(of: "replication"),
                listenerTenant: login.listenerTenant))
        switch decision {
        case .route(let route): routed(session, details, login, route)
        case .refuse(let refusal):
            if let mock = refusal.mock {
                details.user = mock.user
                details.failure = SessionFailure(detail: refusal.logDetail)
                return offerMock(session, tenant: mock.tenant)
            }
            let error = ClientError(
                refusal.sqlState, .refusedRoute, refusal.message, detail: refusal.detail,
                hint: refusal.hint)
            refuse(session, error, detail: refusal.logDetail)
        }
    }

    /// Limits of the whole service.
    private func serviceRefusal(_ details: SessionDetails) -> ClientError? {
        let limits = snapshot.configuration.limits
        if isDraining { return .shuttingDown }
        if limits.sessions > 0, shared.sessions.value > limits.sessions {
            return .tooManySessions(tenant: false)
        }
        if limits.bufferBytesTotal > 0, pool.bytesInUse > limits.bufferBytesTotal {
            return .outOfBuffers
        }
        let isBlocked = shared.failedLogins.isExceeded(
            details.clientAddress.source, limit: limits.failedLoginsPerMinute,
            nowNanoseconds: nowNanoseconds)
        return isBlocked ? .tooManyFailures : nil
    }

    private func routed(
        _ session: SessionPointer, _ details: SessionDetails, _ login: LoginState, _ route: Route
    ) {
        let runtime = snapshot.tenants[route.tenantIndex]
        details.runtime = runtime
        details.user = route.user
        // Often the same; then it is one array.
        details.database = route.database.flatMap { $0 == route.user ? nil : $0 } ?? route.user
        details.routedBy =
            route.keys.keys.isEmpty
            ? "default" : route.keys.keys.map(\.rawValue).joined(separator: ",")
        session.pointee.tenantCounters = runtime.gauges.counters[index]
        if let error = clientLegRefusal(session, login, runtime) { return refuse(session, error) }
        let limits = runtime.tenant.limits
        guard runtime.gauges.sessions.take(limit: limits.sessions) else {
            runtime.gauges.counters[index].add(.refusedLimit)
            return refuse(session, .tooManySessions(tenant: true))
        }
        details.holdsTenantCount = true
        guard runtime.gauges.loginsInFlight.take(limit: limits.loginsInFlight) else {
            runtime.gauges.counters[index].add(.refusedLimit)
            return refuse(session, .tooManyLogins)
        }
        details.holdsTenantLoginCount = true
        login.serverParameters = Self.parameters(route, login)
        beginAuthentication(session, runtime)
    }

    /// Built from what was parsed, so that proxy and cluster can't read the packet differently.
    private static func parameters(_ route: Route, _ login: LoginState) -> [StartupParameter] {
        var parameters = [StartupParameter(name: Array("user".utf8), value: route.user)]
        if let database = route.database {
            parameters.append(StartupParameter(name: Array("database".utf8), value: database))
        }
        if let options = route.options {
            parameters.append(StartupParameter(name: Array("options".utf8), value: options))
        }
        let rewritten = ["user", "database", "options"].map { Array($0.utf8) }
        for parameter in login.startup?.parameters ?? []
        where !rewritten.contains(parameter.name) && !parameter.isProtocolOption {
            parameters.append(parameter)
        }
        return parameters
    }

    /// What the tenant demands of the client leg: TLS and a certificate of its own CA.
    private func clientLegRefusal(
        _ session: SessionPointer, _ login: LoginState, _ runtime: TenantRuntime
    ) -> ClientError? {
        let own = runtime.tenant.clientTLS
        let mode = own.mode ?? snapshot.configuration.tls.mode
        let needsTLS = mode == .require || mode == .verifyCA || mode == .verifyFull
        guard let tls = session.pointee.legs[0].tls?.takeUnretainedValue() else {
            return needsTLS && !login.isUnix ? .tlsRequired : nil
        }
        guard mode == .verifyCA || mode == .verifyFull, let verifier = runtime.clientVerifier else {
            return nil
        }
        let user = details(session)?.user ?? []
        let problem = tls.withPeerCertificate { leaf, chain -> (ClientError, String)? in
            if let reason = verifier.problem(leaf: leaf, chain: chain) {
                return (.clientCertificateRequired, reason)
            }
            if mode == .verifyFull, Certificate.commonName(leaf) != user {
                return (.certificateUserMismatch, "")
            }
            return nil
        }
        guard let problem else { return .clientCertificateRequired }
        if let (error, reason) = problem {
            notice(
                .warning, "client_certificate", "a client certificate was refused",
                [("tenant", runtime.tenant.name), ("reason", reason)])
            return error
        }
        return nil
    }

    private func beginAuthentication(_ session: SessionPointer, _ runtime: TenantRuntime) {
        guard let details = details(session), let login = details.login else { return }
        let authentication = runtime.tenant.authentication
        if authentication.mode == .relay {
            login.stage = .waiting
            if let negotiation = login.negotiation {
                transmit(
                    session, .client,
                    Self.encoded { writer throws(EncodingError) in
                        try negotiation.encode(into: &writer)
                    })
            }
            return openServerLeg(session)
        }
        if !authentication.verifiers.isEmpty,
            let name = String(validating: details.user, as: UTF8.self),
            let text = authentication.verifiers[name],
            let verifier = try? ScramVerifier(parsing: text)
        {
            return offer(session, verifier, isMock: false)
        }
        guard authentication.lookup != nil else {
            return offerMock(session, tenant: Array(runtime.tenant.name.utf8))
        }
        login.stage = .waiting
        lookUp(session, runtime)
    }

    /// An exchange that nobody can win, of the same shape as a real one (no user enumeration).
    func offerMock(_ session: SessionPointer, tenant: [UInt8]) {
        guard let details = details(session) else { return }
        let iterations = details.runtime?.tenant.authentication.mockIterations ?? 4096
        let verifier = MockVerifier.make(
            secret: shared.mockSecret, tenant: tenant, user: details.user, iterations: iterations)
        offer(session, verifier, isMock: true)
    }

    func offer(_ session: SessionPointer, _ verifier: ScramVerifier, isMock: Bool) {
        guard let login = details(session)?.login else { return }
        let tls = session.pointee.legs[0].tls?.takeUnretainedValue()
        let binding = tls?.ownCertificate.flatMap { ChannelBinding.endPointHash($0) }
        login.verifier = verifier
        login.isMock = isMock
        login.scram = ScramServerExchange(
            verifier: verifier, isMock: isMock, binding: binding, isTLS: tls != nil,
            nonce: SecureRandom.bytes(18))
        login.stage = .client
        let bytes = Self.encoded { writer throws(EncodingError) in
            if let negotiation = login.negotiation { try negotiation.encode(into: &writer) }
            let mechanisms = ScramServerExchange.offer(plus: binding != nil)
            try AuthenticationRequest.sasl(mechanisms: mechanisms).encode(into: &writer)
        }
        transmit(session, .client, bytes)
        // The client may have sent its answer before it was asked.
        if session.pointee.phase == .login { advanceClient(session) }
    }

    /// A `p` message of the client.
    func authenticate(_ session: SessionPointer, _ body: [UInt8]) {
        guard let login = details(session)?.login else { return }
        if login.stage == .relayed { return relayClientAuthentication(session, body) }
        guard login.scram != nil else { return refuse(session, .passwordExpected) }
        let step: ScramServerStep
        if !login.hasMechanism {
            login.hasMechanism = true
            do throws(ProtocolViolation) {
                let initial = try SASLInitialResponse(AuthenticationData(data: body))
                step =
                    login.scram?.initialResponse(
                        mechanism: initial.mechanism, data: initial.data) ?? .challenge([])
            } catch {
                return refuse(session, .protocolViolation(error.text))
            }
        } else {
            step = login.scram?.response(body) ?? .challenge([])
        }
        switch step {
        case .challenge(let data):
            transmit(
                session, .client,
                Self.encoded { writer throws(EncodingError) in
                    try AuthenticationRequest.saslContinue(data).encode(into: &writer)
                })
        case .accepted(let key, let final):
            login.clientKey = key
            login.scram = nil
            login.heldForClient = Self.encoded { writer throws(EncodingError) in
                try AuthenticationRequest.saslFinal(final).encode(into: &writer)
                try AuthenticationRequest.ok.encode(into: &writer)
            }
            login.stage = .waiting
            openServerLeg(session)
        case .refused(let refusal): authenticationRefused(session, refusal)
        }
    }

    private func authenticationRefused(_ session: SessionPointer, _ refusal: AuthenticationRefusal)
    {
        guard let details = details(session) else { return }
        shared.failedLogins.note(details.clientAddress.source, nowNanoseconds: nowNanoseconds)
        session.pointee.tenantCounters?.add(.loginsFailed)
        if refusal.isWrongPassword {
            var error = ClientError.passwordFailed(user: details.user)
            error.message = WrongPassword.message(user: details.user)
            return refuse(session, error, detail: details.failure?.detail ?? "")
        }
        let error = ClientError(
            refusal.sqlState, .refusedAuthentication, refusal.message, detail: refusal.detail)
        refuse(session, error)
    }

    /// What can't be encoded was made by us and is never too long: the result is then empty, and
    /// the client's login times out rather than ending the process.
    static func encoded(
        _ body: (inout MessageWriter) throws(EncodingError) -> Void
    ) -> [UInt8] {
        var writer = MessageWriter()
        do throws(EncodingError) { try body(&writer) } catch { return [] }
        return writer.bytes
    }
}
