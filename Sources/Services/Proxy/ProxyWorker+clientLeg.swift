internal import EventLoop
internal import Handoff
internal import PostgresProtocol
internal import Telemetry
internal import Tenancy

/// The client leg until the login is complete: negotiation, TLS, startup packet, authentication
/// messages. `ClientLogin` decides; this does.
extension ProxyWorker {
    /// More than any login needs; beyond it the client waits until somebody takes its bytes.
    private static let inputMax = 80 * 1024

    func loginReadable(_ session: SessionPointer, _ side: LegSide) {
        if side == .server { return serverReadable(session) }
        guard let login = details(session)?.login else { return }
        if login.input.count >= Self.inputMax {
            return watch(session, .client, .none)
        }
        let leg = session.pointee.leg(.client)
        let isEncrypted = leg.pointee.tls != nil
        let count = kernel.receive(
            leg.pointee.descriptor, isEncrypted ? cipher : plain, Self.burstBytes)
        guard count > 0 else {
            if count != -Int(SystemErrors.wouldBlock) { loginStreamEnded(session, count) }
            return
        }
        let bytes = UnsafeRawBufferPointer(start: isEncrypted ? cipher : plain, count: count)
        session.pointee.bytesFromClient &+= UInt64(count)
        if isEncrypted {
            clientCipherBytes(session, bytes)
        } else {
            login.input.append(contentsOf: bytes)
            advanceClient(session)
        }
    }

    private func loginStreamEnded(_ session: SessionPointer, _ result: Int) {
        guard let details = details(session) else { return }
        // Port scanners and health checks: no news.
        if details.login?.startup == nil && result == 0 { return end(session, .noStartup) }
        streamEnded(session, .client, result)
    }

    private func beginClientTLS(_ session: SessionPointer, isDirect: Bool) {
        guard let details = details(session), let login = details.login,
            let contexts = snapshot.clientTLS
        else { return end(session, .internalError) }
        login.isDirectTLS = isDirect
        // Exactly this byte: libpq takes more for an attack.
        if !isDirect { transmit(session, .client, [UInt8(ascii: "S")]) }
        guard session.pointee.phase == .login,
            let tls = TLSSession(accepting: contexts, pipe: pipes[0])
        else { return end(session, .internalError) }
        session.pointee.legs[0].tls = Unmanaged.passRetained(tls)
        counters.add(.tlsHandshakes)
        let rest = login.input
        login.input = []
        if !rest.isEmpty { rest.withUnsafeBytes { clientCipherBytes(session, $0) } }
    }

    private func clientCipherBytes(_ session: SessionPointer, _ bytes: UnsafeRawBufferPointer) {
        let leg = session.pointee.leg(.client)
        guard let tls = leg.pointee.tls?.takeUnretainedValue(), let login = details(session)?.login
        else { return }
        warmUp(session)
        let pipe = pipes[0]
        pipe.setInput(bytes)
        defer { pipe.dropInput() }
        if !leg.pointee.isTLSEstablished {
            let result = tls.handshake()
            flushPipe(session, .client)
            switch result {
            case .done: clientTLSEstablished(session, tls)
            case .needsInput: return
            case .closed, .failed: return clientTLSFailed(session, tls.failure)
            }
        }
        reading: while session.pointee.phase == .login {
            let result = tls.read(plain, plainCapacity)
            flushPipe(session, .client)
            switch result {
            case .done(let count):
                login.input.append(
                    contentsOf: UnsafeRawBufferPointer(start: plain, count: count))
                if login.input.count >= 2 * Self.inputMax {
                    return clientTLSFailed(session, "too many bytes before the login")
                }
            case .needsInput: break reading
            case .closed: return loginStreamEnded(session, 0)
            case .failed: return clientTLSFailed(session, tls.failure)
            }
        }
        if session.pointee.phase == .login { advanceClient(session) }
    }

    private func clientTLSEstablished(_ session: SessionPointer, _ tls: TLSSession) {
        session.pointee.legs[0].isTLSEstablished = true
        guard let details = details(session), let login = details.login else { return }
        details.clientTLS = tls.version
        login.client.tlsEstablished()
        // Without ALPN another protocol's client could be led here (manual: protocol-flow).
        if login.isDirectTLS && !tls.hasSelectedALPN {
            clientTLSFailed(session, "direct TLS without ALPN \"postgresql\"")
        }
    }

    private func clientTLSFailed(_ session: SessionPointer, _ reason: String) {
        counters.add(.tlsHandshakesFailed)
        details(session)?.failure = SessionFailure(detail: "client leg TLS: \(reason)")
        end(session, .clientTLSFailed)
    }

    /// Takes what can be taken from the client's input.
    func advanceClient(_ session: SessionPointer) {
        guard let login = details(session)?.login else { return }
        while session.pointee.phase == .login, login.stage != .waiting {
            let offersTLS = snapshot.clientTLS != nil && !login.isUnix
            switch login.client.next(&login.input, offersTLS: offersTLS) {
            case .needsInput: return
            case .answer(let byte): transmit(session, .client, [byte])
            case .beginTLS(let isDirect): return beginClientTLS(session, isDirect: isDirect)
            case .cancel(let request): return cancelRequested(session, request)
            case .startup(let message): route(session, message)
            case .authentication(let body): authenticate(session, body)
            case .bytesBeforeTLS: return refuse(session, .bytesBeforeTLS)
            case .violation(let violation):
                return refuseViolation(session, violation)
            case .unsupportedVersion(let major, let minor):
                return refuse(session, .unsupportedVersion(major: major, minor: minor))
            case .unexpectedMessage:
                // As PostgreSQL: nothing is said to who doesn't speak the protocol at all.
                if login.startup == nil { return end(session, .clientProtocolViolation) }
                return refuse(session, .passwordExpected)
            }
        }
    }

    private func refuseViolation(_ session: SessionPointer, _ violation: ProtocolViolation) {
        switch violation {
        case .initialPacketLength, .initialPacketIncomplete:
            details(session)?.failure = SessionFailure(detail: "client leg: \(violation.text)")
            end(session, .clientProtocolViolation)
        case .unsupportedVersion(let code):
            let version = ProtocolVersion(code: code)
            refuse(session, .unsupportedVersion(major: version.major, minor: version.minor))
        default: refuse(session, .protocolViolation(violation.text))
        }
    }

    func loginExpired(_ session: SessionPointer) {
        guard let login = details(session)?.login else { return end(session, .loginTimeout) }
        if login.startup == nil {
            details(session)?.failure = SessionFailure(detail: "no startup packet in time")
            return end(session, .loginTimeout)
        }
        refuse(session, login.server == nil ? .loginTimeout : .serverLoginTimeout)
    }
}
