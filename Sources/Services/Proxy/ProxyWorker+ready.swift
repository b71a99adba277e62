internal import Authentication
internal import EventLoop
internal import Handoff
internal import PostgresProtocol
internal import ServerLogin
internal import Telemetry
internal import Tenancy

/// The end of a login: both legs are joined, or the client hears why not.
extension ProxyWorker {
    func serverReady(_ session: SessionPointer, _ result: ServerLoginResult) {
        guard let details = details(session), let login = details.login else { return }
        if details.lookup != nil { return lookupReady(session, result.leftover) }
        guard session.pointee.kind == .client else { return }
        details.serverProcessID = result.processID
        if !result.secret.isEmpty { details.serverSecret = CancelSecret(result.secret) }
        let secret = shared.cancels.register(
            processID: result.processID, length: login.clientVersion.minor >= 2 ? 32 : 4,
            target: CancelRegistry.Target(
                worker: index, token: session.pointee.token(.client).raw))
        details.cancelSecret = secret
        let end = Self.encoded { writer throws(EncodingError) in
            for notice in result.notices { try notice.encodeNotice(into: &writer) }
            let key = BackendKeyData(
                processID: result.processID, secret: secret.bytes)
            try key.encode(into: &writer)
            try ReadyForQuery(status: result.status).encode(into: &writer)
        }
        let answer = login.heldForClient + result.parameterMessages + end
        details.loginNanoseconds = max(1, nowNanoseconds &- details.acceptedNanoseconds)
        giveLoginCounts(details)
        counters.add(.sessionsOpened)
        counters.countLogin(nanoseconds: details.loginNanoseconds)
        session.pointee.tenantCounters?.add(.sessionsOpened)
        session.pointee.phase = .relaying
        let early = login.input
        details.login = nil
        details.failure = nil
        session.pointee.lastActivityNanoseconds = nowNanoseconds
        session.pointee.busySinceNanoseconds = 0
        transmit(session, .client, answer)
        armTimeouts(session)
        if !result.leftover.isEmpty { relayLeftover(session, .server, result.leftover) }
        if !early.isEmpty { relayLeftover(session, .client, early) }
        if session.pointee.phase == .relaying,
            !session.pointee.legs[0].interest.contains(.readable)
        {
            watch(session, .client, session.pointee.legs[0].interest | .readable)
        }
        if isDraining && session.pointee.phase == .relaying && session.pointee.isIdle {
            refuse(session, .administratorCommand)
        }
    }

    func serverLoginFailed(_ session: SessionPointer, _ failure: ServerLoginFailure) {
        guard let details = details(session) else { return }
        if session.pointee.kind != .client {
            details.lookup?.queue.failure = failure.logText
            return end(session, .serverClosed)
        }
        switch failure.kind {
        case .serverError(let fields): relayServerError(session, details, fields)
        case .staleVerifier: refetchVerifier(session)
        case .tlsRefused, .tlsFailed:
            details.failure = SessionFailure(detail: failure.logText)
            serverLegFailed(session, .serverTLS, failure.logText)
        case .unsupportedAuthentication:
            serverLegFailed(session, .notRelayed, failure.logText)
        case .protocolViolation, .wrongServerSignature:
            serverLegFailed(session, .serverMisbehaved, failure.logText)
        case .closed: serverLegFailed(session, .unreachable, failure.logText)
        }
    }

    /// The cluster's own refusal (too many connections, starting up, no such database, …) is the
    /// client's to read, unchanged.
    private func relayServerError(
        _ session: SessionPointer, _ details: SessionDetails, _ fields: ErrorFields
    ) {
        let failure = SessionFailure(
            sqlState: fields.sqlState, message: fields.message,
            detail: "the cluster refused the login")
        session.pointee.end = .refusedByServer
        closeLeg(session, .server)
        // Nothing but errors may precede AuthenticationOk, so what was held for the client goes
        // too.
        transmit(
            session, .client,
            Self.encoded { writer throws(EncodingError) in
                try fields.encodeError(into: &writer)
            })
        details.failure = failure
        if session.pointee.phase != .ended { beginClosing(session, .client) }
    }

    /// The cluster's salt is not the verifier's: the password has changed since the look-up.
    private func refetchVerifier(_ session: SessionPointer) {
        guard let details = details(session), let login = details.login,
            let runtime = details.runtime, runtime.tenant.authentication.lookup != nil,
            !login.isRefetching
        else { return staleVerifier(session, "the verifier in use is not the cluster's") }
        login.isRefetching = true
        closeLeg(session, .server)
        lookUp(session, runtime)
    }

    /// With the new verifier the client's proof may still be right (only the look-up was late).
    func verifierRefetched(_ session: SessionPointer, _ verifier: ScramVerifier) {
        guard let login = details(session)?.login, let old = login.verifier,
            let key = login.clientKey,
            verifier.salt == old.salt, verifier.iterations == old.iterations,
            verifier.accepts(clientKey: key)
        else { return staleVerifier(session, "the password has changed during the login") }
        login.verifier = verifier
        login.server = nil
        login.addressIndex = 0
        openServerLeg(session)
    }

    func staleVerifier(_ session: SessionPointer, _ reason: String) {
        guard let details = details(session) else { return }
        session.pointee.tenantCounters?.add(.loginsFailed)
        var error = ClientError.passwordFailed(user: details.user)
        error.message = WrongPassword.message(user: details.user)
        refuse(session, error, detail: reason)
    }

    /// Bytes that came before the relay began.
    func relayLeftover(_ session: SessionPointer, _ side: LegSide, _ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bytes in
            var offset = 0
            while offset < bytes.count, session.pointee.phase == .relaying {
                let count = min(Self.burstBytes, bytes.count - offset)
                plain.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)])
                        .baseAddress ?? UnsafeRawPointer(plain), byteCount: count)
                relayCopied(session, side, count)
                offset += count
            }
        }
    }
}
