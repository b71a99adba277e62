internal import Glibc

/// Why `pgtee status` got no answer that it can use.
package enum AdminClientError: Error, Sendable, Equatable {
    case addressNotUnderstood(String)
    /// No connection, or it broke, or it took too long.
    case unreachable(address: String, reason: String)
    /// Something answered, but not a pgtee.
    case unexpectedAnswer(address: String, reason: String)

    package var message: String {
        switch self {
        case .addressNotUnderstood(let address):
            "admin address \"\(address)\" is not understood"
        case .unreachable(let address, let reason):
            "could not ask pgtee at \(address): \(reason)"
        case .unexpectedAnswer(let address, let reason):
            "the answer from \(address) is not pgtee's: \(reason)"
        }
    }

    package var hint: String {
        switch self {
        case .addressNotUnderstood:
            "Write HOST:PORT or http://HOST:PORT, an IPv6 address in brackets."
        case .unreachable:
            "Is \"pgtee serve\" running, and is admin.listen in its configuration this address? "
                + "Give another one with --admin."
        case .unexpectedAnswer:
            "Another program may use this port; give pgtee's admin address with --admin."
        }
    }
}

/// The smallest HTTP client that can ask the admin server: one GET, the answer until the end of the
/// stream. Blocking, with a deadline.
package struct AdminClient: Sendable {
    static let answerBytesMax = 64 << 20

    package let host: String
    package let port: UInt16
    private let timeoutMilliseconds: UInt64

    /// - Parameter address: `HOST:PORT` or `http://HOST:PORT[/]`; the port is 9432 when left out.
    package init(
        _ address: String, timeoutMilliseconds: UInt64 = 5_000
    ) throws(AdminClientError) {
        var rest = Substring(address)
        if rest.hasPrefix("http://") { rest = rest.dropFirst(7) }
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        var portText = Substring("9432")
        var name = rest
        if rest.hasPrefix("["), let end = rest.firstIndex(of: "]") {
            name = rest[rest.index(after: rest.startIndex)..<end]
            let tail = rest[rest.index(after: end)...]
            guard tail.isEmpty || tail.hasPrefix(":") else { throw .addressNotUnderstood(address) }
            if !tail.isEmpty { portText = tail.dropFirst() }
        } else if let colon = rest.lastIndex(of: ":") {
            name = rest[..<colon]
            guard !name.contains(where: { $0 == ":" || $0 == "[" }) else {
                throw .addressNotUnderstood(address)
            }
            portText = rest[rest.index(after: colon)...]
        }
        let isName = name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") }
        guard let port = UInt16(portText), port > 0, !name.isEmpty, isName else {
            throw .addressNotUnderstood(address)
        }
        host = String(name)
        self.port = port
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// `127.0.0.1:9432`, `[::1]:9432`.
    package var address: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// The body of a 200 answer.
    package func get(_ path: String) throws(AdminClientError) -> [UInt8] {
        let deadline = RealTime.monotonicMilliseconds + timeoutMilliseconds
        let descriptor = try connect(deadline)
        defer { close(descriptor) }
        let request = "GET \(path) HTTP/1.1\r\nHost: \(address)\r\nConnection: close\r\n\r\n"
        try send(Array(request.utf8), descriptor, deadline)
        return try body(of: try receiveAll(descriptor, deadline))
    }

    private func connect(_ deadline: UInt64) throws(AdminClientError) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &found)
        guard code == 0 else { throw unreachable(String(cString: gai_strerror(code))) }
        defer { freeaddrinfo(found) }
        var reason = "the name has no address"
        var next = found
        while let entry = next?.pointee {
            next = entry.ai_next
            let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
            let descriptor = socket(entry.ai_family, kind, 0)
            guard descriptor >= 0 else {
                reason = Self.text(errno)
                continue
            }
            if Glibc.connect(descriptor, entry.ai_addr, entry.ai_addrlen) != 0 {
                var code = errno
                if code == EINPROGRESS {
                    code = wait(descriptor, POLLOUT, deadline) ? socketError(descriptor) : ETIMEDOUT
                }
                guard code == 0 else {
                    reason = Self.text(code)
                    close(descriptor)
                    continue
                }
            }
            return descriptor
        }
        throw unreachable(reason)
    }

    private func send(
        _ bytes: [UInt8], _ descriptor: Int32, _ deadline: UInt64
    ) throws(AdminClientError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno != EAGAIN && errno != EINTR {
                throw unreachable(Self.text(errno))
            } else if !wait(descriptor, POLLOUT, deadline) {
                throw unreachable(Self.text(ETIMEDOUT))
            }
        }
    }

    private func receiveAll(
        _ descriptor: Int32, _ deadline: UInt64
    ) throws(AdminClientError) -> [UInt8] {
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count == 0 { return answer }
            if count > 0 {
                answer += buffer.prefix(count)
                guard answer.count <= Self.answerBytesMax else {
                    throw .unexpectedAnswer(address: address, reason: "it is too long")
                }
            } else if errno != EAGAIN && errno != EINTR {
                throw unreachable(Self.text(errno))
            } else if !wait(descriptor, POLLIN, deadline) {
                throw unreachable(Self.text(ETIMEDOUT))
            }
        }
    }

    private func body(of answer: [UInt8]) throws(AdminClientError) -> [UInt8] {
        guard let start = Self.bodyStart(answer) else {
            throw .unexpectedAnswer(address: address, reason: "it is no HTTP")
        }
        let lines = String(decoding: answer[..<start], as: UTF8.self)
            .split(separator: "\r\n")
        let status = lines.first?.split(separator: " ") ?? []
        guard status.count >= 2, status[0].hasPrefix("HTTP/1.") else {
            throw .unexpectedAnswer(address: address, reason: "it is no HTTP")
        }
        guard status[1] == "200" else {
            throw .unexpectedAnswer(address: address, reason: "HTTP status \(status[1])")
        }
        let length = lines.first { $0.lowercased().hasPrefix("content-length:") }
            .flatMap { Int($0.dropFirst(15).drop { $0 == " " }) }
        let body = Array(answer[start...])
        guard length == nil || length == body.count else {
            throw .unexpectedAnswer(address: address, reason: "it is not complete")
        }
        return body
    }

    private static func bodyStart(_ answer: [UInt8]) -> Int? {
        let end = Array("\r\n\r\n".utf8)
        guard answer.count >= end.count else { return nil }
        for index in 0...(answer.count - end.count)
        where answer[index] == end[0] && Array(answer[index..<(index + end.count)]) == end {
            return index + end.count
        }
        return nil
    }

    /// False when the deadline came first.
    private func wait(_ descriptor: Int32, _ events: Int32, _ deadline: UInt64) -> Bool {
        while true {
            let now = RealTime.monotonicMilliseconds
            guard now < deadline else { return false }
            var polled = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            let count = poll(&polled, 1, Int32(clamping: deadline - now))
            if count > 0 { return true }
            if count < 0 && errno != EINTR { return false }
        }
    }

    private func socketError(_ descriptor: Int32) -> Int32 {
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size) == 0 ? code : errno
    }

    private func unreachable(_ reason: String) -> AdminClientError {
        .unreachable(address: address, reason: reason)
    }

    private static func text(_ code: Int32) -> String { String(cString: strerror(code)) }
}
