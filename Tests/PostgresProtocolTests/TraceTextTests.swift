import PostgresProtocol
import Testing

@Suite struct TraceTextTests {
    /// As libpq prints the same session; `\0` stands for the zero that ends a report.
    @Test func `a session is printed as PQtrace prints it`() {
        var trace = TraceText(.showsSecrets)
        let text = Self.session(&trace)
        #expect(
            text == """
                F\t22\tStartupMessage\t 3 0 "user" "remi" "x" ""
                B\t42\tAuthenticationSASL\t "SCRAM-SHA-256-PLUS" "SCRAM-SHA-256" ""
                F\t28\tSASLInitialResponse\t "SCRAM-SHA-256" 6 'n,,n=,'
                B\t13\tAuthenticationSASLContinue\t 'r=a,s'
                F\t7\tSASLResponse\t 'c=b'
                B\t11\tAuthenticationSASLFinal\t 'v=c'
                B\t8\tAuthenticationOk
                B\t17\tParameterStatus\t "TimeZone" "UTC"
                B\t12\tBackendKeyData\t 258 '\\x01\\x02\\x03\\x04'
                B\t5\tReadyForQuery\t I
                F\t23\tParse\t "st" "select $1" 1 23
                F\t35\tBind\t "p" "st" 2 0 1 3 2 '42' -1 0 '' 1 1
                F\t6\tDescribe\t P ""
                F\t10\tExecute\t "p" 258
                F\t4\tFlush
                F\t4\tSync
                B\t4\tParseComplete
                B\t4\tBindComplete
                B\t14\tParameterDescription\t 2 23 16909060
                B\t27\tRowDescription\t 1 "id" 1 2 23 65535 -1 1
                B\t21\tDataRow\t 3 3 'abc' -1 0 ''
                B\t15\tCommandComplete\t "INSERT 0 5"
                B\t49\tErrorResponse\t S "ERROR" V "ERROR" C "42601" M "m" F "scan.l" L "9" R "yyerror" \\x00
                B\t5\tReadyForQuery\t E
                F\t4\tTerminate

                """)
    }

    @Test func `the regression form masks what changes from run to run`() {
        var trace = TraceText(.regress)
        let text = Self.session(&trace)
        #expect(
            text == """
                F\t22\tStartupMessage\t 3 0 "user" "remi" "x" ""
                B\t42\tAuthenticationSASL\t "SCRAM-SHA-256-PLUS" "SCRAM-SHA-256" ""
                F\t28\tSASLInitialResponse\t "SCRAM-SHA-256" 6 'BBBB'
                B\t13\tAuthenticationSASLContinue\t 'BBBB'
                F\t7\tSASLResponse\t 'BBBB'
                B\t11\tAuthenticationSASLFinal\t 'BBBB'
                B\t8\tAuthenticationOk
                B\t17\tParameterStatus\t "TimeZone" "UTC"
                B\t12\tBackendKeyData\t NNNN 'BBBB'
                B\t5\tReadyForQuery\t I
                F\t23\tParse\t "st" "select $1" 1 NNNN
                F\t35\tBind\t "p" "st" 2 0 1 3 2 '42' -1 0 '' 1 1
                F\t6\tDescribe\t P ""
                F\t10\tExecute\t "p" 258
                F\t4\tFlush
                F\t4\tSync
                B\t4\tParseComplete
                B\t4\tBindComplete
                B\t14\tParameterDescription\t 2 NNNN NNNN
                B\t27\tRowDescription\t 1 "id" NNNN 2 NNNN 65535 -1 1
                B\t21\tDataRow\t 3 3 'abc' -1 0 ''
                B\t15\tCommandComplete\t "INSERT 0 5"
                B\tNN\tErrorResponse\t S "ERROR" V "ERROR" C "42601" M "m" F "SSSS" L "SSSS" R "SSSS" \\x00
                B\t5\tReadyForQuery\t E
                F\t4\tTerminate

                """)
    }

    @Test func `the rarer messages have PQtrace's names`() {
        var trace = TraceText(.showsSecrets)
        var text = ""
        for (type, side): (Character, Side) in [
            ("C", .client), ("F", .client), ("Q", .client), ("d", .client), ("c", .client),
            ("f", .client), ("p", .client), ("3", .server), ("A", .server), ("G", .server),
            ("H", .server), ("W", .server), ("d", .server), ("c", .server), ("V", .server),
            ("I", .server), ("n", .server), ("N", .server), ("s", .server), ("v", .server),
        ] {
            let samples = side == .client ? Sample.frontend : Sample.backend
            for sample in samples where sample.bytes[0] == type.asciiValue {
                text += Self.line(&trace, sample.bytes, side)
            }
        }
        #expect(
            text == """
                F\t8\tClose\t S "st"
                F\t26\tFunctionCall\t 65538 1 1 2 2 '\\x09\\x00' -1 1
                F\t13\tQuery\t "select 1"
                F\t8\tCopyData\t '1\\x092\\x0a'
                F\t4\tCopyDone
                F\t7\tCopyFail\t "no"
                F\t7\tUnknownAuthenticationResponse
                mismatched message length: consumed 4, expected 7
                B\t4\tCloseComplete
                B\t11\tNotificationResponse\t 7 "c" ""
                B\t11\tCopyInResponse\t \\x00 2 0 0
                B\t9\tCopyOutResponse\t \\x01 1 1
                B\t7\tCopyBothResponse\t \\x00 0
                B\t6\tCopyData\t '\\x00\\xff'
                B\t4\tCopyDone
                B\t10\tFunctionCallResponse\t 2 '\\x01\\x00'
                B\t8\tFunctionCallResponse\t -1
                B\t4\tEmptyQueryResponse
                B\t4\tNoData
                B\t8\tNoticeResponse\t ~ "x" \\x00
                B\t4\tPortalSuspended
                B\t19\tNegotiateProtocolVersion\t 196610 1 "_pq_.a"

                """)
    }

    @Test func `packets without a type byte have lines of their own`() {
        let trace = TraceText(.showsSecrets)
        var lines = InitialPacketTests.samples.map {
            String(decoding: trace.line(initialPacket: $0.1.span.bytes), as: UTF8.self)
        }
        lines.append(String(decoding: trace.line(answer: 0x53, to: .sslRequest), as: UTF8.self))
        lines.append(String(decoding: trace.line(answer: 0x4E, to: .gssEncRequest), as: UTF8.self))
        #expect(
            lines.joined() == """
                F\t8\tSSLRequest\t 1234 5679
                F\t8\tGSSENCRequest\t 1234 5680
                F\t16\tCancelRequest\t 1234 5678 258 '\\x09\\x08\\x07\\x06'
                F\t22\tStartupMessage\t 3 0 "user" "remi" "x" ""
                B\t1\tSSLResponse\t S
                B\t1\tGSSENCResponse\t N

                """)
    }

    @Test func `secrets are masked unless they are asked for`() {
        var trace = TraceText()
        var text = Self.session(&trace)
        text += Self.line(&trace, raw("R", [0, 0, 0, 3]), .server)
        text += Self.line(&trace, raw("p", ascii("sesame\0")), .client)
        let cancel = InitialPacketTests.cancel
        text += String(decoding: trace.line(initialPacket: cancel.span.bytes), as: UTF8.self)
        for secret in ["n,,n=", "r=a", "c=b", "v=c", "x04", "sesame", "x09"] {
            #expect(!text.contains(secret), "\(secret)")
        }
        #expect(text.contains("PasswordMessage\t \"SSSS\""))
    }

    @Test(arguments: Sample.all)
    func `a message that stops anywhere is printed as far as it goes`(_ sample: Sample) {
        var trace = TraceText(.showsSecrets)
        for count in 0...sample.bytes.count {
            let cut = [UInt8](sample.bytes[..<count])
            let text = Self.line(&trace, cut, sample.side)
            #expect(text.isEmpty == (count < 5))
            #expect(text.isEmpty || text.last == "\n")
        }
    }

    @Test func `an unknown message says its type`() {
        var trace = TraceText()
        #expect(Self.line(&trace, [0x0A, 0, 0, 0, 4], .client) == "F\t4\tUnknown message: 0a\n")
    }

    private static func session(_ trace: inout TraceText) -> String {
        let startup = InitialPacketTests.startup("user\0remi\0x\0\0\0")
        var text = String(decoding: trace.line(initialPacket: startup.span.bytes), as: UTF8.self)
        let sasl = ascii("SCRAM-SHA-256\0") + [0, 0, 0, 6] + ascii("n,,n=,")
        let report = "SERROR\0VERROR\0C42601\0Mm\0Fscan.l\0L9\0Ryyerror\0\0"
        let messages: [(Side, [UInt8])] = [
            (.server, Sample.backend[7].bytes), (.client, raw("p", sasl)),
            (.server, raw("R", [0, 0, 0, 11], ascii("r=a,s"))),
            (.client, raw("p", ascii("c=b"))),
            (.server, raw("R", [0, 0, 0, 12], ascii("v=c"))),
            (.server, raw("R", [0, 0, 0, 0])),
            (.server, raw("S", ascii("TimeZone\0UTC\0"))),
            (.server, raw("K", [0, 0, 1, 2, 1, 2, 3, 4])), (.server, raw("Z", [0x49])),
            (.client, Conversation.clientMessage("P")), (.client, Conversation.clientMessage("B")),
            (.client, Conversation.clientMessage("D")), (.client, Conversation.clientMessage("E")),
            (.client, raw("H")), (.client, raw("S")), (.server, raw("1")), (.server, raw("2")),
            (.server, Conversation.serverMessage("t")), (.server, Conversation.serverMessage("T")),
            (.server, Conversation.serverMessage("D")), (.server, Conversation.serverMessage("C")),
            (.server, raw("E", ascii(report))), (.server, raw("Z", [0x45])), (.client, raw("X")),
        ]
        for (side, bytes) in messages { text += line(&trace, bytes, side) }
        return text
    }

    private static func line(_ trace: inout TraceText, _ bytes: [UInt8], _ side: Side) -> String {
        String(decoding: trace.line(bytes.span.bytes, from: side), as: UTF8.self)
    }
}
