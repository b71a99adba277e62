import EventLoop

/// What both ends have in common: a socket with its faults, TLS, and the record of what was sent
/// and received after the login.
///
/// An end is played in `wake`: it reads what has arrived, does what is due, and writes what fits.
class ModelPeer {
    enum Cut { case reset, close, halfClose }

    let index: Int
    unowned let world: Simulation
    var connection: SimulatedConnection?
    private(set) var tls: TLSSession?
    private var isTLSEstablished = false
    private var outgoing: [UInt8] = []
    private var outgoingStart = 0
    /// Decrypted and not yet looked at.
    var input: [UInt8] = []
    /// Plain bytes after the login. What an impossible header begins is not among them.
    private(set) var sent: [UInt8] = []
    var receivedCount = 0
    var isRelaying = false
    /// Raw bytes in both directions at which the connection is cut.
    var cutAt: Int?
    var cut = Cut.reset
    private var traffic = 0
    /// Something other than the peer's own wish ended or disturbed the connection.
    var wasCut = false
    /// The network, not the peer itself, ended it.
    private(set) var wasTorn = false
    var isOver = false
    var closesWhenSent = false
    var pausedUntil: UInt64 = 0

    init(index: Int, world: Simulation) {
        self.index = index
        self.world = world
    }

    // To be overridden.
    func received() {}
    func ended() {}
    func tlsEstablished() {}
    func tick() {}

    var now: UInt64 { world.kernel.now }
    var hasOutgoing: Bool { outgoingStart < outgoing.count }

    final func wake() {
        guard !isOver else { return }
        if now >= pausedUntil { readAll() }
        if !isOver { tick() }
        if !isOver { push() }
    }

    // Writing.

    final func transmit(_ bytes: [UInt8], isRecorded: Bool = true) {
        if isRelaying && isRecorded { sent.append(contentsOf: bytes) }
        guard let tls else {
            outgoing.append(contentsOf: bytes)
            return
        }
        let pipe = world.modelPipe
        _ = bytes.withUnsafeBytes { tls.write($0, recordMax: 8_192) }
        takeOutput(pipe)
    }

    private func takeOutput(_ pipe: TLSPipe) {
        outgoing.append(contentsOf: pipe.output)
        pipe.clearOutput()
    }

    final func push() {
        guard let connection, !connection.isClosedByPeer else { return }
        if connection.toProxy.endTime != nil {
            outgoing = []
            outgoingStart = 0
        }
        while hasOutgoing {
            var count = min(outgoing.count - outgoingStart, connection.toProxy.room)
            if connection.isClosedByProxy { count = outgoing.count - outgoingStart }
            if let cutAt { count = min(count, max(0, cutAt - traffic)) }
            if world.isFaulty, count > 1, world.random.perMille(world.plan.shortSendPerMille) {
                count = 1 + world.random.below(count)
            }
            if count > 0 {
                let arrival = outgoing.withUnsafeBytes { bytes in
                    connection.toProxy.write(
                        UnsafeRawBufferPointer(
                            rebasing: bytes[outgoingStart..<(outgoingStart + count)]),
                        now: now, delay: world.delay())
                }
                world.schedule(arrival, Simulation.nobody)
                outgoingStart += count
                traffic += count
            }
            if reachedCut() { return }
            if count == 0 { return }
        }
        outgoing = []
        outgoingStart = 0
        if closesWhenSent { close() }
    }

    // Reading.

    private func readAll() {
        guard let connection, !connection.isClosedByPeer else { return }
        let pipe = connection.fromProxy
        while !isOver {
            var count = pipe.available(now)
            if let cutAt { count = min(count, max(0, cutAt - traffic)) }
            if count == 0 { break }
            traffic += count
            feed(pipe.take(count))
            world.kernel.activity += 1
            _ = reachedCut()
        }
        guard !isOver else { return }
        if pipe.isExhausted(now) || (connection.resetToPeer.map { $0 <= now } ?? false) {
            ended()
        }
    }

    private func feed(_ bytes: [UInt8]) {
        guard let tls else {
            input.append(contentsOf: bytes)
            return received()
        }
        bytes.withUnsafeBytes { feed($0, tls) }
        if !isOver, !input.isEmpty { received() }
    }

    private func feed(_ bytes: UnsafeRawBufferPointer, _ tls: TLSSession) {
        let pipe = world.modelPipe
        pipe.setInput(bytes)
        if !isTLSEstablished {
            let result = tls.handshake()
            takeOutput(pipe)
            guard case .done = result else {
                if result != .needsInput { tlsFailed(tls) }
                return
            }
            isTLSEstablished = true
            tlsEstablished()
            pipe.setInput(UnsafeRawBufferPointer(rebasing: bytes.suffix(pipe.inputCount)))
        }
        while !isOver {
            let result = tls.read(world.modelScratch, Simulation.modelScratchBytes)
            takeOutput(pipe)
            switch result {
            case .done(let count):
                input.append(
                    contentsOf: UnsafeRawBufferPointer(start: world.modelScratch, count: count))
            case .needsInput: return
            case .closed:
                if !input.isEmpty { received() }
                return ended()
            case .failed: return tlsFailed(tls)
            }
        }
    }

    private func tlsFailed(_ tls: TLSSession) {
        if !isDisturbed { world.fail("TLS of a model peer failed: \(tls.failure)") }
        close()
    }

    /// Whether an end of this session was cut, so that nothing is promised any more.
    var isDisturbed: Bool { wasCut }

    final func beginTLS(_ session: TLSSession?, startsHandshake: Bool) {
        tls = session
        guard let session, startsHandshake else { return }
        world.modelPipe.setInput(UnsafeRawBufferPointer(start: nil, count: 0))
        _ = session.handshake()
        takeOutput(world.modelPipe)
    }

    // Ends.

    /// Whether the cut came now.
    private func reachedCut() -> Bool {
        guard let position = cutAt, traffic >= position else { return false }
        cutAt = nil
        wasCut = true
        wasTorn = true
        world.trace("peer \(index) is cut: \(cut)")
        switch cut {
        case .reset: reset()
        case .close: close()
        case .halfClose: halfClose()
        }
        return true
    }

    final func reset() {
        guard let connection, !isOver else { return }
        isOver = true
        connection.isClosedByPeer = true
        connection.resetToProxy = now + world.delay()
        world.schedule(connection.resetToProxy ?? now, Simulation.nobody)
    }

    final func halfClose() {
        guard let connection else { return }
        outgoing = []
        outgoingStart = 0
        world.schedule(
            connection.toProxy.finish(now: now, delay: world.delay()), Simulation.nobody)
    }

    final func close() {
        guard let connection, !isOver else { return }
        isOver = true
        connection.isClosedByPeer = true
        let isUnread = connection.fromProxy.bytes.count > connection.fromProxy.taken
        let end = connection.toProxy.finish(now: now, delay: world.delay())
        if isUnread && !connection.isUnix { connection.resetToProxy = end }
        world.schedule(end, Simulation.nobody)
    }
}

/// A whole message at the front of `bytes` from `offset`; nil: not there yet.
func nextMessage(_ bytes: [UInt8], _ offset: Int) -> (type: UInt8, end: Int)? {
    guard bytes.count - offset >= 5 else { return nil }
    let length = readNumber(bytes, offset + 1)
    guard length >= 4, bytes.count - offset >= 1 + length else { return nil }
    return (bytes[offset], offset + 1 + length)
}

func readNumber(_ bytes: [UInt8], _ offset: Int) -> Int {
    Int(bytes[offset]) << 24 | Int(bytes[offset + 1]) << 16 | Int(bytes[offset + 2]) << 8
        | Int(bytes[offset + 3])
}

func appendNumber(_ value: Int, to bytes: inout [UInt8]) {
    for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
}

/// Appends a message without a copy of its body.
func appendMessage(_ type: Character, to bytes: inout [UInt8], _ body: (inout [UInt8]) -> Void) {
    bytes.append(type.asciiValue ?? 0)
    let start = bytes.count
    appendNumber(0, to: &bytes)
    body(&bytes)
    let length = bytes.count - start
    for index in 0..<4 {
        bytes[start + index] = UInt8(truncatingIfNeeded: length >> (24 - 8 * index))
    }
}
