import Testing

@testable import Authentication

/// Our side towards clients, with hand-made messages. Codes and texts were read off a real server.
struct ScramServerExchangeTests {
    private static let first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    private static let serverFirst =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    private static let binding = (0..<32).map { UInt8($0) }
    private static let plain = "SCRAM-SHA-256"
    private static let plus = "SCRAM-SHA-256-PLUS"

    private static func exchange(
        binding: [UInt8]? = nil, isMock: Bool = false, isTLS: Bool = true
    ) throws -> ScramServerExchange {
        ScramServerExchange(
            verifier: try ScramVerifier(parsing: ScramVerifierTests.text), isMock: isMock,
            binding: binding, isTLS: isTLS, nonce: [UInt8](repeating: 0, count: 18))
    }

    private static func describe(_ step: ScramServerStep) -> String {
        switch step {
        case .challenge(let data): return "challenge \(String(decoding: data, as: UTF8.self))"
        case .accepted: return "accepted"
        case .refused(let refusal):
            let detail = refusal.detail.map { " / " + $0 } ?? ""
            return "\(refusal.sqlState) \(refusal.message)\(detail)"
        }
    }

    /// Sends a client-first-message.
    private static func firstAnswer(
        _ message: String, mechanism: String = plain, binding: [UInt8]? = nil
    ) throws -> String {
        var exchange = try exchange(binding: binding)
        return describe(
            exchange.initialResponse(mechanism: Array(mechanism.utf8), data: Array(message.utf8)))
    }

    @Test(arguments: [
        (plain, "", "The message is empty."),
        (plain, "n", "Comma expected, but found character \"0x00\"."),
        (plain, "nn,n=,r=a", "Comma expected, but found character \"'n'\"."),
        (plain, "n,", "Unexpected attribute \"0x00\" in client-first-message."),
        (plain, "n,x=1,n=,r=a", "Unexpected attribute \"'x'\" in client-first-message."),
        (plain, "n,,", "Expected attribute \"n\" but found \"0x00\"."),
        (plain, "n,,r=abc", "Expected attribute \"n\" but found \"'r'\"."),
        (plain, "n,,n", "Expected character \"=\" for attribute \"n\"."),
        (plain, "n,,n=user", "Expected attribute \"r\" but found \"0x00\"."),
        (plain, "n,,n=user,x=1", "Expected attribute \"r\" but found \"'x'\"."),
        (plain, "n,,n=,r=abc,=", "Attribute expected, but found invalid character \"'='\"."),
        (plain, "n,,n=,r=abc,x", "Expected character \"=\" for attribute \"x\"."),
        (plain, "n,,n=,r=abc,\u{1}=", "Attribute expected, but found invalid character \"0x01\"."),
        (plain, "x,,n=,r=abc", "Unexpected channel-binding flag \"'x'\"."),
        (plain, "\u{7F},,n=,r=abc", "Unexpected channel-binding flag \"0x7f\"."),
        (plain, "n,,n=\u{0},r=abc", "Message length does not match input length."),
        (
            plain, "p=tls-server-end-point,,n=,r=abc",
            "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message "
                + "includes channel binding data."
        ),
        (
            plus, "n,,n=,r=abc",
            "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include "
                + "channel binding data."
        ),
        (
            plus, "y,,n=,r=abc",
            "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include "
                + "channel binding data."
        ),
        (plus, "p,,n=,r=abc", "Expected character \"=\" for attribute \"p\"."),
        (
            plus, "p=tls-server-end-point",
            "Unexpected attribute \"0x00\" in client-first-message."
        ),
    ])
    func `a malformed first message is refused as PostgreSQL does`(
        mechanism: String, message: String, detail: String
    ) throws {
        let answer = try Self.firstAnswer(message, mechanism: mechanism, binding: Self.binding)
        #expect(answer == "08P01 malformed SCRAM message / " + detail)
    }

    @Test(arguments: [
        (
            plain, "n,a=root,n=,r=abc",
            "0A000 client uses authorization identity, but it is not supported"
        ),
        (plain, "n,,m=x,n=,r=abc", "0A000 client requires an unsupported SCRAM extension"),
        (plain, "n,,n=,r=a\u{1}c", "08P01 non-printable characters in SCRAM nonce"),
        (plain, "n,,n=,r=é", "08P01 non-printable characters in SCRAM nonce"),
        (
            plus, "p=tls-unique,,n=,r=abc",
            "08P01 unsupported SCRAM channel-binding type \"tls-unique\""
        ),
        (
            plus, "p=tls exporter and then a very long name,,n=,r=abc",
            "08P01 unsupported SCRAM channel-binding type \"tls?exporter?and?then?a?very?l\""
        ),
        (
            plain, "y,,n=,r=abc",
            "28000 SCRAM channel binding negotiation error / The client supports SCRAM channel "
                + "binding but thinks the server does not.  However, this server does support "
                + "channel binding."
        ),
    ])
    func `what PostgreSQL does not allow is refused with its code`(
        mechanism: String, message: String, expected: String
    ) throws {
        #expect(
            try Self.firstAnswer(message, mechanism: mechanism, binding: Self.binding) == expected)
    }

    @Test(arguments: ["", "SCRAM-SHA-1", "scram-sha-256", "SCRAM-SHA-256 ", "OAUTHBEARER", plus])
    func `a mechanism that was not offered is refused`(mechanism: String) throws {
        let expected = "08P01 client selected an invalid SASL authentication mechanism"
        #expect(try Self.firstAnswer(Self.first, mechanism: mechanism) == expected)
        var exchange = try Self.exchange(binding: Self.binding, isTLS: false)
        let step = exchange.initialResponse(mechanism: Array(mechanism.utf8), data: nil)
        #expect(Self.describe(step) == expected)
    }

    @Test(arguments: ["n", "y"])
    func `both flags are legal where binding is not offered`(flag: String) throws {
        #expect(try Self.firstAnswer("\(flag),,n=*,r=abc").hasPrefix("challenge r=abcAAAA"))
        #expect(
            try Self.firstAnswer("\(flag),,n=a=2Cb,r=abc,x=,y=ext=1").hasPrefix(
                "challenge r=abcAAAA"))
    }

    @Test func `without data the client is given an empty challenge first`() throws {
        var exchange = try Self.exchange()
        let step = exchange.initialResponse(mechanism: Array(Self.plain.utf8), data: nil)
        #expect(Self.describe(step) == "challenge ")
        let answer = Self.describe(exchange.response(Array(Self.first.utf8)))
        #expect(answer.hasPrefix("challenge r=rOprNGfwEbeRWgbNEkqOAAAA"))
        #expect(answer.hasSuffix(",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"))
    }

    @Test(arguments: [(1020, true), (1021, false), (65_000, false)])
    func `a message has a length that PostgreSQL would read`(count: Int, isGood: Bool) throws {
        let head = "n,,n=,r="
        let message = Array((head + String(repeating: "x", count: count - head.utf8.count)).utf8)
        // The mechanism, a zero and four bytes of length are in the first message's body.
        for overhead in [0, Self.plain.utf8.count + 5] {
            var exchange = try Self.exchange()
            let begun = exchange.initialResponse(
                mechanism: Array(Self.plain.utf8),
                data: overhead == 0 ? nil : Array(message.dropLast(overhead)))
            let step = overhead == 0 ? exchange.response(message) : begun
            if case .challenge(let data) = step {
                #expect(isGood)
                #expect(data.count <= Scram.serverMessageMax)
            } else {
                #expect(!isGood)
                #expect(Self.describe(step) == "28P01 password authentication failed")
            }
        }
    }

    /// RFC 7677's dialogue; the server's nonce is put in its place.
    private static func challenged(isMock: Bool = false) throws -> ScramServerExchange {
        let nonce = Base64.decode(Array("AAAAAAAAAAAAAAAAAAAAAAAA".utf8)) ?? []
        var exchange = ScramServerExchange(
            verifier: try ScramVerifier(parsing: ScramVerifierTests.text), isMock: isMock,
            binding: nil, isTLS: false, nonce: nonce)
        _ = exchange.initialResponse(mechanism: Array(plain.utf8), data: Array(first.utf8))
        return exchange
    }

    private static let nonce = "rOprNGfwEbeRWgbNEkqO" + String(repeating: "A", count: 24)
    private static let proof = String(repeating: "A", count: 43) + "="

    @Test(arguments: [
        ("", "malformed SCRAM message / The message is empty."),
        ("c=biws\u{0}", "malformed SCRAM message / Message length does not match input length."),
        ("r=x", "malformed SCRAM message / Expected attribute \"c\" but found \"'r'\"."),
        ("c=eSws,r=x", "unexpected SCRAM channel-binding attribute in client-final-message"),
        ("c=,r=x", "unexpected SCRAM channel-binding attribute in client-final-message"),
        ("c=biws", "malformed SCRAM message / Expected attribute \"r\" but found \"0x00\"."),
        ("c=biws,r=x", "malformed SCRAM message / Attribute expected, but found end of string."),
        ("c=biws,r=x,p=AAAA", "malformed SCRAM message / Malformed proof in client-final-message."),
        ("c=biws,r=x,p=", "malformed SCRAM message / Malformed proof in client-final-message."),
        (
            "c=biws,r=x,p=\(proof)A==A",
            "malformed SCRAM message / Malformed proof in client-final-message."
        ),
        (
            "c=biws,r=\(nonce),p=\(proof),x=1",
            "malformed SCRAM message / Garbage found at the end of client-final-message."
        ),
        ("c=biws,r=x,p=\(proof)", "invalid SCRAM response / Nonce does not match."),
        ("c=biws,r=,p=\(proof)", "invalid SCRAM response / Nonce does not match."),
    ])
    func `a malformed final message is refused as PostgreSQL does`(
        message: String, expected: String
    ) throws {
        for isMock in [false, true] {
            var exchange = try Self.challenged(isMock: isMock)
            #expect(Self.describe(exchange.response(Array(message.utf8))) == "08P01 " + expected)
        }
    }

    @Test(arguments: ["", ",x=ext", ",x=,y=z=1"])
    func `a wrong proof is refused after the whole exchange only`(extensions: String) throws {
        for isMock in [false, true] {
            var exchange = try Self.challenged(isMock: isMock)
            let message = "c=biws,r=\(Self.nonce)\(extensions),p=\(Self.proof)"
            let step = exchange.response(Array(message.utf8))
            #expect(Self.describe(step) == "28P01 password authentication failed")
        }
    }

    @Test func `nothing more is answered once the exchange is over`() throws {
        var exchange = try Self.challenged()
        _ = exchange.response([])
        let expected = "08P01 invalid SCRAM exchange state"
        #expect(Self.describe(exchange.response(Array(Self.first.utf8))) == expected)
        let again = exchange.initialResponse(mechanism: Array(Self.plain.utf8), data: nil)
        #expect(Self.describe(again) == expected)
        var fresh = try Self.exchange()
        #expect(Self.describe(fresh.response(Array(Self.first.utf8))) == expected)
        var begun = try Self.challenged()
        let second = begun.initialResponse(mechanism: Array(Self.plain.utf8), data: nil)
        #expect(Self.describe(second) == expected)
    }

    @Test func `RFC 7677's messages give its proof and its signature`() throws {
        // The RFC's server nonce is no base64, so the texts are checked by the formulas themselves.
        let verifier = try ScramVerifier(parsing: ScramVerifierTests.text)
        let withoutProof = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
        let message = Array(
            "n=user,r=rOprNGfwEbeRWgbNEkqO,\(Self.serverFirst),\(withoutProof)".utf8)
        let text = Array("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".utf8)
        let proof = try #require(Base64.decode(text).flatMap { SecretKey32($0) })
        let clientKey = proof.xor(Digest.hmac(verifier.storedKey, message))
        #expect(verifier.accepts(clientKey: clientKey))
        #expect(
            Base64.encode(Digest.hmac(verifier.serverKey, message).array)
                == Array("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".utf8))
    }
}
