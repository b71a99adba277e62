import TestSupport
import Testing

@Suite struct RigProxyTests {
    @Test func `a proxy of a test's own routes, logs, counts and drains`() throws {
        let cluster = try PrivateCluster()
        try cluster.createRole("remi", password: "secret")
        let verifier = try cluster.verifier(of: "remi")
        let proxy = try ProxyProcess(
            ProxyProcess.Options(
                tenants: [TenantDocument("acme", cluster, verifiers: ["remi": verifier])]))
        let psql = try Psql()
        let address = "\(proxy.address) user=remi@acme dbname=postgres"
        #expect(try psql.query(address, "SELECT current_user", password: "secret") == "remi")
        #expect(try psql.run(address, "SELECT 1", password: "wrong").status == 2)

        let client = try WireClient(port: proxy.port)
        try client.login(user: "remi@acme", password: "secret", database: "postgres")
        #expect(try client.values("SELECT 40 + 2") == ["42"])
        try waitUntil("the session is counted") {
            try proxy.metrics().contains { $0.key.contains("acme") && $0.value > 0 }
        }
        try proxy.waitForLog("tenant=acme")

        #expect(try proxy.stop() == .exited(0))
        #expect(!proxy.isRunning)
    }
}
