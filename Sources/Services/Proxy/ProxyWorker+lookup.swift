internal import Authentication
internal import EventLoop
internal import Handoff
internal import PostgresProtocol
internal import ServerLogin
internal import Telemetry
internal import Tenancy

/// Verifiers of one tenant's roles, asked over one connection per worker. Questions are pipelined
/// on it, each login asks anew (an ALTER ROLE counts at the next login), and the connection ends
/// when it has been quiet for a while.
final class LookupQueue {
    var runtime: TenantRuntime
    /// Sessions that wait, in the order in which they ask.
    var waiting: [EventToken] = []
    /// Sessions whose question is under way, in the order of the answers.
    var asked: [EventToken] = []
    var connection: EventToken?
    /// What went wrong with the connection, for those who waited for it.
    var failure = ""
    unowned let worker: ProxyWorker

    init(_ runtime: TenantRuntime, worker: ProxyWorker) {
        self.runtime = runtime
        self.worker = worker
    }

    func connectionEnded() {
        connection = nil
        let lost = asked + waiting
        asked = []
        waiting = []
        for token in lost { worker.lookupFailed(token, failure) }
        failure = ""
    }
}

/// The look-up connection's side of a slot.
final class LookupConnection {
    let queue: LookupQueue
    var isReady = false
    var answers = VerifierAnswerReader()

    init(queue: LookupQueue) { self.queue = queue }
}

extension ProxyWorker {
    /// A quiet look-up connection gives its place in the cluster back.
    private static let quietNanoseconds: UInt64 = 30_000_000_000
    private static let waitingMax = 10_000

    func lookUp(_ session: SessionPointer, _ runtime: TenantRuntime) {
        let name = runtime.tenant.name
        var queue = lookups[name] ?? LookupQueue(runtime, worker: self)
        if queue.runtime !== runtime && queue.runtime.tenant != runtime.tenant {
            // The document has changed: the old connection answers what it was asked, and ends.
            queue = LookupQueue(runtime, worker: self)
        }
        lookups[name] = queue
        guard queue.waiting.count + queue.asked.count < Self.waitingMax else {
            return refuse(session, .tooManyLogins)
        }
        counters.add(.verifierLookups)
        queue.waiting.append(session.pointee.token(.client))
        guard let token = queue.connection, let connection = table.find(token) else {
            return openLookup(queue)
        }
        if details(connection)?.lookup?.isReady == true {
            askVerifiers(connection, queue)
            if connection != session { settle(connection) }
        }
    }

    private func openLookup(_ queue: LookupQueue) {
        guard let connection = table.take() else {
            queue.failure = "no slot is left"
            return queue.connectionEnded()
        }
        connection.pointee.kind = .lookup
        connection.pointee.phase = .login
        queue.connection = connection.pointee.token(.server)
        let details = makeDetails(connection, .unix([]))
        details.runtime = queue.runtime
        details.lookup = LookupConnection(queue: queue)
        details.login = LoginState(listenerTenant: nil, isUnix: false)
        let timeouts = snapshot.configuration.timeouts
        let timeout = max(1, timeouts.serverConnect + timeouts.serverLogin)
        setDeadline(connection, nowNanoseconds &+ UInt64(timeout) &* 1_000_000)
        openServerLeg(connection)
        settle(connection)
    }

    /// The look-up connection is logged in.
    func lookupReady(_ connection: SessionPointer, _ leftover: [UInt8]) {
        guard let details = details(connection), let queue = details.lookup?.queue else { return }
        details.lookup?.isReady = true
        details.login?.server = nil
        askVerifiers(connection, queue)
        if !leftover.isEmpty { lookupBytes(connection, leftover) }
    }

    private func askVerifiers(_ connection: SessionPointer, _ queue: LookupQueue) {
        var bytes: [UInt8] = []
        for token in queue.waiting {
            guard let session = table.find(token), let user = details(session)?.user,
                let lookup = queue.runtime.tenant.authentication.lookup
            else { continue }
            let question = VerifierLookupQuery(function: lookup.function, user: user)
            guard let encoded = try? question.encoded() else { continue }
            bytes += encoded
            queue.asked.append(token)
        }
        queue.waiting = []
        prolong(connection)
        if !bytes.isEmpty { transmit(connection, .server, bytes) }
    }

    /// Not at every answer: each deadline is an entry of the heap until it is due.
    private func prolong(_ connection: SessionPointer) {
        let deadline = nowNanoseconds &+ Self.quietNanoseconds
        if connection.pointee.deadlineNanoseconds &+ Self.quietNanoseconds / 2 < deadline {
            setDeadline(connection, deadline)
        }
    }

    /// Bytes of the cluster on a look-up connection.
    func lookupBytes(_ connection: SessionPointer, _ bytes: [UInt8]) {
        guard let details = details(connection), let queue = details.lookup?.queue else { return }
        prolong(connection)
        do throws(ProtocolViolation) {
            let answers = try details.lookup?.answers.receive(bytes) ?? []
            for answer in answers where !queue.asked.isEmpty {
                verifierAnswered(queue.asked.removeFirst(), queue, answer)
            }
        } catch {
            queue.failure = "the cluster sent an invalid message: \(error.text)"
            end(connection, .serverProtocolViolation)
        }
    }

    private func verifierAnswered(
        _ token: EventToken, _ queue: LookupQueue, _ answer: VerifierAnswer
    ) {
        guard let session = table.find(token), session.pointee.phase == .login,
            let details = details(session), let login = details.login
        else { return }
        switch answer {
        case .found(let verifier):
            if login.isRefetching {
                verifierRefetched(session, verifier)
            } else {
                offer(session, verifier, isMock: false)
            }
        case .unknownRole:
            if login.isRefetching { return staleVerifier(session, "the role is gone") }
            offerMock(session, tenant: Array(queue.runtime.tenant.name.utf8))
        case .failed(let reason): lookupFailed(token, reason)
        }
        settle(session)
    }

    func lookupFailed(_ token: EventToken, _ reason: String) {
        guard let session = table.find(token), session.pointee.phase == .login else { return }
        session.pointee.tenantCounters?.add(.serverUnreachable)
        refuse(session, .lookupFailed, detail: "look-up: \(reason)")
        settle(session)
    }

    /// A connection of our own to a cluster is over.
    func ownConnectionEnded(_ session: SessionPointer, _ isLost: Bool) {
        if let queue = details(session)?.lookup?.queue, queue.failure.isEmpty {
            queue.failure = isLost ? "the connection was lost" : "the cluster closed the connection"
        }
        end(session, isLost ? .serverLost : .serverClosed)
    }
}
