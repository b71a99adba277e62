internal import EventLoop
internal import Glibc
internal import Handoff
internal import PostgresProtocol
internal import Tenancy

/// Makes snapshots from documents: loads TLS files, looks host names up. On the control part's
/// thread, since both can wait.
final class SnapshotBuilder {
    private let workers: Int
    private var gauges: [String: TenantGauges] = [:]
    private var resolved: [String: [SocketAddress]] = [:]
    private var serverContexts: [ServerContextKey: TLSContext] = [:]
    private(set) var problems: [(tenant: String, reason: String)] = []
    var usesHostNames: Bool { !resolved.isEmpty }

    init(workers: Int) { self.workers = workers }

    /// - Errors: `ProxyError` when the service's own TLS files can't be used.
    func make(
        _ configuration: ServiceConfiguration, _ tenants: [Tenant], generation: UInt64
    ) throws(ProxyError) -> ProxySnapshot {
        problems = []
        resolved = [:]
        serverContexts = [:]
        let clientTLS: ClientTLSContexts?
        do throws(TLSContextError) {
            clientTLS = try clientContexts(configuration, tenants)
        } catch {
            throw ProxyError("\(error)")
        }
        let routes = RouteTable(
            configuration: configuration, tenants: tenants, generation: generation)
        let runtimes = routes.tenants.map { runtime($0) }
        let names = Set(runtimes.map(\.tenant.name))
        gauges = gauges.filter { names.contains($0.key) || $0.value.sessions.value > 0 }
        return ProxySnapshot(
            generation: generation, configuration: configuration, routes: routes,
            clientTLS: clientTLS, tenants: runtimes)
    }

    private func clientContexts(
        _ configuration: ServiceConfiguration, _ tenants: [Tenant]
    ) throws(TLSContextError) -> ClientTLSContexts? {
        let tls = configuration.tls
        guard tls.mode != .disable, let files = tls.certificate else { return nil }
        let asks =
            tls.mode == .verifyCA || tls.mode == .verifyFull
            || tenants.contains { $0.clientTLS.clientCAPath != nil }
        func context(_ files: CertificateFiles) throws(TLSContextError) -> TLSContext {
            try TLSContext(
                serverCertificatePath: files.certificatePath, keyPath: files.keyPath,
                minimumVersion: tls.minimumVersion.number,
                maximumVersion: tls.maximumVersion.number, asksForCertificate: asks)
        }
        let fallback = try context(files)
        var named: [(names: [String], context: TLSContext)] = []
        for certificate in tls.certificates {
            named.append((certificate.names, try context(certificate.files)))
        }
        return ClientTLSContexts(fallback: fallback, named: named)
    }

    private func runtime(_ tenant: Tenant) -> TenantRuntime {
        let backend =
            tenant.activeBackend
            ?? Backend(endpoint: .unix(directory: "/nonexistent", port: 5432))
        var serverTLS: TLSContext?
        var verifier: CertificateVerifier?
        var addresses = addresses(backend.endpoint)
        do throws(TLSContextError) {
            serverTLS = try serverContext(backend)
            if let path = tenant.clientTLS.clientCAPath {
                verifier = try CertificateVerifier(
                    caPath: path, crlPath: tenant.clientTLS.clientCRLPath)
            }
        } catch {
            // Fail closed: without its certificates the tenant is known, but not reached.
            problems.append((tenant.name, "\(error)"))
            addresses = []
        }
        if addresses.isEmpty && problems.last?.tenant != tenant.name {
            problems.append((tenant.name, "could not look up the address of its backend"))
        }
        let gauges = gauges[tenant.name] ?? TenantGauges(workers: workers)
        self.gauges[tenant.name] = gauges
        return TenantRuntime(
            tenant: tenant, backend: backend, addresses: addresses, serverTLS: serverTLS,
            clientVerifier: verifier, gauges: gauges)
    }

    private struct ServerContextKey: Hashable {
        var ca: String?
        var crl: String?
        var certificate: CertificateFiles?
        var verifies: Bool
        var version: TLSVersion
    }

    /// nil where the backend's policy never uses TLS. Backends of equal policy share one.
    private func serverContext(_ backend: Backend) throws(TLSContextError) -> TLSContext? {
        guard case .tcp = backend.endpoint, backend.tls.mode != .disable else { return nil }
        let tls = backend.tls
        // As libpq: `require` with a CA verifies the chain.
        let verifies =
            tls.mode == .verifyCA || tls.mode == .verifyFull
            || (tls.mode == .require && tls.caPath != nil)
        let key = ServerContextKey(
            ca: tls.caPath, crl: tls.crlPath, certificate: tls.clientCertificate,
            verifies: verifies, version: tls.minimumVersion)
        if let known = serverContexts[key] { return known }
        let context = try TLSContext(
            caPath: tls.caPath, crlPath: tls.crlPath, verifiesChain: verifies,
            certificatePath: tls.clientCertificate?.certificatePath,
            keyPath: tls.clientCertificate?.keyPath, minimumVersion: tls.minimumVersion.number)
        serverContexts[key] = context
        return context
    }

    private func addresses(_ endpoint: Endpoint) -> [SocketAddress] {
        switch endpoint {
        case .unix(let directory, let port):
            return [SocketAddress(unixDirectory: directory, port: port)]
        case .tcp(let host, let port):
            if let literal = SocketAddress(literal: host, port: port) { return [literal] }
            if let known = resolved["\(host):\(port)"] { return known }
            let found = Self.lookUp(host, port)
            resolved["\(host):\(port)"] = found
            return found
        }
    }

    private static func lookUp(_ host: String, _ port: UInt16) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &list) == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var found: [SocketAddress] = []
        var next = list
        while let entry = next {
            var storage = sockaddr_storage()
            let length = min(Int(entry.pointee.ai_addrlen), MemoryLayout<sockaddr_storage>.size)
            if let source = entry.pointee.ai_addr {
                withUnsafeMutableBytes(of: &storage) {
                    $0.copyMemory(from: UnsafeRawBufferPointer(start: source, count: length))
                }
                if let address = SocketAddress(storage), !found.contains(address) {
                    found.append(address)
                }
            }
            next = entry.pointee.ai_next
        }
        return found
    }
}

extension TLSVersion {
    /// OpenSSL's number.
    var number: Int32 {
        switch self {
        case .tls12: 0x0303
        case .tls13: 0x0304
        }
    }
}

extension ProxySnapshot {
    /// For the sockets of both legs.
    var socketOptions: SocketOptions {
        var options = SocketOptions()
        let timeouts = configuration.timeouts
        options.keepAliveIdleSeconds = Int32(clamping: timeouts.tcpKeepAliveIdle / 1000)
        options.userTimeoutMilliseconds = Int32(clamping: timeouts.tcpUserTimeout)
        return options
    }
}
