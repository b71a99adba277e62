internal import EventLoop
internal import Handoff
internal import Telemetry
internal import Tenancy
internal import Testing

@testable import Proxy

/// Ten thousand tenants: built by the control part, swapped in by a worker.
struct SnapshotSwapTests {
    private static func tenants(_ count: Int, port: UInt16) -> [Tenant] {
        (0..<count).map { number in
            var tenant = Tenant(name: "tenant-\(number)")
            tenant.hosts = ["tenant-\(number).example.org"]
            tenant.databases = ["app-\(number)": "app"]
            var backend = Backend(endpoint: .tcp(host: "127.0.0.1", port: port))
            backend.tls.mode = .disable
            tenant.backends = [backend]
            return tenant
        }
    }

    @Test func `a worker swaps ten thousand tenants in less than a millisecond`() throws {
        let shared = ProxyShared(
            workers: 1, telemetry: Mailbox(capacity: 16), mockSecret: [], peers: nil)
        let builder = SnapshotBuilder(workers: 1)
        let configuration = ServiceConfiguration()
        let clock = ContinuousClock()
        var snapshots = [try builder.make(configuration, [], generation: 1)]
        let worker = try ProxyWorker(
            index: 0, kernel: SystemKernel(), shared: shared, snapshot: snapshots[0])
        var times: [Duration] = []
        for generation in UInt64(2)...8 {
            let new = try builder.make(
                configuration, Self.tenants(10_000, port: UInt16(generation)),
                generation: generation)
            // As the service does: the last reference to an old one is the control part's.
            snapshots.append(new)
            shared.mailboxes[0].post(.snapshot(new))
            times.append(clock.measure { worker.step() })
            #expect(worker.snapshot.generation == generation)
            #expect(worker.snapshot.tenants.count == 10_000)
        }
        // One of several may be hit by the machine's other work.
        let median = times.sorted()[times.count / 2]
        #expect(median < .milliseconds(1), "swaps took \(times)")
    }

    @Test func `counts of a tenant survive a reload`() throws {
        let builder = SnapshotBuilder(workers: 2)
        let first = try builder.make(
            ServiceConfiguration(), Self.tenants(2, port: 1), generation: 1)
        #expect(first.tenants[0].gauges.sessions.take(limit: 1))
        let second = try builder.make(
            ServiceConfiguration(), Self.tenants(2, port: 2), generation: 2)
        #expect(second.tenants[0].gauges === first.tenants[0].gauges)
        #expect(!second.tenants[0].gauges.sessions.take(limit: 1))
    }
}
