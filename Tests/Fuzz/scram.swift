import Authentication

/// Both sides of SCRAM against a stranger's messages, and the stored form of verifiers. Nothing
/// traps, nobody logs in without the password, and a verifier that is read is written back.
///
/// - Shape: the first byte chooses; messages are separated by line feeds.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = FuzzInput.bytes(data, count)
    guard let choice = input.first else { return 0 }
    let rest = Array(input.dropFirst())
    let messages = rest.split(separator: 0x0A, omittingEmptySubsequences: false).map { Array($0) }
    switch choice % 4 {
    case 0: server(messages, flags: choice)
    case 1: client(messages, flags: choice)
    case 2:
        if let verifier = try? ScramVerifier(parsing: rest) {
            FuzzInput.require(Array(verifier.text.utf8) == rest, "a verifier is written as it was")
        }
    default:
        if let once = try? SaslPrep.prepared(rest) {
            let twice = try? SaslPrep.prepared(once)
            FuzzInput.require(twice == once, "a prepared password is prepared")
        }
    }
    return 0
}

private let nonce = [UInt8](repeating: 0, count: 18)
private let binding = [UInt8](repeating: 1, count: 32)
private let mock = MockVerifier.make(
    secret: nonce, tenant: nonce, user: nonce, iterations: 4096)

private func server(_ messages: [[UInt8]], flags: UInt8) {
    let hasBinding = flags & 4 != 0
    var exchange = ScramServerExchange(
        verifier: mock, isMock: flags & 8 != 0, binding: hasBinding ? binding : nil,
        isTLS: flags & 16 != 0, nonce: nonce)
    let mechanism = messages.first ?? []
    var steps = [exchange.initialResponse(mechanism: mechanism, data: nil)]
    for message in messages.dropFirst() { steps.append(exchange.response(message)) }
    var isOver = false
    for step in steps {
        switch step {
        case .accepted: FuzzInput.require(false, "nobody knows a mock verifier's password")
        case .challenge(let data):
            FuzzInput.require(!isOver, "nothing follows a refusal")
            FuzzInput.require(data.count <= 1992, "a challenge fits into what libpq reads")
        case .refused: isOver = true
        }
    }
}

private func client(_ messages: [[UInt8]], flags: UInt8) {
    let choice: ChannelBindingChoice =
        flags & 4 != 0 ? .require : flags & 8 != 0 ? .prefer : .disable
    var exchange = ScramClientExchange(
        credential: .keys(clientKey: mock.serverKey, verifier: mock), choice: choice,
        binding: flags & 16 != 0 ? binding : nil, isTLS: flags & 32 != 0, nonce: nonce)
    let offered = (messages.first ?? []).split(separator: 0).map { Array($0) }
    let begun = try? exchange.begin(offered: offered)
    if choice == .require, begun != nil {
        FuzzInput.require(exchange.isBound, "required binding is used")
    }
    for message in messages.dropFirst() {
        if let proof = try? exchange.challenge(message) {
            FuzzInput.require(begun != nil, "a proof is made after a beginning only")
            FuzzInput.require(proof.count <= 4096, "a proof is short")
        }
        try? exchange.final(message)
    }
    FuzzInput.require(!exchange.isProven, "nobody can sign for a mock verifier")
}
