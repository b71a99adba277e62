import TestSupport
import Testing

/// The rig itself: what every integration test stands on.
@Suite struct RigClusterTests {
    @Test(arguments: [15, 18])
    func `a private cluster answers over its socket and with SCRAM over TCP`(major: Int) throws {
        let cluster = try PrivateCluster(major: major)
        try cluster.createRole("remi", password: "it's \"secret\"")
        let psql = try Psql(major: major)
        let answer = try psql.query(
            "\(cluster.tcpAddress) user=remi dbname=postgres", "SELECT current_user",
            password: "it's \"secret\"")
        #expect(answer == "remi")
        let version = try cluster.sql("SHOW server_version_num")
        #expect(version.hasPrefix("\(major)"))
        let refused = try psql.run(
            "\(cluster.tcpAddress) user=remi dbname=postgres", "SELECT 1", password: "wrong")
        #expect(refused.status == 2)
        #expect(refused.error.contains("password authentication failed"))
    }

    @Test func `a cluster restarts, hangs, goes on and stops`() throws {
        let cluster = try PrivateCluster()
        try cluster.restart(.immediate)
        #expect(try cluster.sql("SELECT 1") == "1")
        try cluster.pause()
        let psql = try Psql()
        #expect(throws: RunFailure.self) {
            try psql.run(
                "\(cluster.socketAddress) user=postgres dbname=postgres", "SELECT 1",
                deadline: .milliseconds(300))
        }
        cluster.resume()
        #expect(try cluster.sql("SELECT 2") == "2")
        cluster.stop()
        #expect(!cluster.isRunning)
        #expect(try psql.run("\(cluster.tcpAddress) user=postgres", "SELECT 1").status == 2)
    }

    @Test func `a hand-made client logs in by SCRAM and by SCRAM-PLUS`() throws {
        let authority = try TestCertificateAuthority()
        let certificate = try authority.server("localhost", ipAddresses: ["127.0.0.1"])
        let cluster = try PrivateCluster(major: 15, certificate: certificate)
        try cluster.createRole("remi", password: "secret")

        let plain = try WireClient(port: cluster.port)
        try plain.login(user: "remi", password: "secret", database: "postgres")
        #expect(try plain.values("SELECT 40 + 2") == ["42"])

        let secured = try WireClient(port: cluster.port)
        try secured.requestTLS(WireTLSOptions(caPath: authority.caPath))
        try secured.login(user: "remi", password: "secret", database: "postgres")
        let ssl = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        #expect(try secured.values(ssl) == ["t"])
        #expect(secured.channel.peerCommonName == "localhost")
        #expect(secured.processID > 0 && secured.secret.count == 4)

        let wrong = try WireClient(port: cluster.port)
        #expect {
            try wrong.login(user: "remi", password: "guess", database: "postgres")
        } throws: { ($0 as? WireRefusal)?.sqlState == "28P01" }
    }
}
