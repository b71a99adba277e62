/// One request of a model client and what it wants for an answer. It travels in the request itself,
/// so that the model cluster needs no script, and both sides know whom they talk to.
struct Exchange {
    enum Kind: UInt8, CaseIterable {
        case simple, extended, flushed, copyIn, copyOut, failing, copyFail
    }

    static let markBytes = 24

    var kind = Kind.simple
    var tenant = 0
    var session = 0
    var number = 0
    var requestBytes = 0
    var answerBytes = 0
    var status = UInt8(ascii: "I")

    /// Whether others may be under way at the same time.
    var isPipelined: Bool { kind == .simple || kind == .extended || kind == .copyOut }

    init(_ random: inout SeededRandom, tenant: Int, session: Int, number: Int, payloadMax: Int) {
        let choice = random.below(12)
        kind = choice < 6 ? (choice < 3 ? .simple : .extended) : Kind.allCases[choice % 7]
        self.tenant = tenant
        self.session = session
        self.number = number
        if random.chance(oneIn: 4) { status = UInt8(ascii: "T") }
        requestBytes = random.size(upTo: payloadMax)
        answerBytes = random.size(upTo: payloadMax)
    }

    /// Reads a mark; nil when the bytes hold none.
    init?(_ bytes: [UInt8], _ offset: Int) {
        guard bytes.count - offset >= Self.markBytes, bytes[offset] == 0xA7,
            let kind = Kind(rawValue: bytes[offset + 1])
        else { return nil }
        self.kind = kind
        tenant = Int(bytes[offset + 2])
        status = bytes[offset + 3]
        session = readNumber(bytes, offset + 4)
        number = readNumber(bytes, offset + 8)
        requestBytes = readNumber(bytes, offset + 12)
        answerBytes = readNumber(bytes, offset + 16)
    }

    func mark(_ bytes: inout [UInt8]) {
        bytes += [0xA7, kind.rawValue, UInt8(tenant), status]
        for value in [session, number, requestBytes, answerBytes, 0] {
            appendNumber(value, to: &bytes)
        }
    }

    private func payload(_ bytes: inout [UInt8], _ count: Int) {
        mark(&bytes)
        Noise.append(count, from: session * 977 + number * 131, to: &bytes)
    }

    /// What the client sends first.
    var request: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(requestBytes + 128)
        switch kind {
        case .simple, .copyIn, .copyOut, .failing, .copyFail:
            let count = kind == .copyIn || kind == .copyFail ? 0 : requestBytes
            appendMessage("Q", to: &bytes) { payload(&$0, count) }
        case .extended, .flushed:
            appendMessage("P", to: &bytes) { mark(&$0) }
            appendMessage("B", to: &bytes) { payload(&$0, requestBytes) }
            appendMessage("D", to: &bytes) { $0 += [0x50, 0] }
            appendMessage("E", to: &bytes) { $0 += [0, 0, 0, 0, 0] }
            appendMessage(kind == .extended ? "S" : "H", to: &bytes) { _ in }
        }
        return bytes
    }

    /// After CopyInResponse.
    var copyData: [UInt8] {
        var bytes: [UInt8] = []
        var rest = requestBytes
        repeat {
            let count = min(rest, 30_000)
            appendMessage("d", to: &bytes) { payload(&$0, count) }
            rest -= count
        } while rest > 0
        appendMessage(kind == .copyIn ? "c" : "f", to: &bytes) {
            if kind == .copyFail { $0 += [0x6E, 0] }
        }
        return bytes
    }

    private func rows(_ type: Character, _ bytes: inout [UInt8]) {
        var rest = answerBytes
        repeat {
            let count = min(rest, number % 2 == 0 ? 700 : 60_000)
            appendMessage(type, to: &bytes) { payload(&$0, count) }
            rest -= count
        } while rest > 0
    }

    private func ready(_ bytes: inout [UInt8]) { appendMessage("Z", to: &bytes) { $0 += [status] } }

    static func command(_ bytes: inout [UInt8]) {
        appendMessage("C", to: &bytes) { $0 += [0x4F, 0x4B, 0] }
    }

    static func failure(_ severity: String, _ code: String, _ bytes: inout [UInt8]) {
        appendMessage("E", to: &bytes) {
            for (field, text) in [("S", severity), ("V", severity), ("C", code), ("M", "model")] {
                $0 += Array(field.utf8) + Array(text.utf8) + [0]
            }
            $0.append(0)
        }
    }

    /// The cluster's answer to the Query, Sync or Flush of the request.
    var answer: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(answerBytes + 256)
        switch kind {
        case .simple:
            appendMessage("T", to: &bytes) { $0 += [0, 0] }
            rows("D", &bytes)
            Self.command(&bytes)
            ready(&bytes)
        case .extended, .flushed:
            appendMessage("1", to: &bytes) { _ in }
            appendMessage("2", to: &bytes) { _ in }
            appendMessage("T", to: &bytes) { $0 += [0, 0] }
            rows("D", &bytes)
            Self.command(&bytes)
            if kind == .extended { ready(&bytes) }
        case .copyIn, .copyFail:
            appendMessage("G", to: &bytes) { $0 += [0, 0, 0] }
        case .copyOut:
            appendMessage("H", to: &bytes) { $0 += [0, 0, 0] }
            rows("d", &bytes)
            appendMessage("c", to: &bytes) { _ in }
            Self.command(&bytes)
            ready(&bytes)
        case .failing:
            Self.failure("ERROR", "22012", &bytes)
            ready(&bytes)
        }
        return bytes
    }

    /// To a CopyDone or CopyFail, or to the Sync after a Flush.
    var secondAnswer: [UInt8] {
        var bytes: [UInt8] = []
        switch kind {
        case .copyIn: Self.command(&bytes)
        case .copyFail: Self.failure("ERROR", "57014", &bytes)
        default: break
        }
        ready(&bytes)
        return bytes
    }
}
