internal import Authentication
internal import EventLoop
internal import Handoff
internal import PostgresProtocol
internal import ServerLogin
internal import Telemetry
internal import Tenancy

/// The server leg until ReadyForQuery: connect, TLS, startup, authentication. `ServerLoginMachine`
/// decides; this does. Also for our own connections (look-up, cancel).
extension ProxyWorker {
    func openServerLeg(_ session: SessionPointer) {
        guard let details = details(session), let runtime = details.runtime,
            let login = details.login
        else { return end(session, .internalError) }
        guard login.addressIndex < runtime.addresses.count else {
            let reason =
                runtime.addresses.isEmpty
                ? "no usable address or TLS files" : details.failure?.detail ?? ""
            return serverLegFailed(session, .unreachable, reason)
        }
        if login.server == nil { login.server = makeMachine(details, login, runtime) }
        let address = runtime.addresses[login.addressIndex]
        let descriptor = kernel.connect(to: address)
        guard descriptor >= 0 else {
            return connectFailed(session, -descriptor)
        }
        if !address.isUnix {
            kernel.setOptions(descriptor, address.isLoopback ? .local : snapshot.socketOptions)
        }
        session.pointee.legs[1].descriptor = descriptor
        session.pointee.legs[1].isConnecting = true
        session.pointee.legs[1].isDetached = true
        let timeouts = snapshot.configuration.timeouts
        if session.pointee.kind == .client, session.pointee.phase == .login {
            let timeout = timeouts.serverConnect + timeouts.serverLogin
            if timeout > 0 {
                setDeadline(session, nowNanoseconds &+ UInt64(timeout) &* 1_000_000)
            }
        }
        // On the same machine a connection is there at once; else the bytes wait for it.
        perform(session, login.server?.connected() ?? [])
        guard session.pointee.phase == .login,
            session.pointee.legs[1].descriptor == descriptor
        else { return }
        watch(session, .server, session.pointee.legs[1].interest | .readable)
    }

    private func makeMachine(
        _ details: SessionDetails, _ login: LoginState, _ runtime: TenantRuntime
    ) -> ServerLoginMachine {
        let isUnix: Bool
        if case .unix = runtime.backend.endpoint { isUnix = true } else { isUnix = false }
        var options = ServerLoginOptions(
            version: login.clientVersion, parameters: login.serverParameters,
            tls: runtime.backend.tls, isUnixSocket: isUnix, credential: .none)
        if let cancel = details.cancel {
            options.purpose = .cancel(cancel.request)
        } else if details.lookup != nil, let lookup = runtime.tenant.authentication.lookup {
            options.parameters = [
                StartupParameter("user", lookup.user),
                StartupParameter("database", lookup.database),
                StartupParameter("application_name", "pgtee"),
            ]
            options.version = .v3_0
            if let password = lookup.password {
                options.credential = .password(Array(password.utf8))
                options.derivesElsewhere = shared.deriver != nil
            }
        } else if runtime.tenant.authentication.mode == .relay {
            options.credential = .relay
        } else if let key = login.clientKey, let verifier = login.verifier {
            options.credential = .keys(clientKey: key, verifier: verifier)
        }
        return ServerLoginMachine(options: options, nonce: SecureRandom.bytes(18))
    }

    /// The connect that the first bytes wait for has ended, well or not.
    func connectionEvent(_ session: SessionPointer, _ seen: Interest) {
        let leg = session.pointee.leg(.server)
        let result =
            seen.contains(.failed | .hungUp) ? kernel.connectResult(leg.pointee.descriptor) : 0
        guard result == 0 else { return connectFailed(session, result) }
        leg.pointee.isConnecting = false
        flush(session, .server)
    }

    func connectFailed(_ session: SessionPointer, _ error: Int32) {
        closeLeg(session, .server)
        guard let details = details(session), let login = details.login else { return }
        let error = SystemError(number: error, doing: "connect to the cluster")
        details.failure = SessionFailure(detail: error.description)
        login.addressIndex += 1
        login.server = nil
        if login.addressIndex < details.runtime?.addresses.count ?? 0 {
            return openServerLeg(session)
        }
        serverLegFailed(session, .unreachable, error.description)
    }

    /// Bytes of the cluster before the login is complete (and on look-up and cancel connections).
    func serverReadable(_ session: SessionPointer) {
        let leg = session.pointee.leg(.server)
        let isEncrypted = leg.pointee.tls != nil
        let count = kernel.receive(
            leg.pointee.descriptor, isEncrypted ? cipher : plain, Self.burstBytes)
        guard count > 0 else {
            if count != -Int(SystemErrors.wouldBlock) {
                if session.pointee.kind != .client {
                    ownConnectionEnded(session, count < 0)
                } else {
                    serverLegEnded(session, count < 0)
                }
            }
            return
        }
        let bytes = UnsafeRawBufferPointer(start: isEncrypted ? cipher : plain, count: count)
        if isEncrypted {
            serverCipherBytes(session, bytes)
        } else {
            serverBytes(session, bytes)
        }
    }

    private func serverBytes(_ session: SessionPointer, _ bytes: UnsafeRawBufferPointer) {
        guard let details = details(session) else { return }
        if session.pointee.phase == .relaying {
            // The login was completed by an earlier record of the same recv.
            return relayLeftover(session, .server, Array(bytes))
        }
        if details.lookup?.isReady == true { return lookupBytes(session, Array(bytes)) }
        perform(session, details.login?.server?.received(Array(bytes)) ?? [])
    }

    private func serverCipherBytes(_ session: SessionPointer, _ bytes: UnsafeRawBufferPointer) {
        let leg = session.pointee.leg(.server)
        guard let tls = leg.pointee.tls?.takeUnretainedValue() else { return }
        warmUp(session)
        let pipe = pipes[1]
        pipe.setInput(bytes)
        defer { pipe.dropInput() }
        if !leg.pointee.isTLSEstablished {
            let result = tls.handshake()
            flushPipe(session, .server)
            switch result {
            case .done:
                guard serverTLSEstablished(session, tls) else { return }
            case .needsInput: return
            case .closed, .failed: return serverTLSFailed(session, tls.failure)
            }
        }
        while session.pointee.phase != .ended, session.pointee.phase != .closing,
            session.pointee.legs[1].tls != nil
        {
            let result = tls.read(plain, plainCapacity)
            if pipe.output.count > 0 { flushPipe(session, .server) }
            switch result {
            case .done(let count):
                serverBytes(session, UnsafeRawBufferPointer(start: plain, count: count))
            case .needsInput: return
            case .closed:
                if session.pointee.kind != .client { return ownConnectionEnded(session, false) }
                if session.pointee.phase == .relaying { return streamEnded(session, .server, 0) }
                return serverLegEnded(session, false)
            case .failed: return legFailed(session, .server, "TLS: \(tls.failure)")
            }
        }
    }

    private func beginServerTLS(_ session: SessionPointer) {
        guard let runtime = details(session)?.runtime, let context = runtime.serverTLS,
            let tls = TLSSession(connecting: context, name: runtime.tlsName, pipe: pipes[1])
        else { return serverLegFailed(session, .serverTLS, "no TLS context") }
        session.pointee.legs[1].tls = Unmanaged.passRetained(tls)
        session.pointee.legs[1].isTLSEstablished = false
        let result = tls.handshake()
        flushPipe(session, .server)
        if result == .failed { serverTLSFailed(session, tls.failure) }
    }

    /// False when the session has failed over it.
    private func serverTLSEstablished(_ session: SessionPointer, _ tls: TLSSession) -> Bool {
        guard let details = details(session), let runtime = details.runtime else { return false }
        session.pointee.legs[1].isTLSEstablished = true
        details.serverTLS = tls.version
        if runtime.backend.tls.mode == .verifyFull {
            let name = runtime.tlsName ?? ""
            let isRight = tls.withPeerCertificate { leaf, _ in
                Certificate.isFor(host: name, leaf)
            }
            guard isRight == true else {
                serverLegFailed(
                    session, .serverTLS,
                    "the cluster's certificate is not for host name \"\(name)\"")
                return false
            }
        }
        let binding = tls.withPeerCertificate { leaf, _ in ChannelBinding.endPointHash(leaf) }
        let actions = details.login?.server?.tlsEstablished(
            binding: binding ?? nil, hasALPN: tls.hasSelectedALPN)
        perform(session, actions ?? [])
        return session.pointee.phase == .login
    }

    private func serverTLSFailed(_ session: SessionPointer, _ reason: String) {
        perform(session, details(session)?.login?.server?.tlsFailed(reason) ?? [])
    }

    private func perform(_ session: SessionPointer, _ actions: [ServerLoginAction]) {
        for action in actions {
            guard session.pointee.phase == .login else { return }
            switch action {
            case .send(let bytes): transmit(session, .server, bytes)
            case .startTLS: beginServerTLS(session)
            case .derive(let derivation):
                let job = KeyDeriver.Job(
                    derivation: derivation, worker: index, token: session.pointee.token(.server).raw
                )
                if shared.deriver?.submit(job) != true {
                    serverLegFailed(session, .unreachable, "too many passwords wait for their keys")
                }
            case .reconnect:
                closeLeg(session, .server)
                openServerLeg(session)
            case .forwardToClient(let bytes):
                // What a client sends that was not asked belongs to the relay: it need not wait for
                // ReadyForQuery.
                let isAsked = details(session)?.login?.server?.awaitsClient == true
                details(session)?.login?.stage = isAsked ? .relayed : .waiting
                transmit(session, .client, bytes)
                if session.pointee.phase == .login { advanceClient(session) }
            case .ready(let result): serverReady(session, result)
            case .failed(let failure): serverLoginFailed(session, failure)
            }
        }
    }

    func keysDerived(_ token: EventToken, _ credential: ScramCredential?) {
        guard let session = table.find(token), session.pointee.phase == .login else { return }
        perform(session, details(session)?.login?.server?.derived(credential) ?? [])
        settle(session)
    }

    func relayClientAuthentication(_ session: SessionPointer, _ body: [UInt8]) {
        details(session)?.login?.stage = .waiting
        perform(session, details(session)?.login?.server?.clientMessage(body) ?? [])
    }

    /// The cluster's stream ended during the login.
    func serverLegEnded(_ session: SessionPointer, _ isLost: Bool) {
        serverLegFailed(
            session, .unreachable, "the cluster closed the connection during the login")
    }

    func serverLegFailed(_ session: SessionPointer, _ error: ClientError, _ detail: String) {
        if session.pointee.kind != .client {
            details(session)?.lookup?.queue.failure = detail
            return ownConnectionEnded(session, true)
        }
        session.pointee.tenantCounters?.add(.serverUnreachable)
        refuse(session, error, detail: "server leg: \(detail)")
    }
}
