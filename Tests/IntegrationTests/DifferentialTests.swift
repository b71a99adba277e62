import Foundation
import TestSupport
import Testing

/// What PostgreSQL can do besides plain queries, direct and through pgtee.
extension Live {
    @Suite struct DifferentialTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        @Test func `notifications of others and of oneself arrive with the true process number`()
            throws
        {
            let listener = try house.client("remi@acme")
            _ = try listener.query("LISTEN news")
            try listener.send(.query("NOTIFY news, 'own'"))
            let own = try listener.readUntil("Z").first { $0.letter == "A" }
            #expect(own?.code == listener.processID)
            let other = try house.client("remi@acme", tls: true)
            _ = try other.query("NOTIFY news, 'other'")
            let message = try listener.readMessage()
            #expect(message.letter == "A")
            #expect(message.code == other.processID)
            #expect(
                Array(message.body.dropFirst(4)) == cString("news") + cString("other"))
            // Another tenant's NOTIFY is another cluster's.
            let stranger = try house.client("remi@globex")
            _ = try stranger.query("NOTIFY news, 'elsewhere'")
            #expect(
                try listener.query("SELECT 1").allSatisfy { $0.letter != "A" })
        }

        @Test func `large objects go both ways`() throws {
            let scratch = try TemporaryDirectory("lo")
            var random = SeededRandom(seed: SeededRandom.runSeed)
            let bytes = Data(random.bytes(3_000_000))
            try bytes.write(to: URL(fileURLWithPath: scratch.file("in")))
            for tenant in ["acme", "globex"] {
                for mode in ["disable", "require"] {
                    let address = house.through("remi@\(tenant)", "postgres", "sslmode=\(mode)")
                    let copy = scratch.file("\(tenant)-\(mode)")
                    _ = try Psql().query(
                        address,
                        """
                        \\lo_import '\(scratch.file("in"))'
                        \\lo_export :LASTOID '\(copy)'
                        \\lo_unlink :LASTOID
                        """, password: LiveHouse.password)
                    #expect(try Data(contentsOf: URL(fileURLWithPath: copy)) == bytes)
                }
            }
        }

        @Test func `function calls give the same answer and the same error`() throws {
            let exchange = try Exchange(house)
            func call(_ oid: Int, _ value: Int) -> WireMessage {
                WireMessage(
                    "F",
                    int32(oid) + int16(1) + int16(1) + int16(1) + int32(4) + int32(value) + int16(1)
                )
            }
            // int4abs, int4um, and a function that does not exist.
            try exchange.same([call(1251, -7)])
            try exchange.same([call(212, 7)])
            try exchange.same([call(999_999, 7)])
            try exchange.same([call(1251, -2_147_483_648)])
            try exchange.same([.query("SELECT 1")])
        }

        @Test func `notices, cursors, settings and errors are the same messages`() throws {
            for tenant in ["acme", "globex"] {
                let exchange = try Exchange(house, tenant)
                for sql in [
                    "DO $$ BEGIN FOR n IN 1..2000 LOOP RAISE NOTICE 'n %', n; END LOOP; END $$",
                    "SET application_name = 'x'; SET timezone = 'Asia/Tokyo'; RESET ALL",
                    "BEGIN; DECLARE c CURSOR FOR SELECT generate_series(1, 50); FETCH 20 FROM c;"
                        + " MOVE 5 IN c; FETCH ALL FROM c; COMMIT",
                    "SELECT 'x'::int", "SELECT * FROM nowhere", "BEGIN; SELECT 1/0; SELECT 2",
                    "ROLLBACK", "SELECT repeat('wide', 100000), NULL, ''",
                    "SELECT n, repeat('r', n) FROM generate_series(1, 3000) n",
                ] {
                    try exchange.same([.query(sql)])
                }
            }
        }

        @Test func `a row of 600 MB passes, and pgtee's memory does not grow`() throws {
            let before = ProcessNumbers(house.proxy.pid).memory
            let size = 600_000_000
            let client = try house.client("remi@acme")
            client.channel.deadline = .seconds(60)
            try client.send(.query("SELECT repeat('0123456789', \(size / 10))"))
            _ = try client.readUntil("T")
            let header = try client.channel.receive(11)
            #expect(header[0] == UInt8(ascii: "D"))
            #expect(Int(readInt32(header, 7)) == size)
            var left = size
            var peak = 0
            while left > 0 {
                left -= try client.channel.receiveSome(min(left, 1 << 20)).count
                if left % 64 == 0 { peak = max(peak, ProcessNumbers(house.proxy.pid).memory) }
            }
            _ = try client.readUntil("Z")
            peak = max(peak, ProcessNumbers(house.proxy.pid).memory)
            #expect(peak - before < 8 << 20, "\(peak - before) bytes more")
            #expect(try client.values("SELECT 'next'") == ["next"])
        }

        @Test func `drivers' own tests of a session give the same output`() throws {
            let script = """
                SELECT n, md5(n::text) FROM generate_series(1, 40) n \\gdesc
                \\set FETCH_COUNT 7
                SELECT n FROM generate_series(1, 40) n;
                \\unset FETCH_COUNT
                CREATE TEMP TABLE t (a int, b text);
                \\copy t FROM PROGRAM 'seq 1 9 | sed s/$/\\t+/'
                SELECT a, b FROM t ORDER BY a \\crosstabview
                \\d pg_class
                SELECT $1 AS x \\bind 5 \\g
                """
            let psql = try Psql(major: 18)
            let direct = try psql.run(
                "\(house.globex.socketAddress) user=remi dbname=postgres", script,
                password: LiveHouse.password)
            let proxied = try psql.run(
                house.through("remi@globex", "postgres", "sslmode=require"), script,
                password: LiveHouse.password)
            #expect(proxied.output == direct.output)
            #expect(proxied.error == direct.error)
            #expect(proxied.status == direct.status)
        }
    }
}
