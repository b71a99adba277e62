import Testing

@testable import Authentication

/// Both sides in memory.
struct ScramDialogueTests {
    private static let hash = [UInt8](repeating: 0xAB, count: 32)
    private static let password = Array("pencil".utf8)

    private enum Outcome: Equatable { case bound, unbound, refused(String), clientRefuses }

    private struct Dialogue {
        var outcome: Outcome
        var clientKey: SecretKey32?
    }

    /// One login; every message goes through `altered` on its way.
    private static func run(
        _ server: ScramServerExchange, _ client: ScramClientExchange, offer: [[UInt8]],
        altered: (Int, [UInt8]) -> [UInt8] = { $1 }
    ) -> Dialogue {
        var (server, client) = (server, client)
        do throws(AuthenticationError) {
            let begun = try client.begin(offered: offer)
            var step = server.initialResponse(
                mechanism: begun.mechanism, data: altered(0, begun.data))
            if case .challenge(let data) = step {
                let answer = try client.challenge(altered(1, data))
                step = server.response(altered(2, answer))
            }
            switch step {
            case .challenge: return Dialogue(outcome: .refused("a second challenge"))
            case .refused(let refusal): return Dialogue(outcome: .refused(refusal.sqlState))
            case .accepted(let key, let final):
                try client.final(altered(3, final))
                return Dialogue(outcome: client.isBound ? .bound : .unbound, clientKey: key)
            }
        } catch {
            return Dialogue(outcome: .clientRefuses)
        }
    }

    private static func client(
        _ credential: ScramCredential = .password(password),
        _ choice: ChannelBindingChoice = .prefer,
        binding: [UInt8]? = nil, isTLS: Bool = false
    ) -> ScramClientExchange {
        ScramClientExchange(
            credential: credential, choice: choice, binding: binding, isTLS: isTLS,
            nonce: SecureRandom.bytes(18))
    }

    private static func server(
        _ verifier: ScramVerifier, isMock: Bool = false, binding: [UInt8]? = nil,
        isTLS: Bool = false
    ) -> ScramServerExchange {
        ScramServerExchange(
            verifier: verifier, isMock: isMock, binding: binding, isTLS: isTLS,
            nonce: SecureRandom.bytes(18))
    }

    private static func verifier(
        _ iterations: Int = 10, password: [UInt8] = password
    ) throws -> ScramVerifier {
        try ScramVerifier.derive(
            password: password, salt: SecureRandom.bytes(16), iterations: iterations)
    }

    @Test func `each choice, leg and offer ends as PostgreSQL's would`() throws {
        let verifier = try Self.verifier()
        for choice in ChannelBindingChoice.allCases {
            for isTLS in [false, true] {
                // The server's binding, and whether somebody takes PLUS out of its offer.
                for (own, isStripped) in [(nil, false), (Self.hash, false), (Self.hash, true)]
                    as [([UInt8]?, Bool)]
                {
                    let plus = isTLS && own != nil
                    let dialogue = Self.run(
                        Self.server(verifier, binding: own, isTLS: isTLS),
                        Self.client(
                            .password(Self.password), choice, binding: isTLS ? Self.hash : nil,
                            isTLS: isTLS),
                        offer: ScramServerExchange.offer(plus: plus && !isStripped))
                    let expected: Outcome =
                        switch (choice, plus, isStripped) {
                        case (.disable, _, _): .unbound
                        case (.prefer, false, _): .unbound
                        case (.prefer, true, false): .bound
                        // The client says y, and the server knows better.
                        case (.prefer, true, true): .refused("28000")
                        case (.require, true, false): .bound
                        case (.require, _, _): .clientRefuses
                        }
                    #expect(
                        dialogue.outcome == expected, "\(choice) \(isTLS) \(plus) \(isStripped)")
                }
            }
        }
    }

    @Test func `a client that saw another certificate is refused`() throws {
        let dialogue = Self.run(
            Self.server(try Self.verifier(), binding: Self.hash, isTLS: true),
            Self.client(binding: [UInt8](repeating: 1, count: 32), isTLS: true),
            offer: ScramServerExchange.offer(plus: true))
        #expect(dialogue.outcome == .refused("28000"))
    }

    @Test(arguments: [1, 2, 4096, 100_000])
    func `the recovered key opens a cluster that has the same verifier`(iterations: Int) throws {
        let verifier = try Self.verifier(iterations)
        let front = Self.run(
            Self.server(verifier), Self.client(), offer: ScramServerExchange.offer(plus: false))
        #expect(front.outcome == .unbound)
        let key = try #require(front.clientKey)
        let credential = ScramCredential.keys(clientKey: key, verifier: verifier)
        let back = Self.run(
            Self.server(verifier, binding: Self.hash, isTLS: true),
            Self.client(credential, .require, binding: Self.hash, isTLS: true),
            offer: ScramServerExchange.offer(plus: true))
        #expect(back.outcome == .bound)
        let other = try Self.verifier(iterations)
        let stale = Self.run(
            Self.server(other), Self.client(credential),
            offer: ScramServerExchange.offer(plus: false))
        #expect(stale.outcome == .clientRefuses)
        let changed = try ScramVerifier.derive(
            password: Array("other".utf8), salt: verifier.salt, iterations: iterations)
        let rotated = Self.run(
            Self.server(changed), Self.client(credential),
            offer: ScramServerExchange.offer(plus: false))
        #expect(rotated.outcome == .refused("28P01"))
    }

    @Test(arguments: ["pencil", "", "päßwörd", "I\u{AD}X", "\u{2168}", "😀", "пароль"])
    func `any password that can be prepared logs in`(password: String) throws {
        let bytes = Array(password.utf8)
        let dialogue = Self.run(
            Self.server(try Self.verifier(password: bytes)), Self.client(.password(bytes)),
            offer: ScramServerExchange.offer(plus: false))
        #expect(dialogue.outcome == .unbound)
    }

    @Test
    func `an unknown user gets the messages of a known one and is refused like a wrong password`()
        throws
    {
        let mock = MockVerifier.make(
            secret: [1], tenant: Array("acme".utf8), user: Array("nobody".utf8), iterations: 10)
        var shapes: [[Int]] = []
        for (verifier, isMock) in [(mock, true), (try Self.verifier(), false)] {
            var lengths: [Int] = []
            let dialogue = Self.run(
                Self.server(verifier, isMock: isMock), Self.client(.password([1])),
                offer: ScramServerExchange.offer(plus: false)
            ) { _, message in
                lengths.append(message.count)
                return message
            }
            #expect(dialogue.outcome == .refused("28P01"))
            shapes.append(lengths)
        }
        #expect(shapes[0] == shapes[1])
    }

    @Test func `a mock exchange refuses even the password that it was made from`() throws {
        let dialogue = Self.run(
            Self.server(try Self.verifier(), isMock: true), Self.client(),
            offer: ScramServerExchange.offer(plus: false))
        #expect(dialogue.outcome == .refused("28P01"))
    }

    @Test func `a message with any one byte changed never logs in`() throws {
        let verifier = try Self.verifier(1)
        for number in 0..<4 {
            for position in 0..<140 {
                let seen = ChangedFlag()
                let dialogue = Self.run(
                    Self.server(verifier, binding: Self.hash, isTLS: true),
                    Self.client(.password(Self.password), binding: Self.hash, isTLS: true),
                    offer: ScramServerExchange.offer(plus: true)
                ) { index, message in
                    guard index == number, position < message.count else { return message }
                    seen.isSet = true
                    var message = message
                    message[position] ^= 1
                    return message
                }
                let isGood = dialogue.outcome == .bound
                #expect(isGood != seen.isSet, "message \(number), byte \(position)")
            }
        }
    }

    private final class ChangedFlag { var isSet = false }
}
