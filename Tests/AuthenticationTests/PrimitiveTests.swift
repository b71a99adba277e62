import Testing

@testable import Authentication

/// Hashes, base64 and the type of secrets, against published vectors.
struct PrimitiveTests {
    static func hex(_ text: String) -> [UInt8] {
        let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        return stride(from: 0, to: digits.count - 1, by: 2).map {
            UInt8(digits[$0] << 4 | digits[$0 + 1])
        }
    }

    @Test func `SHA-256 of abc is FIPS 180's`() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        #expect(Digest.sha256(Array("abc".utf8)).array == Self.hex(expected))
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        #expect(Digest.sha256([]).array == Self.hex(empty))
    }

    @Test(arguments: [
        (
            [UInt8](repeating: 0x0b, count: 20), Array("Hi There".utf8),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        (
            Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (
            [UInt8](repeating: 0xaa, count: 131),
            Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
    ])
    func `HMAC gives RFC 4231's values`(key: [UInt8], message: [UInt8], expected: String) {
        #expect(Digest.hmac(key, message).array == Self.hex(expected))
    }

    @Test func `PBKDF2 gives RFC 7914's values`() {
        let expected = "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
        let key = Digest.pbkdf2(Array("passwd".utf8), Array("salt".utf8), iterations: 1)
        #expect(key.array == Self.hex(expected))
        #expect(Digest.pbkdf2([], [1], iterations: 1).array.count == 32)
    }

    @Test(arguments: [
        ("remi", "md557fa79c6dd4b727eb8fa284833028c33"),
        ("remi@acme", "md50afa2ef0efc646295096c7fe186849bc"),
    ])
    func `the md5 answer hashes the name that it is given`(user: String, expected: String) {
        let answer = MD5Password.response(
            password: Array("secret".utf8), user: Array(user.utf8), salt: [1, 2, 3, 4])
        #expect(answer == Array(expected.utf8))
    }

    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ])
    func `base64 gives RFC 4648's values both ways`(plain: String, text: String) {
        #expect(Base64.encode(Array(plain.utf8)) == Array(text.utf8))
        #expect(Base64.decode(Array(text.utf8)) == Array(plain.utf8))
    }

    @Test(arguments: [
        "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z===", "====", "Zm9v=", "Zm9v====", "=m9v",
        "Zm=v",
        "Zg==Zg==", " Zm9v", "Zm9v\n", "Zm-v", "Zm_v", "Zm9\u{0}", "Zm9é",
    ])
    func `base64 that another text could stand for is refused`(text: String) {
        #expect(Base64.decode(Array(text.utf8)) == nil)
    }

    @Test func `base64 round trips at every length`() {
        for count in 0...200 {
            let bytes = SecureRandom.bytes(count)
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
        }
    }

    @Test func `a secret is neither comparable nor printable`() throws {
        let key = try #require(SecretKey32([UInt8](repeating: 0x41, count: 32)))
        #expect(!(key as Any is any Equatable))
        #expect(!(ScramCredential.password([1]) as Any is any Equatable))
        let verifier = ScramVerifier(iterations: 1, salt: [9], storedKey: key, serverKey: key)
        var dumped = ""
        dump((key, verifier, ScramCredential.keys(clientKey: key, verifier: verifier)), to: &dumped)
        dump(ScramCredential.password(Array("AAAA".utf8)), to: &dumped)
        dumped += "\(key) \(verifier) \(ScramCredential.password(Array("AAAA".utf8)))"
        #expect(!dumped.contains("65"))
        #expect(!dumped.contains("AAAA"))
    }

    @Test func `a secret matches itself and nothing that differs in one bit`() throws {
        let bytes = SecureRandom.bytes(32)
        let key = try #require(SecretKey32(bytes))
        #expect(key.matches(key))
        for bit in 0..<256 {
            var other = bytes
            other[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(try !key.matches(#require(SecretKey32(other))))
        }
        #expect(SecretKey32(bytes.dropLast()).map(\.array) == nil)
        #expect(SecretKey32(bytes + [0]).map(\.array) == nil)
        #expect(SecretKey32([UInt8]()).map(\.array) == nil)
    }

    @Test func `random bytes are as many as asked and differ`() {
        for count in [0, 1, 18, 32, 1000] { #expect(SecureRandom.bytes(count).count == count) }
        #expect(SecureRandom.bytes(-1) == [])
        #expect(SecureRandom.bytes(32) != SecureRandom.bytes(32))
    }
}
