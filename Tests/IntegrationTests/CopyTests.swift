import Foundation
import TestSupport
import Testing

extension Live {
    @Suite struct CopyTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        private func psql(_ address: String, _ sql: String) throws -> String {
            try Psql().query(address, sql, password: LiveHouse.password)
        }

        @Test(arguments: ["acme", "globex"], ["disable", "require"])
        func `COPY out and in keeps every byte`(tenant: String, mode: String) throws {
            let cluster = tenant == "acme" ? house.acme : house.globex
            let scratch = try TemporaryDirectory("copy")
            let address = house.through("admin@\(tenant)", "postgres", "sslmode=\(mode)")
            // 20 MB whose every line says what it must be.
            let rows =
                "SELECT n, repeat(md5('\(tenant)' || n), 6) FROM generate_series(1, 100000) n"
            _ = try psql(address, "\\copy (\(rows)) TO '\(scratch.file("rows"))'")
            _ = try cluster.sql("\\copy (\(rows)) TO '\(scratch.file("direct"))'")
            try runOrThrow(["cmp", scratch.file("rows"), scratch.file("direct")])
            let wrong = try psql(
                address,
                """
                CREATE TEMP TABLE t (n int, line text);
                \\copy t FROM '\(scratch.file("rows"))'
                SELECT count(*), count(*) FILTER (WHERE line <> repeat(md5('\(tenant)' || n), 6))
                FROM t;
                """)
            #expect(wrong == "100000|0")
        }

        @Test func `binary COPY through two sessions at once stays apart`() throws {
            let scratch = try TemporaryDirectory("copy")
            let writers = try (0..<4).map { number in
                let tenant = number % 2 == 0 ? "acme" : "globex"
                return try Psql().start(
                    house.through("remi@\(tenant)"),
                    "COPY (SELECT '\(tenant)/\(number)/' || n FROM generate_series(1, 300000) n)"
                        + " TO STDOUT", password: LiveHouse.password,
                    outputPath: scratch.file("\(number)"))
            }
            for (number, writer) in writers.enumerated() {
                #expect(try writer.wait(deadline: .seconds(60)) == .exited(0))
                let mark = "\(number % 2 == 0 ? "acme" : "globex")/\(number)/"
                let lines = readText(scratch.file("\(number)")).split(separator: "\n")
                #expect(lines.count == 300_000)
                #expect(lines.enumerated().allSatisfy { $0.element == "\(mark)\($0.offset + 1)" })
            }
        }

        @Test func `a COPY that the client or the server breaks off leaves the session usable`()
            throws
        {
            let client = try house.client("remi@acme")
            _ = try client.query("CREATE TEMP TABLE t (n int)")
            try client.send(.query("COPY t FROM STDIN"))
            _ = try client.readUntil("G")
            try client.send(
                WireMessage("d", Array("1\n".utf8)), WireMessage("f", cString("enough")))
            let failed = try client.readUntil("Z")
            #expect(failed.first?.fields["C"] == "57014")

            try client.send(.query("COPY t FROM STDIN"))
            _ = try client.readUntil("G")
            try client.send(WireMessage("d", Array("x\n".utf8)))
            let refused = try client.readUntil("Z")
            #expect(refused.first?.fields["C"] == "22P02")
            // What is left of the COPY is dropped by the server.
            try client.send(WireMessage("d", Array("2\n".utf8)), WireMessage("c"))
            #expect(try client.values("SELECT count(*) FROM t") == ["0"])
        }

        @Test func `S-23: messages inside of values stay data`() throws {
            let image = (WireMessage.query("DROP TABLE t").bytes + WireMessage("X").bytes)
            let hexadecimal = image.map { String(format: "%02x", $0) }.joined()
            let client = try house.client("remi@acme")
            _ = try client.query("CREATE TEMP TABLE t (b text)")
            try client.send(.query("COPY t FROM STDIN"))
            _ = try client.readUntil("G")
            let escaped = image.map { String(format: "\\x%02x", $0) }.joined()
            // A NUL can't be in a text: only the others.
            let line = escaped.replacingOccurrences(of: "\\x00", with: "0") + "\n"
            try client.send(WireMessage("d", Array(line.utf8)), WireMessage("c"))
            _ = try client.readUntil("Z")
            #expect(try client.values("SELECT count(*) FROM t") == ["1"])
            let echoed = try client.values("SELECT '\\x\(hexadecimal)'::bytea::text")
            #expect(echoed == ["\\x\(hexadecimal)"])
            // A NUL inside of a Query ends its text; the rest is not a second message.
            try client.send(
                WireMessage("Q", cString("SELECT 1") + WireMessage.query("SELECT 2").bytes))
            let answer = try client.readUntil("Z")
            #expect(answer.filter { $0.letter == "D" }.count <= 1)
            #expect(try client.values("SELECT 'still here'") == ["still here"])
        }
    }
}
