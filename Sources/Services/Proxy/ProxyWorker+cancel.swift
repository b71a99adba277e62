internal import EventLoop
internal import Handoff
internal import PostgresProtocol
internal import ServerLogin
internal import Telemetry
internal import Tenancy

/// What a slot of kind `cancel` carries to the cluster.
final class CancelTask {
    let request: CancelRequest
    /// Who waits for the end of the cluster's connection; nil: nobody.
    let reply: CancelReply?

    init(request: CancelRequest, reply: CancelReply?) {
        self.request = request
        self.reply = reply
    }
}

/// Cancel requests: found on any worker, sent by the worker that holds the session, under the same
/// TLS policy as the session, and the client's connection closes only after the cluster's did, so
/// that a returned PQcancel still means that the signal was sent (manual: protocol-flow).
extension ProxyWorker {
    /// A client's connection brought a CancelRequest. Hit and miss look the same to it.
    func cancelRequested(_ session: SessionPointer, _ request: CancelRequest) {
        guard let details = details(session), let login = details.login else { return }
        counters.add(.cancelRequests)
        session.pointee.end = .cancelRequest
        let source = details.clientAddress.source
        let limit = snapshot.configuration.limits.cancelMissesPerMinute
        if shared.cancelMisses.isExceeded(source, limit: limit, nowNanoseconds: nowNanoseconds) {
            counters.add(.cancelIgnored)
            return end(session, .cancelRequest)
        }
        let token = session.pointee.token(.client).raw
        let mailbox = mailbox
        let reply = CancelReply { mailbox.post(.cancelDone(token)) }
        if let target = shared.cancels.find(request) {
            counters.add(.cancelHits)
            shared.mailboxes[target.worker].post(.cancel(target.token, reply: reply))
        } else if let peers = shared.peers, peers.forward(request, reply) {
            counters.add(.cancelHits)
        } else {
            counters.add(.cancelMisses)
            shared.cancelMisses.note(source, nowNanoseconds: nowNanoseconds)
            return end(session, .cancelRequest)
        }
        login.stage = .waiting
        let timeout = max(1, snapshot.configuration.timeouts.cancel)
        setDeadline(session, nowNanoseconds &+ UInt64(timeout) &* 1_000_000)
    }

    func cancelAnswered(_ token: EventToken) {
        guard let session = table.find(token) else { return }
        end(session, .cancelRequest)
        settle(session)
    }

    /// On the worker that holds the session: tell its cluster.
    func cancelSession(_ token: EventToken, _ reply: CancelReply) {
        guard let session = table.find(token), session.pointee.phase == .relaying else {
            return reply.done()
        }
        beginCancel(of: session, reply: reply)
    }

    func beginCancel(of session: SessionPointer, reply: CancelReply?) {
        guard let target = details(session), let runtime = target.runtime,
            let task = table.take()
        else {
            reply?.done()
            return
        }
        task.pointee.kind = .cancel
        task.pointee.phase = .login
        let details = makeDetails(task, .unix([]))
        details.runtime = runtime
        details.login = LoginState(listenerTenant: nil, isUnix: false)
        details.cancel = CancelTask(
            request: CancelRequest(
                processID: target.serverProcessID, secret: target.serverSecret?.bytes ?? []),
            reply: reply)
        let timeout = max(1, snapshot.configuration.timeouts.cancel)
        setDeadline(task, nowNanoseconds &+ UInt64(timeout) &* 1_000_000)
        openServerLeg(task)
        settle(task)
    }
}

/// Runs when a cancel request has done all that it can do; from any thread, once.
struct CancelReply: Sendable {
    let done: @Sendable () -> Void

    init(_ done: @escaping @Sendable () -> Void) { self.done = done }
}
