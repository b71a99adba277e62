/// A PostgreSQL client made by hand: it can send what no driver would.
package final class WireClient {
    package let channel: WireChannel
    /// From BackendKeyData, after `login`.
    package private(set) var processID: Int32 = 0
    package private(set) var secret: [UInt8] = []
    package private(set) var parameters: [String: String] = [:]

    package init(_ channel: WireChannel) { self.channel = channel }

    package convenience init(port: UInt16, deadline: Duration = .seconds(10)) throws {
        self.init(try WireChannel(port: port, deadline: deadline))
    }

    /// SSLRequest, `S`, handshake. An answer other than `S` is an error.
    package func requestTLS(_ options: WireTLSOptions = WireTLSOptions()) throws {
        try channel.send(WirePacket.sslRequest)
        let answer = try channel.receive(1)
        guard answer == [UInt8(ascii: "S")] else {
            throw WireFailure("SSLRequest was answered with \(answer)")
        }
        try channel.startTLS(options)
    }

    package func send(_ messages: WireMessage...) throws {
        try channel.send(messages.flatMap(\.bytes))
    }

    package func readMessage() throws -> WireMessage {
        let header = try channel.receive(5)
        let length = readInt32(header, 1)
        guard length >= 4, length <= 1 << 30 else { throw WireFailure("length \(length)") }
        return WireMessage(type: header[0], body: try channel.receive(Int(length) - 4))
    }

    /// Reads up to and including the first message of this type.
    package func readUntil(_ letter: Character) throws -> [WireMessage] {
        var messages: [WireMessage] = []
        repeat { messages.append(try readMessage()) } while messages.last?.letter != letter
        return messages
    }

    /// Everything up to the end of the stream.
    package func readToEnd() throws -> [WireMessage] {
        var messages: [WireMessage] = []
        while true {
            do {
                messages.append(try readMessage())
            } catch let end as EndOfStream where end.received.isEmpty {
                return messages
            }
        }
    }

    /// Sends the startup packet and answers authentication up to ReadyForQuery.
    ///
    /// - Errors: `WireRefusal` with the server's ErrorResponse.
    package func login(
        user: String, password: String? = nil, database: String? = nil,
        options: [(String, String)] = [], version: Int32 = 196_608
    ) throws {
        let named = database.map { [("database", $0)] } ?? []
        try channel.send(
            WirePacket.startup([("user", user)] + named + options, version: version))
        var scram: WireScram?
        while true {
            let message = try readMessage()
            switch message.letter {
            case "R": try answer(message, user: user, password: password ?? "", &scram)
            case "S":
                let parts = message.body.split(separator: 0, omittingEmptySubsequences: false)
                    .map { String(decoding: $0, as: UTF8.self) }
                if parts.count >= 2 { parameters[parts[0]] = parts[1] }
            case "K":
                processID = message.code ?? 0
                secret = Array(message.body.dropFirst(4))
            case "Z": return
            case "E": throw WireRefusal(message: message)
            case "N", "v": continue
            default: throw WireFailure("\(message) during login")
            }
        }
    }

    /// A simple query: all messages up to ReadyForQuery.
    @discardableResult
    package func query(_ sql: String) throws -> [WireMessage] {
        try send(.query(sql))
        return try readUntil("Z")
    }

    /// The first column of the rows of a simple query, as text; an error if the server sends one.
    package func values(_ sql: String) throws -> [String?] {
        let messages = try query(sql)
        if let error = messages.first(where: { $0.letter == "E" }) {
            throw WireRefusal(message: error)
        }
        return messages.filter { $0.letter == "D" }.map { row in
            let length = readInt32(row.body, 2)
            if length < 0 { return nil }
            return String(decoding: row.body.dropFirst(6).prefix(Int(length)), as: UTF8.self)
        }
    }

    private func answer(
        _ message: WireMessage, user: String, password: String, _ scram: inout WireScram?
    ) throws {
        let rest = Array(message.body.dropFirst(4))
        switch message.code {
        case 0: return
        case 3: try send(WireMessage("p", cString(password)))
        case 5: try send(WireMessage("p", cString(md5Answer(user, password, salt: rest))))
        case 10:
            let offered = rest.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            let exchange = WireScram(
                password: password, binding: channel.peerEndPointHash, isTLS: channel.isTLS,
                offered: offered)
            let first = Array(exchange.first.utf8)
            try send(WireMessage("p", cString(exchange.mechanism) + int32(first.count) + first))
            scram = exchange
        case 11:
            guard let scram else { throw WireFailure("SASLContinue before SASL") }
            let final = try scram.final(challenge: String(decoding: rest, as: UTF8.self))
            try send(WireMessage("p", Array(final.utf8)))
        case 12:
            guard let scram, scram.isGenuine(String(decoding: rest, as: UTF8.self)) else {
                throw WireFailure("the server's signature is wrong")
            }
        default: throw WireFailure("authentication \(String(describing: message.code))")
        }
    }
}

/// The server sent an ErrorResponse.
package struct WireRefusal: Error, CustomStringConvertible {
    package let message: WireMessage
    package var sqlState: String { message.fields["C"] ?? "" }
    package var text: String { message.fields["M"] ?? "" }
    package var description: String { "\(sqlState): \(text) \(message.fields)" }
}

package struct WireFailure: Error, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
}
