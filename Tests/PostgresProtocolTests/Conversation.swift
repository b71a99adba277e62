import PostgresProtocol
import Testing

/// A client's and a server's messages as a script, and what the tracker must say between them.
///
/// `>P` is a message of the client, `<1` one of the server, by type byte; `<ZT` is a ReadyForQuery
/// with its status. `=2` checks how many messages are outstanding; `idle` and `busy`, `sure` and
/// `unsure`, `none`, `copyIn`, `copyInEnded`, `copyOut`, `copyBoth` check the rest.
final class Conversation {
    private var tracker = ExchangeTracker()
    private var client = FrameScanner(.client)
    private var server = FrameScanner(.server)

    func run(_ script: String, _ location: SourceLocation = #_sourceLocation) {
        var done = ""
        for token in script.split(whereSeparator: \.isWhitespace).map(String.init) {
            done += token + " "
            let message = token.dropFirst()
            switch token.first {
            case ">": send(Self.clientMessage(Character(String(message))), from: .client)
            case "<": send(Self.serverMessage(String(message)), from: .server)
            case "=":
                #expect("\(outstanding)" == message, "\(done)", sourceLocation: location)
            default: check(token, done, location)
            }
        }
    }

    func send(_ bytes: [UInt8], from side: Side) {
        let result =
            side == .client
            ? client.scan(bytes.span.bytes, tracker: &tracker)
            : server.scan(bytes.span.bytes, tracker: &tracker)
        #expect(result.violation == nil && result.forwardable == bytes.count)
    }

    // Copies, since expectations can't take a value that is not copyable.
    var outstanding: Int { tracker.outstanding }
    var copy: ExchangeTracker.CopyState { tracker.copy }
    var isIdle: Bool { tracker.isIdle }
    var isIndeterminate: Bool { tracker.isIndeterminate }
    var isReplication: Bool { tracker.isReplication }

    private func check(_ token: String, _ done: String, _ location: SourceLocation) {
        switch token {
        case "idle", "busy":
            #expect(isIdle == (token == "idle"), "\(done)", sourceLocation: location)
        case "sure", "unsure":
            let isUnsure = token == "unsure"
            #expect(isIndeterminate == isUnsure, "\(done)", sourceLocation: location)
        default: #expect("\(copy)" == token, "\(done)", sourceLocation: location)
        }
    }

    static func clientMessage(_ type: Character) -> [UInt8] {
        let sample = Sample.frontend.first { $0.bytes[0] == type.asciiValue }
        return sample?.bytes ?? []
    }

    static func serverMessage(_ name: String) -> [UInt8] {
        if name.first == "Z" { return raw("Z", ascii(String(name.dropFirst()))) }
        let sample = Sample.backend.first { $0.bytes[0] == name.utf8.first }
        return sample?.bytes ?? []
    }
}
