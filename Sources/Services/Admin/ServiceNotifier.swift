internal import Glibc

/// Tells the service manager how the service is: the datagram protocol of sd_notify(3), written by
/// hand, since it is a line of text to a unix socket and libsystemd is much more than that.
///
/// - Shape: `NAME=value` lines, joined by line feeds, in one datagram to `$NOTIFY_SOCKET`; a
///   leading `@` there means the abstract namespace.
/// - Thread: any.
/// - Source: sd_notify(3), systemd.service(5) Type=notify and Type=notify-reload.
package struct ServiceNotifier: Sendable {
    private let address: [UInt8]?
    private let watchdogMicroseconds: UInt64?

    /// Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; does nothing when they are not set.
    package init(environment: [String: String] = ServiceNotifier.environment()) {
        let bytes = environment["NOTIFY_SOCKET"].map { Array($0.utf8) } ?? []
        let isUsable =
            bytes.count >= 2 && bytes.count <= Self.pathBytesMax
            && (bytes[0] == UInt8(ascii: "/") || bytes[0] == UInt8(ascii: "@"))
        address = isUsable ? bytes : nil
        let isForUs = environment["WATCHDOG_PID"].map { $0 == "\(getpid())" } ?? true
        let time = environment["WATCHDOG_USEC"].flatMap { UInt64($0) }
        watchdogMicroseconds = isForUs && isUsable ? time.flatMap { $0 > 0 ? $0 : nil } : nil
    }

    /// True when a service manager listens.
    package var isActive: Bool { address != nil }

    /// Half of the manager's patience: how often `alive` has to be sent; nil: no watchdog.
    package var watchdogIntervalMilliseconds: UInt64? {
        watchdogMicroseconds.map { max(1, $0 / 2_000) }
    }

    /// Start-up is done, or a reload is.
    @discardableResult
    package func ready(status: String) -> Bool { send("READY=1\nSTATUS=\(Self.line(status))") }

    /// A reload begins; `ready` must follow.
    @discardableResult
    package func reloading() -> Bool {
        send("RELOADING=1\nMONOTONIC_USEC=\(RealTime.monotonicMicroseconds)\nSTATUS=reloading")
    }

    @discardableResult
    package func stopping(status: String) -> Bool {
        send("STOPPING=1\nSTATUS=\(Self.line(status))")
    }

    @discardableResult
    package func status(_ text: String) -> Bool { send("STATUS=\(Self.line(text))") }

    /// The watchdog's sign of life.
    @discardableResult
    package func alive() -> Bool { send("WATCHDOG=1") }

    /// Asks for more time than TimeoutStopSec or TimeoutStartSec gives, counted from now.
    @discardableResult
    package func extendTimeout(microseconds: UInt64) -> Bool {
        send("EXTEND_TIMEOUT_USEC=\(microseconds)")
    }

    /// False when nobody listens or the message could not be sent; nothing depends on it.
    private func send(_ message: String) -> Bool {
        guard let address else { return false }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &name.sun_path) { path in
            path.copyBytes(from: address)
            if address[0] == UInt8(ascii: "@") { path[0] = 0 }
        }
        // An abstract name ends where the address ends, not at a zero.
        let length = socklen_t(MemoryLayout<sa_family_t>.size + address.count)
        let bytes = Array(message.utf8)
        let sent = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { rebound in
                sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), rebound, length)
            }
        }
        return sent == bytes.count
    }

    /// sun_path has 108 bytes and a path in it ends with a zero.
    private static let pathBytesMax = 107

    /// One line: the protocol has no other way to tell values apart.
    private static func line(_ text: String) -> String {
        String(decoding: text.utf8.map { $0 < 0x20 || $0 == 0x7f ? 0x20 : $0 }, as: UTF8.self)
    }

    package static func environment() -> [String: String] {
        var result: [String: String] = [:]
        for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
            if let value = getenv(name) { result[name] = String(cString: value) }
        }
        return result
    }
}
