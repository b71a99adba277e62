import Foundation
import TestSupport
import Testing

/// S-13: pgtee's server leg accepts and rejects certificates exactly as libpq does: each server
/// certificate with each demand, once by psql direct and once through pgtee.
extension Live {
    @Suite struct CertificateMatrixTests {
        /// One demand on the cluster's certificate, by libpq's words.
        struct Demand: CustomStringConvertible {
            let mode: String
            let host: String
            var ca: String?
            var crl: String?

            var description: String {
                "\(mode) \(host)\(ca == nil ? " without CA" : "")\(crl == nil ? "" : " with CRL")"
            }

            /// For psql.
            func address(port: UInt16) -> String {
                "host=\(host) hostaddr=127.0.0.1 port=\(port) user=remi dbname=postgres"
                    + " sslmode=\(mode) sslrootcert=\(ca ?? "/nonexistent")"
                    + (crl.map { " sslcrl=\($0)" } ?? "")
            }

            /// For pgtee.
            func tenant(_ name: String, _ cluster: PrivateCluster, verifier: String)
                -> TenantDocument
            {
                let files =
                    (ca.map { ", ca: \($0)" } ?? "") + (crl.map { ", crl: \($0)" } ?? "")
                return TenantDocument(
                    name,
                    backends: [
                        "{name: main, host: 127.0.0.1, port: \(cluster.port),"
                            + " tls: {mode: \(mode), name: \"\(host)\"\(files)}}"
                    ], authentication: ["mode: scram", "verifiers: {remi: \"\(verifier)\"}"])
            }
        }

        private func certificates(
            _ authority: TestCertificateAuthority, _ stranger: TestCertificateAuthority,
            _ intermediate: TestCertificateAuthority, _ scratch: TemporaryDirectory
        ) throws -> [(String, TestCertificate)] {
            func issue(_ common: String, _ dns: [String] = [], ip: [String] = []) throws
                -> TestCertificate
            {
                try authority.issue(CertificateRequest(common, dnsNames: dns, ipAddresses: ip))
            }
            let sound = CertificateRequest("db.acme", dnsNames: ["db.acme"])
            return [
                ("a name", try issue("other", ["db.acme"])),
                ("common name only", try issue("db.acme")),
                ("common name beside another name", try issue("db.acme", ["other.acme"])),
                ("wildcard", try issue("x", ["*.acme"])),
                ("wildcard as common name", try issue("*.acme")),
                ("wildcard in a part of a label", try issue("x", ["d*.acme"])),
                ("wildcard of two labels", try issue("x", ["*.*.acme"])),
                ("wildcard of everything", try issue("x", ["*"])),
                ("capitals", try issue("x", ["DB.Acme"])),
                ("IP address", try issue("x", ip: ["127.0.0.1"])),
                ("IP address beside a name", try issue("x", ["db.acme"], ip: ["127.0.0.1"])),
                ("IP address as common name", try issue("127.0.0.1")),
                ("IP address as common name beside a name", try issue("127.0.0.1", ["db.acme"])),
                ("IP address as DNS name", try issue("x", ["127.0.0.1"])),
                ("200 names", try issue("x", (0..<199).map { "n\($0).acme" } + ["db.acme"])),
                ("expired", try authority.issue(sound.expired)),
                ("not yet valid", try authority.issue(sound.notYetValid)),
                ("self-signed", try TestCertificateAuthority.selfSigned(sound, in: scratch)),
                ("another authority", try stranger.server("db.acme")),
                ("for clients only", try authority.client("db.acme")),
                ("below an intermediate", try intermediate.server("db.acme")),
                (
                    "RSA",
                    try authority.issue(
                        CertificateRequest("db.acme", dnsNames: ["db.acme"], key: .rsa2048))
                ),
            ]
        }

        private func demands(right: String, wrong: String, crl: String) -> [Demand] {
            // Documents want names in lower case; libpq takes any.
            let hosts = ["db.acme", "x.acme", "deep.x.acme", "127.0.0.1"]
            return [
                Demand(mode: "require", host: "db.acme"),
                Demand(mode: "require", host: "db.acme", ca: right),
                Demand(mode: "require", host: "db.acme", ca: wrong),
                Demand(mode: "prefer", host: "db.acme", ca: right),
                Demand(mode: "verify-ca", host: "db.acme", ca: right),
                Demand(mode: "verify-ca", host: "db.acme", ca: wrong),
                Demand(mode: "verify-ca", host: "db.acme", ca: right, crl: crl),
                Demand(mode: "verify-full", host: "db.acme", ca: wrong),
                Demand(mode: "verify-full", host: "db.acme", ca: right, crl: crl),
            ] + hosts.map { Demand(mode: "verify-full", host: $0, ca: right) }
        }

        @Test func `S-13: every certificate is accepted or rejected as libpq does`() throws {
            let house = try LiveHouse.open()
            let scratch = try TemporaryDirectory("matrix")
            let authority = try TestCertificateAuthority()
            let wrong = try TestCertificateAuthority("wrong")
            let intermediate = try TestCertificateAuthority(
                intermediate: "intermediate", below: authority)
            // Their files go with them.
            defer { withExtendedLifetime((wrong, intermediate)) {} }
            var list = try certificates(authority, wrong, intermediate, scratch)
            let revoked = try authority.server("db.acme")
            list.append(("revoked", revoked))
            let demands = demands(
                right: authority.caPath, wrong: wrong.caPath,
                crl: try authority.revoke([revoked]))
            let cluster = try PrivateCluster(major: 15, certificate: revoked)
            try cluster.createRole("remi", password: LiveHouse.password)
            let verifier = try cluster.verifier(of: "remi")
            let proxy = try house.ownProxy(
                tenants: demands.enumerated().map {
                    $1.tenant("demand\($0)", cluster, verifier: verifier)
                })
            var seen: [Bool: Int] = [:]
            for (name, certificate) in list {
                try show(certificate, cluster)
                for (number, demand) in demands.enumerated() {
                    let direct = try Psql().run(
                        demand.address(port: cluster.port), "SELECT 1",
                        password: LiveHouse.password)
                    let client = try WireClient(port: proxy.port)
                    let error = try refusal {
                        try client.login(
                            user: "remi@demand\(number)", password: LiveHouse.password,
                            database: "postgres")
                    }
                    let accepted = direct.status == 0
                    let line = proxy.logLines.last { $0.contains("demand\(number) ") } ?? ""
                    seen[accepted, default: 0] += 1
                    #expect(
                        (error == nil) == accepted,
                        """
                        \(name), \(demand): libpq says \(direct.error), pgtee \
                        \(error as Any) \(line)
                        """)
                    if let error { #expect(error.sqlState.hasPrefix("08"), "\(error)") }
                }
            }
            // A matrix that only accepts or only rejects proves nothing.
            #expect((seen[true] ?? 0) > 80 && (seen[false] ?? 0) > 80, "\(seen)")
        }

        /// Has the cluster show this certificate, and waits until it does.
        private func show(_ certificate: TestCertificate, _ cluster: PrivateCluster) throws {
            try cluster.writeFile("server.key", readText(certificate.keyPath))
            try cluster.writeFile("server.crt", readText(certificate.certificatePath))
            cluster.reload()
            let text = try runOrThrow([
                "openssl", "x509", "-noout", "-serial", "-in", certificate.certificatePath,
            ])
            try waitUntil("the cluster shows its new certificate") {
                let shown = try run(
                    [
                        "sh", "-c",
                        "openssl s_client -starttls postgres -connect 127.0.0.1:\(cluster.port)"
                            + " </dev/null 2>/dev/null | openssl x509 -noout -serial",
                    ])
                return shown.output == text
            }
        }
    }
}
