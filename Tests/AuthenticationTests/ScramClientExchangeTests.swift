import Testing

@testable import Authentication

/// Our side towards clusters, with hand-made and hostile messages.
struct ScramClientExchangeTests {
    private static let nonce = [UInt8](repeating: 0, count: 18)
    private static let ours = String(repeating: "A", count: 24)
    private static let binding = (0..<32).map { UInt8($0) }
    private static let salt = "W22ZaJ0SNY7soEsUEjb6gQ=="

    private static func exchange(
        _ credential: ScramCredential = .password(Array("pencil".utf8)),
        choice: ChannelBindingChoice = .prefer, binding: [UInt8]? = nil, isTLS: Bool = false
    ) -> ScramClientExchange {
        ScramClientExchange(
            credential: credential, choice: choice, binding: binding, isTLS: isTLS, nonce: nonce)
    }

    private static func begun() throws -> ScramClientExchange {
        var exchange = exchange()
        _ = try exchange.begin(offered: ScramServerExchange.offer(plus: false))
        return exchange
    }

    /// The flag that is sent, or the error's kind, for every combination.
    @Test func `the mechanism and the flag follow libpq's rules`() {
        var table = ""
        for choice in ChannelBindingChoice.allCases {
            for (isTLS, hash) in [(false, nil), (true, nil), (true, Self.binding)]
                as [(Bool, [UInt8]?)]
            {
                for offer in [
                    [], ["SCRAM-SHA-256"], ["SCRAM-SHA-256-PLUS"],
                    ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"],
                ] {
                    var exchange = Self.exchange(choice: choice, binding: hash, isTLS: isTLS)
                    let shown: String
                    if let begun = try? exchange.begin(offered: offer.map { Array($0.utf8) }) {
                        let isPlus = begun.mechanism == Scram.mechanismPlus
                        shown =
                            String(decoding: begun.data.prefix(1), as: UTF8.self)
                            + (isPlus ? "+" : "")
                    } else {
                        shown = "-"
                    }
                    table += shown + " "
                }
                table += "| "
            }
            table += "\n"
        }
        // Offered: nothing, plain, PLUS, both; without TLS, TLS without a hash, TLS with one.
        #expect(
            table == """
                - n - n | - n - n | - n - n | \n- n - - | - y - n | - y p+ p+ | \n\
                - - - - | - - - - | - - p+ p+ | \n
                """)
    }

    @Test func `an empty binding is none`() {
        var exchange = Self.exchange(choice: .require, binding: [], isTLS: true)
        let error = #expect(throws: AuthenticationError.self) {
            try exchange.begin(offered: ScramServerExchange.offer(plus: true))
        }
        #expect(error?.kind == .noMechanism)
    }

    @Test func `the channel of PLUS is the header and the hash`() throws {
        var exchange = Self.exchange(choice: .require, binding: Self.binding, isTLS: true)
        let begun = try exchange.begin(offered: ScramServerExchange.offer(plus: true))
        #expect(begun.data == Array("p=tls-server-end-point,,n=,r=\(Self.ours)".utf8))
        let final = try exchange.challenge(Array("r=\(Self.ours)B,s=\(Self.salt),i=1".utf8))
        let channel = "cD10bHMtc2VydmVyLWVuZC1wb2ludCwsAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
        #expect(final.starts(with: Array("c=\(channel),r=\(Self.ours)B,p=".utf8)))
        #expect(exchange.isBound)
    }

    @Test(arguments: [
        "", "\u{0}", "r=", "r=\(ours)", "r=\(ours)B", "r=\(ours)B,s=\(salt)",
        "r=\(ours)B,s=\(salt),i=",
        "r=\(ours),s=\(salt),i=1", "r=BBBB,s=\(salt),i=1", "r=B\(ours),s=\(salt),i=1",
        "r=\(ours)é,s=\(salt),i=1", "r=\(ours)\u{1},s=\(salt),i=1", "m=x,r=\(ours)B,s=\(salt),i=1",
        "r=\(ours)B,s=,i=1", "r=\(ours)B,s=W22,i=1", "r=\(ours)B,s=W22ZaJ0SNY7soEsUEjb6gR==,i=1",
        "r=\(ours)B,s=\(salt),i=0", "r=\(ours)B,s=\(salt),i=-1", "r=\(ours)B,s=\(salt),i=+1",
        "r=\(ours)B,s=\(salt),i=01", "r=\(ours)B,s=\(salt),i=1 ", "r=\(ours)B,s=\(salt),i=1x",
        "r=\(ours)B,s=\(salt),i=2147483647", "r=\(ours)B,s=\(salt),i=1000001",
        "r=\(ours)B,s=\(salt),i=99999999999999999999999999", "r=\(ours)B,s=\(salt),i=100001",
        "r=\(ours)B,s=\(salt),i=1,x=1", "r=\(ours)B,i=1,s=\(salt)", "v=AAAA", "e=other-error",
        "r=\(ours)\(String(repeating: "x", count: 65_536)),s=\(salt),i=1",
        "r=\(ours)B,s=\(String(repeating: "AAAA", count: 86)),i=1",
    ])
    func `a malformed first message of the cluster gets no proof`(message: String) throws {
        var exchange = try Self.begun()
        let error = #expect(throws: AuthenticationError.self) {
            try exchange.challenge(Array(message.utf8))
        }
        #expect(error?.kind == .malformedMessage)
    }

    @Test func `messages in another order are refused`() throws {
        var fresh = Self.exchange()
        let good = Array("r=\(Self.ours)B,s=\(Self.salt),i=1".utf8)
        #expect(throws: AuthenticationError.self) { try fresh.challenge(good) }
        #expect(throws: AuthenticationError.self) { try fresh.final(Array("v=AAAA".utf8)) }
        var begun = try Self.begun()
        let offer = ScramServerExchange.offer(plus: false)
        #expect(throws: AuthenticationError.self) { try begun.begin(offered: offer) }
        #expect(throws: AuthenticationError.self) { try begun.final(Array("v=AAAA".utf8)) }
        _ = try begun.challenge(good)
        #expect(throws: AuthenticationError.self) { try begun.challenge(good) }
        #expect(!begun.isProven)
    }

    @Test(arguments: [
        ("", AuthenticationError.Kind.malformedMessage), ("v", .malformedMessage),
        ("v=", .malformedMessage), ("v=AAAA", .malformedMessage),
        ("e=invalid-proof", .malformedMessage),
        ("v=\(String(repeating: "A", count: 43))=", .wrongSignature),
        ("v=\(String(repeating: "A", count: 43))=,x=1", .malformedMessage),
        ("x=1", .malformedMessage), ("v=A\u{0}", .malformedMessage),
    ])
    func `a wrong last message proves nothing, and the right one after it neither`(
        message: String, kind: AuthenticationError.Kind
    ) throws {
        var exchange = try Self.begun()
        _ = try exchange.challenge(Array("r=\(Self.ours)B,s=\(Self.salt),i=1".utf8))
        let error = #expect(throws: AuthenticationError.self) {
            try exchange.final(Array(message.utf8))
        }
        #expect(error?.kind == kind)
        #expect(!exchange.isProven)
        #expect(throws: AuthenticationError.self) { try exchange.final(Array(message.utf8)) }
    }

    @Test(arguments: [("W22ZaJ0SNY7soEsUEjb6gQ==", 4097), ("AAAAaJ0SNY7soEsUEjb6gQ==", 4096)])
    func `keys are not used with another salt or other iterations`(
        salt: String, iterations: Int
    ) throws {
        let verifier = try ScramVerifier(parsing: ScramVerifierTests.text)
        var exchange = Self.exchange(.keys(clientKey: verifier.serverKey, verifier: verifier))
        _ = try exchange.begin(offered: ScramServerExchange.offer(plus: false))
        let error = #expect(throws: AuthenticationError.self) {
            try exchange.challenge(Array("r=\(Self.ours)B,s=\(salt),i=\(iterations)".utf8))
        }
        #expect(error?.kind == .staleVerifier)
    }
}
