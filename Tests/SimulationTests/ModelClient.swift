import Authentication
import EventLoop
import PostgresProtocol

/// A client of the proxy: logs in, makes its exchanges, says goodbye. Everything that it reads is
/// compared with what its cluster sent, message by message.
final class ModelClient: ModelPeer {
    enum State { case waiting, tlsAnswer, tlsHandshake, login, relaying, finished }

    let session: Int
    let tenant: Int
    let startTime: UInt64
    private(set) var state = State.waiting
    private let exchanges: [Exchange]
    private var next = 0
    /// How much was sent with each exchange, all of it.
    private var sentWith: [Int] = []
    private var lastStatus = UInt8(ascii: "I")
    private var thinkUntil: UInt64 = 0
    private(set) var completed = 0
    private var didSecond = false
    private let depth: Int
    private var scram: ScramClientExchange?
    weak var server: ModelServer?
    private(set) var processID: Int32 = 0
    private(set) var secret: [UInt8] = []
    /// The proxy's own error, which is the last message if there is one.
    private(set) var ownError: String?
    private var violatesAt = Int.max
    private(set) var hasViolated = false
    private var wasRefused = false
    private let usesVersion2: Bool
    private var isLoggedIn: Bool { state == .relaying || state == .finished }

    init(index: Int, world: Simulation, session: Int) {
        self.session = session
        let plan = world.plan
        let tenant = world.random.below(plan.tenants)
        self.tenant = tenant
        startTime = world.kernel.now + UInt64(world.random.below(200)) * 1_000_000
        let count = world.random.within(0...plan.exchangesMax)
        exchanges = (0..<count).map {
            Exchange(
                &world.random, tenant: tenant, session: session, number: $0,
                payloadMax: plan.payloadMax)
        }
        depth = world.random.chance(oneIn: 2) ? 1 : world.random.within(2...6)
        usesVersion2 = world.random.chance(oneIn: 5)
        super.init(index: index, world: world)
        if world.random.perMille(plan.clientViolationPerMille) {
            violatesAt = world.random.below(count + 1)
        }
    }

    var isComplete: Bool { state == .finished && completed == exchanges.count }

    override var isDisturbed: Bool {
        wasCut || (server?.wasCut ?? false) || world.plan.endsSessions
    }

    // Login.

    override func tick() {
        if state == .waiting && now >= startTime { start() }
        if state == .relaying { sendRequests() }
    }

    private func start() {
        guard world.connectClient(self) else {
            isOver = true
            wasCut = true
            return
        }
        if world.plan.usesTLS {
            state = .tlsAnswer
            return transmit((try? InitialPacket.sslRequest.encoded()) ?? [])
        }
        sendStartup()
    }

    override func tlsEstablished() { sendStartup() }

    private func sendStartup() {
        state = .login
        let message = StartupMessage(
            version: usesVersion2 ? ProtocolVersion(major: 3, minor: 2) : .v3_0,
            parameters: [
                StartupParameter("user", "u\(session)@t\(tenant)"),
                StartupParameter("database", "d"),
                StartupParameter("application_name", "s\(session)"),
            ])
        transmit((try? message.encoded()) ?? [])
        if world.plan.authentication == .trust { beEager() }
    }

    /// Requests may follow the last message of the login without waiting for its result.
    private func beEager() {
        guard world.plan.isEager else { return }
        isRelaying = true
        sendRequests()
    }

    override func received() {
        if state == .tlsAnswer {
            guard input.removeFirst() == UInt8(ascii: "S") else {
                return world.fail("no TLS for session \(session)")
            }
            state = .tlsHandshake
            let contexts = TestCertificate.shared.clientContext
            beginTLS(
                TLSSession(connecting: contexts, name: "localhost", pipe: world.modelPipe),
                startsHandshake: true)
            return
        }
        var offset = 0
        while !isOver, let (type, end) = nextMessage(input, offset) {
            if ownError != nil { world.fail("a message after the proxy's own error") }
            if isLoggedIn {
                message(type, offset, end)
            } else {
                loginMessage(type, Array(input[(offset + 5)..<end]))
            }
            offset = end
        }
        input.removeFirst(min(offset, input.count))
        if state == .relaying { sendRequests() }
    }

    private func loginMessage(_ type: UInt8, _ body: [UInt8]) {
        guard let message = try? BackendMessage.decode(type: type, body: body.span.bytes) else {
            return world.fail("an invalid message \(type) in the login of \(session)")
        }
        switch message {
        case .authentication(let request): authentication(request)
        case .backendKeyData(let key):
            processID = key.processID
            secret = key.secret
        case .readyForQuery:
            state = .relaying
            isRelaying = true
            world.trace("session \(session) is logged in")
        case .errorResponse(let fields):
            wasRefused = true
            ownError = fields.sqlState
            if !isExcused(fields.sqlState) {
                world.fail("session \(session) was refused: \(fields.sqlState) \(fields.message)")
            }
        default: break
        }
    }

    private func isExcused(_ code: String) -> Bool {
        if code == "53300" { return world.plan.tenantSessionsMax > 0 }
        if code == "57P03" || code == "57P01" { return world.plan.drainAt != nil }
        return isDisturbed || world.clusters[tenant].hadFault || hasViolated
    }

    private func authentication(_ request: AuthenticationRequest) {
        var writer = MessageWriter()
        switch request {
        case .cleartextPassword:
            try? PasswordMessage(password: Simulation.password).encode(into: &writer)
        case .sasl(let mechanisms):
            var exchange = ScramClientExchange(
                credential: .password(Simulation.password), choice: .prefer,
                binding: world.plan.usesTLS ? TestCertificate.shared.binding : nil,
                isTLS: world.plan.usesTLS, nonce: Array(0..<18))
            guard let (mechanism, data) = try? exchange.begin(offered: mechanisms) else { return }
            scram = exchange
            try? SASLInitialResponse(mechanism: mechanism, data: data).encode(into: &writer)
        case .saslContinue(let data):
            guard let answer = try? scram?.challenge(data) else {
                return world.fail("the challenge is wrong")
            }
            try? AuthenticationData(data: answer).encode(into: &writer)
        case .saslFinal(let data):
            do { try scram?.final(data) } catch { world.fail("the server's signature is wrong") }
            return
        default: return
        }
        transmit(writer.bytes)
        switch request {
        case .cleartextPassword, .saslContinue: beEager()
        default: break
        }
    }

    // Exchanges.

    private func sendRequests() {
        guard now >= thinkUntil else { return }
        while next < exchanges.count, !hasViolated, !isOver {
            let underWay = next - completed
            let isAlone = !exchanges[next].isPipelined
            let isBehindAlone = next > 0 && underWay > 0 && !exchanges[next - 1].isPipelined
            guard underWay < depth, !isBehindAlone, !isAlone || underWay == 0 else { break }
            if next == violatesAt { return violate() }
            transmit(exchanges[next].request)
            sentWith.append(sent.count)
            didSecond = false
            next += 1
            think()
        }
        if state == .relaying, completed == exchanges.count, !hasViolated, !isOver {
            if violatesAt == exchanges.count { return violate() }
            state = .finished
            transmit([UInt8(ascii: "X"), 0, 0, 0, 4])
            closesWhenSent = true
        }
    }

    private func think() {
        guard world.plan.clientThinkMilliseconds > 0, world.random.chance(oneIn: 2) else { return }
        let wait = world.random.below(world.plan.clientThinkMilliseconds + 1)
        thinkUntil = now + UInt64(wait) * 1_000_000
        world.schedule(thinkUntil, index)
    }

    private func violate() {
        hasViolated = true
        wasCut = true
        world.trace("session \(session) breaks the protocol")
        transmit(Violation.random(&world.random, .client), isRecorded: false)
    }

    private func message(_ type: UInt8, _ offset: Int, _ end: Int) {
        if !isOfServer(offset, end) { return foreign(type, offset, end) }
        receivedCount += end - offset
        switch type {
        case UInt8(ascii: "D"), UInt8(ascii: "d"):
            guard let mark = Exchange(input, offset + 5) else {
                return world.fail("a row without its mark")
            }
            if mark.session != session || mark.tenant != tenant || mark.number != completed {
                world.fail("session \(session) got a row of session \(mark.session)")
            }
        case UInt8(ascii: "G"): second()
        case UInt8(ascii: "C"):
            if completed < exchanges.count, exchanges[completed].kind == .flushed { second() }
        case UInt8(ascii: "Z"):
            completed += 1
            lastStatus = input[end - 1]
        default: break
        }
        pauseMaybe()
    }

    private func second() {
        guard completed < exchanges.count, !didSecond, !hasViolated else { return }
        didSecond = true
        let exchange = exchanges[completed]
        transmit(
            exchange.kind == .flushed ? [UInt8(ascii: "S"), 0, 0, 0, 4] : exchange.copyData)
        sentWith[completed] = sent.count
    }

    private func pauseMaybe() {
        guard world.isFaulty, world.random.perMille(world.plan.pausePerMille / 4) else { return }
        pausedUntil = now + UInt64(world.random.below(3_000)) * 1_000_000
        world.schedule(pausedUntil, index)
    }

    private func isOfServer(_ offset: Int, _ end: Int) -> Bool {
        guard let server, receivedCount + end - offset <= server.sent.count else { return false }
        return same(input, offset, server.sent, receivedCount, end - offset)
    }

    /// A message that the cluster did not send: only the proxy's own last words may be that.
    private func foreign(_ type: UInt8, _ offset: Int, _ end: Int) {
        guard type == UInt8(ascii: "E"),
            let fields = try? BackendMessage.decode(
                type: type, body: Array(input[(offset + 5)..<end]).span.bytes),
            case .errorResponse(let error) = fields, error.isFatal,
            String(decoding: error[0x44] ?? [], as: UTF8.self).contains("pgtee-")
        else {
            return world.fail("session \(session) got a message that its cluster did not send")
        }
        ownError = error.sqlState
        let expected: Bool =
            switch error.sqlState {
            case "57P01": world.plan.drainAt != nil
            case "57P05": world.plan.idleMilliseconds > 0
            case "08P01": hasViolated
            case "08006": server?.wasCut ?? false
            default: false
            }
        if !expected { world.fail("session \(session) ended with \(error.sqlState)") }
        if error.sqlState == "57P01" || error.sqlState == "57P05" { checkBoundary(error.sqlState) }
    }

    /// A drain and the idle time-out end sessions between transactions only.
    private func checkBoundary(_ code: String) {
        let forwarded = server?.receivedCount ?? 0
        let answered = completed > 0 ? sentWith[completed - 1] : 0
        if lastStatus != UInt8(ascii: "I") || forwarded > answered {
            world.fail("session \(session) was ended with \(code) inside a transaction")
        }
    }

    override func ended() {
        checkRest()
        if !isExcusedEnd {
            world.fail(
                "session \(session) ended by itself in state \(state), \(completed) of "
                    + "\(exchanges.count) exchanges")
        }
        close()
    }

    private var isExcusedEnd: Bool {
        isDisturbed || wasRefused
            || (!isLoggedIn && world.clusters[tenant].hadFault)
    }

    /// What is left of a message that did not come whole.
    private func checkRest() {
        guard state == .relaying, !input.isEmpty, let server else { return }
        let left = server.sent.count - receivedCount
        if input.count <= left, same(input, 0, server.sent, receivedCount, input.count) {
            receivedCount += input.count
        } else if input[0] != UInt8(ascii: "E") {
            world.fail("session \(session) was left with bytes that its cluster did not send")
        }
    }

    /// At the end of a run: all that was promised has come.
    func checkCompleteness() {
        if !isOver {
            return world.fail(
                "session \(session) has stalled in state \(state), \(completed) of "
                    + "\(exchanges.count) exchanges, cut: \(wasCut)")
        }
        guard let server, isLoggedIn, !wasCut, !world.plan.endsSessions else { return }
        if server.wasCut {
            // A cluster that closes in order has its last words delivered.
            if server.closedInOrder, !server.wasTorn, receivedCount != server.sent.count {
                world.fail(
                    "session \(session) got \(receivedCount) of \(server.sent.count) bytes before "
                        + "the cluster's end")
            }
            return
        }
        if receivedCount != server.sent.count || server.receivedCount != sent.count {
            world.fail(
                "session \(session) got \(receivedCount) of \(server.sent.count) bytes, its "
                    + "cluster \(server.receivedCount) of \(sent.count)")
        }
    }
}

/// Sends one CancelRequest and waits for the end.
final class ModelCanceller: ModelPeer {
    private let target: ModelClient
    private let isRight: Bool
    private let startTime: UInt64
    private var seenBefore = 0
    private var waits = 0
    private(set) var wasSent = false

    init(index: Int, world: Simulation, target: ModelClient) {
        self.target = target
        isRight = world.random.chance(oneIn: 2)
        startTime = target.startTime + UInt64(world.random.below(100)) * 1_000_000
        super.init(index: index, world: world)
    }

    var time: UInt64 { startTime }

    override func tick() {
        guard connection == nil, now >= startTime else { return }
        if target.secret.isEmpty && !target.isOver && waits < 40 {
            waits += 1
            return world.schedule(now + 20_000_000, index)
        }
        guard !target.secret.isEmpty, world.connectClient(self) else {
            isOver = true
            return
        }
        var secret = target.secret
        if !isRight { secret[secret.count - 1] ^= 1 }
        seenBefore = target.server?.cancelsSeen ?? 0
        wasSent = true
        let request = CancelRequest(processID: target.processID, secret: secret)
        transmit((try? request.encoded()) ?? [])
        world.trace("cancel of session \(target.session), right: \(isRight)")
    }

    override func received() { world.fail("a cancel request got an answer") }

    /// The client's connection closes after the cluster's did.
    override func ended() {
        let seen = target.server?.cancelsSeen ?? 0
        if !isRight && seen > seenBefore && !target.isDisturbed && !world.hasRightCancels {
            world.fail("a cancel request with a wrong key reached session \(target.session)")
        }
        let isLive = target.state == .relaying && !target.isOver && !target.isDisturbed
        let hadFault = wasCut || world.clusters[target.tenant].hadFault
        if isRight && isLive && !hadFault && seen == seenBefore {
            world.fail("a cancel request of session \(target.session) ended before it was done")
        }
        close()
    }

    var usesRightKey: Bool { isRight }
}
