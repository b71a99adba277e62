internal import CLinux
internal import EventLoop
internal import Glibc
internal import PostgresProtocol
internal import Synchronization

/// The other instances on the same port: a cancel request may reach any of them, and its key says
/// which one holds the session. Each listens on a unix socket in the runtime directory; what
/// arrives there is answered from the own registry only, so a request is passed on at most once.
///
/// - Shape: the packet of a CancelRequest, then end of stream; the answer is the end of stream when
///   the cluster was told.
/// - Bounds: 16 instances (four bits of a key); a peer has `timeoutSeconds` to answer.
final class CancelPeers: Sendable {
    static let instancesMax: UInt8 = 16
    private static let timeoutSeconds = 10
    private static let forwardsMax = 64

    let instance: UInt8
    private let directory: String
    private let lock: Int32
    private let listener: Int32
    private let inFlight = Mutex(0)

    /// Takes the first free number in `directory`.
    ///
    /// - Errors: `SystemError` when the directory can't be used or all numbers are taken.
    init(directory: String) throws(SystemError) {
        self.directory = directory
        let kernel = SystemKernel()
        // Its parent must be there: a whole path made up by a typing error helps nobody.
        if mkdir(directory, 0o700) != 0 && errno != EEXIST {
            throw SystemError(number: errno, doing: "make directory \"\(directory)\"")
        }
        for number in 0..<Self.instancesMax {
            let path = "\(directory)/instance-\(number).lock"
            let lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard lock >= 0 else {
                throw SystemError(number: errno, doing: "open lock file \"\(path)\"")
            }
            guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
                close(lock)
                continue
            }
            let address = SocketAddress.unix(Array(Self.path(directory, number).utf8))
            unlink(Self.path(directory, number))
            let listener = kernel.listen(at: address, backlog: 64, sharesPort: false)
            guard listener >= 0 else {
                close(lock)
                throw SystemError(
                    number: -listener, doing: "listen at \"\(Self.path(directory, number))\"")
            }
            chmod(Self.path(directory, number), 0o600)
            instance = number
            self.lock = lock
            self.listener = listener
            return
        }
        throw SystemError(number: EAGAIN, doing: "find a free instance number in \"\(directory)\"")
    }

    private static func path(_ directory: String, _ number: UInt8) -> String {
        "\(directory)/instance-\(number).sock"
    }

    /// Serves the other instances on a thread of its own, for the life of the process.
    func serve(_ handle: @escaping @Sendable (CancelRequest, CancelReply) -> Void) {
        _ = try? WorkerThread(name: "cancel-peers") { [listener] in
            while true {
                var waiting = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
                _ = poll(&waiting, 1, -1)
                let peer = pgtee_accept(listener)
                guard peer >= 0 else { continue }
                Self.setBlocking(peer)
                guard let request = Self.read(peer) else {
                    close(peer)
                    continue
                }
                handle(request, CancelReply { close(peer) })
            }
        }
    }

    /// False when the key is not of another instance that can be reached; else `reply` runs later.
    func forward(_ request: CancelRequest, _ reply: CancelReply) -> Bool {
        guard let owner = CancelRegistry.instance(of: request), owner != instance,
            owner < Self.instancesMax, let packet = try? request.encoded()
        else { return false }
        let isFree = inFlight.withLock { count in
            guard count < Self.forwardsMax else { return false }
            count += 1
            return true
        }
        guard isFree else { return false }
        let address = SocketAddress.unix(Array(Self.path(directory, owner).utf8))
        let peer = SystemKernel().connect(to: address)
        guard peer >= 0 else {
            inFlight.withLock { $0 -= 1 }
            return false
        }
        let thread = try? WorkerThread(name: "cancel-forward") { [self] in
            Self.setBlocking(peer)
            _ = packet.withUnsafeBytes { send(peer, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            shutdown(peer, Int32(SHUT_WR))
            var byte: UInt8 = 0
            _ = recv(peer, &byte, 1, 0)
            close(peer)
            inFlight.withLock { $0 -= 1 }
            reply.done()
        }
        if thread == nil {
            close(peer)
            inFlight.withLock { $0 -= 1 }
        }
        return thread != nil
    }

    private static func setBlocking(_ descriptor: Int32) {
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
        var time = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        _ = setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, size)
        _ = setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, size)
    }

    private static func read(_ peer: Int32) -> CancelRequest? {
        var packet: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 512)
        while packet.count <= 512 {
            let count = recv(peer, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            packet += buffer[..<count]
        }
        guard
            case .cancelRequest(let request)? = try? InitialPacketFraming.decode(packet.span.bytes)
        else { return nil }
        return request
    }
}
