import Testing

@testable import Authentication

struct ScramVerifierTests {
    static let salt = Base64.decode(Array("W22ZaJ0SNY7soEsUEjb6gQ==".utf8)) ?? []
    static let text =
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        + "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

    @Test func `deriving from RFC 7677's password gives its keys`() throws {
        let verifier = try ScramVerifier.derive(
            password: Array("pencil".utf8), salt: Self.salt, iterations: 4096)
        #expect(verifier.text == Self.text)
    }

    @Test func `the stored form is read and written back`() throws {
        let verifier = try ScramVerifier(parsing: Self.text)
        #expect(verifier.iterations == 4096)
        #expect(verifier.salt == Self.salt)
        #expect(verifier.text == Self.text)
        let key = try #require(
            Base64.decode(Array("pg/JI9Z+hkSpLRa5btpe9GVrDHJcSEN0viVTVXaZbos=".utf8))
                .flatMap { SecretKey32($0) })
        #expect(verifier.accepts(clientKey: key))
        #expect(!verifier.accepts(clientKey: verifier.serverKey))
    }

    @Test(arguments: [
        "", "md557fa79c6dd4b727eb8fa284833028c33", "SCRAM-SHA-256", "SCRAM-SHA-256$",
        "SCRAM-SHA-1$1:",
        "scram-sha-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
            + "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
    ])
    func `what is no verifier is refused`(text: String) {
        #expect(throws: AuthenticationError.self) { try ScramVerifier(parsing: text) }
    }

    @Test(arguments: [
        ("4096", "0"), ("4096", "-1"), ("4096", "+1"), ("4096", "1000001"), ("4096", "2147483648"),
        ("4096", "99999999999999999999999"), ("4096", ""), ("4096", "4096 "), ("4096", "0x10"),
        ("W22ZaJ0SNY7soEsUEjb6gQ==", ""), ("W22ZaJ0SNY7soEsUEjb6gQ==", "W22ZaJ0SNY7soEsUEjb6gQ="),
        (
            "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
            "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl"
        ),
        ("WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:", ""), ("=:", "=::"), ("$WG", "$$WG"),
        ("dU=", "dV="),
    ])
    func `a verifier with one fault is refused`(good: String, bad: String) {
        let text = Self.text.replacing(good, with: bad)
        #expect(text != Self.text)
        #expect(throws: AuthenticationError.self) { try ScramVerifier(parsing: text) }
    }

    @Test(arguments: [(1, true), (1_000_000, true), (0, false), (1_000_001, false)])
    func `iterations have bounds`(iterations: Int, isGood: Bool) {
        let text = Self.text.replacing("4096", with: "\(iterations)")
        #expect(((try? ScramVerifier(parsing: text)) != nil) == isGood)
    }

    @Test(arguments: [(1, true), (255, true), (0, false), (256, false)])
    func `a salt has bounds`(count: Int, isGood: Bool) {
        let salt = [UInt8](repeating: 7, count: count)
        let encoded = String(decoding: Base64.encode(salt), as: UTF8.self)
        let text = Self.text.replacing("W22ZaJ0SNY7soEsUEjb6gQ==", with: encoded)
        #expect(((try? ScramVerifier(parsing: text)) != nil) == isGood)
        let derived = try? ScramVerifier.derive(password: [1], salt: salt, iterations: 1)
        #expect((derived != nil) == isGood)
    }

    @Test func `a mock verifier is the same for a name on every instance and different for others`()
    {
        func mock(_ secret: UInt8, _ tenant: String, _ user: String) -> String {
            MockVerifier.make(
                secret: [UInt8](repeating: secret, count: 32), tenant: Array(tenant.utf8),
                user: Array(user.utf8), iterations: 4096
            ).text
        }
        #expect(mock(1, "acme", "remi") == mock(1, "acme", "remi"))
        let others = [
            mock(1, "acme", "remi"), mock(2, "acme", "remi"), mock(1, "acmer", "emi"),
            mock(1, "globex", "remi"), mock(1, "acme", "rem"), mock(1, "acme", ""),
        ]
        #expect(Set(others).count == others.count)
    }

    @Test(arguments: [(-5, 1), (0, 1), (4096, 4096), (Int.max, 1_000_000)])
    func `a mock verifier has the shape of a real one`(asked: Int, iterations: Int) throws {
        let mock = MockVerifier.make(secret: [], tenant: [], user: [0xFF], iterations: asked)
        #expect(mock.salt.count == 16)
        #expect(mock.iterations == iterations)
        #expect(try ScramVerifier(parsing: mock.text).text == mock.text)
    }
}
