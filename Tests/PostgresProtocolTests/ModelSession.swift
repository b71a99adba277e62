import PostgresProtocol

/// A server and a client that follow the manual's rules, by chance. What the server really owes is
/// known here, so the tracker's opinion can be judged.
///
/// The model is written from the server's side (PostgreSQL reads a message, acts, answers) and
/// shares no table with the tracker.
struct ModelSession {
    /// A message of the client with what the server will make of it.
    struct Request {
        let bytes: [UInt8]
        let type: Character
        let plan: Plan
    }

    enum Plan { case succeed, fail, suspend, copyIn, copyOut }

    private var random: SeededRandom
    /// Sent by the client and seen by the tracker, not yet read by the server.
    private var inbox: [Request] = []
    /// What the client is about to send, whole exchanges.
    private var script: [Request] = []
    private var isSkipping = false
    private var isInCopy = false
    private var copyIsExtended = false
    private(set) var hasImplicitTransaction = false
    private(set) var block: Character = "I"

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    /// Nothing that brings an answer is waiting and no transaction is open: what the tracker calls
    /// idle.
    var isAtRest: Bool {
        inbox.allSatisfy { "Hdcf".contains($0.type) } && !isSkipping && !isInCopy
            && !hasImplicitTransaction && block == "I"
    }

    var isBetweenExchanges: Bool { script.isEmpty }
    var hasWork: Bool { !inbox.isEmpty }

    /// The client's next message.
    mutating func clientSends() -> [UInt8] {
        if script.isEmpty { script = exchange() }
        let request = script.removeFirst()
        inbox.append(request)
        return request.bytes
    }

    /// The server reads one message and answers it.
    mutating func serverReads() -> [UInt8] {
        if inbox.isEmpty { return [] }
        let request = inbox.removeFirst()
        if isInCopy { return copyReads(request) }
        if isSkipping && request.type != "S" { return [] }
        return switch request.type {
        case "Q": query(request)
        case "F": function(request)
        case "S": sync(request)
        case "H", "d", "c", "f": []
        default: extended(request)
        }
    }

    private mutating func extended(_ request: Request) -> [UInt8] {
        hasImplicitTransaction = true
        if request.plan == .fail {
            isSkipping = true
            return reply("E")
        }
        switch request.type {
        case "P": return reply("1")
        case "B": return reply("2")
        case "C": return reply("3")
        case "D": return random.chance(2) ? reply("t", "n") : reply("T")
        default: break
        }
        switch request.plan {
        case .suspend: return reply("D", "s")
        case .copyIn:
            isInCopy = true
            copyIsExtended = true
            return reply("G")
        case .copyOut: return random.chance(4) ? failed("H", "d") : reply("H", "d", "c", "C")
        default: return random.chance(5) ? reply("I") : reply("D", "N", "D", "C")
        }
    }

    private mutating func failed(_ types: Character...) -> [UInt8] {
        isSkipping = true
        return types.flatMap { reply($0) } + reply("E")
    }

    private mutating func query(_ request: Request) -> [UInt8] {
        hasImplicitTransaction = false
        switch request.plan {
        case .copyIn:
            isInCopy = true
            copyIsExtended = false
            return reply("G")
        case .fail: return reply("C", "T", "D", "E") + ready(failed: true)
        case .copyOut: return reply("H", "d", "c", "C") + ready()
        default:
            let block = random.pick(["I", "I", "T"] as [Character])
            let answer = random.chance(5) ? reply("I") : reply("T", "D", "C", "C", "S", "A")
            return answer + ready(block)
        }
    }

    private mutating func function(_ request: Request) -> [UInt8] {
        hasImplicitTransaction = false
        return reply(request.plan == .fail ? "E" : "V") + ready(failed: request.plan == .fail)
    }

    private mutating func sync(_ request: Request) -> [UInt8] {
        isSkipping = false
        hasImplicitTransaction = false
        let failed = request.plan == .fail
        return (failed ? reply("E") : []) + ready(failed: failed)
    }

    private mutating func copyReads(_ request: Request) -> [UInt8] {
        switch request.type {
        case "d" where request.plan == .fail, "f":
            isInCopy = false
            if copyIsExtended { isSkipping = true }
            return reply("E") + (copyIsExtended ? [] : ready(failed: true))
        case "c":
            isInCopy = false
            return reply("C") + (copyIsExtended ? [] : ready())
        default: return []
        }
    }

    private mutating func ready(failed: Bool) -> [UInt8] {
        ready(failed && block != "I" ? "E" : block)
    }

    private mutating func ready(_ status: Character? = nil) -> [UInt8] {
        if let status { block = status }
        return raw("Z", ascii(String(block)))
    }

    private func reply(_ types: Character...) -> [UInt8] {
        types.flatMap { Conversation.serverMessage(String($0)) }
    }

    private mutating func exchange() -> [Request] {
        switch random.below(8) {
        case 0, 1: [request("Q", fails: 4)]
        case 2: [request("F", fails: 4)]
        case 3: [Request("Q", .copyIn)] + copyData()
        case 4:
            [Request("P", fail(9)), Request("B", fail(9)), Request("E", .copyIn)] + copyData()
                + [request("S", fails: 9)]
        default: batch()
        }
    }

    private mutating func batch() -> [Request] {
        var batch: [Request] = []
        for _ in 0..<random.below(12) {
            let type = random.pick(["P", "B", "D", "E", "E", "C", "H"] as [Character])
            var plan = fail(12)
            if type == "E" && random.chance(6) { plan = .suspend }
            if type == "E" && random.chance(9) { plan = .copyOut }
            batch.append(Request(type, plan))
        }
        // Now and then a Query in a batch, which is skipped after an error.
        if random.chance(6) { batch.append(request("Q", fails: 9)) }
        return batch + [request("S", fails: 9)]
    }

    private mutating func copyData() -> [Request] {
        var data: [Request] = []
        for _ in 0..<random.below(4) { data.append(Request("d", fail(9))) }
        if random.chance(3) { data.append(Request("H", .succeed)) }
        // Libraries do send a Sync before they know that a COPY began.
        if random.chance(4) { data.insert(Request("S", .succeed), at: 0) }
        return data + [Request(random.chance(4) ? "f" : "c", .succeed)]
    }

    private mutating func request(_ type: Character, fails oneIn: Int) -> Request {
        Request(type, fail(oneIn))
    }

    private mutating func fail(_ oneIn: Int) -> Plan { random.chance(oneIn) ? .fail : .succeed }
}

extension ModelSession.Request {
    init(_ type: Character, _ plan: ModelSession.Plan) {
        self.init(bytes: Conversation.clientMessage(type), type: type, plan: plan)
    }
}
