import Foundation
import TestSupport
import Testing

extension Live {
    @Suite struct ReplicationTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        private func tool(
            _ name: String, _ words: [String], deadline: Duration = .seconds(60)
        ) throws -> RunResult {
            try run(
                [try PostgreSQLInstallation(major: 15).program(name)] + words,
                environment: Psql.environment(password: LiveHouse.password), deadline: deadline)
        }

        @Test func `a base backup through pgtee is whole`() throws {
            let scratch = try TemporaryDirectory("backup")
            let result = try tool(
                "pg_basebackup",
                [
                    "-d", house.through("admin@acme", "", "sslmode=require"), "-D",
                    scratch.file("data"), "-X", "stream", "-c", "fast", "--no-sync",
                ])
            #expect(result.status == 0, "\(result)")
            let check = try tool("pg_verifybackup", [scratch.file("data")])
            #expect(check.status == 0, "\(check)")
        }

        @Test func `logical decoding streams the same changes`() throws {
            let scratch = try TemporaryDirectory("logical")
            let address = house.through("admin@acme", "acme_shop", "sslmode=disable")
            func words(_ more: String...) -> [String] {
                ["-d", address, "--slot", "through"] + more
            }
            let create = try tool(
                "pg_recvlogical", words("--create-slot", "-P", "test_decoding"))
            #expect(create.status == 0, "\(create)")
            try house.acme.sql(
                """
                SET synchronous_commit = on;
                CREATE TABLE decoded (n int PRIMARY KEY);
                INSERT INTO decoded SELECT generate_series(1, 2000);
                """, database: "acme_shop")
            let end = try house.acme.sql("SELECT pg_current_wal_lsn();")
            let peek = try house.acme.sql(
                "SELECT data FROM pg_logical_slot_peek_changes('through', '\(end)', NULL);",
                database: "acme_shop")
            let stream = try tool(
                "pg_recvlogical",
                words("--start", "-f", scratch.file("changes"), "--endpos", end, "--no-loop"))
            #expect(stream.status == 0, "\(stream)")
            func rows(_ text: String) -> [Substring] {
                text.split(separator: "\n").filter { $0.contains("INSERT") }
            }
            #expect(rows(readText(scratch.file("changes"))) == rows(peek))
            #expect(rows(peek).count == 2_000)
            #expect(try tool("pg_recvlogical", words("--drop-slot")).status == 0)
            try house.acme.sql("DROP TABLE decoded;", database: "acme_shop")
        }

        @Test(arguments: ["true", "database", "1", "on", "yes"])
        func `S-39: replication is refused where the tenant does not allow it`(
            word: String
        ) throws {
            let client = try WireClient(port: house.proxy.port)
            let error = try refusal {
                try client.login(
                    user: "admin@globex", password: LiveHouse.password, database: "postgres",
                    options: [("replication", word)])
            }
            #expect(error?.sqlState == "28000" || error?.sqlState == "42501", "\(error as Any)")
        }

        @Test(arguments: ["false", "0", "off", "no"])
        func `S-39: asking for no replication is a plain login`(word: String) throws {
            let client = try WireClient(port: house.proxy.port)
            try client.login(
                user: "admin@globex", password: LiveHouse.password, database: "postgres",
                options: [("replication", word)])
            #expect(try client.values("SELECT 1") == ["1"])
        }

        @Test func `S-39: a word that is neither is refused`() throws {
            for tenant in ["acme", "globex"] {
                let client = try WireClient(port: house.proxy.port)
                let error = try refusal {
                    try client.login(
                        user: "admin@\(tenant)", password: LiveHouse.password,
                        database: "postgres", options: [("replication", "perhaps")])
                }
                #expect(error != nil)
            }
        }

        @Test func `a role without the attribute is refused by the cluster`() throws {
            let client = try WireClient(port: house.proxy.port)
            let error = try refusal {
                try client.login(
                    user: "remi@acme", password: LiveHouse.password, database: "postgres",
                    options: [("replication", "true")])
            }
            #expect(error?.sqlState == "42501" || error?.sqlState == "28000", "\(error as Any)")
        }
    }
}
