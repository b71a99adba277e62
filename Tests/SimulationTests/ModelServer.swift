import Authentication
import EventLoop
import Glibc
import PostgresProtocol

/// One connection to a model cluster: a client's session, a look-up, or a cancel request. It
/// answers what the requests themselves ask for.
final class ModelServer: ModelPeer {
    enum State { case initial, password, scram, relaying, lookup }

    let cluster: ModelCluster
    private var state = State.initial
    private var scram: ScramServerExchange?
    private var hasMechanism = false
    private var user: [UInt8] = []
    private var isTLS = false
    weak var client: ModelClient?
    private(set) var processID: Int32 = 0
    private(set) var secret: [UInt8] = []
    private(set) var cancelsSeen = 0
    private(set) var loginNotices = 0
    private(set) var isCancel = false
    private var current: Exchange?
    private var answers: [(time: UInt64, bytes: [UInt8])] = []
    private var requests = 0
    /// The request at which the cluster ends the session with a FATAL, or breaks the protocol.
    private var fatalAt = Int.max
    private var violatesAt = Int.max
    private var hasViolated = false
    private(set) var closedInOrder = false

    init(index: Int, world: Simulation, cluster: ModelCluster) {
        self.cluster = cluster
        super.init(index: index, world: world)
        let plan = world.plan
        if world.isFaulty {
            if world.random.perMille(plan.fatalPerMille) { fatalAt = world.random.below(4) }
            if world.random.perMille(plan.serverViolationPerMille) {
                violatesAt = world.random.below(4)
            }
        }
    }

    override var isDisturbed: Bool { wasCut || (client?.wasCut ?? false) }

    override func received() {
        while !isOver {
            switch state {
            case .initial: guard initialPacket() else { return }
            case .password, .scram: guard password() else { return }
            case .relaying: return requestBytes()
            case .lookup: guard question() else { return }
            }
        }
    }

    // Login.

    private func initialPacket() -> Bool {
        guard input.count >= 8 else { return false }
        let length = readNumber(input, 0)
        guard input.count >= length, length >= 8 else { return false }
        let packet = Array(input[..<length])
        input.removeFirst(length)
        guard let decoded = try? InitialPacketFraming.decode(packet.span.bytes) else {
            world.fail("the cluster got an invalid first packet")
            return false
        }
        switch decoded {
        case .sslRequest:
            transmit([UInt8(ascii: world.plan.usesTLS ? "S" : "N")])
            if world.plan.usesTLS {
                isTLS = true
                beginTLS(
                    TLSSession(
                        accepting: LegCertificate.shared.serverContexts, pipe: world.modelPipe),
                    startsHandshake: false)
            }
        case .gssEncRequest: transmit([UInt8(ascii: "N")])
        case .cancelRequest(let request): cancelled(request)
        case .startup(let message): started(message)
        }
        return true
    }

    private func cancelled(_ request: CancelRequest) {
        isCancel = true
        let target = cluster.sessions.first {
            $0.processID == request.processID && $0.secret == request.secret
        }
        if let target {
            target.cancelsSeen += 1
        } else {
            world.fail("a cancel request with a key that no session of \(cluster.tenant) has")
        }
        close()
    }

    private func started(_ message: StartupMessage) {
        user = message.value(of: "user") ?? []
        if user.elementsEqual("pgtee_lookup".utf8) { return askPassword(isScram: true) }
        let name = String(decoding: message.value(of: "application_name") ?? [], as: UTF8.self)
        guard name.hasPrefix("s"), let number = Int(name.dropFirst()),
            world.clients.indices.contains(number)
        else { return world.fail("a login without its session: \(name)") }
        let client = world.clients[number]
        self.client = client
        client.server = self
        if client.tenant != cluster.tenant {
            world.fail("session \(number) of tenant \(client.tenant) reached \(cluster.tenant)")
        }
        if !user.elementsEqual("u\(number)".utf8) { world.fail("the user was not rewritten") }
        switch world.plan.authentication {
        case .trust: welcome()
        case .cleartext:
            state = .password
            send(.authentication(.cleartextPassword))
        case .scramRelayed, .scramBoth, .lookup: askPassword(isScram: true)
        }
    }

    private func askPassword(isScram: Bool) {
        state = .scram
        var binding: [UInt8]?
        if isTLS && world.plan.authentication != .scramRelayed {
            binding = LegCertificate.shared.binding
        }
        scram = ScramServerExchange(
            verifier: Simulation.verifier, isMock: false, binding: binding, isTLS: isTLS,
            nonce: Array(0..<18))
        send(.authentication(.sasl(mechanisms: ScramServerExchange.offer(plus: binding != nil))))
    }

    private func password() -> Bool {
        guard let message = nextMessage(input, 0) else { return false }
        let body = Array(input[5..<message.end])
        input.removeFirst(message.end)
        guard message.type == UInt8(ascii: "p") else {
            world.fail("the cluster got \(message.type) instead of a password")
            return false
        }
        if state == .password {
            if body != Simulation.password + [0] { world.fail("the password was changed") }
            welcome()
            return true
        }
        let step: ScramServerStep?
        if hasMechanism {
            step = scram?.response(body)
        } else {
            hasMechanism = true
            let initial = try? SASLInitialResponse(AuthenticationData(data: body))
            step = scram?.initialResponse(
                mechanism: initial?.mechanism ?? [], data: initial?.data)
        }
        switch step {
        case .challenge(let data): send(.authentication(.saslContinue(data)))
        case .accepted(_, let final):
            send(.authentication(.saslFinal(final)))
            welcome()
        case .refused(let refusal): world.fail("the cluster refused: \(refusal)")
        case nil: break
        }
        return true
    }

    private func send(_ message: BackendMessage) {
        var writer = MessageWriter()
        try? message.encode(into: &writer)
        transmit(writer.bytes)
    }

    private func welcome() {
        send(.authentication(.ok))
        if world.random.chance(oneIn: 3) { push() }
        send(.parameterStatus(ParameterStatus(name: Array("a".utf8), value: Array("b".utf8))))
        if world.random.chance(oneIn: 3) {
            loginNotices += 1
            send(.noticeResponse(ErrorFields(.notice, sqlState: "00000", message: "welcome")))
        }
        processID = cluster.newProcessID()
        secret = (0..<4).map { _ in UInt8(world.random.below(256)) }
        cluster.sessions.append(self)
        send(.backendKeyData(BackendKeyData(processID: processID, secret: secret)))
        send(.readyForQuery(ReadyForQuery(status: .idle)))
        if user.elementsEqual("pgtee_lookup".utf8) {
            state = .lookup
        } else {
            state = .relaying
            isRelaying = true
        }
    }

    private func question() -> Bool {
        guard let message = nextMessage(input, 0) else { return false }
        input.removeFirst(message.end)
        guard message.type == UInt8(ascii: "S") else { return true }
        send(.parseComplete)
        send(.bindComplete)
        let verifier = Array(Simulation.verifier.text.utf8)
        send(.dataRow(DataRow(values: [Array("u".utf8), verifier])))
        var bytes: [UInt8] = []
        Exchange.command(&bytes)
        transmit(bytes)
        send(.readyForQuery(ReadyForQuery(status: .idle)))
        return true
    }

    // Requests.

    private func requestBytes() {
        check()
        var offset = 0
        while !isOver, let (type, end) = nextMessage(input, offset) {
            request(type, offset + 5)
            offset = end
        }
        input.removeFirst(min(offset, input.count))
        checked = input.count
    }

    private var checked = 0

    /// The bytes delivered are a prefix of those that the client sent.
    private func check() {
        let fresh = input.count - checked
        guard fresh > 0, let client else { return }
        if receivedCount + fresh > client.sent.count {
            world.fail("the cluster of session \(client.session) got more than was sent")
        } else if !same(input, checked, client.sent, receivedCount, fresh) {
            world.fail("the cluster of session \(client.session) got other bytes than were sent")
        }
        receivedCount += fresh
        checked = input.count
    }

    private func request(_ type: UInt8, _ body: Int) {
        switch type {
        case UInt8(ascii: "Q"), UInt8(ascii: "B"), UInt8(ascii: "P"), UInt8(ascii: "d"):
            guard let exchange = Exchange(input, body) else {
                return world.fail("a request without its mark")
            }
            if exchange.session != client?.session || exchange.tenant != cluster.tenant {
                return world.fail("a request of session \(exchange.session) reached another")
            }
            current = exchange
            if type == UInt8(ascii: "Q") { answer(exchange.answer) }
        case UInt8(ascii: "S"), UInt8(ascii: "H"):
            guard let current else { return }
            let isSecond = type == UInt8(ascii: "S") && current.kind == .flushed
            answer(isSecond ? current.secondAnswer : current.answer)
        case UInt8(ascii: "c"), UInt8(ascii: "f"):
            if let current { answer(current.secondAnswer) }
        case UInt8(ascii: "X"):
            flushAnswers(all: true)
            closedInOrder = true
            closesWhenSent = true
        default: break
        }
    }

    private func answer(_ bytes: [UInt8]) {
        let think = world.random.below(world.plan.thinkMicroseconds + 1) * 1_000
        let time = max(now, answers.last?.time ?? 0) + UInt64(think)
        answers.append((time, bytes))
        if time > now { world.schedule(time, index) }
    }

    override func tick() { flushAnswers(all: false) }

    private func flushAnswers(all: Bool) {
        while let next = answers.first, all || next.time <= now, !isOver, !closesWhenSent,
            !hasViolated
        {
            answers.removeFirst()
            if requests == fatalAt {
                var bytes: [UInt8] = []
                Exchange.failure("FATAL", "57P01", &bytes)
                transmit(bytes)
                wasCut = true
                closedInOrder = true
                closesWhenSent = true
            } else if requests == violatesAt {
                wasCut = true
                hasViolated = true
                transmit(Violation.random(&world.random, .server), isRecorded: false)
                transmit(next.bytes, isRecorded: false)
            } else {
                noise()
                transmit(next.bytes)
            }
            requests += 1
        }
    }

    /// What a server may say at any time.
    private func noise() {
        guard world.random.chance(oneIn: 10) else { return }
        send(
            world.random.chance(oneIn: 2)
                ? .noticeResponse(ErrorFields(.notice, sqlState: "00000", message: "model"))
                : .parameterStatus(ParameterStatus(name: [0x61], value: [0x62])))
    }

    override func ended() { close() }
}

/// A tenant's cluster.
final class ModelCluster {
    let tenant: Int
    var sessions: [ModelServer] = []
    /// Something on a server-side connection of this tenant went wrong: logins may fail.
    var hadFault = false
    private var lastProcessID: Int32

    /// Process IDs of the clusters overlap, so only the secret tells them apart.
    init(tenant: Int) {
        self.tenant = tenant
        lastProcessID = Int32(tenant)
    }

    func newProcessID() -> Int32 {
        lastProcessID += 1
        return lastProcessID
    }
}

/// Bytes that begin with an impossible header.
enum Violation {
    static func random(_ random: inout SeededRandom, _ side: Side) -> [UInt8] {
        let junk: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
        let short: [UInt8] = [0, 0, 0, 3]
        switch random.below(4) {
        case 0: return [0] + [0, 0, 0, 8] + junk
        case 1: return [UInt8(ascii: side == .client ? "Q" : "D")] + short + junk
        case 2: return [UInt8(ascii: side == .client ? "p" : "R"), 0, 0, 0, 8] + junk
        default: return [UInt8(ascii: side == .client ? "S" : "Z"), 0x7F, 0xFF, 0, 0] + junk
        }
    }
}

func same(_ one: [UInt8], _ at: Int, _ other: [UInt8], _ from: Int, _ count: Int) -> Bool {
    one.withUnsafeBytes { one in
        other.withUnsafeBytes { other in
            guard count > 0, let first = one.baseAddress, let second = other.baseAddress else {
                return true
            }
            return memcmp(first + at, second + from, count) == 0
        }
    }
}
