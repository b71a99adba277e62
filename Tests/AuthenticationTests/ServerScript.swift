import Authentication
import PostgresProtocol
import Tenancy

@testable import ServerLogin

/// Drives a `ServerLoginMachine` and writes down what it does, one word an action.
struct ServerScript {
    var machine: ServerLoginMachine
    private(set) var log: [String] = []
    private(set) var sent: [[UInt8]] = []
    private(set) var forwarded: [[UInt8]] = []
    private(set) var result: ServerLoginResult?
    private(set) var failure: ServerLoginFailure?
    private(set) var derivation: ScramDerivation?

    init(
        _ mode: ServerTLSMode = .disable, _ credential: ServerLoginOptions.Credential = .none,
        version: ProtocolVersion = .v3_2, isUnix: Bool = false,
        _ change: (inout ServerLoginOptions) -> Void = { _ in }
    ) {
        var tls = ServerTLS()
        tls.mode = mode
        var options = ServerLoginOptions(
            version: version, parameters: [StartupParameter("user", "remi")], tls: tls,
            isUnixSocket: isUnix, credential: credential)
        change(&options)
        machine = ServerLoginMachine(options: options, nonce: [UInt8](repeating: 0, count: 18))
    }

    mutating func connect() { note(machine.connected()) }

    mutating func establish(binding: [UInt8]? = nil, hasALPN: Bool = false) {
        note(machine.tlsEstablished(binding: binding, hasALPN: hasALPN))
    }

    mutating func failTLS() { note(machine.tlsFailed("bad certificate")) }

    mutating func receive(_ bytes: [UInt8]) { note(machine.received(bytes)) }

    mutating func receive(_ text: String) { receive(Array(text.utf8)) }

    mutating func receive(_ messages: BackendMessage...) { receive(Self.bytes(messages)) }

    mutating func derive(_ credential: ScramCredential?) { note(machine.derived(credential)) }

    mutating func client(_ body: [UInt8]) { note(machine.clientMessage(body)) }

    /// What has happened since the last call.
    mutating func takeLog() -> String {
        defer { log = [] }
        return log.joined(separator: " ")
    }

    static func bytes(_ messages: [BackendMessage]) -> [UInt8] {
        var writer = MessageWriter()
        for message in messages { try? message.encode(into: &writer) }
        return writer.bytes
    }

    static func raw(_ type: Character, _ body: [UInt8], length: Int? = nil) -> [UInt8] {
        let length = UInt32(truncatingIfNeeded: length ?? body.count + 4)
        return [type.asciiValue ?? 0]
            + (0..<4).map { UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * $0)) } + body
    }

    private mutating func note(_ actions: [ServerLoginAction]) {
        for action in actions {
            switch action {
            case .send(let bytes):
                sent.append(bytes)
                log.append(Self.name(bytes))
            case .startTLS: log.append("startTLS")
            case .derive(let derivation):
                self.derivation = derivation
                log.append("derive")
            case .reconnect: log.append("reconnect")
            case .forwardToClient(let bytes):
                forwarded.append(bytes)
                log.append("forward")
            case .ready(let result):
                self.result = result
                log.append("ready")
            case .failed(let failure):
                self.failure = failure
                log.append(Self.name(failure.kind))
            }
        }
    }

    private static func name(_ packet: [UInt8]) -> String {
        if packet.first == UInt8(ascii: "p") { return "p" }
        switch try? InitialPacketFraming.decode(packet.span.bytes) {
        case .sslRequest: return "SSLRequest"
        case .startup: return "startup"
        case .cancelRequest: return "cancel"
        case .gssEncRequest, nil: return "?"
        }
    }

    private static func name(_ kind: ServerLoginFailure.Kind) -> String {
        switch kind {
        case .serverError(let fields): fields.sqlState
        default: "\(kind)"
        }
    }
}

extension BackendMessage {
    static let ok = BackendMessage.authentication(.ok)
    static let ready = BackendMessage.readyForQuery(ReadyForQuery(status: .idle))
    static let key = BackendMessage.backendKeyData(
        BackendKeyData(processID: 7, secret: [1, 2, 3, 4]))

    static func sasl(_ names: String...) -> BackendMessage {
        .authentication(.sasl(mechanisms: names.map { Array($0.utf8) }))
    }

    static func error(_ code: String) -> BackendMessage {
        .errorResponse(ErrorFields(.fatal, sqlState: code, message: "no"))
    }

    static func parameter(_ name: String, _ value: String) -> BackendMessage {
        .parameterStatus(ParameterStatus(name: Array(name.utf8), value: Array(value.utf8)))
    }

    static func version(_ code: UInt32, _ names: String...) -> BackendMessage {
        .negotiateProtocolVersion(
            NegotiateProtocolVersion(
                version: ProtocolVersion(code: code), unrecognized: names.map { Array($0.utf8) }))
    }
}
