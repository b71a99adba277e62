/// The slow part of a login with a password, PBKDF2, as a value: whoever must not wait (a worker's
/// thread) has it run elsewhere.
package struct ScramDerivation: Sendable {
    private let password: [UInt8]
    private let salt: [UInt8]
    private let iterations: Int

    init(password: [UInt8], salt: [UInt8], iterations: Int) {
        self.password = password
        self.salt = salt
        self.iterations = iterations
    }

    /// The credential to go on with; nil for a password that can't be prepared (SASLprep).
    ///
    /// - Cost: 0.3 ms per 1,000 iterations, of which there are
    ///   `ScramClientExchange.passwordIterationsMax` at most.
    package func run() -> ScramCredential? {
        let derived = try? ScramVerifier.deriveWithKey(
            password: password, salt: salt, iterations: iterations)
        return derived.map { .keys(clientKey: $0.clientKey, verifier: $0.verifier) }
    }
}
