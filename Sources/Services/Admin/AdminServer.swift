internal import CLinux
internal import Glibc
import Synchronization
internal import Telemetry

/// The HTTP server behind `/metrics`, `/healthz`, `/readyz` and `/status`.
///
/// Why our own: it runs in the process that carries production, so whoever reaches it must not be
/// able to use up that process's descriptors or memory. The kept server library that was tried puts
/// no bound on connections, on the length of a header line or on the time of a request, ends its
/// accept loop at the first EMFILE and lets child processes inherit its sockets. What is needed
/// here is one request per connection, GET only, and that is little.
///
/// - Bounds: `AdminLimits`, and `HTTPRequestHead.bytesMax` per request.
/// - Thread: one of its own; poll(2) over the listener and the connections.
package final class AdminServer: Sendable {
    private let limits: AdminLimits
    private let routes: AdminRoutes
    private let policy: HostPolicy
    private let listener: Int32
    private let thread = ControlThread()
    /// The port that is listened on: the one that was asked for, or the system's choice for 0.
    package let port: UInt16

    /// Binds and listens; nothing is answered before `start`.
    ///
    /// - Parameters:
    ///   - address: an IPv4 or IPv6 literal, `localhost` for 127.0.0.1, or `*` for every address.
    ///   - hostNames: names that the Host header may have beside loopback ones.
    ///   - log: whose counts of lines are among the metrics.
    ///   - source: asked once per request, on the server's thread.
    package init(
        address: String, port: UInt16, hostNames: [String] = [],
        limits: AdminLimits = AdminLimits(), log: LogWriter? = nil,
        source: @escaping StatusSource
    ) throws(AdminServerError) {
        self.limits = limits
        let endpoint = try AdminEndpointAddress(address: address, port: port)
        (listener, self.port) = try endpoint.listen()
        policy = HostPolicy(boundAddress: endpoint.text, extraNames: hostNames)
        routes = AdminRoutes(source: source, log: log)
    }

    deinit { close(listener) }

    /// False when the system has no thread to give.
    package func start() -> Bool {
        thread.start(name: "pgtee-admin") { [self] in
            var loop = AdminLoop(
                listener: listener, stopDescriptor: thread.stopDescriptor, routes: routes,
                policy: policy, limits: limits)
            while loop.turn() {}
            loop.closeAll()
        }
    }

    /// Ends the thread and all connections; the port is given back when the server is released.
    package func stop() { thread.stop() }
}

package struct AdminLimits: Sendable {
    /// Connections at a time; more are closed at once. A Prometheus, a health check and a person
    /// need three; each may hold a page of metrics in memory.
    package var connections = 32
    /// From accept to the last byte; below Prometheus' usual interval of 15 s.
    package var connectionMilliseconds: UInt64 = 10_000

    package init() {}
}

/// The state of the server's thread.
private struct AdminLoop {
    let listener: Int32
    let stopDescriptor: Int32
    let routes: AdminRoutes
    let policy: HostPolicy
    let limits: AdminLimits
    var connections: [AdminConnection] = []
    /// While accept fails for want of descriptors the listener is not polled, or it would spin.
    var listenAgainMilliseconds: UInt64 = 0

    /// One wait and what follows from it; false when the thread has to end.
    mutating func turn() -> Bool {
        let now = RealTime.monotonicMilliseconds
        let isListening = now >= listenAgainMilliseconds
        var polled = [
            pollfd(fd: stopDescriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: isListening ? listener : -1, events: Int16(POLLIN), revents: 0),
        ]
        for connection in connections {
            let events = connection.isAnswering ? POLLOUT : POLLIN
            polled.append(pollfd(fd: connection.descriptor, events: Int16(events), revents: 0))
        }
        let isWaiting = isListening && connections.isEmpty
        _ = poll(&polled, nfds_t(polled.count), isWaiting ? -1 : 250)
        if polled[0].revents != 0 { return false }

        let later = RealTime.monotonicMilliseconds
        for index in connections.indices {
            if polled[index + 2].revents != 0 { connections[index].advance(routes, policy) }
            connections[index].checkTime(later)
        }
        for connection in connections where connection.isOver { close(connection.descriptor) }
        connections.removeAll { $0.isOver }
        if polled[1].revents != 0 { acceptAll(later) }
        return true
    }

    private mutating func acceptAll(_ now: UInt64) {
        for _ in 0..<(limits.connections + 1) {
            let descriptor = pgtee_accept(listener)
            if descriptor < 0 {
                let wantsRest = [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno)
                if wantsRest { listenAgainMilliseconds = now + 1_000 }
                return
            }
            if connections.count >= limits.connections {
                close(descriptor)
            } else {
                connections.append(
                    AdminConnection(
                        descriptor: descriptor,
                        deadlineMilliseconds: now + limits.connectionMilliseconds))
            }
        }
    }

    mutating func closeAll() {
        for connection in connections { close(connection.descriptor) }
        connections = []
    }
}

/// One connection: reads a head, writes an answer, then reads on until the peer closes (closing
/// first with bytes unread would reset the connection and could take the answer with it).
private struct AdminConnection {
    let descriptor: Int32
    let deadlineMilliseconds: UInt64
    private var input: [UInt8] = []
    private var output: [UInt8] = []
    private var sent = 0
    private var state = State.reading

    private enum State { case reading, answering, lingering, over }

    init(descriptor: Int32, deadlineMilliseconds: UInt64) {
        self.descriptor = descriptor
        self.deadlineMilliseconds = deadlineMilliseconds
    }

    var isAnswering: Bool { state == .answering }
    var isOver: Bool { state == .over }

    mutating func checkTime(_ now: UInt64) {
        if now >= deadlineMilliseconds { state = .over }
    }

    mutating func advance(_ routes: AdminRoutes, _ policy: HostPolicy) {
        switch state {
        case .reading: readHead(routes, policy)
        case .answering: writeAnswer()
        case .lingering:
            if receive() == nil { state = .over }
        case .over: break
        }
    }

    private mutating func readHead(_ routes: AdminRoutes, _ policy: HostPolicy) {
        guard let bytes = receive() else {
            state = .over
            return
        }
        input += bytes
        guard let answer = routes.answer(input, policy) else { return }
        input = []
        output = answer.bytes
        state = .answering
        writeAnswer()
    }

    private mutating func writeAnswer() {
        while sent < output.count {
            let count = output.withUnsafeBytes { bytes in
                send(
                    descriptor, bytes.baseAddress.map { $0 + sent }, bytes.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            if count < 0 {
                if errno == EINTR { continue }
                if errno != EAGAIN { state = .over }
                return
            }
            sent += count
        }
        output = []
        shutdown(descriptor, Int32(SHUT_WR))
        state = .lingering
    }

    /// At most 4 KiB; empty when there is nothing yet, nil when the peer is gone.
    private func receive() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count > 0 { return Array(buffer.prefix(count)) }
        if count < 0 && (errno == EAGAIN || errno == EINTR) { return [] }
        return nil
    }
}
