import Testing

@testable import Authentication

struct SaslPrepTests {
    private func prepared(_ text: String) throws -> String {
        String(decoding: try SaslPrep.prepared(Array(text.utf8)), as: UTF8.self)
    }

    @Test(arguments: [
        // RFC 4013 §3, and what PostgreSQL does with ASCII.
        ("I\u{AD}X", "IX"), ("user", "user"), ("USER", "USER"), ("\u{AA}", "a"), ("\u{2168}", "IX"),
        ("\u{7}", "\u{7}"), ("", ""), (" a b ", " a b "),
        ("a\u{A0}b\u{3000}c\u{200B}d", "a b c d"), ("p\u{FEFF}\u{200D}w", "pw"),
        ("Straße Ærø ĳ".replacing("ĳ", with: "ij"), "Straße Ærø ij"),
        ("пароль Ελλάς", "пароль Ελλάς"), ("パスワード 密码 암호", "パスワード 密码 암호"),
        ("\u{FF30}\u{FF47}", "Pg"), ("5€ – “x”", "5€ – “x”"), ("x² µ…", "x2 μ..."),
    ])
    func `what can be prepared is prepared as RFC 4013 says`(raw: String, expected: String) throws {
        #expect(try prepared(raw).unicodeScalars.elementsEqual(expected.unicodeScalars))
    }

    @Test(arguments: [
        Array("é\u{7}".utf8), Array("é\u{85}".utf8), Array("\u{E000}x".utf8), Array("😀".utf8),
        Array("\u{AD}".utf8), [0xFF, 0xFE], [0x61, 0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80],
    ])
    func `what is prohibited or no UTF-8 stays as it is`(raw: [UInt8]) throws {
        #expect(try SaslPrep.prepared(raw) == raw)
    }

    @Test(arguments: ["e\u{301}", "ﬁ", "سلام", "שלום", "½", "\u{1112}\u{1161}", "\u{1D400}"])
    func `what might be prepared wrongly is refused`(raw: String) {
        #expect(throws: AuthenticationError.self) { try prepared(raw) }
    }
}
