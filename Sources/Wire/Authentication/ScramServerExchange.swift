/// A refusal of an authentication, as the client reads it; texts and codes are PostgreSQL's own
/// (auth-scram.c).
package struct AuthenticationRefusal: Sendable, Equatable {
    package var sqlState: String
    package var message: String
    package var detail: String?
}

package enum ScramServerStep: Sendable {
    case challenge([UInt8])
    /// The proof is right. `clientKey` opens every cluster that has the same verifier.
    case accepted(clientKey: SecretKey32, final: [UInt8])
    case refused(AuthenticationRefusal)
}

/// Our side as a SCRAM server, one login: a value without I/O.
///
/// First message → challenge → final message → accepted or refused. From the client's proof its
/// ClientKey is recovered (ClientKey = proof XOR HMAC(StoredKey, AuthMessage)), so that no password
/// is ever known.
package struct ScramServerExchange: Sendable {
    private enum State { case start, first, challenged, over }

    private let verifier: ScramVerifier
    private let isMock: Bool
    private let binding: [UInt8]?
    private let isTLS: Bool
    private let serverNonce: [UInt8]
    private var state = State.start
    private var usesPlus = false
    private var gs2Header: [UInt8] = []
    private var firstBare: [UInt8] = []
    private var serverFirst: [UInt8] = []
    private var nonce: [UInt8] = []

    /// - Parameters:
    ///   - isMock: run the exchange to its end, then refuse.
    ///   - binding: the tls-server-end-point hash of the certificate shown to this client; nil:
    ///     `-PLUS` is not offered.
    ///   - nonce: 18 random bytes.
    package init(
        verifier: ScramVerifier, isMock: Bool, binding: [UInt8]?, isTLS: Bool, nonce: [UInt8]
    ) {
        self.verifier = verifier
        self.isMock = isMock
        self.binding = binding
        self.isTLS = isTLS
        serverNonce = Base64.encode(nonce)
    }

    package static func offer(plus: Bool) -> [[UInt8]] {
        plus ? [Scram.mechanismPlus, Scram.mechanism] : [Scram.mechanism]
    }

    /// The body of SASLInitialResponse.
    package mutating func initialResponse(mechanism: [UInt8], data: [UInt8]?) -> ScramServerStep {
        guard state == .start else { return malformed("a second initial response") }
        if mechanism == Scram.mechanismPlus, binding != nil {
            usesPlus = true
        } else if mechanism != Scram.mechanism {
            return refuse("08P01", "client selected an invalid SASL authentication mechanism")
        }
        state = .first
        guard let data else { return .challenge([]) }
        return first(data)
    }

    /// The body of a SASLResponse.
    package mutating func response(_ data: [UInt8]) -> ScramServerStep {
        switch state {
        case .first: first(data)
        case .challenged: final(data)
        case .start, .over: malformed("a message out of order")
        }
    }

    private mutating func first(_ message: [UInt8]) -> ScramServerStep {
        guard !message.isEmpty else { return malformed("The message is empty.") }
        guard !message.contains(0) else { return malformed("Message length does not match input length.") }
        let parts = Scram.parts(message)
        guard parts.count >= 4 else { return malformed("The message is too short.") }
        if let refusal = checkFlag(parts[0]) { return refusal }
        if !parts[1].isEmpty {
            return parts[1].first == UInt8(ascii: "a")
                ? refuse("0A000", "client uses authorization identity, but it is not supported")
                : malformed("Unexpected attribute after the channel-binding flag.")
        }
        gs2Header = Array(parts[0]) + [Scram.comma, Scram.comma]
        firstBare = Array(message.dropFirst(gs2Header.count))
        if parts[2].first == UInt8(ascii: "m") {
            return refuse("0A000", "client requires an unsupported SCRAM extension")
        }
        guard Scram.value(UInt8(ascii: "n"), parts[2]) != nil else {
            return malformed("Expected attribute \"n\".")
        }
        guard let clientNonce = Scram.value(UInt8(ascii: "r"), parts[3]) else {
            return malformed("Expected attribute \"r\".")
        }
        guard Scram.isNonce(clientNonce) else {
            return refuse("08P01", "non-printable characters in SCRAM nonce")
        }
        nonce = Array(clientNonce) + serverNonce
        serverFirst =
            Array("r=".utf8) + nonce + Array(",s=".utf8) + Base64.encode(verifier.salt)
            + Array(",i=\(verifier.iterations)".utf8)
        state = .challenged
        return .challenge(serverFirst)
    }

    /// The gs2 flag: `n`, `y` or `p=…`.
    private mutating func checkFlag(_ flag: ArraySlice<UInt8>) -> ScramServerStep? {
        switch flag.first {
        case UInt8(ascii: "n"), UInt8(ascii: "y"):
            guard flag.count == 1 else { return malformed("Unexpected channel-binding flag.") }
            if usesPlus {
                return refuse(
                    "08P01", "malformed SCRAM message",
                    "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not "
                        + "include channel binding data.")
            }
            // The client could bind but believes that we can't: somebody took -PLUS out of the offer.
            if flag.first == UInt8(ascii: "y"), binding != nil {
                return refuse(
                    "28000", "SCRAM channel binding negotiation error",
                    "The client supports SCRAM channel binding but thinks the server does not.  "
                        + "However, this server does support channel binding.")
            }
            return nil
        case UInt8(ascii: "p"):
            guard usesPlus else {
                return refuse(
                    "08P01", "malformed SCRAM message",
                    "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM "
                        + "message includes channel binding data.")
            }
            guard flag.elementsEqual("p=tls-server-end-point".utf8) else {
                return refuse("08P01", "unsupported SCRAM channel-binding type")
            }
            return nil
        default: return malformed("Unexpected channel-binding flag.")
        }
    }

    private mutating func final(_ message: [UInt8]) -> ScramServerStep {
        guard !message.isEmpty, !message.contains(0) else {
            return malformed("Message length does not match input length.")
        }
        let parts = Scram.parts(message)
        guard parts.count >= 3, let proofText = parts.last else {
            return malformed("The message is too short.")
        }
        guard let channel = Scram.value(UInt8(ascii: "c"), parts[0]) else {
            return malformed("Expected attribute \"c\".")
        }
        var expected = gs2Header
        if usesPlus, let binding { expected += binding }
        guard channel.elementsEqual(Base64.encode(expected)) else {
            return usesPlus
                ? refuse("28000", "SCRAM channel binding check failed")
                : refuse("08P01", "unexpected SCRAM channel-binding attribute in client-final-message")
        }
        guard let echoed = Scram.value(UInt8(ascii: "r"), parts[1]),
            echoed.elementsEqual(nonce)
        else {
            return refuse("08P01", "invalid SCRAM response", "Nonce does not match.")
        }
        guard let proof = Scram.value(UInt8(ascii: "p"), proofText)
            .flatMap({ Base64.decode($0) }).flatMap({ SecretKey32($0) })
        else { return malformed("Malformed proof in client-final-message.") }
        let withoutProof = message.dropLast(proofText.count + 1)
        let authMessage =
            firstBare + [Scram.comma] + serverFirst + [Scram.comma] + Array(withoutProof)
        state = .over
        let clientKey = proof.xor(Digest.hmac(verifier.storedKey, authMessage))
        guard verifier.accepts(clientKey: clientKey), !isMock else {
            return .refused(
                AuthenticationRefusal(
                    sqlState: "28P01", message: "password authentication failed", detail: nil))
        }
        let signature = Digest.hmac(verifier.serverKey, authMessage)
        return .accepted(
            clientKey: clientKey, final: Array("v=".utf8) + Base64.encode(signature.array))
    }

    private mutating func malformed(_ detail: String) -> ScramServerStep {
        refuse("08P01", "malformed SCRAM message", detail)
    }

    private mutating func refuse(
        _ sqlState: String, _ message: String, _ detail: String? = nil
    ) -> ScramServerStep {
        state = .over
        return .refused(
            AuthenticationRefusal(sqlState: sqlState, message: message, detail: detail))
    }
}
