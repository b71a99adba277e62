internal import Foundation
internal import Synchronization

/// A server that runs a script of the test's on each connection: the cluster that lies, stalls or
/// sends rubbish.
package final class EvilBackend: Sendable {
    package var port: UInt16 { lock.port }
    /// Where its unix socket is, when it was made with one.
    package let socketDirectory: String?
    private let lock: PortLock
    private let listener: Int32
    private let directory: TemporaryDirectory?
    private let script: @Sendable (EvilConnection) throws -> Void
    private let state = Mutex(State())

    private struct State {
        var connections: [EvilConnection] = []
        var failures: [String] = []
        var accepted = 0
        var isClosed = false
    }

    /// Listens on 127.0.0.1, or on a unix socket in a directory of its own. The script runs on a
    /// thread per connection; the connection closes when it returns.
    package init(
        unixSocket: Bool = false, _ script: @escaping @Sendable (EvilConnection) throws -> Void
    ) throws {
        _ = signal(SIGPIPE, SIG_IGN)
        lock = try PortLock()
        self.script = script
        directory = unixSocket ? try TemporaryDirectory("evil") : nil
        socketDirectory = directory?.path
        let family = unixSocket ? AF_UNIX : AF_INET
        listener = socket(family, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        guard listener >= 0 else { throw SystemFailure("socket") }
        var yes: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let bound: Int32
        if let directory {
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let path = directory.file(".s.PGSQL.\(lock.port)")
            withUnsafeMutableBytes(of: &address.sun_path) {
                $0.copyBytes(from: path.utf8.prefix(107))
            }
            bound = withSocketAddress(&address) { bind(listener, $0, $1) }
        } else {
            var address = loopback(lock.port)
            bound = withSocketAddress(&address) { bind(listener, $0, $1) }
        }
        guard bound == 0, listen(listener, 128) == 0 else { throw SystemFailure("listen") }
        acceptLoop()
    }

    deinit { close() }

    /// Connections accepted until now.
    package var accepted: Int { state.withLock { $0.accepted } }

    /// What scripts threw, the ends of peers excepted.
    package var failures: [String] { state.withLock { $0.failures } }

    /// Ends the listener and all connections.
    package func close() {
        let connections = state.withLock { state -> [EvilConnection]? in
            if state.isClosed { return nil }
            state.isClosed = true
            return state.connections
        }
        guard let connections else { return }
        // Wakes the accepting thread, which closes the descriptor.
        _ = shutdown(listener, Int32(SHUT_RDWR))
        for connection in connections { connection.abort() }
    }

    private func acceptLoop() {
        let listener = listener
        Thread.detachNewThread { [weak self] in
            while true {
                let descriptor = accept(listener, nil, nil)
                guard descriptor >= 0, let self else {
                    if descriptor >= 0 { Glibc.close(descriptor) }
                    break
                }
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
                self.serve(descriptor)
            }
            Glibc.close(listener)
        }
    }

    private func serve(_ descriptor: Int32) {
        let connection = state.withLock { state -> EvilConnection in
            let connection = EvilConnection(
                WireChannel(descriptor: descriptor), number: state.accepted)
            state.accepted += 1
            state.connections.append(connection)
            return connection
        }
        let script = script
        Thread.detachNewThread { [weak self] in
            do {
                try script(connection)
            } catch is EndOfStream {
            } catch {
                self?.state.withLock { $0.failures.append("\(error)") }
            }
            // Off the list first: `close` must not shut a descriptor that has a new owner.
            self?.state.withLock { $0.connections.removeAll { $0 === connection } }
            connection.channel.close()
        }
    }
}

/// One connection of an evil backend, seen from its script.
package final class EvilConnection: @unchecked Sendable {
    package let channel: WireChannel
    /// 0 for the first connection.
    package let number: Int
    private let descriptor: Int32

    init(_ channel: WireChannel, number: Int) {
        self.channel = channel
        self.number = number
        descriptor = channel.descriptor
    }

    package func send(_ messages: WireMessage...) throws {
        try channel.send(messages.flatMap(\.bytes))
    }

    /// A packet without a type byte, whole.
    package func readPacket() throws -> [UInt8] {
        let length = try channel.receive(4)
        let rest = Int(readInt32(length, 0)) - 4
        guard rest >= 0, rest <= 10_000 else { throw WireFailure("packet of \(rest) bytes") }
        return length + (try channel.receive(rest))
    }

    /// The startup packet; SSLRequest and GSSENCRequest before it are answered `N`.
    package func readStartup() throws -> [UInt8] {
        while true {
            let packet = try readPacket()
            if packet == WirePacket.sslRequest || packet == WirePacket.gssEncryptionRequest {
                try channel.send([UInt8(ascii: "N")])
            } else {
                return packet
            }
        }
    }

    /// A frontend message.
    package func readMessage() throws -> WireMessage {
        let header = try channel.receive(5)
        let length = Int(readInt32(header, 1))
        guard length >= 4 else { throw WireFailure("length \(length)") }
        return WireMessage(type: header[0], body: try channel.receive(length - 4))
    }

    /// A login without authentication, up to ReadyForQuery.
    @discardableResult
    package func acceptLogin(processID: Int32 = 4_242, secret: [UInt8] = [1, 2, 3, 4]) throws
        -> [UInt8]
    {
        let startup = try readStartup()
        try send(
            WireMessage("R", int32(0)),
            WireMessage("S", cString("server_version") + cString("15.0")),
            WireMessage("K", int32(Int(processID)) + secret),
            WireMessage("Z", [UInt8(ascii: "I")]))
        return startup
    }

    /// Waits, bounded by the channel's deadline, until the peer closes; drops what it sends.
    package func holdUntilClosed() { _ = try? channel.receiveToEnd() }

    /// From another thread: wakes the script out of any call.
    func abort() { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }
}
