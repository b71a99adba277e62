internal import Authentication
internal import PostgresProtocol
internal import Tenancy

// The room's map: ServerLoginMachine decides what our side as a client of PostgreSQL does from the
// connect to ReadyForQuery; whoever owns the connection (the proxy's server leg, a look-up, a
// cancel request, the shadow, the replayer) does what its actions say.
// ServerLoginMachine+messages.swift is its answers to each message, LoginInput collects them.
// VerifierLookupQuery is the question that look-up connections ask afterwards.

/// A login to a cluster as a value without I/O: events in, actions out.
///
///     connecting ─▶ tlsAnswer ─▶ tlsHandshake ─▶ authentication ─▶ parameters ─▶ over
///         │  (direct TLS) ────────▶                    ▲
///         └─────────────────── (no TLS) ───────────────┘
///
/// TLS follows libpq's sslmode (manual: libpq-ssl): `allow` tries plain first, `prefer` TLS first,
/// and each tries the other way once. Unlike libpq, it does not once the cluster has asked for
/// authentication: a wrong password is not tried again with less protection.
///
/// An event that does not fit the state has no effect.
///
/// - Bounds: `LoginInput`'s.
/// - Source: manual, protocol-flow; fe-connect.c and fe-auth.c of REL_18 for what a client accepts
///   when.
package struct ServerLoginMachine: Sendable {
    enum State: CaseIterable {
        case connecting, tlsAnswer, tlsHandshake, authentication, parameters, cancelSent, over
    }

    let options: ServerLoginOptions
    let nonce: [UInt8]
    var state = State.connecting
    private var usesTLS: Bool
    var canTryOtherWay: Bool
    private(set) var isEncrypted = false
    private(set) var binding: [UInt8]?
    private var input = LoginInput()
    var scram: ScramClientExchange?
    /// The cluster has asked for something; from here on the way is not changed.
    var sawAuthentication = false
    var sawNegotiation = false
    /// The cluster's challenge, while the keys for its answer are derived.
    var challenge: [UInt8]?
    /// `relay`: the cluster waits for the client.
    package internal(set) var awaitsClient = false
    /// What the cluster said to the first way, for when the other one does not even begin.
    var firstRefusal: ErrorFields?
    var result = ServerLoginResult()

    /// - Parameter nonce: 18 random bytes.
    package init(options: ServerLoginOptions, nonce: [UInt8]) {
        self.options = options
        self.nonce = nonce
        switch options.tls.mode {
        case _ where options.isUnixSocket: (usesTLS, canTryOtherWay) = (false, false)
        case .disable: (usesTLS, canTryOtherWay) = (false, false)
        case .allow: (usesTLS, canTryOtherWay) = (false, true)
        case .prefer: (usesTLS, canTryOtherWay) = (true, true)
        case .require, .verifyCA, .verifyFull: (usesTLS, canTryOtherWay) = (true, false)
        }
        result.version = options.version
    }

    /// The connection is there (the first, or the one after `.reconnect`).
    package mutating func connected() -> [ServerLoginAction] {
        guard state == .connecting else { return [] }
        input = LoginInput()
        guard usesTLS else { return begin() }
        if options.tls.negotiation == .direct {
            state = .tlsHandshake
            return [.startTLS]
        }
        guard let request = try? InitialPacket.sslRequest.encoded() else {
            return fail(.protocolViolation, "SSLRequest cannot be encoded")
        }
        state = .tlsAnswer
        return [.send(request)]
    }

    /// - Parameters:
    ///   - binding: the hash of the cluster's certificate, when it has one.
    ///   - hasALPN: whether the cluster chose "postgresql".
    package mutating func tlsEstablished(binding: [UInt8]?, hasALPN: Bool) -> [ServerLoginAction] {
        guard state == .tlsHandshake else { return [] }
        if options.tls.negotiation == .direct && !hasALPN {
            return fail(.tlsRefused, "the cluster did not choose ALPN \"postgresql\" in direct TLS")
        }
        isEncrypted = true
        self.binding = binding
        return begin()
    }

    /// - Parameter reason: for the log.
    package mutating func tlsFailed(_ reason: String) -> [ServerLoginAction] {
        guard state == .tlsHandshake else { return [] }
        // Only `prefer` may go on without TLS after a failed handshake.
        if canTryOtherWay { return tryOtherWay() }
        return failTLS(.tlsFailed, "TLS handshake with the cluster failed: \(reason)")
    }

    /// Bytes of the cluster, decrypted, in any pieces.
    package mutating func received(_ bytes: [UInt8]) -> [ServerLoginAction] {
        if bytes.isEmpty { return [] }
        switch state {
        case .tlsAnswer: return tlsAnswer(bytes)
        case .connecting, .tlsHandshake, .cancelSent, .over: return []
        case .authentication, .parameters: break
        }
        input.append(bytes)
        var actions: [ServerLoginAction] = []
        do throws(ServerLoginFailure) {
            while state == .authentication || state == .parameters,
                let (type, body) = try input.next(isAuthenticating: state == .authentication)
            {
                actions += try message(type, body)
            }
        } catch {
            state = .over
            return actions + [.failed(error)]
        }
        if case .ready(var ready)? = actions.last {
            ready.leftover = input.leftover
            actions[actions.count - 1] = .ready(ready)
        }
        if state == .over { input = LoginInput() }
        return actions
    }

    /// The body of the client's `p` message (`relay`). Without effect when the cluster has not
    /// asked.
    package mutating func clientMessage(_ body: [UInt8]) -> [ServerLoginAction] {
        guard state == .authentication, awaitsClient else { return [] }
        awaitsClient = false
        do throws(ServerLoginFailure) {
            return [.send(try Self.authenticationData(body))]
        } catch {
            state = .over
            return [.failed(error)]
        }
    }

    /// Exactly one byte is a legal answer; more would be plain text that pretends to be encrypted
    /// (CVE-2021-23222).
    private mutating func tlsAnswer(_ bytes: [UInt8]) -> [ServerLoginAction] {
        switch bytes[0] {
        case UInt8(ascii: "S"), UInt8(ascii: "N"):
            guard bytes.count == 1 else {
                return fail(
                    .tlsRefused, "the cluster sent plain bytes after its answer to SSLRequest")
            }
        default:
            // An error's text at this place is not authenticated: never shown (CVE-2024-10977). The
            // connection ends, so there is nothing to be read for.
            return fail(.tlsRefused, "the cluster answered SSLRequest with neither S nor N")
        }
        if bytes[0] == UInt8(ascii: "S") {
            state = .tlsHandshake
            return [.startTLS]
        }
        guard options.tls.mode == .prefer else {
            return failTLS(.tlsRefused, "the cluster does not support TLS, but it is required")
        }
        canTryOtherWay = false
        usesTLS = false
        return begin()
    }

    mutating func tryOtherWay() -> [ServerLoginAction] {
        canTryOtherWay = false
        usesTLS.toggle()
        isEncrypted = false
        binding = nil
        sawNegotiation = false
        result.version = options.version
        state = .connecting
        return [.reconnect]
    }

    private mutating func begin() -> [ServerLoginAction] {
        if case .cancel(let request) = options.purpose {
            guard let packet = try? request.encoded() else {
                return fail(.closed, "the cluster gave no cancel key")
            }
            state = .cancelSent
            return [.send(packet)]
        }
        let startup = StartupMessage(version: options.version, parameters: options.parameters)
        do throws(EncodingError) {
            let packet = try startup.encoded()
            state = .authentication
            return [.send(packet)]
        } catch {
            return fail(.protocolViolation, "the startup packet cannot be sent: \(error.text)")
        }
    }

    /// `allow`: when TLS can't be had either, what the cluster said without it is the reason.
    private mutating func failTLS(
        _ kind: ServerLoginFailure.Kind, _ text: String
    ) -> [ServerLoginAction] {
        guard let firstRefusal else { return fail(kind, text) }
        return fail(.serverError(firstRefusal), "\(Self.refusalText(firstRefusal)); then \(text)")
    }

    private mutating func fail(
        _ kind: ServerLoginFailure.Kind, _ text: String
    ) -> [ServerLoginAction] {
        state = .over
        return [.failed(ServerLoginFailure(kind, text))]
    }
}
