internal import EventLoop
internal import Handoff
internal import PostgresProtocol
internal import Telemetry
internal import Tenancy

/// New connections: accept, hand over to a clearly less loaded worker, or begin a login.
extension ProxyWorker {
    /// Accepts per wake-up, so that a flood of connections doesn't stop the relaying.
    private static let acceptsMax = 32
    /// A worker is clearly less loaded when it has this many sessions fewer, and an eighth fewer.
    private static let handOverDifference = 4
    private static let pauseNanoseconds: UInt64 = 100_000_000

    func startListening(_ listener: WorkerListener) {
        listeners.append(listener)
        setListenerOptions()
        watchListener(listeners.count - 1)
    }

    /// Accepted sockets take a listener's options over, which saves half a dozen calls for each.
    func setListenerOptions() {
        for listener in listeners where !listener.listener.isUnix {
            kernel.setOptions(listener.descriptor, snapshot.socketOptions)
        }
    }

    private func watchListener(_ position: Int) {
        let token = EventToken(kind: TokenKind.listener, slot: UInt32(position), generation: 0)
        let result = poller.add(listeners[position].descriptor, .readable, token)
        if result < 0 {
            let error = SystemError(number: -result, doing: "watch a listener")
            notice(.error, "listener", "a listener is not served", [("error", "\(error)")])
        }
    }

    func closeListeners() {
        for listener in listeners where listener.descriptor >= 0 {
            poller.remove(listener.descriptor)
            kernel.close(listener.descriptor)
        }
        listeners = []
    }

    /// Never inlined, as `readMailbox`.
    @inline(never) func acceptClients(_ position: UInt32) {
        guard Int(position) < listeners.count else { return }
        let listener = listeners[Int(position)]
        for _ in 0..<Self.acceptsMax {
            let descriptor = kernel.accept(listener.descriptor)
            if descriptor < 0 {
                acceptFailed(-descriptor)
                return
            }
            counters.add(.accepted)
            if let other = lessLoadedWorker() {
                counters.add(.handedOver)
                if shared.mailboxes[other].post(.accepted(descriptor, listener: listener)) {
                    continue
                }
            }
            adopt(descriptor, listener: listener)
        }
    }

    private func acceptFailed(_ error: Int32) {
        switch error {
        case SystemErrors.wouldBlock, SystemErrors.connectionAborted: return
        case SystemErrors.tooManyFiles, SystemErrors.tooManyFilesSystem:
            // The queue stays readable: without a pause the worker would only spin.
            pauseListeners()
            notice(
                .error, "descriptors", "no file descriptor is left for a new connection",
                [("hint", "Raise LimitNOFILE, or lower limits.sessions.")])
        default:
            let error = SystemError(number: error, doing: "accept a connection")
            notice(.warning, "accept", "a connection was not accepted", [("error", "\(error)")])
        }
    }

    private func pauseListeners() {
        for listener in listeners { poller.remove(listener.descriptor) }
        let token = EventToken(kind: TokenKind.listenersPaused, slot: 0, generation: 0)
        addTimer(nowNanoseconds &+ Self.pauseNanoseconds, token)
    }

    func resumeListeners() {
        for position in listeners.indices { watchListener(position) }
    }

    private func lessLoadedWorker() -> Int? {
        let own = shared.loads[index].value
        var best = index
        var least = own
        for other in shared.loads.indices where shared.loads[other].value < least {
            best = other
            least = shared.loads[other].value
        }
        let difference = own - least
        return difference >= Self.handOverDifference && difference * 8 >= own ? best : nil
    }

    /// Begins the login of an accepted connection.
    func adopt(_ descriptor: Int32, listener: WorkerListener) {
        let address = kernel.peerAddress(descriptor) ?? .unix([])
        let limits = snapshot.configuration.limits
        guard shared.loginSources.take(address.source, limit: limits.loginsInFlightPerSource) else {
            return turnAway(descriptor, address)
        }
        guard shared.logins.take(limit: limits.loginsInFlight) else {
            shared.loginSources.give(address.source)
            return turnAway(descriptor, address)
        }
        guard let session = table.take() else {
            shared.logins.give()
            shared.loginSources.give(address.source)
            return turnAway(descriptor, address)
        }
        let details = makeDetails(session, address)
        details.holdsLoginCount = true
        loginCount += 1
        counters.set(.loginsInFlight, UInt64(loginCount))
        _ = shared.loads[index].take(limit: 0)
        _ = shared.sessions.take(limit: 0)
        details.holdsSessionCount = true
        details.login = LoginState(
            listenerTenant: listener.listener.tenant, isUnix: listener.listener.isUnix)
        session.pointee.phase = .login
        session.pointee.legs[0].descriptor = descriptor
        attach(session, .client, .readable)
        let timeout = snapshot.configuration.timeouts.login
        if timeout > 0 { setDeadline(session, nowNanoseconds &+ UInt64(timeout) &* 1_000_000) }
        settle(session)
    }

    func makeDetails(_ session: SessionPointer, _ address: SocketAddress) -> SessionDetails {
        sessionCount &+= 1
        let details = SessionDetails(
            number: UInt64(index) << 48 | sessionCount, address: address,
            nowNanoseconds: nowNanoseconds)
        session.pointee.details = Unmanaged.passRetained(details)
        session.pointee.lastActivityNanoseconds = nowNanoseconds
        return details
    }

    /// Puts a leg's new descriptor into epoll.
    func attach(_ session: SessionPointer, _ side: LegSide, _ interest: Interest) {
        let leg = session.pointee.leg(side)
        leg.pointee.interest = interest
        let result = poller.add(leg.pointee.descriptor, interest, session.pointee.token(side))
        if result < 0 {
            let error = SystemError(number: -result, doing: "watch a descriptor")
            legFailed(session, side, error.description)
        }
    }

    /// Refuses a connection before a byte of it was read.
    private func turnAway(_ descriptor: Int32, _ address: SocketAddress) {
        counters.add(.refusedLimit)
        let error = ClientError.tooManyLogins.encoded(reference: "")
        error.withUnsafeBytes {
            if let base = $0.baseAddress { _ = kernel.send(descriptor, base, $0.count) }
        }
        kernel.close(descriptor)
        notice(
            .warning, "turned_away", "too many logins are in progress",
            [("client", address.description)])
    }
}
