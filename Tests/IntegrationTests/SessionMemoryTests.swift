import Foundation
import TestSupport
import Testing

/// What sessions cost, idle or hostile: the documented sizes, and an end to every growth.
extension Live {
    @Suite struct SessionMemoryTests {
        let house: LiveHouse

        init() throws { house = try LiveHouse.open() }

        private func holder() throws -> EvilBackend {
            try EvilBackend { connection in
                _ = try connection.readStartup()
                try connection.finishScramLogin()
                connection.channel.deadline = .seconds(60)
                connection.holdUntilClosed()
            }
        }

        @Test(arguments: [(tls: false, count: 2_000, gate: 24), (true, 1_000, 64)])
        func `S-51: an idle session takes no more memory than is documented`(
            tls: Bool, count: Int, gate: Int
        ) throws {
            let backend = try holder()
            let proxy = try house.ownProxy(tenants: [backend.tenant("idle")])
            let keys = ReadyKeys()
            func open(_ number: Int) throws -> [WireClient] {
                try (0..<number).map { _ in
                    let client = try WireClient(port: proxy.port)
                    if tls { try client.requestTLS() }
                    try client.quickLogin(user: "remi@idle", keys)
                    return client
                }
            }
            // What is made once is not a session's.
            let first = try open(100)
            let before = ProcessNumbers(proxy.pid).memory
            let sessions = try open(count)
            #expect(try proxy.metric("pgtee_sessions") >= Double(count))
            // Record buffers go back when a session has been quiet for a moment.
            var each = 0
            try waitUntil("an idle session takes less than \(gate) KiB, not \(each) bytes") {
                each = (ProcessNumbers(proxy.pid).memory - before) / count
                return each < gate * 1_024
            }
            print("S-51: \(each) bytes for a session, TLS \(tls)")
            // Less than its socket's bookkeeping would mean that nothing was measured.
            #expect(each > 256)
            withExtendedLifetime((first, sessions)) {}
        }

        @Test func `S-55: a hundred thousand statements in one session are not remembered`()
            throws
        {
            let count = 100_000
            let text = String(repeating: "x", count: 1_000)
            func name(_ number: Int) -> String { String(format: "s%07d", number) }
            let parse = WireMessage.parse(text, name: name(0)).bytes.count
            let bind = WireMessage.bind(statement: name(0), portal: name(0)).bytes.count
            let sync = WireMessage.sync.bytes.count
            let go = DispatchSemaphore(value: 0)
            defer { go.signal() }
            let read = ScriptCount()
            // Takes everything and answers nothing until it is told to: no exchange ends early.
            let backend = try EvilBackend { connection in
                _ = try connection.readStartup()
                try connection.finishScramLogin()
                var left = count * (parse + bind + sync)
                while left > 0 {
                    let some = try connection.channel.receiveSome(min(left, 1 << 20)).count
                    if some == 0 { return }
                    left -= some
                    read.add(some)
                }
                go.wait()
                let ready = WireMessage("Z", Array("I".utf8)).bytes
                let parsed = WireMessage("1").bytes + WireMessage("2").bytes + ready
                try connection.channel.send((0..<count).flatMap { _ in parsed })
                connection.holdUntilClosed()
            }
            let proxy = try house.ownProxy(tenants: [backend.tenant("many")])
            let client = try house.client("remi@many", proxy: proxy)
            let before = ProcessNumbers(proxy.pid).memory
            for block in 0..<(count / 1_000) {
                var bytes: [UInt8] = []
                for number in (block * 1_000)..<(block * 1_000 + 1_000) {
                    let name = name(number)
                    bytes += WireMessage.parse(text, name: name).bytes
                    bytes += WireMessage.bind(statement: name, portal: name).bytes
                    bytes += WireMessage.sync.bytes
                }
                try client.channel.send(bytes)
            }
            try waitUntil("all of it is at the cluster") {
                read.value == count * (parse + bind + sync)
            }
            let peak = Self.peak(proxy.pid) - before
            print("S-55: \(peak) bytes at the most for \(count) statements")
            #expect(peak < 8 << 20, "memory grew by \(peak)")
            go.signal()
            let answer = try client.channel.receive(count * 16)
            #expect(Array(answer.suffix(6)) == WireMessage("Z", Array("I".utf8)).bytes)
            #expect(try house.client("remi@globex", proxy: proxy).values("SELECT 1") == ["1"])
        }

        @Test func `S-59: waiting bytes turn new logins away before memory runs out`() throws {
            let backend = try flood()
            let service = LiveHouse.service.filter {
                !$0.hasPrefix("workers") && !$0.hasPrefix("limits")
            }
            let proxy = try house.ownProxy(
                tenants: [backend.tenant("flood")],
                service: service + ["workers: 1", "limits: {buffer_total: 4MiB}"])
            let session = try house.client("remi@globex", proxy: proxy)
            let before = ProcessNumbers(proxy.pid).memory
            let keys = ReadyKeys()
            var claims: [WireClient] = []
            for _ in 0..<50 {
                let client = try WireClient(port: proxy.port)
                try client.quickLogin(user: "remi@flood", keys)
                try client.channel.send([UInt8(ascii: "Q")] + int32(0x3fff_fff0) + [7, 7])
                claims.append(client)
            }
            var slow: [WireClient] = []
            var error: WireRefusal?
            while error == nil && slow.count < 100 {
                let client = try WireClient(port: proxy.port)
                client.channel.setReceiveBuffer(4_096)
                error = try refusal { try client.quickLogin(user: "remi@flood", keys) }
                if error != nil { break }
                let buffered = try proxy.metric("pgtee_buffered_bytes")
                try client.send(.query("SELECT"))
                slow.append(client)
                try waitUntil("answers pile up") {
                    try proxy.metric("pgtee_buffered_bytes") > buffered
                }
            }
            #expect(error?.sqlState == "53300", "\(slow.count) readers: \(error as Any)")
            #expect(error?.text.contains("waiting to be sent") == true)
            let growth = ProcessNumbers(proxy.pid).memory - before
            print("S-59: \(growth) bytes, \(slow.count) slow readers")
            #expect(growth < 20 << 20, "memory grew by \(growth)")
            #expect(try session.values("SELECT 1") == ["1"])
            for client in slow + claims { client.channel.close() }
            try waitUntil("logins work again") {
                try refusal { _ = try house.client("remi@globex", proxy: proxy) } == nil
            }
            #expect(try session.values("SELECT 2") == ["2"])
        }

        /// Answers any query with rows without end; claims of a gigabyte are left unread.
        private func flood() throws -> EvilBackend {
            try EvilBackend { connection in
                _ = try connection.readStartup()
                try connection.finishScramLogin()
                connection.channel.deadline = .seconds(60)
                let header = try connection.channel.receive(5)
                let length = Int(readInt32(header, 1))
                if length > 1 << 20 { return connection.holdUntilClosed() }
                _ = try connection.channel.receive(length - 4)
                let row = int16(1) + int32(60_000) + [UInt8](repeating: 7, count: 60_000)
                let bytes = WireMessage("D", row).bytes
                while true { try connection.channel.send(bytes) }
            }
        }

        /// The most that was ever resident, in bytes.
        private static func peak(_ pid: Int32) -> Int {
            let line = readText("/proc/\(pid)/status").split(separator: "\n").first {
                $0.hasPrefix("VmHWM:")
            }
            return (line?.split(whereSeparator: \.isWhitespace).dropFirst().first)
                .flatMap { Int($0) }.map { $0 * 1_024 } ?? .max
        }
    }
}
