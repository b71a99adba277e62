internal import EventLoop
internal import Handoff
internal import PostgresProtocol
internal import Tap
internal import Telemetry
internal import Tenancy

/// The hot path: from one leg's recv to the other leg's send. Nothing here allocates, counts
/// references, locks, or makes a system call but those two (and epoll's when a peer is slow).
extension ProxyWorker {
    /// Relays what a leg has to read.
    func pump(_ session: SessionPointer, _ side: LegSide) {
        var tap = NoTap()
        pump(session, side, tap: &tap)
    }

    /// Relays bytes that lie in the worker's scratch already.
    func relayCopied(_ session: SessionPointer, _ side: LegSide, _ count: Int) {
        var tap = NoTap()
        relayBurst(session, side, count, tap: &tap)
    }

    private func pump<T: SessionTap & ~Copyable>(
        _ session: SessionPointer, _ side: LegSide, tap: inout T
    ) {
        let source = session.pointee.leg(side)
        let target = session.pointee.leg(side.other)
        for _ in 0..<Self.receivesMax {
            guard target.pointee.pending.isEmpty else {
                return watch(session, side, source.pointee.interest.without(.readable))
            }
            let isEncrypted = source.pointee.tls != nil
            let count = kernel.receive(
                source.pointee.descriptor, isEncrypted ? cipher : plain, Self.burstBytes)
            guard count > 0 else {
                if count != -Int(SystemErrors.wouldBlock) { streamEnded(session, side, count) }
                return
            }
            if isEncrypted {
                relayEncrypted(session, side, count, tap: &tap)
            } else {
                relayBurst(session, side, count, tap: &tap)
            }
            if count < Self.burstBytes || session.pointee.phase != .relaying { return }
        }
    }

    /// Decrypts all of one recv, so that nothing stays in user space that epoll can't see.
    private func relayEncrypted<T: SessionTap & ~Copyable>(
        _ session: SessionPointer, _ side: LegSide, _ count: Int, tap: inout T
    ) {
        guard let tls = session.pointee.leg(side).pointee.tls else { return }
        warmUp(session)
        let pipe = pipes[side.rawValue]
        pipe.setInput(UnsafeRawBufferPointer(start: cipher, count: count))
        defer { pipe.dropInput() }
        var filled = 0
        while session.pointee.phase == .relaying {
            let result = tls._withUnsafeGuaranteedRef {
                $0.read(plain + filled, plainCapacity - filled)
            }
            // A read may leave an alert or the answer to a key update.
            if pipe.output.count > 0 { flushPipe(session, side) }
            if case .done(let read) = result {
                filled += read
                // Records of one burst leave together; there is room for one more of any size.
                if plainCapacity - filled >= Self.recordBytesMax { continue }
            }
            if filled > 0 { relayBurst(session, side, filled, tap: &tap) }
            filled = 0
            guard session.pointee.phase == .relaying else { return }
            switch result {
            case .done: continue
            case .needsInput: return
            case .closed: return streamEnded(session, side, 0)
            case .failed:
                return legFailed(session, side, "TLS: \(tls.takeUnretainedValue().failure)")
            }
        }
    }

    /// Scans a burst in place and sends it on.
    private func relayBurst<T: SessionTap & ~Copyable>(
        _ session: SessionPointer, _ side: LegSide, _ count: Int, tap: inout T
    ) {
        let source = session.pointee.leg(side)
        let held = Int(source.pointee.heldCount)
        let start = plain - held
        if held > 0 {
            withUnsafeBytes(of: source.pointee.held) {
                if let base = $0.baseAddress { start.copyMemory(from: base, byteCount: held) }
            }
        }
        let bytes = UnsafeRawBufferPointer(start: start, count: held + count)
        let result = source.pointee.scanner.scan(bytes.bytes, tracker: &session.pointee.tracker)
        account(session, side, count)
        let forwardable = UnsafeRawBufferPointer(rebasing: bytes[..<result.forwardable])
        if T.isActive {
            tap.burst(
                side == .client ? .clientToServer : .serverToClient, forwardable,
                timeNanoseconds: kernel.nowNanoseconds())
        }
        if forwardable.count > 0 { transmit(session, side.other, forwardable) }
        if let violation = result.violation {
            return relayViolation(session, side, violation)
        }
        let rest = bytes.count - result.forwardable
        source.pointee.heldCount = UInt8(truncatingIfNeeded: rest)
        if rest > 0 {
            withUnsafeMutableBytes(of: &source.pointee.held) {
                $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[result.forwardable...]))
            }
        }
        if side == .client {
            if result.seen.rawValue & ScanSeen.terminateBit != 0 { terminated(session) }
        } else if result.readyCount > 0 {
            exchangeEnded(session, result.readyCount)
        }
    }

    @inline(__always)
    private func account(_ session: SessionPointer, _ side: LegSide, _ count: Int) {
        session.pointee.lastActivityNanoseconds = nowNanoseconds
        let bytes = UInt64(count)
        if side == .client {
            session.pointee.bytesFromClient &+= bytes
            if session.pointee.busySinceNanoseconds == 0 {
                session.pointee.busySinceNanoseconds = nowNanoseconds
            }
            counters.add(.burstsFromClient)
            counters.add(.bytesFromClient, bytes)
            session.pointee.tenantCounters?.add(.bytesFromClient, bytes)
        } else {
            session.pointee.bytesFromServer &+= bytes
            counters.add(.burstsFromServer)
            counters.add(.bytesFromServer, bytes)
            session.pointee.tenantCounters?.add(.bytesFromServer, bytes)
        }
    }

    /// The client is done. When nothing is under way, both legs can go without waiting for the ends
    /// of their streams, which saves two wake-ups per session.
    private func terminated(_ session: SessionPointer) {
        session.pointee.sawTerminate = true
        guard session.pointee.tracker.outstanding == 0, session.pointee.legs[0].pending.isEmpty,
            session.pointee.legs[1].pending.isEmpty
        else { return }
        end(session, .clientClosed)
    }

    private func exchangeEnded(_ session: SessionPointer, _ count: Int) {
        session.pointee.exchanges &+= UInt64(count)
        session.pointee.tenantCounters?.add(.exchanges, UInt64(count))
        guard session.pointee.tracker.isIdle else { return }
        session.pointee.busySinceNanoseconds = 0
        if isDraining && session.pointee.isIdle { refuse(session, .administratorCommand) }
    }

    /// A header that is impossible: nothing of it was sent on, and the session ends.
    private func relayViolation(
        _ session: SessionPointer, _ side: LegSide, _ violation: ProtocolViolation
    ) {
        let culprit = side == .client ? "client" : "server"
        let error: ClientError =
            side == .client ? .protocolViolation(violation.text) : .serverViolation
        // Inside a message of the cluster an error of ours would be taken for its body.
        let canTell = !session.pointee.leg(.server).pointee.scanner.isMidMessage
        refuse(session, error, detail: "\(culprit) leg: \(violation.text)", tells: canTell)
    }

    /// An event of a leg that is not read while the other leg's peer is slow.
    func pausedLegEvent(_ session: SessionPointer, _ side: LegSide) {
        if side == .client {
            // Both directions are closed: nobody waits for the answer any more.
            streamEnded(session, side, -Int(SystemErrors.connectionReset))
        } else {
            detach(session, side)
        }
    }
}
