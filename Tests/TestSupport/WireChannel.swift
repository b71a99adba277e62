internal import COpenSSL
internal import Foundation

/// The peer closed the connection before all bytes came.
package struct EndOfStream: Error, CustomStringConvertible {
    package let received: [UInt8]
    package var description: String { "the peer closed after \(received.count) more bytes" }
}

/// A blocking socket with deadlines, plain or TLS, for clients and servers made by hand.
///
/// Not for two threads at once: one thread at a time uses it.
package final class WireChannel: @unchecked Sendable {
    package private(set) var descriptor: Int32
    /// How long one call may wait for the peer.
    package var deadline: Duration
    private var ssl: OpaquePointer?
    private var context: OpaquePointer?

    package init(descriptor: Int32, deadline: Duration = .seconds(10)) {
        _ = Self.quietPipes
        self.descriptor = descriptor
        self.deadline = deadline
        var yes: Int32 = 1
        setsockopt(
            descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Connects to an IPv4 loopback port; other hosts are of no use to tests.
    package convenience init(
        host: String = "127.0.0.1", port: UInt16, deadline: Duration = .seconds(10)
    ) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw SystemFailure("socket") }
        var address = loopback(port)
        address.sin_addr.s_addr = inet_addr(host)
        let result = withSocketAddress(&address) { connect(descriptor, $0, $1) }
        guard result == 0 else {
            let failure = SystemFailure("cannot connect to \(host):\(port)")
            Glibc.close(descriptor)
            throw failure
        }
        self.init(descriptor: descriptor, deadline: deadline)
    }

    /// Connects to `<directory>/.s.PGSQL.<port>`.
    package convenience init(
        socketDirectory: String, port: UInt16, deadline: Duration = .seconds(10)
    ) throws {
        let path = "\(socketDirectory)/.s.PGSQL.\(port)"
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw SystemFailure("socket") }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
        guard withSocketAddress(&address, { connect(descriptor, $0, $1) }) == 0 else {
            let failure = SystemFailure("cannot connect to \(path)")
            Glibc.close(descriptor)
            throw failure
        }
        self.init(descriptor: descriptor, deadline: deadline)
    }

    deinit {
        close()
        if let ssl { SSL_free(ssl) }
        if let context { SSL_CTX_free(context) }
    }

    package var isTLS: Bool { ssl != nil }

    package func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { buffer -> Int in
                let rest = UnsafeRawBufferPointer(rebasing: buffer[sent...])
                if let ssl { return Int(SSL_write(ssl, rest.baseAddress, Int32(rest.count))) }
                return Glibc.send(
                    descriptor, rest.baseAddress, rest.count,
                    Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            }
            if count > 0 {
                sent += count
            } else if !(try waitAgain(count, POLLOUT)) {
                throw ssl == nil ? SystemFailure("send") as any Error : OpenSSLFailure("SSL_write")
            }
        }
    }

    /// What comes next, at most `limit` bytes; empty at the end of the stream.
    ///
    /// - Errors: the deadline passed, or the connection was reset.
    package func receiveSome(_ limit: Int = 64 * 1024) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: limit)
        while true {
            let count = buffer.withUnsafeMutableBytes { bytes -> Int in
                if let ssl { return Int(SSL_read(ssl, bytes.baseAddress, Int32(limit))) }
                return recv(descriptor, bytes.baseAddress, limit, Int32(MSG_DONTWAIT))
            }
            if count > 0 { return Array(buffer.prefix(count)) }
            if ssl == nil && count == 0 { return [] }
            if let ssl, SSL_get_error(ssl, Int32(count)) == SSL_ERROR_ZERO_RETURN { return [] }
            if !(try waitAgain(count, POLLIN)) {
                if ssl != nil { return try endOfTLS() }
                throw SystemFailure("recv")
            }
        }
    }

    package func receive(_ count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let more = try receiveSome(min(count - bytes.count, 64 * 1024))
            if more.isEmpty { throw EndOfStream(received: bytes) }
            bytes += more
        }
        return bytes
    }

    package func receiveToEnd() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while case let more = try receiveSome(), !more.isEmpty { bytes += more }
        return bytes
    }

    /// True when the peer closes (or resets) before the deadline, without a further byte.
    package func isClosedByPeer() -> Bool {
        do { return try receiveSome(1).isEmpty } catch { return !(error is DeadlinePassed) }
    }

    /// FIN: no more bytes from here.
    package func shutdownSending() { _ = shutdown(descriptor, Int32(SHUT_WR)) }

    package func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    /// Closes with RST.
    package func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_LINGER, &linger,
            socklen_t(MemoryLayout<Glibc.linger>.size))
        close()
    }

    /// A small receive buffer makes a slow reader felt at once.
    package func setReceiveBuffer(_ size: Int32) {
        var size = size
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Continues as TLS over this socket; `step` is SSL_connect or SSL_accept.
    func adopt(
        ssl: OpaquePointer, context: OpaquePointer, _ step: (OpaquePointer) -> Int32
    ) throws {
        self.ssl = ssl
        self.context = context
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        SSL_set_fd(ssl, descriptor)
        while true {
            ERR_clear_error()
            let result = step(ssl)
            if result == 1 { return }
            if !(try waitAgain(Int(result), POLLIN)) { throw OpenSSLFailure("TLS handshake") }
        }
    }

    /// The TLS session, for the questions of `WireTLS.swift`.
    var tlsSession: OpaquePointer? { ssl }

    /// Waits as the last call asks. False: it did not fail for want of readiness.
    private func waitAgain(_ result: Int, _ events: Int32) throws -> Bool {
        var wanted = events
        if let ssl {
            switch SSL_get_error(ssl, Int32(result)) {
            case SSL_ERROR_WANT_READ: wanted = POLLIN
            case SSL_ERROR_WANT_WRITE: wanted = POLLOUT
            default: return false
            }
        } else if errno != EAGAIN && errno != EINTR {
            return false
        }
        var poller = pollfd(fd: descriptor, events: Int16(wanted), revents: 0)
        let seconds = deadline.components
        let milliseconds = seconds.seconds * 1_000 + seconds.attoseconds / 1_000_000_000_000_000
        guard poll(&poller, 1, Int32(milliseconds)) != 0 else {
            throw DeadlinePassed(description: "the peer was silent for \(deadline)")
        }
        return true
    }

    /// An end without close_notify is an end, an alert is an error.
    private func endOfTLS() throws -> [UInt8] {
        let code = ERR_peek_error()
        if code == 0 || pgtee_ERR_GET_REASON(code) == pgtee_SSL_unexpected_eof() {
            ERR_clear_error()
            return []
        }
        throw OpenSSLFailure("SSL_read")
    }

    private static let quietPipes: Void = { _ = Glibc.signal(SIGPIPE, SIG_IGN) }()
}
