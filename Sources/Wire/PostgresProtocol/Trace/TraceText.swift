/// Messages as the lines that libpq's PQtrace writes, of the form that PostgreSQL's own golden
/// traces have: direction (`F` from the client, `B` from the server), length word, name, fields,
/// with tabs between the first four.
///
/// It is a value with a memory, since the names of the client's authentication messages depend on
/// what the server asked for last.
///
/// - Errors: none. A body that is too short or too long is printed as far as it goes and followed
///   by a line that says so, as libpq does.
/// - Source: fe-trace.c of PostgreSQL 19.
package struct TraceText: Sendable {
    package struct Options: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// PQTRACE_REGRESS_MODE: OIDs, process IDs, keys and places in source files are masked.
        package static let regress = Options(rawValue: 1)
        /// Passwords, keys and SASL data are shown, as libpq does; without it they are masked.
        package static let showsSecrets = Options(rawValue: 2)
    }

    private enum Expected { case nothing, password, gss, saslInitial, sasl }

    private let options: Options
    private var expected = Expected.nothing

    package init(_ options: Options = []) { self.options = options }

    /// A line, with its line feed, for a whole message with its header.
    package mutating func line(_ message: RawSpan, from side: Side) -> [UInt8] {
        guard message.byteCount >= MessageHeader.byteCount else { return [] }
        let type = message.byteUnchecked(0)
        let length = message.uint32Unchecked(1)
        let body = message.extracting(MessageHeader.byteCount..<message.byteCount)
        var writer = TraceWriter(type: type)
        // Places in source files differ between versions, and so do the lengths with them.
        let isReport = type == BackendType.errorResponse || type == BackendType.noticeResponse
        let hidesLength = isRegress && side == .server && isReport
        writer.write(side == .client ? "F\t" : "B\t")
        writer.write(hidesLength ? "NN\t" : "\(length)\t")
        do throws(ProtocolViolation) {
            switch side {
            case .client: try frontend(type, body, &writer)
            case .server: try backend(type, body, &writer)
            }
        } catch {}
        writer.write("\n")
        let consumed = writer.reader.offset + 4
        if consumed != Int(length) {
            writer.write(
                "mismatched message length: consumed \(consumed), expected \(length)\n")
        }
        return writer.text
    }

    /// A line, with its line feed, for a packet without a type byte.
    package func line(initialPacket packet: RawSpan) -> [UInt8] {
        guard packet.byteCount >= 4 else { return [] }
        var writer = TraceWriter(type: 0)
        do throws(ProtocolViolation) {
            writer.write("F\t\(try writer.reader.uint32(packet))\t")
            try initialPacket(packet, &writer)
        } catch {}
        writer.write("\n")
        return writer.text
    }

    /// A line for the byte that answers an SSLRequest or GSSENCRequest.
    package func line(answer byte: UInt8, to request: InitialPacket) -> [UInt8] {
        var writer = TraceWriter(type: 0)
        writer.write("B\t1\t")
        writer.name(request == .gssEncRequest ? "GSSENCResponse" : "SSLResponse")
        let answer: [UInt8] = [byte]
        do throws(ProtocolViolation) { try writer.byte(answer.span.bytes) } catch {}
        writer.write("\n")
        return writer.text
    }

    private var isRegress: Bool { options.contains(.regress) }

    /// In the regression form libpq masks what changes from run to run, keys among it.
    private var hidesKeys: Bool { isRegress || !options.contains(.showsSecrets) }

    private func initialPacket(
        _ packet: RawSpan, _ writer: inout TraceWriter
    ) throws(ProtocolViolation) {
        guard packet.byteCount >= 8 else { return writer.write("Unknown message") }
        let code = packet.uint32Unchecked(4)
        switch code {
        case RequestCode.cancel: writer.name("CancelRequest")
        case RequestCode.ssl: writer.name("SSLRequest")
        case RequestCode.gssEncryption: writer.name("GSSENCRequest")
        default: writer.name("StartupMessage")
        }
        try writer.int16(packet)
        try writer.int16(packet)
        switch code {
        case RequestCode.ssl, RequestCode.gssEncryption: break
        case RequestCode.cancel:
            try writer.int32(packet, masked: isRegress)
            try writer.rest(packet, masked: hidesKeys)
        default:
            while writer.reader.remaining(packet) > 1 {
                try writer.string(packet)
                try writer.string(packet)
            }
        }
    }

    private mutating func frontend(
        _ type: UInt8, _ body: RawSpan, _ writer: inout TraceWriter
    ) throws(ProtocolViolation) {
        switch type {
        case FrontendType.bind:
            writer.name("Bind")
            try writer.string(body)
            try writer.string(body)
            try writer.int16List(body)
            try writer.valueList(body)
            try writer.int16List(body)
        case FrontendType.close, FrontendType.describe:
            writer.name(type == FrontendType.close ? "Close" : "Describe")
            try writer.byte(body)
            try writer.string(body)
        case FrontendType.execute:
            writer.name("Execute")
            try writer.string(body)
            try writer.int32(body)
        case FrontendType.functionCall:
            writer.name("FunctionCall")
            try writer.int32(body, masked: isRegress)
            try writer.int16List(body)
            try writer.valueList(body)
            try writer.int16(body)
        case FrontendType.parse:
            writer.name("Parse")
            try writer.string(body)
            try writer.string(body)
            try writer.int32List(body, masked: isRegress)
        case FrontendType.query:
            writer.name("Query")
            try writer.string(body)
        case FrontendType.copyFail:
            writer.name("CopyFail")
            try writer.string(body)
        case FrontendType.copyData:
            writer.name("CopyData")
            try writer.rest(body, masked: isRegress)
        case FrontendType.authenticationData: try authenticationData(body, &writer)
        case FrontendType.flush: writer.write("Flush")
        case FrontendType.sync: writer.write("Sync")
        case FrontendType.terminate: writer.write("Terminate")
        case FrontendType.copyDone: writer.write("CopyDone")
        default: unknown(type, &writer)
        }
    }

    private mutating func authenticationData(
        _ body: RawSpan, _ writer: inout TraceWriter
    ) throws(ProtocolViolation) {
        defer { expected = .nothing }
        switch expected {
        case .nothing: writer.write("UnknownAuthenticationResponse")
        case .password:
            writer.name("PasswordMessage")
            try writer.string(body, masked: !options.contains(.showsSecrets))
        case .gss:
            writer.name("GSSResponse")
            try writer.rest(body, masked: hidesKeys)
        case .saslInitial:
            writer.name("SASLInitialResponse")
            try writer.string(body)
            try writer.value(body, masked: hidesKeys)
        case .sasl:
            writer.name("SASLResponse")
            try writer.rest(body, masked: hidesKeys)
        }
    }

    private mutating func backend(
        _ type: UInt8, _ body: RawSpan, _ writer: inout TraceWriter
    ) throws(ProtocolViolation) {
        switch type {
        case BackendType.authentication: try authentication(body, &writer)
        case BackendType.dataRow:
            writer.name("DataRow")
            try writer.valueList(body)
        case BackendType.commandComplete:
            writer.name("CommandComplete")
            try writer.string(body)
        case BackendType.copyData:
            writer.name("CopyData")
            try writer.rest(body, masked: isRegress)
        case BackendType.readyForQuery:
            writer.name("ReadyForQuery")
            try writer.byte(body)
        case BackendType.errorResponse, BackendType.noticeResponse:
            try report(type, body, &writer)
        case BackendType.rowDescription: try rowDescription(body, &writer)
        case BackendType.bindComplete: writer.write("BindComplete")
        case BackendType.closeComplete: writer.write("CloseComplete")
        case BackendType.copyDone: writer.write("CopyDone")
        case BackendType.emptyQueryResponse: writer.write("EmptyQueryResponse")
        case BackendType.noData: writer.write("NoData")
        case BackendType.parseComplete: writer.write("ParseComplete")
        case BackendType.portalSuspended: writer.write("PortalSuspended")
        default: try rareBackend(type, body, &writer)
        }
    }

    private func rareBackend(
        _ type: UInt8, _ body: RawSpan, _ writer: inout TraceWriter
    ) throws(ProtocolViolation) {
        switch type {
        case BackendType.backendKeyData:
            writer.name("BackendKeyData")
            try writer.int32(body, masked: isRegress)
            try writer.rest(body, masked: hidesKeys)
        case BackendType.copyInResponse, BackendType.copyOutResponse:
            let isIn = type == BackendType.copyInResponse
            writer.name(isIn ? "CopyInResponse" : "CopyOutResponse")
            try writer.byte(body)
            try writer.int16List(body)
        case BackendType.copyBothResponse:
            writer.name("CopyBothResponse")
            try writer.byte(body)
            while writer.reader.remaining(body) > 1 { try writer.int16(body) }
        case BackendType.functionCallResponse:
            writer.name("FunctionCallResponse")
            try writer.value(body)
        case BackendType.negotiateProtocolVersion:
            writer.name("NegotiateProtocolVersion")
            try writer.int32(body)
            let count = try writer.int32(body)
            for _ in 0..<max(0, count) { try writer.string(body) }
        case BackendType.notificationResponse:
            writer.name("NotificationResponse")
            try writer.int32(body, masked: isRegress)
            try writer.string(body)
            try writer.string(body)
        case BackendType.parameterDescription:
            writer.name("ParameterDescription")
            try writer.int32List(body, masked: isRegress)
        case BackendType.parameterStatus:
            writer.name("ParameterStatus")
            try writer.string(body)
            try writer.string(body)
        default: unknown(type, &writer)
        }
    }

    private mutating func authentication(
        _ body: RawSpan, _ writer: inout TraceWriter
    ) throws(ProtocolViolation) {
        let code = try writer.reader.uint32(body)
        expected = .nothing
        switch code {
        case 0: writer.write("AuthenticationOk")
        case 3:
            writer.write("AuthenticationCleartextPassword")
            expected = .password
        case 5:
            writer.write("AuthenticationMD5Password")
            _ = try writer.reader.bytes(4, body)
            expected = .password
        case 7:
            writer.write("AuthenticationGSS")
            expected = .gss
        case 8:
            writer.name("AuthenticationGSSContinue")
            try writer.rest(body, masked: hidesKeys)
            expected = .gss
        case 9:
            writer.write("AuthenticationSSPI")
            expected = .gss
        case 10:
            writer.name("AuthenticationSASL")
            while try writer.string(body) {}
            expected = .saslInitial
        case 11:
            writer.name("AuthenticationSASLContinue")
            try writer.rest(body, masked: hidesKeys)
            expected = .sasl
        case 12:
            writer.name("AuthenticationSASLFinal")
            try writer.rest(body, masked: hidesKeys)
        default: writer.write("Unknown authentication message \(Int32(bitPattern: code))")
        }
    }

    private func report(
        _ type: UInt8, _ body: RawSpan, _ writer: inout TraceWriter
    ) throws(ProtocolViolation) {
        writer.name(type == BackendType.errorResponse ? "ErrorResponse" : "NoticeResponse")
        while true {
            let code = try writer.byte(body)
            if code == 0 { return }
            let isPlace =
                code == ErrorFields.Code.file || code == ErrorFields.Code.line
                || code == ErrorFields.Code.routine
            try writer.string(body, masked: isRegress && isPlace)
        }
    }

    private func rowDescription(
        _ body: RawSpan, _ writer: inout TraceWriter
    ) throws(ProtocolViolation) {
        writer.name("RowDescription")
        for _ in 0..<(try writer.int16(body)) {
            try writer.string(body)
            try writer.int32(body, masked: isRegress)
            try writer.int16(body)
            try writer.int32(body, masked: isRegress)
            try writer.int16(body)
            try writer.int32(body)
            try writer.int16(body)
        }
    }

    private func unknown(_ type: UInt8, _ writer: inout TraceWriter) {
        let digits = String(type, radix: 16)
        writer.write("Unknown message: " + (type < 16 ? "0" : "") + digits)
    }
}
