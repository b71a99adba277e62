/// Why a verifier, a password or a message of an exchange can't be used; for the log.
package struct AuthenticationError: Error, Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        case invalidVerifier
        case malformedMessage
        /// Nothing acceptable is offered, or channel binding is required and can't be had.
        case noMechanism
        /// The cluster has another salt or another number of iterations than the verifier.
        case staleVerifier
        case wrongSignature
        /// The password has characters that `SaslPrep` does not prepare.
        case unsupportedPassword
    }

    package var kind: Kind
    /// Names no secret and quotes no peer.
    package var text: String

    package init(_ kind: Kind, _ text: String) {
        self.kind = kind
        self.text = text
    }
}
