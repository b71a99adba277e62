internal import Glibc

/// Which Host headers are answered. A web page can make a browser ask any address, also 127.0.0.1,
/// under a name of the page's own domain (DNS rebinding), and would then read the answer; but it
/// can't choose the header. So a name has to be known; a loopback address is always.
struct HostPolicy {
    /// Lower case, without a port.
    private let names: Set<String>
    private let allowsAnyAddress: Bool

    /// - Parameter boundAddress: where the server listens; a wildcard allows each IP literal, since
    ///   a literal can't be rebound.
    init(boundAddress: String, extraNames: [String]) {
        names = Set(["localhost", boundAddress.lowercased()] + extraNames.map { $0.lowercased() })
        allowsAnyAddress = boundAddress == "0.0.0.0" || boundAddress == "::"
    }

    /// - Parameter host: the header's value: a name, an IPv4 literal or `[IPv6]`, perhaps with a
    ///   port.
    func allows(_ host: String) -> Bool {
        guard let name = Self.withoutPort(host.lowercased()) else { return false }
        if names.contains(name) { return true }
        var ipv4 = in_addr()
        if inet_pton(AF_INET, name, &ipv4) == 1 {
            return allowsAnyAddress || UInt32(bigEndian: ipv4.s_addr) >> 24 == 127
        }
        var ipv6 = in6_addr()
        if inet_pton(AF_INET6, name, &ipv6) == 1 {
            let bytes = withUnsafeBytes(of: ipv6) { Array($0) }
            return allowsAnyAddress || bytes == Array(repeating: 0, count: 15) + [1]
        }
        return false
    }

    /// Nil when it is no host.
    private static func withoutPort(_ host: String) -> String? {
        var name = Substring(host)
        if host.hasPrefix("[") {
            guard let end = host.firstIndex(of: "]") else { return nil }
            name = host[host.index(after: host.startIndex)..<end]
            let rest = host[host.index(after: end)...]
            return rest.isEmpty || isPort(rest) ? String(name) : nil
        }
        if let colon = host.firstIndex(of: ":") {
            guard isPort(host[colon...]) else { return nil }
            name = host[..<colon]
        }
        if name.hasSuffix(".") { name = name.dropLast() }
        return name.isEmpty ? nil : String(name)
    }

    private static func isPort(_ text: Substring) -> Bool {
        text.hasPrefix(":") && UInt16(text.dropFirst()) != nil
    }
}
