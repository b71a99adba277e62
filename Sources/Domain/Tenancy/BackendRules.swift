/// The rules for one backend: its address, no loops, its TLS.
struct BackendRules {
    private let path: [String]
    private let backend: Backend
    private let service: ServiceConfiguration
    private let localAddresses: Set<String>

    init(
        _ path: [String], _ backend: Backend, _ service: ServiceConfiguration,
        _ localAddresses: Set<String>
    ) {
        self.path = path
        self.backend = backend
        self.service = service
        self.localAddresses = localAddresses
    }

    func problems() -> [TenancyProblem] {
        switch backend.endpoint {
        case .unix(let directory, let port): return socket(directory, port)
        case .tcp(let host, let port): return address(host, port) + tls(host)
        }
    }

    private func socket(_ directory: String, _ port: UInt16) -> [TenancyProblem] {
        let place = path + ["socket"]
        guard directory.hasPrefix("/") else {
            return [TenancyProblem(place, "the socket's directory must be an absolute path")]
        }
        let length = directory.utf8.count + "/.s.PGSQL.\(port)".utf8.count
        if length > 107 {
            return [
                TenancyProblem(place, "the socket's path has \(length) bytes; 107 are possible")
            ]
        }
        let isLoop = service.listeners.contains {
            $0.isUnix && $0.port == port && Self.trimmed($0.address) == Self.trimmed(directory)
        }
        return isLoop ? [Self.loop(place)] : []
    }

    private func address(_ host: String, _ port: UInt16) -> [TenancyProblem] {
        let place = path + ["host"]
        if port == 0 { return [TenancyProblem(path + ["port"], "port 0 is no port")] }
        if let problem = BackendHost.problem(host) {
            return [TenancyProblem(place, problem.message, hint: problem.hint)]
        }
        if service.listeners.contains(where: { isSame($0, host, port) }) {
            return [Self.loop(place)]
        }
        if service.admin.isEnabled, port == service.admin.port,
            isSame(Listener(address: service.admin.address, port: port), host, port)
        {
            return [TenancyProblem(place, "this is the address of \"admin\"")]
        }
        return []
    }

    private func isSame(_ listener: Listener, _ host: String, _ port: UInt16) -> Bool {
        guard !listener.isUnix, listener.port == port else { return false }
        let own = NetworkAddress(listener.address)
        if let own, own == NetworkAddress(host) { return true }
        let isWildcard = listener.address == "*" || own?.isUnspecified ?? false
        if BackendHost.isLocalhost(host) {
            // A name for loopback, while the listener has another loopback address or all of them.
            let isName = NetworkAddress(host) == nil
            return isWildcard || isName && own?.isLoopback ?? false
        }
        return isWildcard && localAddresses.contains { NetworkAddress($0) == NetworkAddress(host) }
            && NetworkAddress(host) != nil
    }

    private static func loop(_ path: [String]) -> TenancyProblem {
        TenancyProblem(
            path, "this is an address that pgtee itself listens on: the login would go in circles",
            hint: "Name the cluster's own address and port.")
    }

    private static func trimmed(_ path: String) -> Substring {
        var trimmed = path[...]
        while trimmed.count > 1, trimmed.last == "/" { trimmed.removeLast() }
        return trimmed
    }

    private func tls(_ host: String) -> [TenancyProblem] {
        let tls = backend.tls
        let place = path + ["tls"]
        var problems: [TenancyProblem] = []
        if tls.mode == .verifyFull || tls.mode == .verifyCA, tls.caPath == nil {
            problems.append(
                TenancyProblem(
                    place, "\(tls.mode.rawValue) needs \"ca\"",
                    hint: "Name the PEM file of the authority that signed the cluster's "
                        + "certificate, or set tls.mode."))
        }
        if let name = tls.name, NetworkAddress(name) == nil, !ServerName.isHostName(name.utf8) {
            problems.append(TenancyProblem(place + ["name"], "\"\(name)\" is no host name"))
        }
        if tls.negotiation == .direct,
            tls.mode == .disable || tls.mode == .allow || tls.mode == .prefer
        {
            problems.append(
                TenancyProblem(
                    place + ["negotiation"], "direct negotiation needs mode require or stronger"))
        }
        if let files = tls.clientCertificate, files.certificatePath.isEmpty || files.keyPath.isEmpty
        {
            problems.append(
                TenancyProblem(
                    place, "\"certificate\" and \"key\" are given together or not at all"))
        }
        if tls.crlPath != nil, tls.caPath == nil {
            problems.append(TenancyProblem(place + ["crl"], "crl needs \"ca\""))
        }
        if tls.channelBinding == .require,
            tls.mode == .disable || tls.mode == .allow || tls.mode == .prefer
        {
            problems.append(
                TenancyProblem(
                    place + ["channel_binding"],
                    "channel binding can be required only with mode require or stronger"))
        }
        return problems
    }
}
