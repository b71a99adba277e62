import TestSupport
import Testing

/// Pipelines of every shape give the same messages as without pgtee.
extension Live {
    @Suite struct PipeliningTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        @Test(arguments: ["acme", "globex"])
        func `answers to a Flush come without a Sync`(tenant: String) throws {
            let exchange = try Exchange(house, tenant)
            try exchange.same(
                [.parse("SELECT $1::int + 1"), .describeStatement(), .flush], until: "T")
            for number in 0..<20 {
                try exchange.same([.bind(["\(number)"]), .execute(), .flush], until: "C")
            }
            try exchange.same([.sync])
        }

        @Test func `10,000 Syncs get 10,000 answers`() throws {
            let exchange = try Exchange(house)
            try exchange.same(Array(repeating: .sync, count: 10_000), count: 10_000)
        }

        @Test func `after an error everything up to the Sync is skipped, Query included`() throws {
            let exchange = try Exchange(house)
            try exchange.same([
                .parse("SELECT 1/0"), .bind(), .execute(), .parse("SELECT 2"), .query("SELECT 3"),
                .sync,
            ])
            try exchange.same([.parse("SELEC"), .bind(), .flush, .query("SELECT 4"), .sync])
            try exchange.same([.query("SELECT 5")])
        }

        @Test func `a limit suspends the portal, again and again`() throws {
            let exchange = try Exchange(house)
            let begin: [WireMessage] = [
                .query("BEGIN"), .parse("SELECT generate_series(1, 12)"), .bind(portal: "p"),
            ]
            let pieces = (0..<7).flatMap { _ in [WireMessage.execute("p", limit: 2), .flush] }
            try exchange.same(begin + pieces + [.sync, .query("COMMIT")], count: 3)
        }

        @Test func `several statements in one Query, the third failing`() throws {
            let exchange = try Exchange(house)
            try exchange.same([.query("SELECT 1; SELECT 2; SELECT 1/0; SELECT 4; SELECT 5")])
            try exchange.same([.query("BEGIN; SELECT 1; COMMIT; SELECT 1/0")])
            try exchange.same([.query("")])
            try exchange.same([.query(";;")])
        }

        @Test func `a constraint that fails at Sync gives one ReadyForQuery`() throws {
            let exchange = try Exchange(house)
            try house.acme.sql(
                """
                CREATE TABLE late (n int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);
                GRANT ALL ON late TO remi;
                """)
            defer { _ = try? house.acme.sql("DROP TABLE late;") }
            let twice: [WireMessage] = [
                .parse("INSERT INTO late VALUES (1)"), .bind(), .execute(), .bind(), .execute(),
                .sync,
            ]
            try exchange.same(twice)
            try exchange.same([.query("SELECT count(*) FROM late")])
        }

        @Test func `COPY with a pipelined Sync, good and bad`() throws {
            let exchange = try Exchange(house)
            try exchange.same([.query("CREATE TEMP TABLE t (n int)")])
            let copy: [WireMessage] = [.parse("COPY t FROM STDIN"), .bind(), .execute(), .sync]
            try exchange.same(copy, until: "G")
            try exchange.same([WireMessage("d", Array("7\n".utf8)), WireMessage("c"), .sync])
            try exchange.same(copy, until: "G")
            try exchange.same([WireMessage("d", Array("x\n".utf8)), WireMessage("c"), .sync])
            try exchange.same([.query("SELECT n + 0 FROM t")])
        }

        @Test func `statements with names live as long as the session`() throws {
            let exchange = try Exchange(house, "globex")
            let prepare = (0..<200).map {
                WireMessage.parse("SELECT \($0), $1::text", name: "s\($0)")
            }
            try exchange.same(prepare + [.sync])
            let uses = (0..<200).flatMap { number -> [WireMessage] in
                [
                    .bind(["v\(number)"], statement: "s\(number)"), .describePortal(), .execute(),
                    .closeStatement("s\(number)"),
                ]
            }
            try exchange.same(uses + [.sync])
            try exchange.same([.bind(["x"], statement: "s1"), .sync])
        }

        @Test(arguments: [1, 3, 5, 7, 64])
        func `a pipeline in pieces gives the same answers`(size: Int) throws {
            let client = try house.client("remi@acme")
            let pipeline = (0..<30).flatMap { number -> [WireMessage] in
                [.parse("SELECT $1"), .bind(["piece \(number)"]), .execute(), .sync]
            }
            let bytes = pipeline.flatMap(\.bytes)
            for start in stride(from: 0, to: bytes.count, by: size) {
                try client.channel.send(Array(bytes[start..<min(start + size, bytes.count)]))
            }
            for number in 0..<30 {
                let rows = try client.readUntil("Z").filter { $0.letter == "D" }
                #expect(rows.map { String(decoding: $0.body.dropFirst(6), as: UTF8.self) }
                    == ["piece \(number)"])
            }
        }
    }
}
