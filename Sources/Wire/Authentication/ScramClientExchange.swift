/// What we log in to a cluster with.
package enum ScramCredential: Sendable {
    /// PBKDF2 is run in `challenge`: for our own roles only, not for clients' logins.
    case password([UInt8])
    /// The client's recovered key; sound only while the cluster has this very verifier.
    case keys(clientKey: SecretKey32, verifier: ScramVerifier)
}

extension ScramCredential: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable
{
    package var description: String { "ScramCredential(hidden)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// As libpq's channel_binding.
package enum ChannelBindingChoice: Sendable, CaseIterable { case disable, prefer, require }

/// Our side as a SCRAM client of a cluster, one login: a value without I/O.
///
/// begin → challenge → final, each once and in this order; anything else is `malformedMessage`.
///
/// - Bounds: messages of at most 1,992 bytes; iterations 1 to `ScramVerifier.iterationsMax`, for a
///   password to `passwordIterationsMax`.
/// - Source: fe-auth-scram.c (REL_18).
package struct ScramClientExchange: Sendable {
    private enum State { case start, begun, challenged, over }

    /// How much work a cluster may give us with a password: 30 ms.
    package static let passwordIterationsMax = 100_000

    private var credential: ScramCredential
    private let choice: ChannelBindingChoice
    private let binding: [UInt8]?
    private let isTLS: Bool
    private let clientNonce: [UInt8]
    private var state = State.start
    /// What `c=` will say: the gs2 header and, behind `p=…`, the binding.
    private var channel: [UInt8] = []
    private var firstBare: [UInt8] = []
    private var serverSignature: SecretKey32?
    /// Whether the cluster has proven that it knows the verifier.
    package private(set) var isProven = false
    /// Whether the login is bound to the cluster's certificate (`-PLUS`).
    package private(set) var isBound = false

    /// - Parameters:
    ///   - binding: the hash of the cluster's certificate; nil: it has none (or no TLS).
    ///   - nonce: 18 random bytes.
    package init(
        credential: ScramCredential, choice: ChannelBindingChoice, binding: [UInt8]?, isTLS: Bool,
        nonce: [UInt8]
    ) {
        self.credential = credential
        self.choice = choice
        self.binding = binding.flatMap { $0.isEmpty ? nil : $0 }
        self.isTLS = isTLS
        clientNonce = Base64.encode(nonce)
    }

    /// Chooses the mechanism: `-PLUS` whenever it is offered over TLS and the choice allows it.
    ///
    /// - Errors: `noMechanism` when nothing acceptable is offered, when binding is required and
    ///   can't be had, and when `-PLUS` is offered without TLS (somebody is between us and the
    ///   cluster).
    package mutating func begin(
        offered: [[UInt8]]
    ) throws(AuthenticationError) -> (mechanism: [UInt8], data: [UInt8]) {
        guard state == .start else { throw Self.outOfOrder() }
        let offersPlus = offered.contains(Scram.mechanismPlus)
        if offersPlus && !isTLS && choice != .disable {
            throw AuthenticationError(
                .noMechanism, "the cluster offers SCRAM-SHA-256-PLUS over a connection without TLS")
        }
        firstBare = Array("n=,r=".utf8) + clientNonce
        state = .begun
        if offersPlus, isTLS, choice != .disable, let binding {
            channel = Scram.bindingHeader + binding
            isBound = true
            return (Scram.mechanismPlus, Scram.bindingHeader + firstBare)
        }
        guard choice != .require else {
            throw AuthenticationError(
                .noMechanism, "channel binding is required, but cannot be used")
        }
        guard offered.contains(Scram.mechanism) else {
            throw AuthenticationError(.noMechanism, "the cluster does not offer SCRAM-SHA-256")
        }
        // `y`: we could bind, but were not offered to; the cluster checks whether that is true.
        let couldBind = isTLS && choice != .disable && !offersPlus
        channel = Array((couldBind ? "y,," : "n,,").utf8)
        return (Scram.mechanism, channel + firstBare)
    }

    /// What `challenge` would wait for with this password; nil for keys, which need nothing.
    ///
    /// - Errors: those of `challenge`.
    package func derivation(
        for message: [UInt8]
    ) throws(AuthenticationError) -> ScramDerivation? {
        guard case .password(let password) = credential else { return nil }
        guard state == .begun else { throw Self.outOfOrder() }
        let (_, salt, iterations) = try Self.readFirst(message, clientNonce)
        guard iterations <= Self.passwordIterationsMax else {
            throw Self.malformed("too many iterations")
        }
        return ScramDerivation(password: password, salt: salt, iterations: iterations)
    }

    /// Goes on with the derived keys in place of the password.
    package mutating func use(_ derived: ScramCredential) { credential = derived }

    /// The cluster's first message → our final message.
    ///
    /// - Cost: with a password, PBKDF2 of as many rounds as the cluster says.
    package mutating func challenge(
        _ message: [UInt8]
    ) throws(AuthenticationError) -> [UInt8] {
        guard state == .begun else { throw Self.outOfOrder() }
        let (nonce, salt, iterations) = try Self.readFirst(message, clientNonce)
        let (verifier, clientKey) = try keys(salt, iterations)
        let withoutProof =
            Array("c=".utf8) + Base64.encode(channel) + Array(",r=".utf8) + nonce
        let authMessage =
            firstBare + [Scram.comma] + message + [Scram.comma] + withoutProof
        let proof = clientKey.xor(Digest.hmac(verifier.storedKey, authMessage))
        serverSignature = Digest.hmac(verifier.serverKey, authMessage)
        state = .challenged
        return withoutProof + Array(",p=".utf8) + Base64.encode(proof.array)
    }

    /// The cluster's last message: its signature proves that it knows the verifier.
    package mutating func final(_ message: [UInt8]) throws(AuthenticationError) {
        guard state == .challenged, let expected = serverSignature else {
            throw Self.outOfOrder()
        }
        state = .over
        serverSignature = nil
        guard !message.isEmpty, !message.contains(0), message.count <= Scram.serverMessageMax else {
            throw Self.malformed("bad length")
        }
        var reader = ScramAttributes(message)
        if reader.next == UInt8(ascii: "e") {
            throw Self.malformed("the cluster ended the exchange with an error")
        }
        let text: ArraySlice<UInt8>
        do throws(ScramFault) {
            text = try reader.value(of: UInt8(ascii: "v"))
        } catch {
            throw Self.malformed(error.detail)
        }
        guard reader.isAtEnd, let bytes = Base64.decode(text), let signature = SecretKey32(bytes)
        else { throw Self.malformed("bad signature") }
        guard signature.matches(expected) else {
            throw AuthenticationError(.wrongSignature, "the cluster's SCRAM signature is wrong")
        }
        isProven = true
    }

    private static func readFirst(
        _ message: [UInt8], _ clientNonce: [UInt8]
    ) throws(AuthenticationError) -> (nonce: [UInt8], salt: [UInt8], iterations: Int) {
        guard !message.isEmpty, !message.contains(0), message.count <= Scram.serverMessageMax else {
            throw malformed("bad length")
        }
        var reader = ScramAttributes(message)
        let values: (nonce: ArraySlice<UInt8>, salt: ArraySlice<UInt8>, count: ArraySlice<UInt8>)
        do throws(ScramFault) {
            values.nonce = try reader.value(of: UInt8(ascii: "r"))
            values.salt = try reader.value(of: UInt8(ascii: "s"))
            values.count = try reader.value(of: UInt8(ascii: "i"))
        } catch {
            throw malformed(error.detail)
        }
        guard reader.isAtEnd else { throw malformed("garbage at its end") }
        guard Scram.isNonce(values.nonce), values.nonce.starts(with: clientNonce),
            values.nonce.count > clientNonce.count
        else { throw malformed("the nonce does not continue ours") }
        guard let salt = Base64.decode(values.salt),
            (1...ScramVerifier.saltMax).contains(salt.count)
        else { throw malformed("bad salt") }
        guard let iterations = Scram.number(values.count),
            iterations <= ScramVerifier.iterationsMax
        else { throw malformed("bad number of iterations") }
        return (Array(values.nonce), salt, iterations)
    }

    private func keys(
        _ salt: [UInt8], _ iterations: Int
    ) throws(AuthenticationError) -> (verifier: ScramVerifier, clientKey: SecretKey32) {
        switch credential {
        case .keys(let clientKey, let verifier):
            guard verifier.salt == salt, verifier.iterations == iterations else {
                throw AuthenticationError(
                    .staleVerifier, "the cluster's salt or iterations are not the verifier's")
            }
            return (verifier, clientKey)
        case .password(let password):
            guard iterations <= Self.passwordIterationsMax else {
                throw Self.malformed("too many iterations")
            }
            return try ScramVerifier.deriveWithKey(
                password: password, salt: salt, iterations: iterations)
        }
    }

    private static func malformed(_ detail: String) -> AuthenticationError {
        AuthenticationError(.malformedMessage, "malformed SCRAM message of the cluster: \(detail)")
    }

    private static func outOfOrder() -> AuthenticationError {
        AuthenticationError(.malformedMessage, "a SCRAM message of the cluster came out of order")
    }
}
