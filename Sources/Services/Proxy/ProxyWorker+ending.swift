internal import EventLoop
internal import Handoff
internal import PostgresProtocol
internal import Telemetry
internal import Tenancy

/// Ends: of one leg, of both, and the record that remains.
///
/// A leg's end closes the other leg as soon as what is pending for its peer is sent; `settle`
/// releases the slot when the event that caused it is done.
extension ProxyWorker {
    /// How long a peer may take for the last bytes.
    private static let closingNanoseconds: UInt64 = 30_000_000_000

    /// The leg's stream is over: `result` is 0 or `-errno` of its recv.
    func streamEnded(_ session: SessionPointer, _ side: LegSide, _ result: Int) {
        let isLost = result < 0
        if session.pointee.kind != .client { return ownConnectionEnded(session, isLost) }
        let wasRelaying = session.pointee.phase == .relaying
        if side == .client {
            closeLeg(session, .client)
            session.pointee.end = isLost ? .clientLost : .clientClosed
            guard wasRelaying else { return end(session, session.pointee.end) }
            if cancelRunning(session) { return end(session, session.pointee.end) }
            beginClosing(session, .server)
        } else {
            guard wasRelaying else { return serverLegEnded(session, isLost) }
            session.pointee.end =
                session.pointee.sawTerminate ? .clientClosed : isLost ? .serverLost : .serverClosed
            closeLeg(session, .server)
            beginClosing(session, .client)
        }
    }

    /// A server that runs a query does not notice that its connection ended: tells it by a cancel.
    /// False when there is nothing to cancel, or nobody wants it.
    @discardableResult
    func cancelRunning(_ session: SessionPointer) -> Bool {
        guard session.pointee.phase == .relaying, !session.pointee.sawTerminate,
            session.pointee.busySinceNanoseconds != 0, snapshot.configuration.cancelOnClientLoss
        else { return false }
        beginCancel(of: session, reply: nil)
        return true
    }

    /// TLS or the system failed on a leg.
    func legFailed(_ session: SessionPointer, _ side: LegSide, _ detail: String) {
        guard session.pointee.phase != .ended else { return }
        details(session)?.failure = SessionFailure(detail: detail)
        switch (session.pointee.phase, side) {
        case (.login, .server): serverLegFailed(session, .unreachable, detail)
        case (_, .client):
            cancelRunning(session)
            end(session, .clientLost)
        default: streamEnded(session, .server, -Int(SystemErrors.connectionReset))
        }
    }

    /// Tells the client why, in PostgreSQL's own form, and ends the session.
    ///
    /// - Parameter tells: false inside a message of the cluster.
    func refuse(
        _ session: SessionPointer, _ error: ClientError, detail: String = "", tells: Bool = true
    ) {
        guard let details = details(session) else { return }
        details.failure = SessionFailure(
            sqlState: error.sqlState, message: error.message, detail: detail)
        session.pointee.end = error.end
        count(error.end)
        if session.pointee.kind != .client { return end(session, error.end) }
        closeLeg(session, .server)
        if tells { transmit(session, .client, error.encoded(reference: details.reference)) }
        if session.pointee.phase != .ended { beginClosing(session, .client) }
    }

    private func count(_ end: SessionEnd) {
        switch end {
        case .refusedRoute: counters.add(.refusedRoute)
        case .refusedLimit: counters.add(.refusedLimit)
        case .refusedAuthentication: counters.add(.refusedAuthentication)
        default: break
        }
    }

    /// The other leg is gone: this one gets what is pending, then goes, too.
    func beginClosing(_ session: SessionPointer, _ remaining: LegSide) {
        session.pointee.phase = .closing
        let leg = session.pointee.leg(remaining)
        guard leg.pointee.isOpen else { return end(session, session.pointee.end) }
        if leg.pointee.pending.isEmpty { return finishClosing(session) }
        setDeadline(session, nowNanoseconds &+ Self.closingNanoseconds)
        watch(session, remaining, .writable)
    }

    func finishClosing(_ session: SessionPointer) { end(session, session.pointee.end) }

    /// While closing only the peer's end matters; what it still says is dropped.
    func closingEvent(_ session: SessionPointer, _ side: LegSide, _ seen: Interest) {
        if seen.contains(.failed | .hungUp) { end(session, session.pointee.end) }
    }

    /// Both legs are closed; the slot is released by `settle`.
    func end(_ session: SessionPointer, _ cause: SessionEnd) {
        guard session.pointee.phase != .ended, session.pointee.phase != .free else { return }
        session.pointee.end = cause
        session.pointee.phase = .ended
        closeLeg(session, .client)
        closeLeg(session, .server)
    }

    func closeLeg(_ session: SessionPointer, _ side: LegSide) {
        let leg = session.pointee.leg(side)
        leg.pointee.pending.release(pool)
        if let tls = leg.pointee.tls {
            if leg.pointee.isOpen {
                tls.takeUnretainedValue().close()
                let output = pipes[side.rawValue].output
                if let base = output.baseAddress, output.count > 0 {
                    _ = kernel.send(leg.pointee.descriptor, base, output.count)
                }
                pipes[side.rawValue].clearOutput()
            }
            tls.release()
            leg.pointee.tls = nil
        }
        guard leg.pointee.isOpen else { return }
        kernel.close(leg.pointee.descriptor)
        leg.pointee.descriptor = -1
        leg.pointee.interest = .none
        leg.pointee.isTLSEstablished = false
        leg.pointee.isConnecting = false
        leg.pointee.isDetached = false
    }

    /// After each event: an ended session's slot is given back.
    @inline(__always) func settle(_ session: SessionPointer) {
        if session.pointee.phase == .ended { release(session) }
    }

    @inline(never) func release(_ session: SessionPointer) {
        if let details = session.pointee.details?.takeUnretainedValue() {
            giveCounts(session, details)
            if session.pointee.kind == .client { report(session, details) }
            details.lookup?.queue.connectionEnded()
            details.cancel?.reply?.done()
        }
        session.pointee.details?.release()
        session.pointee.details = nil
        counters.set(.bufferedBytes, UInt64(pool.bytesInUse))
        table.give(session)
    }

    private func giveCounts(_ session: SessionPointer, _ details: SessionDetails) {
        giveLoginCounts(details)
        if details.holdsSessionCount {
            shared.sessions.give()
            shared.loads[index].give()
        }
        if details.holdsTenantCount { details.runtime?.gauges.sessions.give() }
        if let secret = details.cancelSecret {
            shared.cancels.remove(processID: details.serverProcessID, secret: secret)
        }
    }

    func giveLoginCounts(_ details: SessionDetails) {
        if details.holdsLoginCount {
            details.holdsLoginCount = false
            loginCount -= 1
            counters.set(.loginsInFlight, UInt64(max(0, loginCount)))
            shared.logins.give()
            shared.loginSources.give(details.clientAddress.source)
        }
        if details.holdsTenantLoginCount {
            details.holdsTenantLoginCount = false
            details.runtime?.gauges.loginsInFlight.give()
        }
    }

    private func report(_ session: SessionPointer, _ details: SessionDetails) {
        counters.countEnd(session.pointee.end)
        if details.loginNanoseconds != 0 {
            counters.add(.sessionsEnded)
            session.pointee.tenantCounters?.add(.sessionsEnded)
        }
        var record = SessionRecord()
        record.sessionID = details.number
        record.worker = index
        record.tenant = details.runtime?.tenant.name ?? ""
        record.backend = details.runtime?.backend.name ?? ""
        record.user = details.user
        record.database = details.database
        record.applicationName = details.applicationName
        record.clientAddress = details.clientAddress.description
        record.clientTLS = details.clientTLS
        record.serverTLS = details.serverTLS
        record.routedBy = details.routedBy
        record.protocolMinor = Int(details.protocolMinor)
        record.serverProcessID = details.serverProcessID
        record.loginNanoseconds = details.loginNanoseconds
        record.durationNanoseconds = nowNanoseconds &- details.acceptedNanoseconds
        record.bytesFromClient = session.pointee.bytesFromClient
        record.bytesFromServer = session.pointee.bytesFromServer
        record.exchanges = session.pointee.exchanges
        record.end = session.pointee.end
        record.sqlState = details.failure?.sqlState ?? ""
        record.message = details.failure?.message ?? ""
        record.detail = details.failure?.detail ?? ""
        record.reference = record.sqlState.isEmpty ? "" : details.reference
        shared.telemetry.post(.sessionEnded(record))
    }

    func details(_ session: SessionPointer) -> SessionDetails? {
        session.pointee.details?.takeUnretainedValue()
    }
}
