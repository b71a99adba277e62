package import Telemetry

extension LogRecord {
    /// The canonical line: everything that is known of a session, once, at its end. Fields that say
    /// nothing (no tenant, no TLS, no error) are left out.
    package init(_ session: SessionRecord, timeMilliseconds: UInt64 = RealTime.nowMilliseconds) {
        self.init(
            timeMilliseconds: timeMilliseconds, level: session.end.level,
            message: "session ended")
        add(.sessionID, session.sessionID)
        add(.worker, .number(Int64(session.worker)))
        add(.end, .text(session.end.rawValue))
        add(.tenant, session.tenant)
        add(.backend, session.backend)
        add(.user, session.user)
        add(.database, session.database)
        add(.application, session.applicationName)
        add(.clientAddress, session.clientAddress)
        add(.clientTLS, session.clientTLS)
        add(.serverTLS, session.serverTLS)
        add(.routedBy, session.routedBy)
        if !session.tenant.isEmpty { add(.protocolVersion, .text("3.\(session.protocolMinor)")) }
        if session.serverProcessID != 0 {
            add(.serverProcessID, .number(Int64(session.serverProcessID)))
        }
        if session.loginNanoseconds != 0 {
            add(.loginMilliseconds, .milliseconds(nanoseconds: session.loginNanoseconds))
        }
        add(.durationMilliseconds, .milliseconds(nanoseconds: session.durationNanoseconds))
        add(.bytesFromClient, session.bytesFromClient)
        add(.bytesFromServer, session.bytesFromServer)
        add(.exchanges, session.exchanges)
        add(.sqlState, session.sqlState)
        add(.errorMessage, session.message)
        add(.errorDetail, session.detail)
        add(.errorReference, session.reference)
    }

    private mutating func add(_ key: LogKey, _ value: LogValue) {
        fields.append(LogField(key, value))
    }

    private mutating func add(_ key: LogKey, _ text: String) {
        if !text.isEmpty { add(key, .text(text)) }
    }

    private mutating func add(_ key: LogKey, _ bytes: [UInt8]) {
        if !bytes.isEmpty { add(key, .bytes(bytes)) }
    }

    private mutating func add(_ key: LogKey, _ number: UInt64) {
        add(key, .number(Int64(clamping: number)))
    }
}

extension SessionEnd {
    /// *error*: a person must act; *warning*: a tenant's server failed; all else is daily life.
    var level: EventLevel {
        switch errorSource {
        case .pgtee: .error
        case .server: .warning
        case .client, .registry, nil: .info
        }
    }
}
