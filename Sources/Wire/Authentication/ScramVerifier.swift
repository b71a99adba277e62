/// What a cluster stores of a SCRAM password: enough to check a proof, not enough to make one.
///
/// - Shape: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, the last three in base64.
/// - Bounds: iterations 1 to 1,000,000; salt 1 to 255 bytes: it must fit into a message with
///   the longest nonce.
/// - Source: PostgreSQL manual, catalog-pg-authid; RFC 5803.
package struct ScramVerifier: Sendable {
    package static let iterationsMax = 1_000_000
    package static let saltMax = 255
    package let iterations: Int
    package let salt: [UInt8]
    let storedKey: SecretKey32
    package let serverKey: SecretKey32

    init(iterations: Int, salt: [UInt8], storedKey: SecretKey32, serverKey: SecretKey32) {
        self.iterations = iterations
        self.salt = salt
        self.storedKey = storedKey
        self.serverKey = serverKey
    }

    package init(parsing text: String) throws(AuthenticationError) {
        try self.init(parsing: Array(text.utf8))
    }

    package init(parsing text: [UInt8]) throws(AuthenticationError) {
        let parts = text.split(separator: UInt8(ascii: "$"), omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].elementsEqual("SCRAM-SHA-256".utf8) else {
            throw AuthenticationError(.invalidVerifier, "not a SCRAM-SHA-256 verifier")
        }
        let head = parts[1].split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        let keys = parts[2].split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard head.count == 2, keys.count == 2,
            let iterations = Scram.number(head[0]), (1...Self.iterationsMax).contains(iterations),
            let salt = Base64.decode(head[1]), (1...Self.saltMax).contains(salt.count),
            let stored = Base64.decode(keys[0]).flatMap({ SecretKey32($0) }),
            let server = Base64.decode(keys[1]).flatMap({ SecretKey32($0) })
        else { throw AuthenticationError(.invalidVerifier, "malformed SCRAM-SHA-256 verifier") }
        self.init(iterations: iterations, salt: salt, storedKey: stored, serverKey: server)
    }

    /// From a password: PBKDF2, so never on a worker's thread.
    ///
    /// - Bounds: `1 <= iterations <= iterationsMax`, `1 <= salt.count <= saltMax`.
    /// - Errors: `unsupportedPassword` (see `SaslPrep`), `invalidVerifier` out of the bounds.
    package static func derive(
        password: [UInt8], salt: [UInt8], iterations: Int
    ) throws(AuthenticationError) -> ScramVerifier {
        try deriveWithKey(password: password, salt: salt, iterations: iterations).verifier
    }

    static func deriveWithKey(
        password: [UInt8], salt: [UInt8], iterations: Int
    ) throws(AuthenticationError) -> (verifier: ScramVerifier, clientKey: SecretKey32) {
        guard (1...iterationsMax).contains(iterations), (1...saltMax).contains(salt.count) else {
            throw AuthenticationError(.invalidVerifier, "salt or iterations are out of bounds")
        }
        let salted = Digest.pbkdf2(
            try SaslPrep.prepared(password), salt, iterations: iterations)
        let clientKey = Digest.hmac(salted, Array("Client Key".utf8))
        let verifier = ScramVerifier(
            iterations: iterations, salt: salt, storedKey: Digest.sha256(clientKey),
            serverKey: Digest.hmac(salted, Array("Server Key".utf8)))
        return (verifier, clientKey)
    }

    /// Whether a client that has this key knows the password. Constant time.
    package func accepts(clientKey: SecretKey32) -> Bool {
        Digest.sha256(clientKey).matches(storedKey)
    }

    /// The stored form.
    package var text: String {
        let salt = Base64.encode(salt)
        let stored = Base64.encode(storedKey.array)
        let server = Base64.encode(serverKey.array)
        let bytes =
            Array("SCRAM-SHA-256$\(iterations):".utf8) + salt + [UInt8(ascii: "$")] + stored
            + [UInt8(ascii: ":")] + server
        return String(decoding: bytes, as: UTF8.self)
    }
}
