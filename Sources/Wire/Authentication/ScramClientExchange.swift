/// What we log in to a cluster with.
package enum ScramCredential: Sendable {
    /// PBKDF2 is run in `challenge`: for our own roles only, not for clients' logins.
    case password([UInt8])
    /// The client's recovered key; sound only while the cluster has this very verifier.
    case keys(clientKey: SecretKey32, verifier: ScramVerifier)
}

/// As libpq's channel_binding.
package enum ChannelBindingChoice: Sendable { case disable, prefer, require }

/// Our side as a SCRAM client of a cluster, one login: a value without I/O.
package struct ScramClientExchange: Sendable {
    private let credential: ScramCredential
    private let choice: ChannelBindingChoice
    private let binding: [UInt8]?
    private let isTLS: Bool
    private let clientNonce: [UInt8]
    private var gs2: [UInt8] = []
    private var firstBare: [UInt8] = []
    private var serverSignature: SecretKey32?
    /// Whether the cluster has proven that it knows the verifier.
    package private(set) var isProven = false

    /// - Parameters:
    ///   - binding: the hash of the cluster's certificate; nil: it has none (or no TLS).
    ///   - nonce: 18 random bytes.
    package init(
        credential: ScramCredential, choice: ChannelBindingChoice, binding: [UInt8]?, isTLS: Bool,
        nonce: [UInt8]
    ) {
        self.credential = credential
        self.choice = choice
        self.binding = binding
        self.isTLS = isTLS
        clientNonce = Base64.encode(nonce)
    }

    /// Chooses the mechanism.
    ///
    /// - Errors: `.noMechanism` when nothing acceptable is offered, or binding is required and can't
    ///   be had.
    package mutating func begin(
        offered: [[UInt8]]
    ) throws(AuthenticationError) -> (mechanism: [UInt8], data: [UInt8]) {
        let offersPlus = offered.contains(Scram.mechanismPlus)
        let mechanism: [UInt8]
        if offersPlus, isTLS, binding != nil, choice != .disable {
            mechanism = Scram.mechanismPlus
            gs2 = Scram.bindingHeader
        } else {
            guard choice != .require else {
                throw AuthenticationError(
                    .noMechanism, "channel binding is required, but cannot be used")
            }
            guard offered.contains(Scram.mechanism) else {
                throw AuthenticationError(.noMechanism, "the cluster does not offer SCRAM-SHA-256")
            }
            mechanism = Scram.mechanism
            // `y`: we could bind, but the cluster did not offer it; it checks whether that is true.
            let couldBind = isTLS && choice != .disable && !offersPlus
            gs2 = Array((couldBind ? "y,," : "n,,").utf8)
        }
        firstBare = Array("n=,r=".utf8) + clientNonce
        return (mechanism, gs2 + firstBare)
    }

    /// The cluster's first message → our final message.
    package mutating func challenge(
        _ message: [UInt8]
    ) throws(AuthenticationError) -> [UInt8] {
        let parts = Scram.parts(message)
        guard parts.count >= 3, let nonce = Scram.value(UInt8(ascii: "r"), parts[0]),
            Scram.isNonce(nonce), nonce.starts(with: clientNonce), nonce.count > clientNonce.count,
            let salt = Scram.value(UInt8(ascii: "s"), parts[1]).flatMap({ Base64.decode($0) }),
            (1...1024).contains(salt.count),
            let iterations = Scram.value(UInt8(ascii: "i"), parts[2]).flatMap({ Scram.number($0) }),
            iterations <= ScramVerifier.iterationsMax
        else { throw AuthenticationError(.malformedMessage, "malformed SCRAM message of the cluster") }
        let clientKey: SecretKey32
        let verifier: ScramVerifier
        switch credential {
        case .keys(let key, let known):
            guard known.salt == salt, known.iterations == iterations else {
                throw AuthenticationError(
                    .staleVerifier, "the cluster's salt or iterations are not the verifier's")
            }
            clientKey = key
            verifier = known
        case .password(let password):
            let salted = Digest.pbkdf2(password, salt, iterations: iterations)
            clientKey = Digest.hmac(salted, Array("Client Key".utf8))
            verifier = ScramVerifier(
                iterations: iterations, salt: salt, storedKey: Digest.sha256(clientKey),
                serverKey: Digest.hmac(salted, Array("Server Key".utf8)))
        }
        var channel = gs2
        if gs2 == Scram.bindingHeader, let binding { channel += binding }
        let withoutProof =
            Array("c=".utf8) + Base64.encode(channel) + Array(",r=".utf8) + Array(nonce)
        let authMessage =
            firstBare + [Scram.comma] + message + [Scram.comma] + withoutProof
        let proof = clientKey.xor(Digest.hmac(verifier.storedKey, authMessage))
        serverSignature = Digest.hmac(verifier.serverKey, authMessage)
        return withoutProof + Array(",p=".utf8) + Base64.encode(proof.array)
    }

    /// The cluster's last message: its signature proves that it knows the verifier.
    package mutating func final(_ message: [UInt8]) throws(AuthenticationError) {
        let parts = Scram.parts(message)
        if let first = parts.first, Scram.value(UInt8(ascii: "e"), first) != nil {
            throw AuthenticationError(.malformedMessage, "the cluster reports a SCRAM error")
        }
        guard let expected = serverSignature, let first = parts.first,
            let signature = Scram.value(UInt8(ascii: "v"), first)
                .flatMap({ Base64.decode($0) }).flatMap({ SecretKey32($0) }),
            signature.matches(expected)
        else {
            throw AuthenticationError(.wrongSignature, "the cluster's SCRAM signature is wrong")
        }
        serverSignature = nil
        isProven = true
    }

}
