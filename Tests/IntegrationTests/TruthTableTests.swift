import Foundation
import TestSupport
import Testing

/// What happens when a proxy passes SCRAM through unchanged, measured with a relay that does just
/// that (tools/peers/sasl_relay.py). The table stands in docs/why-not-a-tcp-proxy.md.
extension Live {
    @Suite struct TruthTableTests {
        private struct Row {
            let client: String
            let server: String
            let offer: String
            let words: [String]
            var clientTLS: Bool { client == "TLS" }
        }

        private static let begin = "<!-- made by TruthTableTests, DOCS_UPDATE=1 writes it anew -->"
        private static let end = "<!-- end of the table -->"

        @Test func `the table of authentication passed through is what it says in the document`()
            throws
        {
            let path = "\(Repository.root)/docs/why-not-a-tcp-proxy.md"
            let document = readText(path)
            let parts = document.components(separatedBy: Self.begin)
            try #require(parts.count == 2, "\(path) has no table")
            let rest = try #require(parts[1].components(separatedBy: Self.end).last)
            let table = try measure()
            let fresh = "\(parts[0])\(Self.begin)\n\(table)\(Self.end)\(rest)"
            if ProcessInfo.processInfo.environment["DOCS_UPDATE"] != nil {
                try writeFile(path, fresh)
            }
            #expect(readText(path) == fresh, "\(table)")
        }

        private func measure() throws -> String {
            let house = try LiveHouse.open()
            let own = house.proxyCertificate
            let same = [
                "--certificate", "\(house.acme.dataDirectory)/server.crt", "--key",
                "\(house.acme.dataDirectory)/server.key",
            ]
            let other = ["--certificate", own.certificatePath, "--key", own.keyPath]
            let rows = [
                Row(client: "TLS", server: "TLS, other certificate", offer: "unchanged",
                    words: other + ["--server-tls"]),
                Row(client: "TLS", server: "TLS, other certificate", offer: "`-PLUS` taken out",
                    words: other + ["--server-tls", "--strip"]),
                Row(client: "TLS", server: "TLS, same certificate", offer: "unchanged",
                    words: same + ["--server-tls"]),
                Row(client: "TLS", server: "plain", offer: "unchanged", words: other),
                Row(client: "plain", server: "TLS", offer: "unchanged", words: ["--server-tls"]),
                Row(client: "plain", server: "TLS", offer: "`-PLUS` taken out",
                    words: ["--server-tls", "--strip"]),
                Row(client: "plain", server: "plain", offer: "unchanged", words: []),
            ]
            var text =
                "| client leg | server leg | offer | libpq, disable | libpq, prefer (default)"
                + " | libpq, require | asyncpg |\n| --- | --- | --- | --- | --- | --- | --- |\n"
            for row in rows {
                let lock = try PortLock()
                let scratch = try TemporaryDirectory("relay")
                let relay = try ChildProcess(
                    [
                        "python3", "\(Repository.root)/tools/peers/sasl_relay.py", "--listen",
                        "\(lock.port)", "--to", "\(house.acme.port)",
                    ] + row.words, outputPath: scratch.file("output"))
                try waitUntil("the relay listens\n\(relay.output)") {
                    relay.output.contains("ready")
                }
                var cells = [row.client, row.server, row.offer]
                for binding in ["disable", "prefer", "require"] {
                    cells.append(try libpq(port: lock.port, row, binding))
                }
                cells.append(try asyncpg(house, port: lock.port, row))
                text += "| \(cells.joined(separator: " | ")) |\n"
                relay.signal(SIGKILL)
            }
            return text
        }

        /// `works`, or the first words of the reason.
        private func libpq(port: UInt16, _ row: Row, _ binding: String) throws -> String {
            let mode = row.clientTLS ? "require" : "disable"
            let result = try Psql().run(
                "host=127.0.0.1 port=\(port) user=remi dbname=postgres sslmode=\(mode)"
                    + " channel_binding=\(binding)", "SELECT 1", password: LiveHouse.password)
            return result.status == 0 ? "works" : reason(result.error)
        }

        private func asyncpg(_ house: LiveHouse, port: UInt16, _ row: Row) throws -> String {
            let result = try run([
                "\(Repository.root)/.build/venv/bin/python",
                "\(Repository.root)/Tests/Drivers/login.py", "asyncpg", "127.0.0.1", "\(port)",
                "remi", LiveHouse.password, "postgres", row.clientTLS ? "tls" : "plain",
                house.authority.caPath,
            ])
            return result.status == 0 ? "works" : reason(result.error)
        }

        private func reason(_ error: String) -> String {
            for (words, meaning) in [
                ("channel binding check failed", "**28000**: binding check failed"),
                ("channel binding negotiation error", "**28000**: looks like a downgrade"),
                ("channel binding required", "refuses: no binding offered"),
                ("channel binding is required", "refuses: no binding offered"),
                ("offered SCRAM-SHA-256-PLUS authentication over a non-SSL", "refuses the offer"),
            ] where error.contains(words) {
                return meaning
            }
            return error.split(separator: "\n").first.map { String($0) } ?? "fails"
        }
    }
}
