import TestSupport
import Testing

/// The same messages to a cluster direct and through pgtee; the answers must be the same messages.
struct Exchange {
    let direct: WireClient
    let proxied: WireClient

    init(_ house: LiveHouse, _ tenant: String = "acme", user: String = "remi") throws {
        let cluster = tenant == "acme" ? house.acme : house.globex
        direct = try LiveHouse.direct(cluster, user)
        proxied = try house.client("\(user)@\(tenant)")
    }

    /// Sends the messages in one piece to both and compares what comes up to the `count`th message
    /// of this type; returns pgtee's answers.
    @discardableResult
    func same(
        _ messages: [WireMessage], until letter: Character = "Z", count: Int = 1,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> [WireMessage] {
        var answers: [[WireMessage]] = []
        for client in [direct, proxied] {
            try client.channel.send(messages.flatMap(\.bytes))
            var answer: [WireMessage] = []
            for _ in 0..<count { answer += try client.readUntil(letter) }
            answers.append(answer)
        }
        #expect(answers[0] == answers[1], sourceLocation: sourceLocation)
        return answers[1]
    }
}

extension WireMessage {
    static func parse(_ sql: String, name: String = "") -> WireMessage {
        WireMessage("P", cString(name) + cString(sql) + int16(0))
    }

    /// Text parameters, text results.
    static func bind(
        _ values: [String?] = [], statement: String = "", portal: String = ""
    ) -> WireMessage {
        let parameters = values.flatMap { value in
            value.map { int32($0.utf8.count) + Array($0.utf8) } ?? int32(-1)
        }
        return WireMessage(
            "B",
            cString(portal) + cString(statement) + int16(0) + int16(values.count) + parameters
                + int16(0))
    }

    static func execute(_ portal: String = "", limit: Int = 0) -> WireMessage {
        WireMessage("E", cString(portal) + int32(limit))
    }

    static func describePortal(_ portal: String = "") -> WireMessage {
        WireMessage("D", Array("P".utf8) + cString(portal))
    }

    static func describeStatement(_ name: String = "") -> WireMessage {
        WireMessage("D", Array("S".utf8) + cString(name))
    }

    static func closeStatement(_ name: String) -> WireMessage {
        WireMessage("C", Array("S".utf8) + cString(name))
    }
}
