/// One name and value of a StartupMessage, as bytes: nothing says that they are UTF-8.
package struct StartupParameter: Equatable, Sendable {
    package var name: [UInt8]
    package var value: [UInt8]

    package init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }

    package init(_ name: String, _ value: String) {
        self.init(name: [UInt8](name.utf8), value: [UInt8](value.utf8))
    }
}

/// StartupMessage: who wants which database, with which settings.
///
/// - Shape: version, 4 bytes; name and value, each zero-terminated, again and again; a zero byte.
/// - Bounds: 9...10,004 bytes with its length word. Values may be empty, names may not.
/// - Errors: `unsupportedVersion` before anything else is read, `startupTerminator`,
///   `duplicateStartupParameter`.
/// - Source: manual, protocol-message-formats; backend_startup.c ProcessStartupPacket.
package struct StartupMessage: Equatable, Sendable {
    package var version: ProtocolVersion
    /// In the order of the packet.
    package var parameters: [StartupParameter]

    /// The parameters that decide where a session goes. A server takes the last of two, other
    /// readers the first, so a packet that has two of one is refused.
    package enum Routed: String, Sendable, CaseIterable {
        case user, database, options, replication
    }

    package init(version: ProtocolVersion, parameters: [StartupParameter]) {
        self.version = version
        self.parameters = parameters
    }

    /// `packet` has passed `InitialPacketFraming.packetLength` and holds at least 8 bytes.
    init(packet: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: 0)
        _ = try reader.uint32(packet)
        let code = try reader.uint32(packet)
        version = ProtocolVersion(code: code)
        guard version.major == 3 else { throw .unsupportedVersion(code: code) }
        parameters = []
        var seen: UInt8 = 0
        while true {
            guard let name = try? reader.string(packet) else { throw .startupTerminator }
            if name.isEmpty { break }
            guard let value = try? reader.string(packet) else { throw .startupTerminator }
            if let routed = Self.routed(name) {
                let bit: UInt8 = 1 << UInt8(routed.index)
                if seen & bit != 0 { throw .duplicateStartupParameter(routed) }
                seen |= bit
            }
            parameters.append(StartupParameter(name: name, value: value))
        }
        if reader.remaining(packet) != 0 { throw .startupTerminator }
    }

    /// The last value of a parameter, as a server would take it; nil when there is none.
    package func value(of name: StaticString) -> [UInt8]? {
        parameters.last { Self.equal($0.name, name) }?.value
    }

    /// The names of protocol extensions that the client asks for.
    package var protocolOptions: [[UInt8]] {
        parameters.compactMap { $0.isProtocolOption ? $0.name : nil }
    }

    package func encoded() throws(EncodingError) -> [UInt8] {
        var bytes: [UInt8] = [0, 0, 0, 0] + bigEndian(version.code)
        for parameter in parameters {
            if parameter.name.isEmpty { throw .emptyName }
            if parameter.name.contains(0) || parameter.value.contains(0) {
                throw .zeroByteInString
            }
            bytes += parameter.name
            bytes.append(0)
            bytes += parameter.value
            bytes.append(0)
        }
        bytes.append(0)
        if bytes.count > MessageLimits.startupPacket { throw .messageTooLong(type: 0) }
        bytes.replaceSubrange(0..<4, with: bigEndian(UInt32(bytes.count)))
        return bytes
    }

    private static func routed(_ name: [UInt8]) -> Routed? {
        if equal(name, "user") { return .user }
        if equal(name, "database") { return .database }
        if equal(name, "options") { return .options }
        if equal(name, "replication") { return .replication }
        return nil
    }

    private static func equal(_ name: [UInt8], _ other: StaticString) -> Bool {
        other.withUTF8Buffer { $0.elementsEqual(name) }
    }
}

extension StartupMessage.Routed {
    fileprivate var index: Int {
        switch self {
        case .user: 0
        case .database: 1
        case .options: 2
        case .replication: 3
        }
    }
}

extension StartupParameter {
    /// `_pq_.` begins the names of protocol extensions, which are no settings of the server.
    package var isProtocolOption: Bool { name.starts(with: [0x5F, 0x70, 0x71, 0x5F, 0x2E]) }
}
