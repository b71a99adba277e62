import PostgresProtocol
import Testing

@Suite struct NegotiationTests {
    struct Case: CustomStringConvertible, Sendable {
        let minor: UInt16
        let options: [String]
        let version: ProtocolVersion
        /// nil: the client gets no answer.
        let listed: [String]?

        var description: String { "3.\(minor) \(options)" }
    }

    static let cases = [
        Case(minor: 0, options: [], version: .v3_0, listed: nil),
        Case(minor: 0, options: ["_pq_.a"], version: .v3_0, listed: ["_pq_.a"]),
        Case(minor: 1, options: [], version: .v3_0, listed: []),
        Case(minor: 2, options: [], version: .v3_2, listed: nil),
        Case(
            minor: 2, options: ["_pq_.a", "_pq_.b", "_pq_."], version: .v3_2,
            listed: ["_pq_.a", "_pq_.b", "_pq_."]),
        Case(minor: 3, options: [], version: .v3_2, listed: []),
        // What libpq 19 sends to find out who answers wrongly.
        Case(
            minor: 9999, options: ["_pq_.test_protocol_negotiation"], version: .v3_2,
            listed: ["_pq_.test_protocol_negotiation"]),
        Case(minor: .max, options: [], version: .v3_2, listed: []),
    ]

    @Test(arguments: cases)
    func `a request has its answer`(_ item: Case) throws {
        var parameters = [StartupParameter("user", "remi")]
        parameters += item.options.map { StartupParameter($0, "") }
        parameters.append(StartupParameter("_pq", "no option"))
        let message = StartupMessage(
            version: ProtocolVersion(major: 3, minor: item.minor), parameters: parameters)
        let answer = try Negotiation.answer(to: message)
        #expect(answer.version == item.version)
        #expect(answer.negotiate?.unrecognized == item.listed.map { $0.map(ascii) })
        #expect(answer.negotiate.map(\.version) == item.listed.map { _ in item.version })
    }

    /// libpq's own checks of the answer (fe-protocol3.c pqGetNegotiateProtocolVersion3).
    @Test(arguments: cases)
    func `libpq would accept the answer`(_ item: Case) throws {
        let asked = ProtocolVersion(major: 3, minor: item.minor)
        let message = StartupMessage(
            version: asked, parameters: item.options.map { StartupParameter($0, "") })
        guard let answer = try Negotiation.answer(to: message).negotiate else { return }
        #expect(answer.version.code <= asked.code)
        #expect(answer.version.code >= ProtocolVersion.v3_0.code)
        #expect(answer.version.minor != 1)
        #expect(answer.version != asked || !answer.unrecognized.isEmpty)
        for name in answer.unrecognized {
            #expect(item.options.map(ascii).contains(name))
        }
    }

    @Test(arguments: [UInt16(0), 2, 4, 1234])
    func `other major versions are refused`(_ major: UInt16) {
        let message = StartupMessage(
            version: ProtocolVersion(major: major, minor: 0), parameters: [])
        #expect(throws: ProtocolViolation.self) { try Negotiation.answer(to: message) }
    }

    @Test func `an answer about more options than libpq would read is still sent`() throws {
        let options = (0..<500).map { StartupParameter("_pq_.option\($0)", "") }
        let message = StartupMessage(version: .v3_2, parameters: options)
        var writer = MessageWriter()
        try Negotiation.answer(to: message).negotiate?.encode(into: &writer)
        #expect(writer.bytes.count > 5_000)
    }

    @Test func `a version is two numbers`() {
        #expect(ProtocolVersion(code: 196_610) == .v3_2)
        #expect(ProtocolVersion.v3_0.code == 196_608)
        #expect("\(ProtocolVersion(code: 80_877_103))" == "1234.5679")
    }
}
