internal import EventLoop
internal import Handoff
internal import PostgresProtocol
internal import Telemetry
internal import Tenancy

/// Sending: what a peer does not take at once waits in the leg's pending bytes, and reading from
/// the other leg stops until it has drained.
extension ProxyWorker {
    /// At most 8 KiB per record towards clients: libpq's asynchronous interface can miss the rest
    /// of a larger one.
    private static let recordMax = [8 * 1024, 16 * 1024]

    /// Sends bytes of the protocol on a leg, encrypted when the leg is.
    func transmit(
        _ session: SessionPointer, _ side: LegSide, _ bytes: UnsafeRawBufferPointer
    ) {
        let leg = session.pointee.leg(side)
        guard leg.pointee.isOpen else { return }
        guard let tls = leg.pointee.tls else { return sendRaw(session, side, bytes) }
        let result = tls._withUnsafeGuaranteedRef {
            $0.write(bytes, recordMax: Self.recordMax[side.rawValue])
        }
        if case .done = result {
            flushPipe(session, side)
        } else {
            pipes[side.rawValue].clearOutput()
            legFailed(session, side, "could not encrypt: \(tls.takeUnretainedValue().failure)")
        }
    }

    func transmit(_ session: SessionPointer, _ side: LegSide, _ bytes: [UInt8]) {
        bytes.withUnsafeBytes { transmit(session, side, $0) }
    }

    /// Sends what TLS left in the leg's pipe.
    func flushPipe(_ session: SessionPointer, _ side: LegSide) {
        let pipe = pipes[side.rawValue]
        let output = pipe.output
        guard output.count > 0 else { return }
        sendRaw(session, side, output)
        pipe.clearOutput()
    }

    func sendRaw(
        _ session: SessionPointer, _ side: LegSide, _ bytes: UnsafeRawBufferPointer
    ) {
        let leg = session.pointee.leg(side)
        guard let base = bytes.baseAddress, bytes.count > 0, leg.pointee.isOpen else { return }
        var sent = 0
        if leg.pointee.pending.isEmpty {
            sent = kernel.send(leg.pointee.descriptor, base, bytes.count)
            if sent >= 0 { leg.pointee.isConnecting = false }
            if sent == bytes.count { return }
            if sent < 0 {
                guard sent == -Int(SystemErrors.wouldBlock) else {
                    return sendFailed(session, side, Int32(-sent))
                }
                sent = 0
            }
        }
        leg.pointee.pending.append(UnsafeRawBufferPointer(rebasing: bytes[sent...]), pool: pool)
        counters.set(.bufferedBytes, UInt64(pool.bytesInUse))
        if session.pointee.deadlineNanoseconds == 0 { armStall(session) }
        watch(session, side, leg.pointee.interest | .writable)
    }

    /// The peer takes bytes again.
    func flush(_ session: SessionPointer, _ side: LegSide) {
        let leg = session.pointee.leg(side)
        let bytes = leg.pointee.pending.bytes
        if let base = bytes.baseAddress, bytes.count > 0 {
            let sent = kernel.send(leg.pointee.descriptor, base, bytes.count)
            if sent < 0 {
                if sent != -Int(SystemErrors.wouldBlock) {
                    sendFailed(session, side, Int32(-sent))
                }
                return
            }
            leg.pointee.pending.removeFirst(sent, pool: pool)
            session.pointee.lastActivityNanoseconds = nowNanoseconds
        }
        guard leg.pointee.pending.isEmpty else { return }
        counters.set(.bufferedBytes, UInt64(pool.bytesInUse))
        watch(session, side, leg.pointee.interest.without(.writable))
        drained(session, side)
    }

    private func drained(_ session: SessionPointer, _ side: LegSide) {
        switch session.pointee.phase {
        case .relaying:
            let other = session.pointee.leg(side.other)
            if other.pointee.isOpen && !other.pointee.interest.contains(.readable) {
                watch(session, side.other, other.pointee.interest | .readable)
            }
        case .closing: finishClosing(session)
        case .login, .free, .ended: break
        }
    }

    /// The peer's writing end is gone. A cluster may have said why before: that is still to be
    /// read.
    private func sendFailed(_ session: SessionPointer, _ side: LegSide, _ error: Int32) {
        let leg = session.pointee.leg(side)
        leg.pointee.pending.release(pool)
        if leg.pointee.isConnecting { return connectFailed(session, error) }
        if side == .server && session.pointee.phase == .relaying {
            watch(session, side, .readable)
            return
        }
        legFailed(session, side, SystemError(number: error, doing: "send").description)
    }

    /// Changes what a leg's descriptor is watched for.
    func watch(_ session: SessionPointer, _ side: LegSide, _ interest: Interest) {
        let leg = session.pointee.leg(side)
        guard leg.pointee.interest != interest, leg.pointee.isOpen else { return }
        let isNew = leg.pointee.isDetached
        leg.pointee.isDetached = false
        leg.pointee.interest = interest
        let token = session.pointee.token(side)
        let result =
            isNew
            ? poller.add(leg.pointee.descriptor, interest, token)
            : poller.change(leg.pointee.descriptor, interest, token)
        if result < 0 {
            let error = SystemError(number: -result, doing: "watch a descriptor")
            legFailed(session, side, error.description)
        }
    }

    /// A descriptor that can only report its end again and again, while its bytes can't be passed
    /// on.
    func detach(_ session: SessionPointer, _ side: LegSide) {
        let leg = session.pointee.leg(side)
        guard leg.pointee.isOpen, !leg.pointee.isDetached else { return }
        poller.remove(leg.pointee.descriptor)
        leg.pointee.isDetached = true
        leg.pointee.interest = .none
    }
}

/// errno values that the data plane tells apart.
enum SystemErrors {
    static let wouldBlock: Int32 = 11
    static let tooManyFiles: Int32 = 24
    static let tooManyFilesSystem: Int32 = 23
    static let connectionAborted: Int32 = 103
    static let connectionReset: Int32 = 104
}
