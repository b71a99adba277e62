internal import EventLoop
package import Handoff
package import Telemetry
package import Tenancy

/// What a worker routes by: immutable, made by the control part, handed over whole. A session keeps
/// the `TenantRuntime` it was routed with until it ends.
package final class ProxySnapshot: Sendable {
    package let generation: UInt64
    package let configuration: ServiceConfiguration
    let routes: RouteTable
    /// nil: TLS towards clients is off.
    let clientTLS: ClientTLSContexts?
    /// By the route table's tenant index.
    let tenants: [TenantRuntime]

    init(
        generation: UInt64, configuration: ServiceConfiguration, routes: RouteTable,
        clientTLS: ClientTLSContexts?, tenants: [TenantRuntime]
    ) {
        self.generation = generation
        self.configuration = configuration
        self.routes = routes
        self.clientTLS = clientTLS
        self.tenants = tenants
    }
}

/// A tenant as the workers need it: its document, where its cluster is, the TLS contexts of both
/// legs, and the counts that outlive a reload.
package final class TenantRuntime: Sendable {
    package let tenant: Tenant
    package let backend: Backend
    /// Where to connect, in order; empty when the host name could not be resolved.
    let addresses: [SocketAddress]
    /// nil: the server leg does not use TLS.
    let serverTLS: TLSContext?
    let clientVerifier: CertificateVerifier?
    package let gauges: TenantGauges

    init(
        tenant: Tenant, backend: Backend, addresses: [SocketAddress], serverTLS: TLSContext?,
        clientVerifier: CertificateVerifier?, gauges: TenantGauges
    ) {
        self.tenant = tenant
        self.backend = backend
        self.addresses = addresses
        self.serverTLS = serverTLS
        self.clientVerifier = clientVerifier
        self.gauges = gauges
    }

    /// The name that the server's certificate must carry and that SNI asks for.
    var tlsName: String? {
        if let name = backend.tls.name { return name }
        if case .tcp(let host, _) = backend.endpoint { return host }
        return nil
    }
}

/// Counts of a tenant over all workers; one object per name for the life of the process.
package final class TenantGauges: Sendable {
    package let sessions = SharedCount()
    package let loginsInFlight = SharedCount()
    /// One block per worker, in worker order.
    package let counters: [TenantCounters]

    init(workers: Int) {
        counters = (0..<workers).map { _ in TenantCounters() }
    }

    package func total(_ counter: TenantCounter) -> UInt64 {
        counters.reduce(0) { $0 &+ $1.value(counter) }
    }
}
