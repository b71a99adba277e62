package import CLinux
internal import Glibc

// The room's map, for who changes it:
//  - Kernel: every system call of the data plane, overridable, so that a simulation can play it.
//  - Poller: epoll with tokens that carry a generation, so a reused descriptor can't be mistaken.
//  - PendingBytes, BufferPool: what a peer did not take; an idle session owns none.
//  - TLSContext, TLSSession, TLSPipe: OpenSSL over the worker's scratch memory by an own BIO.
//  - TimerHeap: deadlines, looked at once per wake-up.
// Everything here belongs to one worker thread unless its comment says otherwise.

/// The system calls of the data plane. Subclasses answer for the kernel: `SystemKernel` asks Linux,
/// the simulation plays it.
///
/// - Results: a value `>= 0`, or `-errno`. EINTR never comes out.
/// - Thread: any; a subclass with state of its own is used by one thread.
/// - Cost: one virtual call beside the system call itself.
package class Kernel: @unchecked Sendable {
    package init() {}

    package func makePoller() -> Int32 { -ENOSYS }
    /// Fills `events`; `timeoutMilliseconds` -1 waits for ever.
    package func poll(
        _ poller: Int32, _ events: UnsafeMutablePointer<epoll_event>, _ count: Int32,
        timeoutMilliseconds: Int32
    ) -> Int32 { -ENOSYS }
    package func watch(
        _ poller: Int32, _ operation: Int32, _ descriptor: Int32, _ events: UInt32, _ token: UInt64
    ) -> Int32 { -ENOSYS }
    package func listen(
        at address: SocketAddress, backlog: Int32, sharesPort: Bool
    ) -> Int32 { -ENOSYS }
    package func accept(_ listener: Int32) -> Int32 { -ENOSYS }
    /// A non-blocking socket on its way to `address`; writable when it is connected or has failed.
    package func connect(to address: SocketAddress) -> Int32 { -ENOSYS }
    /// 0, or the errno (positive) with which a connect ended.
    package func connectResult(_ descriptor: Int32) -> Int32 { ENOSYS }
    package func receive(
        _ descriptor: Int32, _ buffer: UnsafeMutableRawPointer, _ count: Int
    ) -> Int { -Int(ENOSYS) }
    package func send(
        _ descriptor: Int32, _ buffer: UnsafeRawPointer, _ count: Int
    ) -> Int { -Int(ENOSYS) }
    package func close(_ descriptor: Int32) {}
    package func setOptions(_ descriptor: Int32, _ options: SocketOptions) {}
    package func peerAddress(_ descriptor: Int32) -> SocketAddress? { nil }
    /// CLOCK_MONOTONIC.
    package func nowNanoseconds() -> UInt64 { 0 }
}

/// What is set on both legs' TCP sockets. 0: the system's default.
package struct SocketOptions: Sendable, Equatable {
    package var keepAliveIdleSeconds: Int32 = 60
    package var keepAliveIntervalSeconds: Int32 = 10
    package var keepAliveProbes: Int32 = 3
    package var userTimeoutMilliseconds: Int32 = 90_000
    /// Kernel memory for a slow reader: unsent bytes beyond this make the socket unwritable.
    package var unsentLowWaterBytes: Int32 = 0

    package init() {}

    /// For a peer on the same machine, whose kernel tells at once when it is gone.
    package static let local: SocketOptions = {
        var options = SocketOptions()
        options.keepAliveIdleSeconds = 0
        options.userTimeoutMilliseconds = 0
        return options
    }()
}

/// Linux.
package final class SystemKernel: Kernel, @unchecked Sendable {
    package override init() { super.init() }

    private func retrying(_ call: () -> Int32) -> Int32 {
        while true {
            let result = call()
            if result >= 0 { return result }
            let error = errno
            if error != EINTR { return -error }
        }
    }

    package override func makePoller() -> Int32 {
        retrying { epoll_create1(Int32(EPOLL_CLOEXEC)) }
    }

    package override func poll(
        _ poller: Int32, _ events: UnsafeMutablePointer<epoll_event>, _ count: Int32,
        timeoutMilliseconds: Int32
    ) -> Int32 {
        let result = epoll_wait(poller, events, count, timeoutMilliseconds)
        if result >= 0 { return result }
        return errno == EINTR ? 0 : -errno
    }

    package override func watch(
        _ poller: Int32, _ operation: Int32, _ descriptor: Int32, _ events: UInt32, _ token: UInt64
    ) -> Int32 {
        var event = epoll_event(events: events, data: epoll_data(u64: token))
        return retrying { epoll_ctl(poller, operation, descriptor, &event) }
    }

    package override func listen(
        at address: SocketAddress, backlog: Int32, sharesPort: Bool
    ) -> Int32 {
        let descriptor = retrying {
            socket(
                address.family, Int32(SOCK_STREAM.rawValue | UInt32(SocketFlags.nonBlocking)), 0)
        }
        guard descriptor >= 0 else { return descriptor }
        if address.isUnix {
            address.removeStaleSocket()
        } else {
            set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
            if sharesPort { set(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) }
            if address.family == AF_INET6 { set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
            // The client speaks first in this protocol, so a connection without bytes is no news.
            set(descriptor, Int32(IPPROTO_TCP), TCP_DEFER_ACCEPT, 10)
        }
        var result = address.withSocketAddress { pointer, length in
            retrying { bind(descriptor, pointer, length) }
        }
        if result == 0 { result = retrying { Glibc.listen(descriptor, backlog) } }
        guard result == 0 else {
            close(descriptor)
            return result
        }
        return descriptor
    }

    package override func accept(_ listener: Int32) -> Int32 {
        retrying { pgtee_accept(listener) }
    }

    package override func connect(to address: SocketAddress) -> Int32 {
        let descriptor = retrying {
            socket(
                address.family, Int32(SOCK_STREAM.rawValue | UInt32(SocketFlags.nonBlocking)), 0)
        }
        guard descriptor >= 0 else { return descriptor }
        let result = address.withSocketAddress { pointer, length in
            retrying { Glibc.connect(descriptor, pointer, length) }
        }
        guard result == 0 || result == -EINPROGRESS else {
            close(descriptor)
            return result
        }
        return descriptor
    }

    package override func connectResult(_ descriptor: Int32) -> Int32 {
        var error: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) == 0 else {
            return errno
        }
        return error
    }

    package override func receive(
        _ descriptor: Int32, _ buffer: UnsafeMutableRawPointer, _ count: Int
    ) -> Int {
        while true {
            let result = recv(descriptor, buffer, count, 0)
            if result >= 0 { return result }
            let error = errno
            if error != EINTR { return -Int(error) }
        }
    }

    package override func send(
        _ descriptor: Int32, _ buffer: UnsafeRawPointer, _ count: Int
    ) -> Int {
        while true {
            let result = Glibc.send(descriptor, buffer, count, Int32(MSG_NOSIGNAL))
            if result >= 0 { return result }
            let error = errno
            if error != EINTR { return -Int(error) }
        }
    }

    package override func close(_ descriptor: Int32) { _ = Glibc.close(descriptor) }

    package override func setOptions(_ descriptor: Int32, _ options: SocketOptions) {
        set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        if options.keepAliveIdleSeconds > 0 {
            set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
            set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPIDLE, options.keepAliveIdleSeconds)
            set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPINTVL, options.keepAliveIntervalSeconds)
            set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPCNT, options.keepAliveProbes)
        }
        if options.userTimeoutMilliseconds > 0 {
            set(descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, options.userTimeoutMilliseconds)
        }
        if options.unsentLowWaterBytes > 0 {
            set(descriptor, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, options.unsentLowWaterBytes)
        }
    }

    package override func peerAddress(_ descriptor: Int32) -> SocketAddress? {
        SocketAddress(peerOf: descriptor)
    }

    package override func nowNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    private func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        // A socket option that the kernel refuses changes no promise; unix sockets refuse TCP's.
        _ = setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }
}

/// SOCK_NONBLOCK and SOCK_CLOEXEC, which Glibc's module has as an enum of another type.
package enum SocketFlags {
    package static let nonBlocking: Int32 = O_NONBLOCK | O_CLOEXEC
}
