import Foundation
import Handoff
import Logging
import Telemetry
import Testing

@testable import Admin

@Suite struct LogWriterTests {
    @Test func `one record is one write`() throws {
        let pair = try PacketPair()
        let writer = LogWriter(
            descriptor: pair.near, format: .logfmt, level: .info, hasPriority: true)
        writer.write(.warning, "first", [LogField(.user, .bytes(Array("a\nb".utf8)))])
        writer.write(.info, "second")
        let packets = pair.waiting()
        #expect(packets.count == 2)
        #expect(packets.first?.hasPrefix("<4>time=") == true)
        #expect(packets.first?.hasSuffix(" level=warning msg=first user=\"a\\x0ab\"\n") == true)
        #expect(writer.counts == LogWriter.Counts(lines: 2, dropped: 0, suppressed: 0))
    }

    @Test func `what is below the level is not written`() throws {
        let pair = try PacketPair()
        let writer = LogWriter(
            descriptor: pair.near, format: .json, level: .warning, hasPriority: false)
        for level in [EventLevel.debug, .info, .notice, .warning, .error] {
            writer.write(level, "m")
        }
        #expect(pair.waiting().count == 2)
        #expect(writer.counts.lines == 2)
    }

    @Test func `a line that is not taken is counted`() {
        let writer = LogWriter(descriptor: -1, format: .json, level: .info, hasPriority: false)
        writer.write(.info, "m")
        #expect(writer.counts == LogWriter.Counts(lines: 0, dropped: 1, suppressed: 0))
    }

    @Test func `the journal is known by its stream`() throws {
        let pair = try PacketPair()
        var status = stat()
        try #require(fstat(pair.near, &status) == 0)
        let stream = "\(status.st_dev):\(status.st_ino)"
        #expect(LogWriter.isJournal(pair.near, stream: stream))
        #expect(!LogWriter.isJournal(pair.far, stream: stream))
        #expect(!LogWriter.isJournal(pair.near, stream: nil))
        #expect(!LogWriter.isJournal(-1, stream: stream))
    }

    @Test func `a full descriptor that does not block costs lines, not the process`() throws {
        let pair = try PacketPair()
        try #require(fcntl(pair.near, F_SETFL, O_NONBLOCK) == 0)
        while write(pair.near, "x", 1) == 1 {}
        let writer = LogWriter(
            descriptor: pair.near, format: .json, level: .info, hasPriority: false)
        writer.write(.info, "m")
        #expect(writer.counts.dropped == 1)
    }

    @Test func `a library's log goes the same way`() throws {
        let pair = try PacketPair()
        let writer = LogWriter(
            descriptor: pair.near, format: .logfmt, level: .debug, hasPriority: false)
        var logger = Logger(label: "yaml") { WriterLogHandler(label: $0, writer: writer) }
        logger[metadataKey: "file"] = "a\u{202e}b"
        logger.critical("it broke", metadata: ["line": "3"])
        logger.trace("shown as debug")
        let packets = pair.waiting()
        #expect(
            packets.first?.hasSuffix(
                " level=error msg=\"it broke\" component=yaml file=\"a\\xe2\\x80\\xaeb\" line=3\n")
                == true)
        #expect(packets.count == 2)
    }
}

@Suite struct SessionLineTests {
    @Test func `the line of a session has everything`() {
        var session = SessionRecord()
        session.sessionID = 17
        session.worker = 1
        session.tenant = "acme"
        session.backend = "blue"
        session.user = Array("remi".utf8)
        session.database = Array("shop".utf8)
        session.applicationName = Array("psql".utf8)
        session.clientAddress = "192.0.2.1:5000"
        session.clientTLS = "TLSv1.3"
        session.serverTLS = "TLSv1.2"
        session.routedBy = "sni,user"
        session.protocolMinor = 2
        session.serverProcessID = 4_711
        session.loginNanoseconds = 3_500_000
        session.durationNanoseconds = 60_000_000_000
        session.bytesFromClient = 100
        session.bytesFromServer = .max
        session.exchanges = 3
        session.end = .serverLost
        session.sqlState = "08006"
        session.message = "server closed the connection"
        session.detail = "recv: Connection reset by peer"
        session.reference = "ab12"
        let line = LogLine.encode(LogRecord(session, timeMilliseconds: 0), as: .logfmt)
        #expect(
            String(decoding: line, as: UTF8.self)
                == "time=1970-01-01T00:00:00.000Z level=warning msg=\"session ended\" "
                + "session.id=17 worker=1 end=server_lost tenant=acme backend=blue "
                + "user=remi database=shop application=psql client.address=192.0.2.1:5000 "
                + "client.tls=TLSv1.3 server.tls=TLSv1.2 routed_by=sni,user "
                + "protocol=3.2 server.pid=4711 "
                + "login_ms=3.500 duration_ms=60000.000 client.bytes=100 "
                + "server.bytes=9223372036854775807 exchanges=3 error.sqlstate=08006 "
                + "error.message=\"server closed the connection\" "
                + "error.detail=\"recv: Connection reset by peer\" error.reference=ab12\n")
    }

    @Test func `fields that say nothing are left out`() {
        var session = SessionRecord()
        session.end = .noStartup
        let keys = LogRecord(session).fields.map(\.key)
        #expect(
            keys == [
                "session.id", "worker", "end", "duration_ms", "client.bytes", "server.bytes",
                "exchanges",
            ])
    }
}

@Suite struct RateLimitTests {
    private let key = RateLimit.Key(key: "k", tenant: "acme")

    @Test func `the burst passes and the rest is counted until the window ends`() {
        var limit = RateLimit(windowMilliseconds: 1_000)
        let admitted = (0..<10).filter { _ in limit.admit(key, burst: 3, nowMilliseconds: 5) }
        #expect(admitted.count == 3)
        #expect(limit.expire(nowMilliseconds: 1_004).isEmpty)
        let ended = limit.expire(nowMilliseconds: 1_005)
        #expect(ended.map(\.suppressed) == [7])
        #expect(ended.first?.key == key)
        #expect(limit.isEmpty)
        let isAdmittedAgain = limit.admit(key, burst: 3, nowMilliseconds: 1_006)
        #expect(isAdmittedAgain)
    }

    @Test func `tenants do not share a window`() {
        var limit = RateLimit()
        let other = RateLimit.Key(key: "k", tenant: "globex")
        let first = limit.admit(key, burst: 1, nowMilliseconds: 0)
        let second = limit.admit(key, burst: 1, nowMilliseconds: 0)
        let third = limit.admit(other, burst: 1, nowMilliseconds: 0)
        #expect([first, second, third] == [true, false, true])
    }

    @Test func `keys are bounded`() {
        var limit = RateLimit()
        var admitted = 0
        for number in 0..<(RateLimit.keysMax + 100) {
            let key = RateLimit.Key(key: "\(number)", tenant: "")
            if limit.admit(key, burst: 1, nowMilliseconds: 0) { admitted += 1 }
        }
        #expect(admitted == RateLimit.keysMax + 1)
        #expect(limit.expire(nowMilliseconds: 0, all: true).map(\.suppressed) == [99])
    }
}

@Suite struct EventPumpTests {
    private func session(_ end: SessionEnd, tenant: String = "acme") -> TelemetryEvent {
        var record = SessionRecord()
        record.end = end
        record.tenant = tenant
        return .sessionEnded(record)
    }

    private func pump(
        _ events: [TelemetryEvent], capacity: Int = 10_000
    ) throws -> (lines: [String], counts: LogWriter.Counts) {
        let path = "/tmp/pgtee-pump-\(UUID().uuidString)"
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        defer {
            close(descriptor)
            unlink(path)
        }
        let writer = LogWriter(
            descriptor: descriptor, format: .logfmt, level: .info, hasPriority: false)
        let mailbox = Mailbox<TelemetryEvent>(capacity: capacity)
        for event in events { mailbox.post(event) }
        let pump = EventPump(mailbox: mailbox, writer: writer)
        #expect(pump.start())
        pump.stop()
        let text = try String(contentsOfFile: path, encoding: .utf8)
        return (text.split(separator: "\n").map(String.init), writer.counts)
    }

    @Test func `stop writes all that was posted`() throws {
        let (lines, counts) = try pump((0..<2_000).map { _ in session(.clientClosed) })
        #expect(lines.count == 2_000)
        #expect(counts == LogWriter.Counts(lines: 2_000, dropped: 0, suppressed: 0))
    }

    @Test func `what the mailbox could not take is told and counted`() throws {
        let (lines, counts) = try pump(
            (0..<25).map { _ in session(.clientClosed) }, capacity: 20)
        #expect(lines.count == 21)
        #expect(lines.last?.contains("level=warning") == true)
        #expect(lines.last?.hasSuffix(" dropped=5") == true)
        #expect(counts.dropped == 5)
    }

    @Test func `a flood of failures is suppressed per reason and tenant`() throws {
        let flood = (0..<600).map { _ in session(.refusedAuthentication) }
        let (lines, counts) = try pump(
            flood + [session(.refusedAuthentication, tenant: "globex"), session(.refusedRoute)])
        #expect(counts.suppressed == 100)
        #expect(lines.count == 500 + 2 + 1)
        #expect(
            lines.last?.hasSuffix("suppressed=100 kind=refused_authentication tenant=acme") == true)
    }

    @Test func `a flood of notices is suppressed`() throws {
        let notice = TelemetryEvent.notice(
            level: .warning, key: "accept_failed", message: "could not accept a connection",
            fields: [("error.errno", "24")])
        let debug = TelemetryEvent.notice(level: .debug, key: "x", message: "m", fields: [])
        let (lines, counts) = try pump(Array(repeating: notice, count: 60) + [debug])
        #expect(lines.count == 51)
        #expect(lines[0].hasSuffix(" msg=\"could not accept a connection\" error.errno=24"))
        #expect(counts.suppressed == 10)
    }

    @Test func `an event is written without being asked for`() throws {
        let pair = try PacketPair()
        let writer = LogWriter(
            descriptor: pair.near, format: .json, level: .info, hasPriority: false)
        let mailbox = Mailbox<TelemetryEvent>(capacity: 8)
        let pump = EventPump(mailbox: mailbox, writer: writer)
        #expect(pump.start())
        mailbox.post(session(.clientClosed))
        #expect(pair.packet()?.contains("\"end\":\"client_closed\"") == true)
        mailbox.post(session(.drained))
        #expect(pair.packet()?.contains("\"end\":\"drained\"") == true)
        pump.stop()
    }
}
