internal import Foundation

/// An HTTP answer of the admin port.
package struct AdminAnswer: Sendable {
    package let status: Int
    package let body: String
}

/// What the admin port says.
extension ProxyProcess {
    package func fetch(_ path: String) throws -> AdminAnswer {
        let socket = try WireChannel(host: host, port: adminPort, deadline: .seconds(5))
        try socket.send(
            Array("GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8))
        let text = String(decoding: try socket.receiveToEnd(), as: UTF8.self)
        let words = text.prefix { $0 != "\r\n" }.split(separator: " ")
        let status = words.count > 1 ? Int(words[1]) ?? 0 : 0
        guard let end = text.range(of: "\r\n\r\n") else {
            return AdminAnswer(status: status, body: "")
        }
        return AdminAnswer(status: status, body: String(text[end.upperBound...]))
    }

    /// All samples of `/metrics`: the name with its labels as it is printed → value.
    package func metrics() throws -> [String: Double] {
        let answer = try fetch("/metrics")
        guard answer.status == 200 else {
            throw RunFailure(description: "/metrics: \(answer.status) \(answer.body)")
        }
        var samples: [String: Double] = [:]
        for line in answer.body.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
            guard let space = line.lastIndex(of: " ") else { continue }
            samples[String(line[..<space])] = Double(line[line.index(after: space)...])
        }
        return samples
    }

    /// The sum of a metric's samples whose labels hold all of `labels` (`tenant="acme"`).
    package func metric(_ name: String, _ labels: String...) throws -> Double {
        try metrics().reduce(0) { sum, sample in
            let base = sample.key.prefix { $0 != "{" }
            let fits = base == name && labels.allSatisfy { sample.key.contains($0) }
            return fits ? sum + sample.value : sum
        }
    }
}
