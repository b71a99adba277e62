import Foundation
import TestSupport
import Testing

/// Clusters that lie: a tenant owns its server. The lies are in tools/peers/evil_backend.py, by the
/// same row numbers.
extension Live {
    @Suite struct HostileBackendTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        /// Sends honest clients to the evil clusters of a pgtee, beside the innocent tenant.
        private func visit(
            _ rows: String..., options: [String] = [], atLeast count: Int,
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            let proxy = try house.ownProxy()
            let results = try Innocent(house, proxy: proxy).watch {
                let attack = try Attack.backends(rows, proxy, options)
                try attack.waitUntilHolding()
                try waitUntil("the documents are read\n\(proxy.log.suffix(2_000))") {
                    (try? proxy.metrics().keys.contains { $0.contains("tenant=\"eb") }) == true
                }
                try attack.release()
                return try attack.finish()
            }
            expectAll(results, atLeast: count, sourceLocation: sourceLocation)
            let log = proxy.log
            #expect(
                !log.contains("TEXT-OF-THE-BACKEND"), "a cluster's raw text is in the log",
                sourceLocation: sourceLocation)
            #expect(try house.client("remi@globex", proxy: proxy).values("SELECT 42") == ["42"])
        }

        @Test func `S-02, S-03, S-04: what comes before TLS is not believed`() throws {
            try visit("S-02", "S-03", "S-04", atLeast: 11)
        }

        @Test func `S-15, S-17, S-27, S-62: a cluster must prove itself as asked`() throws {
            try visit("S-15", "S-17", "S-27", "S-62", atLeast: 32)
        }

        @Test func `S-20, S-24: the cluster's headers are bounded as libpq bounds them`() throws {
            try visit("S-20", "S-24", atLeast: 150)
        }

        @Test func `S-56: floods of notices and settings are bounded before the login`() throws {
            try visit("S-56", atLeast: 4)
        }

        @Test func `S-61, S-63: messages at the wrong time, and settings that no number holds`()
            throws
        {
            try visit("S-61", "S-63", atLeast: 25)
        }

        @Test func `S-60: mutated answers end a session at worst`() throws {
            let seed = SeededRandom.runSeed
            try visit("S-60", options: ["--fuzz", "400", "--seed", "\(seed)"], atLeast: 400)
        }
    }
}
