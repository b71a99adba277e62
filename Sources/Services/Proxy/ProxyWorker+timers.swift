internal import EventLoop
internal import Handoff
internal import PostgresProtocol
internal import Telemetry
internal import Tenancy

/// Deadlines. A session has at most one that counts, `deadlineNanoseconds`; older entries of the
/// heap are recognised by not being equal to it. A session that relays looks at its time-outs when
/// its entry is due and arms the next one, so the relay itself arms nothing.
extension ProxyWorker {
    private static let farNanoseconds: UInt64 = 4_000_000_000
    /// 2^27 ns, 134 ms.
    private static let coarseMask: UInt64 = (1 << 27) - 1
    private static let sweepNanoseconds: UInt64 = 250_000_000

    /// Deadlines far away are rounded up, so that those of many logins are looked at together and
    /// idle sessions cost no wake-ups.
    func setDeadline(_ session: SessionPointer, _ exactNanoseconds: UInt64) {
        let isFar = exactNanoseconds > nowNanoseconds &+ Self.farNanoseconds
        let deadlineNanoseconds = isFar ? exactNanoseconds | Self.coarseMask : exactNanoseconds
        session.pointee.deadlineNanoseconds = deadlineNanoseconds
        let token = EventToken(
            kind: TokenKind.timer, slot: session.pointee.slot,
            generation: session.pointee.generation)
        addTimer(deadlineNanoseconds, token)
    }

    func addTimer(_ deadlineNanoseconds: UInt64, _ token: EventToken) {
        timers.insert(deadlineNanoseconds: deadlineNanoseconds, token: token)
        nextTimerNanoseconds = min(nextTimerNanoseconds, deadlineNanoseconds)
    }

    @inline(never) func expireTimers() {
        defer { nextTimerNanoseconds = timers.nextDeadlineNanoseconds ?? .max }
        while let entry = timers.popDue(nowNanoseconds: nowNanoseconds) {
            switch entry.token.kind {
            case TokenKind.timer:
                guard let session = table.find(entry.token),
                    session.pointee.deadlineNanoseconds == entry.deadlineNanoseconds
                else { continue }
                session.pointee.deadlineNanoseconds = 0
                expired(session)
                settle(session)
            case TokenKind.sweep: sweepWarm()
            case TokenKind.listenersPaused: resumeListeners()
            default: break
            }
        }
    }

    private func expired(_ session: SessionPointer) {
        switch session.pointee.phase {
        case .login:
            if session.pointee.kind == .client {
                loginExpired(session)
            } else {
                ownConnectionEnded(session, true)
            }
        case .relaying: checkTimeouts(session)
        case .closing: end(session, session.pointee.end)
        case .free, .ended: break
        }
    }

    /// Arms the time-outs of a session that begins to relay.
    func armTimeouts(_ session: SessionPointer) {
        session.pointee.deadlineNanoseconds = 0
        if let next = nextTimeout(session) { setDeadline(session, next) }
    }

    /// A peer does not take its bytes.
    func armStall(_ session: SessionPointer) {
        guard session.pointee.phase == .relaying,
            snapshot.configuration.timeouts.clientStall > 0
        else { return }
        armTimeouts(session)
    }

    private func checkTimeouts(_ session: SessionPointer) {
        let limits = timeouts(of: session)
        let quiet = nowNanoseconds &- session.pointee.lastActivityNanoseconds
        let busySince = session.pointee.busySinceNanoseconds
        if limits.stall > 0, !session.pointee.leg(.client).pointee.pending.isEmpty,
            quiet >= limits.stall
        {
            details(session)?.failure = SessionFailure(detail: "the client does not read")
            cancelRunning(session)
            return end(session, .clientStalled)
        }
        if busySince == 0 {
            if limits.idle > 0, quiet >= limits.idle { return refuse(session, .idleSession) }
        } else {
            let canTell = !session.pointee.leg(.server).pointee.scanner.isMidMessage
            if limits.transaction > 0, nowNanoseconds &- busySince >= limits.transaction {
                cancelRunning(session)
                return refuse(session, .transactionTimeout, tells: canTell)
            }
            if limits.idleTransaction > 0, session.pointee.tracker.outstanding == 0,
                quiet >= limits.idleTransaction
            {
                return refuse(session, .idleTransaction, tells: canTell)
            }
        }
        armTimeouts(session)
    }

    private struct Limits {
        var idle: UInt64
        var idleTransaction: UInt64
        var transaction: UInt64
        var stall: UInt64

        var shortest: UInt64? {
            [idle, idleTransaction, transaction, stall].filter { $0 > 0 }.min()
        }
    }

    private func timeouts(of session: SessionPointer) -> Limits {
        let service = snapshot.configuration.timeouts
        let own = details(session)?.runtime?.tenant.limits
        func nanoseconds(_ milliseconds: Int) -> UInt64 {
            UInt64(max(0, milliseconds)) &* 1_000_000
        }
        return Limits(
            idle: nanoseconds(own?.idleSession ?? service.idleSession),
            idleTransaction: nanoseconds(own?.idleTransaction ?? service.idleTransaction),
            transaction: nanoseconds(own?.transaction ?? service.transaction),
            stall: nanoseconds(service.clientStall))
    }

    /// The earliest moment at which a time-out could be due.
    private func nextTimeout(_ session: SessionPointer) -> UInt64? {
        let limits = timeouts(of: session)
        guard let shortest = limits.shortest else { return nil }
        let last = session.pointee.lastActivityNanoseconds
        var next = nowNanoseconds &+ shortest
        if session.pointee.busySinceNanoseconds == 0 {
            if limits.idle > 0 { next = min(next, last &+ limits.idle) }
        } else {
            if limits.transaction > 0 {
                next = min(next, session.pointee.busySinceNanoseconds &+ limits.transaction)
            }
            if limits.idleTransaction > 0 { next = min(next, last &+ limits.idleTransaction) }
        }
        // Never at once: a deadline that has just been looked at would be looked at for ever.
        return max(next, nowNanoseconds &+ 1_000_000)
    }

    /// A TLS session that had a burst holds record buffers; they are given back when it has been
    /// quiet for a quarter of a second: the sooner, the fewer are out at once while many log in.
    @inline(__always)
    func warmUp(_ session: SessionPointer) {
        guard !session.pointee.isWarm else { return }
        session.pointee.isWarm = true
        if warm.isEmpty {
            let token = EventToken(kind: TokenKind.sweep, slot: 0, generation: 0)
            addTimer(nowNanoseconds &+ Self.sweepNanoseconds, token)
        }
        warm.append(session.pointee.token(.client))
    }

    private func sweepWarm() {
        var kept = 0
        // By index: an iterator would share the array, and writing to it would copy it.
        for index in 0..<warm.count {
            let token = warm[index]
            guard let session = table.find(token) else { continue }
            let quiet = nowNanoseconds &- session.pointee.lastActivityNanoseconds
            if quiet < Self.sweepNanoseconds {
                warm[kept] = token
                kept += 1
                continue
            }
            session.pointee.isWarm = false
            session.pointee.legs[0].tls?.takeUnretainedValue().releaseBuffers()
            session.pointee.legs[1].tls?.takeUnretainedValue().releaseBuffers()
        }
        warm.removeLast(warm.count - kept)
        guard !warm.isEmpty else { return }
        let token = EventToken(kind: TokenKind.sweep, slot: 0, generation: 0)
        addTimer(nowNanoseconds &+ Self.sweepNanoseconds, token)
    }
}
