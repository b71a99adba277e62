package import Glibc

/// An address to listen on or to connect to.
package enum SocketAddress: Sendable, Hashable {
    /// Address and port in host byte order.
    case ipv4(UInt32, port: UInt16)
    case ipv6(high: UInt64, low: UInt64, port: UInt16, scope: UInt32)
    /// A path of at most 107 bytes; a leading NUL makes it abstract (unix(7)).
    case unix([UInt8])

    /// An IPv4 or IPv6 literal; nil for anything else (names are not looked up here).
    package init?(literal: String, port: UInt16) {
        // inet_pton would stop there.
        guard !literal.utf8.contains(0) else { return nil }
        var v4 = in_addr()
        if inet_pton(AF_INET, literal, &v4) == 1 {
            self = .ipv4(UInt32(bigEndian: v4.s_addr), port: port)
            return
        }
        var text = literal
        var scope: UInt32 = 0
        if let percent = text.firstIndex(of: "%") {
            let name = String(text[text.index(after: percent)...])
            scope = UInt32(name) ?? if_nametoindex(name)
            text = String(text[..<percent])
        }
        var v6 = in6_addr()
        guard inet_pton(AF_INET6, text, &v6) == 1 else { return nil }
        self = Self.ipv6(v6, port: port, scope: scope)
    }

    package init(unixDirectory: String, port: UInt16) {
        self = .unix(Array("\(unixDirectory)/.s.PGSQL.\(port)".utf8))
    }

    /// The peer of a connected socket.
    package init?(peerOf descriptor: Int32) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getpeername(descriptor, $0, &length)
            }
        }
        guard result == 0 else { return nil }
        self.init(storage)
    }

    package init?(_ storage: sockaddr_storage) {
        var storage = storage
        switch Int32(storage.ss_family) {
        case AF_INET:
            let address = withUnsafeBytes(of: &storage) { $0.loadUnaligned(as: sockaddr_in.self) }
            self = .ipv4(
                UInt32(bigEndian: address.sin_addr.s_addr),
                port: UInt16(bigEndian: address.sin_port))
        case AF_INET6:
            let address = withUnsafeBytes(of: &storage) { $0.loadUnaligned(as: sockaddr_in6.self) }
            self = Self.ipv6(
                address.sin6_addr, port: UInt16(bigEndian: address.sin6_port),
                scope: address.sin6_scope_id)
        case AF_UNIX: self = .unix([])
        default: return nil
        }
    }

    private static func ipv6(_ address: in6_addr, port: UInt16, scope: UInt32) -> SocketAddress {
        let (high, low) = withUnsafeBytes(of: address) {
            (
                UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
        return .ipv6(high: high, low: low, port: port, scope: scope)
    }

    package var family: Int32 {
        switch self {
        case .ipv4: AF_INET
        case .ipv6: AF_INET6
        case .unix: AF_UNIX
        }
    }

    package var isUnix: Bool { family == AF_UNIX }

    /// 127.0.0.0/8 or ::1.
    package var isLoopback: Bool {
        switch self {
        case .ipv4(let address, _): address >> 24 == 127
        case .ipv6(let high, let low, _, _): high == 0 && low == 1
        case .unix: false
        }
    }

    /// The bytes by which limits count a source: IPv4 /32, IPv6 /64, all unix sockets together.
    package var source: SourceKey {
        switch self {
        case .ipv4(let address, _): SourceKey(high: 0xFFFF_0000_0000_0000, low: UInt64(address))
        case .ipv6(let high, _, _, _): SourceKey(high: high, low: 0)
        case .unix: SourceKey(high: 0, low: 0)
        }
    }

    package func withSocketAddress<Result>(
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        switch self {
        case .ipv4(let address, let port):
            var value = sockaddr_in()
            value.sin_family = sa_family_t(AF_INET)
            value.sin_port = port.bigEndian
            value.sin_addr.s_addr = address.bigEndian
            return Self.lend(&value, MemoryLayout<sockaddr_in>.size, body)
        case .ipv6(let high, let low, let port, let scope):
            var value = sockaddr_in6()
            value.sin6_family = sa_family_t(AF_INET6)
            value.sin6_port = port.bigEndian
            value.sin6_scope_id = scope
            withUnsafeMutableBytes(of: &value.sin6_addr) {
                $0.storeBytes(of: high.bigEndian, toByteOffset: 0, as: UInt64.self)
                $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            return Self.lend(&value, MemoryLayout<sockaddr_in6>.size, body)
        case .unix(let path):
            var value = sockaddr_un()
            value.sun_family = sa_family_t(AF_UNIX)
            let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
            let count = min(path.count, 107)
            withUnsafeMutableBytes(of: &value.sun_path) { target in
                for index in 0..<count { target[index] = path[index] }
            }
            let isAbstract = path.first == 0
            return Self.lend(&value, offset + count + (isAbstract ? 0 : 1), body)
        }
    }

    private static func lend<Value, Result>(
        _ value: inout Value, _ length: Int,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        withUnsafeMutablePointer(to: &value) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(length)) }
        }
    }

    /// A socket file that nobody listens on any more would make bind(2) fail for ever.
    func removeStaleSocket() {
        guard case .unix(let path) = self, let first = path.first, first != 0 else { return }
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard probe >= 0 else { return }
        defer { close(probe) }
        let result = withSocketAddress { Glibc.connect(probe, $0, $1) }
        if result != 0 && errno == ECONNREFUSED {
            let name = String(decoding: path, as: UTF8.self)
            _ = unlink(name)
        }
    }
}

/// A source address as limits count it.
package struct SourceKey: Sendable, Hashable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

extension SocketAddress: CustomStringConvertible {
    /// `192.0.2.1:5432`, `[2001:db8::1]:5432`, the path, or `unix`.
    package var description: String {
        switch self {
        case .ipv4(let address, let port):
            let bytes = [24, 16, 8, 0].map { String((address >> $0) & 0xFF) }
            return bytes.joined(separator: ".") + ":\(port)"
        case .ipv6(let high, let low, let port, _):
            var address = in6_addr()
            withUnsafeMutableBytes(of: &address) {
                $0.storeBytes(of: high.bigEndian, toByteOffset: 0, as: UInt64.self)
                $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
            _ = inet_ntop(AF_INET6, &address, &text, socklen_t(text.count))
            let shown = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            return "[\(String(decoding: shown, as: UTF8.self))]:\(port)"
        case .unix(let path):
            return path.isEmpty ? "unix" : String(decoding: path, as: UTF8.self)
        }
    }
}
