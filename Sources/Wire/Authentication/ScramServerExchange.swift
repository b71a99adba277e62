/// A refusal of an authentication, as the client reads it; texts and codes are PostgreSQL's own
/// (auth-scram.c). For 28P01 the name of the user is still to be added.
package struct AuthenticationRefusal: Sendable, Equatable {
    package var sqlState: String
    package var message: String
    package var detail: String?

    /// The exchange went to its end and the proof was wrong (or mock): counts as a failed login.
    package var isWrongPassword: Bool { sqlState == "28P01" }
}

package enum ScramServerStep: Sendable {
    case challenge([UInt8])
    /// The proof is right. `clientKey` opens every cluster that has the same verifier; `final` is
    /// the last message for the client.
    case accepted(clientKey: SecretKey32, final: [UInt8])
    case refused(AuthenticationRefusal)
}

/// Our side as a SCRAM server, one login: a value without I/O.
///
/// First message → challenge → final message → accepted or refused. From the client's proof its
/// ClientKey is recovered (ClientKey = proof XOR HMAC(StoredKey, AuthMessage)), so that no password
/// is ever known. Each way in which a message is refused has PostgreSQL's SQLSTATE and words.
///
/// - Bounds: `p` messages with a body of at most 1,020 bytes.
/// - Source: auth-scram.c (REL_15 to REL_18).
package struct ScramServerExchange: Sendable {
    private enum State { case start, first, challenged, over }

    private let verifier: ScramVerifier
    private let isMock: Bool
    private let binding: [UInt8]?
    private let serverNonce: [UInt8]
    private var state = State.start
    private var usesPlus = false
    /// What `c=` of the final message must say.
    private var channel: [UInt8] = []
    private var firstBare: [UInt8] = []
    private var serverFirst: [UInt8] = []
    private var nonce: [UInt8] = []

    /// - Parameters:
    ///   - isMock: run the exchange to its end, then refuse.
    ///   - binding: the tls-server-end-point hash of the certificate shown to this client; nil:
    ///     `-PLUS` is not offered.
    ///   - isTLS: without TLS nothing is bound, whatever `binding` says.
    ///   - nonce: 18 random bytes.
    package init(
        verifier: ScramVerifier, isMock: Bool, binding: [UInt8]?, isTLS: Bool, nonce: [UInt8]
    ) {
        self.verifier = verifier
        self.isMock = isMock
        self.binding = isTLS ? binding : nil
        serverNonce = Base64.encode(nonce)
    }

    /// The mechanisms for AuthenticationSASL. `plus`: whether there is a binding.
    package static func offer(plus: Bool) -> [[UInt8]] {
        plus ? [Scram.mechanismPlus, Scram.mechanism] : [Scram.mechanism]
    }

    /// The contents of SASLInitialResponse; without data, the client waits for an empty challenge.
    package mutating func initialResponse(mechanism: [UInt8], data: [UInt8]?) -> ScramServerStep {
        guard state == .start else { return outOfOrder() }
        if mechanism == Scram.mechanismPlus, binding != nil {
            usesPlus = true
        } else if mechanism != Scram.mechanism {
            return refuse("08P01", "client selected an invalid SASL authentication mechanism")
        }
        state = .first
        guard let data else { return .challenge([]) }
        // The mechanism, its terminator and the length of the data count as well.
        return respond(data, lengthMax: Scram.clientMessageMax - mechanism.count - 5)
    }

    /// The body of a SASLResponse.
    package mutating func response(_ data: [UInt8]) -> ScramServerStep {
        respond(data, lengthMax: Scram.clientMessageMax)
    }

    private mutating func respond(_ data: [UInt8], lengthMax: Int) -> ScramServerStep {
        // PostgreSQL does not read such a message, and says the same.
        if data.count > lengthMax { return wrongPassword() }
        if state == .start || state == .over { return outOfOrder() }
        if data.isEmpty { return malformed("The message is empty.") }
        if data.contains(0) { return malformed("Message length does not match input length.") }
        do throws(ScramFault) {
            return state == .first ? try first(data) : try final(data)
        } catch {
            return malformed(error.detail)
        }
    }

    private mutating func first(_ message: [UInt8]) throws(ScramFault) -> ScramServerStep {
        var reader = ScramAttributes(message)
        if let refusal = try readFlag(&reader) { return refusal }
        if reader.next == UInt8(ascii: "a") {
            return refuse("0A000", "client uses authorization identity, but it is not supported")
        }
        guard reader.next == Scram.comma else {
            let shown = ScramAttributes.shown(reader.next)
            return malformed("Unexpected attribute \"\(shown)\" in client-first-message.")
        }
        reader.skip()
        firstBare = Array(reader.rest)
        if reader.next == UInt8(ascii: "m") {
            return refuse("0A000", "client requires an unsupported SCRAM extension")
        }
        // The name is ignored: the one of the startup packet counts.
        _ = try reader.value(of: UInt8(ascii: "n"))
        let clientNonce = try reader.value(of: UInt8(ascii: "r"))
        guard Scram.isNonce(clientNonce) else {
            return refuse("08P01", "non-printable characters in SCRAM nonce")
        }
        while !reader.isAtEnd { _ = try reader.any() }
        nonce = Array(clientNonce) + serverNonce
        serverFirst =
            Array("r=".utf8) + nonce + Array(",s=".utf8) + Base64.encode(verifier.salt)
            + Array(",i=\(verifier.iterations)".utf8)
        state = .challenged
        return .challenge(serverFirst)
    }

    /// The gs2 flag, `n`, `y` or `p=…`, and its comma.
    private mutating func readFlag(
        _ reader: inout ScramAttributes
    ) throws(ScramFault) -> ScramServerStep? {
        let flag = reader.next
        switch flag {
        case UInt8(ascii: "n"), UInt8(ascii: "y"):
            if usesPlus {
                return malformed(
                    "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not "
                        + "include channel binding data.")
            }
            // The client could bind but believes that we can't: somebody took -PLUS out of the
            // offer.
            if flag == UInt8(ascii: "y"), binding != nil {
                return refuse(
                    "28000", "SCRAM channel binding negotiation error",
                    "The client supports SCRAM channel binding but thinks the server does not.  "
                        + "However, this server does support channel binding.")
            }
            reader.skip()
            guard reader.next == Scram.comma else {
                let shown = ScramAttributes.shown(reader.next)
                throw ScramFault("Comma expected, but found character \"\(shown)\".")
            }
            reader.skip()
            channel = [flag, Scram.comma, Scram.comma]
            return nil
        case UInt8(ascii: "p"):
            guard usesPlus, let binding else {
                return malformed(
                    "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM "
                        + "message includes channel binding data.")
            }
            let type = try reader.value(of: flag)
            guard type.elementsEqual(Scram.bindingType) else {
                let shown = ScramAttributes.shown(type)
                return refuse("08P01", "unsupported SCRAM channel-binding type \"\(shown)\"")
            }
            channel = Scram.bindingHeader + binding
            return nil
        default:
            let shown = ScramAttributes.shown(flag)
            throw ScramFault("Unexpected channel-binding flag \"\(shown)\".")
        }
    }

    private mutating func final(_ message: [UInt8]) throws(ScramFault) -> ScramServerStep {
        var reader = ScramAttributes(message)
        guard try reader.value(of: UInt8(ascii: "c")).elementsEqual(Base64.encode(channel)) else {
            return usesPlus
                ? refuse("28000", "SCRAM channel binding check failed")
                : refuse(
                    "08P01",
                    "unexpected SCRAM channel-binding attribute in client-final-message")
        }
        let echoed = try reader.value(of: UInt8(ascii: "r"))
        var proofStart: Int
        var attribute: (name: UInt8, value: ArraySlice<UInt8>)
        repeat {
            proofStart = reader.offset
            attribute = try reader.any()
        } while attribute.name != UInt8(ascii: "p")
        guard let bytes = Base64.decode(attribute.value), let proof = SecretKey32(bytes) else {
            throw ScramFault("Malformed proof in client-final-message.")
        }
        guard reader.isAtEnd else {
            throw ScramFault("Garbage found at the end of client-final-message.")
        }
        guard echoed.elementsEqual(nonce) else {
            return refuse("08P01", "invalid SCRAM response", "Nonce does not match.")
        }
        return check(proof, Array(message[..<(proofStart - 1)]))
    }

    /// Does the same work whether the user exists or not.
    private mutating func check(_ proof: SecretKey32, _ withoutProof: [UInt8]) -> ScramServerStep {
        let authMessage =
            firstBare + [Scram.comma] + serverFirst + [Scram.comma] + withoutProof
        let clientKey = proof.xor(Digest.hmac(verifier.storedKey, authMessage))
        let isRight = verifier.accepts(clientKey: clientKey)
        guard isRight, !isMock else {
            return wrongPassword()
        }
        state = .over
        let signature = Digest.hmac(verifier.serverKey, authMessage)
        return .accepted(
            clientKey: clientKey, final: Array("v=".utf8) + Base64.encode(signature.array))
    }

    private mutating func wrongPassword() -> ScramServerStep {
        refuse("28P01", "password authentication failed")
    }

    private mutating func outOfOrder() -> ScramServerStep {
        refuse("08P01", "invalid SCRAM exchange state")
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
