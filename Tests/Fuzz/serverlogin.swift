import Authentication
import PostgresProtocol
import ServerLogin
import Tenancy

/// A cluster's bytes during a login, in the pieces that the input chooses and in one. Nothing
/// traps, both end alike, and nothing is sent that should not be.
///
/// - Shape: one byte of options, one byte for the sizes of the pieces, the stream.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = FuzzInput.bytes(data, count)
    guard input.count > 2 else { return 0 }
    let stream = Array(input.dropFirst(2))
    let whole = login(stream, flags: input[0], pieces: 0)
    let split = login(stream, flags: input[0], pieces: input[1])
    // One read more than a byte is not an answer to SSLRequest; then the two differ rightly.
    if input[0] & 3 != 3 { FuzzInput.require(whole == split, "pieces do not matter") }
    var lookup = VerifierAnswerReader()
    _ = try? lookup.receive(stream)
    return 0
}

private let verifier = MockVerifier.make(
    secret: [1], tenant: [2], user: [3], iterations: 4096)

private func login(_ stream: [UInt8], flags: UInt8, pieces: UInt8) -> [String] {
    var tls = ServerTLS()
    tls.mode = flags & 3 == 3 ? .prefer : .disable
    tls.channelBinding = flags & 4 != 0 ? .require : .prefer
    let credential: ServerLoginOptions.Credential =
        switch flags >> 3 & 3 {
        case 0: .none
        case 1: .password([1])
        case 2: .keys(clientKey: verifier.serverKey, verifier: verifier)
        default: .relay
        }
    var options = ServerLoginOptions(
        version: flags & 32 != 0 ? .v3_2 : .v3_0, parameters: [StartupParameter("user", "u")],
        tls: tls, isUnixSocket: flags & 64 != 0, credential: credential)
    options.derivesElsewhere = flags & 128 != 0
    var machine = ServerLoginMachine(options: options, nonce: [UInt8](repeating: 0, count: 18))
    var log: [String] = []
    var rest = stream[...]
    var next = machine.connected()
    var state = UInt32(pieces) &* 2_654_435_761 &+ 1
    while true {
        for action in next {
            switch action {
            case .send(let bytes): log.append("send \(bytes)")
            case .derive(let derivation): next = machine.derived(derivation.run())
            case .startTLS: next = machine.tlsEstablished(binding: [1], hasALPN: false)
            case .reconnect: next = machine.connected()
            case .forwardToClient(let bytes):
                log.append("forward \(bytes)")
                if case .relay = credential {
                } else {
                    FuzzInput.require(false, "only relay forwards")
                }
            case .ready(let result):
                FuzzInput.require(
                    result.secret.isEmpty || (4...256).contains(result.secret.count),
                    "a cancel key has its bounds")
                // What is left depends on how much was read.
                log.append("ready \(result.processID) \(result.parameters.count)")
                return log
            case .failed(let failure):
                // The text may quote as much as had come.
                log.append("failed \(failure.kind)")
                return log
            }
        }
        if rest.isEmpty { return log }
        state = state &* 1_664_525 &+ 1_013_904_223
        let size = pieces == 0 ? rest.count : min(rest.count, Int(state >> 24) % 9 + 1)
        next = machine.received(Array(rest.prefix(size)))
        rest = rest.dropFirst(size)
    }
}
