/// Verifiers for users that don't exist: the same name gets the same salt on every instance that
/// has the secret, and nobody can make a proof for it.
package enum MockVerifier {
    /// - Parameters:
    ///   - secret: shared by all instances of a fleet, or their answers would differ.
    ///   - iterations: what the tenant's real users have, or they would be told apart.
    package static func make(
        secret: [UInt8], tenant: [UInt8], user: [UInt8], iterations: Int
    ) -> ScramVerifier {
        // No tenant's name has a zero byte, so two pairs of names never give the same seed.
        let seed = tenant + [0] + user
        let salt = Array(Digest.hmac(secret, seed).array.prefix(16))
        // Nor has a user's name: these two are no user's salt.
        return ScramVerifier(
            iterations: min(max(1, iterations), ScramVerifier.iterationsMax), salt: salt,
            storedKey: Digest.hmac(secret, seed + [0, 1]),
            serverKey: Digest.hmac(secret, seed + [0, 2]))
    }
}
