internal import Glibc

/// Why the admin server can't be started.
package enum AdminServerError: Error, Sendable, Equatable {
    case addressNotUnderstood(String)
    /// socket(2), bind(2) or listen(2) failed.
    case cannotListen(address: String, port: UInt16, errno: Int32)

    /// For the log and the terminal, in PostgreSQL's style.
    package var message: String {
        switch self {
        case .addressNotUnderstood(let address):
            return "admin address \"\(address)\" is not an IP address"
        case .cannotListen(let address, let port, let code):
            let host = address.contains(":") ? "[\(address)]" : address
            return "could not listen on admin address \(host):\(port): "
                + String(cString: strerror(code))
        }
    }

    package var hint: String {
        switch self {
        case .addressNotUnderstood:
            "Write an IPv4 or IPv6 address, \"localhost\", or \"*\" for every address."
        case .cannotListen(_, let port, EADDRINUSE):
            "Is another instance running? Instances may share the port for clients, but each "
                + "needs an admin port of its own; give another one than \(port) in admin.listen."
        case .cannotListen(_, _, EADDRNOTAVAIL): "This machine does not have that address."
        case .cannotListen(_, _, EACCES): "Ports below 1024 need CAP_NET_BIND_SERVICE."
        case .cannotListen: "Give another address in admin.listen, or \"off\"."
        }
    }
}

/// An address to listen on, already understood.
struct AdminEndpointAddress {
    /// The literal, without brackets.
    let text: String
    private let port: UInt16
    private let storage: sockaddr_storage
    private let length: socklen_t
    private let family: Int32

    init(address: String, port: UInt16) throws(AdminServerError) {
        var literal = address
        if address == "*" { literal = "0.0.0.0" }
        if address == "localhost" { literal = "127.0.0.1" }
        if literal.hasPrefix("["), literal.hasSuffix("]") {
            literal = String(literal.dropFirst().dropLast())
        }
        var ipv4 = sockaddr_in()
        var ipv6 = sockaddr_in6()
        var storage = sockaddr_storage()
        if inet_pton(AF_INET, literal, &ipv4.sin_addr) == 1 {
            family = AF_INET
            ipv4.sin_family = sa_family_t(AF_INET)
            ipv4.sin_port = port.bigEndian
            length = socklen_t(MemoryLayout<sockaddr_in>.size)
            withUnsafeMutableBytes(of: &storage) { target in
                withUnsafeBytes(of: ipv4) { target.copyMemory(from: $0) }
            }
        } else if inet_pton(AF_INET6, literal, &ipv6.sin6_addr) == 1 {
            family = AF_INET6
            ipv6.sin6_family = sa_family_t(AF_INET6)
            ipv6.sin6_port = port.bigEndian
            length = socklen_t(MemoryLayout<sockaddr_in6>.size)
            withUnsafeMutableBytes(of: &storage) { target in
                withUnsafeBytes(of: ipv6) { target.copyMemory(from: $0) }
            }
        } else {
            throw .addressNotUnderstood(address)
        }
        self.storage = storage
        self.port = port
        text = literal
    }

    /// A listening, non-blocking descriptor that children don't inherit, and its port.
    func listen() throws(AdminServerError) -> (descriptor: Int32, port: UInt16) {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(family, kind, 0)
        guard descriptor >= 0 else { throw failure(errno) }
        var on: Int32 = 1
        setsockopt(
            descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        let code = withUnsafePointer(to: storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length)
            }
        }
        guard code == 0, Glibc.listen(descriptor, 64) == 0 else {
            let code = errno
            close(descriptor)
            throw failure(code)
        }
        return (descriptor, boundPort(descriptor))
    }

    private func failure(_ code: Int32) -> AdminServerError {
        .cannotListen(address: text, port: port, errno: code)
    }

    private func boundPort(_ descriptor: Int32) -> UInt16 {
        var bound = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let code = withUnsafeMutablePointer(to: &bound) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &size)
            }
        }
        guard code == 0 else { return port }
        // The port stands at the same place in both families.
        return withUnsafeBytes(of: bound) {
            UInt16(bigEndian: $0.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        }
    }
}
