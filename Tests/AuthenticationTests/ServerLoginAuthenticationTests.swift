import PostgresProtocol
import Tenancy
import Testing

@testable import Authentication
@testable import ServerLogin

/// How a login proves who we are, and what it takes for a proof that the cluster is the cluster.
struct ServerLoginAuthenticationTests {
    private static let password = Array("pencil".utf8)
    private static let hash = [UInt8](repeating: 3, count: 32)

    private static func keys() throws -> (ServerLoginOptions.Credential, ScramVerifier) {
        let made = try ScramVerifier.deriveWithKey(
            password: password, salt: [1, 2, 3], iterations: 2)
        return (.keys(clientKey: made.clientKey, verifier: made.verifier), made.verifier)
    }

    /// Logs in with a SCRAM server of ours in the cluster's place, up to AuthenticationOk.
    private static func login(
        _ credential: ServerLoginOptions.Credential, _ verifier: ScramVerifier, isTLS: Bool = false,
        offersPlus: Bool = false, choice: ChannelBindingMode = .prefer, forge: Bool = false,
        elsewhere: Bool = false
    ) -> ServerScript {
        var script = ServerScript(isTLS ? .require : .disable, credential) {
            $0.tls.channelBinding = choice
            $0.derivesElsewhere = elsewhere
        }
        script.connect()
        if isTLS {
            script.receive("S")
            script.establish(binding: hash)
        }
        _ = script.takeLog()
        var server = ScramServerExchange(
            verifier: verifier, isMock: false, binding: offersPlus ? hash : nil, isTLS: isTLS,
            nonce: SecureRandom.bytes(18))
        script.receive(
            .authentication(.sasl(mechanisms: ScramServerExchange.offer(plus: offersPlus))))
        guard script.failure == nil, let first = script.sent.last,
            let initial = try? SASLInitialResponse(
                AuthenticationData(data: Array(first.dropFirst(5)))),
            case .challenge(let challenge) = server.initialResponse(
                mechanism: initial.mechanism, data: initial.data)
        else { return script }
        script.receive(.authentication(.saslContinue(challenge)))
        if let derivation = script.derivation { script.derive(derivation.run()) }
        guard script.failure == nil, let answer = script.sent.last else { return script }
        switch server.response(Array(answer.dropFirst(5))) {
        case .accepted(_, var final):
            if forge { final[10] = final[10] == 65 ? 66 : 65 }
            script.receive(.authentication(.saslFinal(final)), .ok)
        case .challenge, .refused: script.receive(.error("28P01"))
        }
        return script
    }

    @Test func `keys and passwords log in, bound to the certificate whenever that is offered`()
        throws
    {
        let (keys, verifier) = try Self.keys()
        for credential in [keys, .password(Self.password)] {
            for (isTLS, plus) in [(false, false), (true, false), (true, true)] {
                var script = Self.login(credential, verifier, isTLS: isTLS, offersPlus: plus)
                #expect(script.takeLog() == "p p")
                script.receive(.key, .ready)
                #expect(script.takeLog() == "ready")
                #expect(script.result?.isBound == plus)
            }
        }
    }

    @Test func `a password's keys can be derived elsewhere, and keys need no derivation`() throws {
        let (keys, verifier) = try Self.keys()
        var password = Self.login(.password(Self.password), verifier, elsewhere: true)
        #expect(password.takeLog() == "p derive p")
        password.receive(.key, .ready)
        #expect(password.takeLog() == "ready")
        var known = Self.login(keys, verifier, elsewhere: true)
        #expect(known.takeLog() == "p p")
        known.derive(nil)
        #expect(known.takeLog() == "")
    }

    @Test func `a password that can't be used ends the login, and an answer comes once`() throws {
        var script = ServerScript(.disable, .password(Self.password)) { $0.derivesElsewhere = true }
        script.connect()
        script.receive(.authentication(.sasl(mechanisms: ScramServerExchange.offer(plus: false))))
        let first = String(decoding: script.sent.last ?? [], as: UTF8.self)
        let nonce = String(first.split(separator: "=").last ?? "")
        _ = script.takeLog()
        script.receive(.authentication(.saslContinue(Array("r=\(nonce)x,s=AAAA,i=1".utf8))))
        #expect(script.takeLog() == "derive")
        script.derive(nil)
        #expect(script.takeLog() == "unsupportedAuthentication")
        script.derive(nil)
        #expect(script.takeLog() == "")
    }

    @Test func `a wrong key is refused by the cluster, a stale one not even shown`() throws {
        let (keys, verifier) = try Self.keys()
        let other = try ScramVerifier.derive(
            password: Array("other".utf8), salt: verifier.salt, iterations: verifier.iterations)
        var wrong = Self.login(keys, other)
        #expect(wrong.takeLog() == "p p 28P01")
        let resalted = try ScramVerifier.derive(password: Self.password, salt: [9], iterations: 2)
        var stale = Self.login(keys, resalted)
        #expect(stale.takeLog() == "p staleVerifier")
    }

    @Test func `a cluster that cannot sign is not let through`() throws {
        let (keys, verifier) = try Self.keys()
        var forged = Self.login(keys, verifier, forge: true)
        #expect(["p p wrongServerSignature", "p p protocolViolation"].contains(forged.takeLog()))
        var script = ServerScript(.disable, keys)
        script.connect()
        script.receive(.sasl("SCRAM-SHA-256"), .ok)
        #expect(script.takeLog() == "startup p wrongServerSignature")
    }

    @Test func `without a signature only a known cluster may say AuthenticationOk`() throws {
        let (keys, _) = try Self.keys()
        for credential in [keys, .password(Self.password)] {
            for mode in ServerTLSMode.allCases {
                for isUnix in [false, true] {
                    var script = ServerScript(mode, credential, isUnix: isUnix)
                    script.connect()
                    if !isUnix, mode != .disable, mode != .allow {
                        script.receive("S")
                        script.establish(binding: Self.hash)
                    }
                    _ = script.takeLog()
                    script.receive(.ok)
                    let isKnown = isUnix || mode == .verifyCA || mode == .verifyFull
                    #expect(script.takeLog() == (isKnown ? "" : "unsupportedAuthentication"))
                }
            }
        }
        var anybody = ServerScript()
        anybody.connect()
        anybody.receive(.ok, .key, .ready)
        #expect(anybody.takeLog() == "startup ready")
    }

    @Test(arguments: [
        AuthenticationRequest.cleartextPassword, .md5Password(salt: [1, 2, 3, 4]), .gss, .sspi,
        .kerberosV5, .gssContinue([1]), .other(code: 99, data: []),
        .sasl(mechanisms: [Array("OAUTHBEARER".utf8)]), .sasl(mechanisms: []),
    ])
    func `a cluster that asks for anything but SCRAM gets nothing`(request: AuthenticationRequest)
        throws
    {
        let (keys, _) = try Self.keys()
        for credential in [keys, .none, .password(Self.password)] {
            var script = ServerScript(.disable, credential)
            script.connect()
            script.receive(.authentication(request))
            #expect(script.takeLog() == "startup unsupportedAuthentication")
            #expect(script.forwarded == [])
        }
    }

    @Test func `required channel binding fails closed`() throws {
        let (keys, verifier) = try Self.keys()
        for credential in [keys, .password(Self.password)] {
            var plain = Self.login(credential, verifier, choice: .require)
            #expect(plain.takeLog() == "unsupportedAuthentication")
            var stripped = Self.login(credential, verifier, isTLS: true, choice: .require)
            #expect(stripped.takeLog() == "unsupportedAuthentication")
            var bound = Self.login(
                credential, verifier, isTLS: true, offersPlus: true, choice: .require)
            #expect(bound.takeLog() == "p p")
        }
        for request in [
            AuthenticationRequest.ok, .md5Password(salt: [1, 2, 3, 4]), .cleartextPassword,
        ] {
            for credential in [keys, .password(Self.password), .none] {
                var script = ServerScript(.verifyFull, credential) {
                    $0.tls.channelBinding = .require
                }
                script.connect()
                script.receive("S")
                script.establish(binding: nil)
                script.receive(.authentication(request))
                #expect(script.takeLog().hasSuffix("unsupportedAuthentication"))
            }
        }
        var noHash = ServerScript(.verifyFull, keys) { $0.tls.channelBinding = .require }
        noHash.connect()
        noHash.receive("S")
        noHash.establish(binding: nil)
        noHash.receive(.sasl("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"))
        #expect(noHash.takeLog().hasSuffix("unsupportedAuthentication"))
    }

    @Test func `PLUS in the offer of a leg without TLS is refused`() throws {
        let (keys, _) = try Self.keys()
        var script = ServerScript(.disable, keys)
        script.connect()
        script.receive(.sasl("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"))
        #expect(script.takeLog() == "startup unsupportedAuthentication")
    }

    @Test func `our own role's md5 password goes to a known cluster only`() {
        var script = ServerScript(.verifyFull, .password(Array("secret".utf8)))
        script.connect()
        script.receive("S")
        script.establish()
        script.receive(.authentication(.md5Password(salt: [1, 2, 3, 4])))
        #expect(script.takeLog() == "SSLRequest startTLS startup p")
        let text = "md557fa79c6dd4b727eb8fa284833028c33\u{0}"
        #expect(script.sent.last.map { Array($0.dropFirst(5)) } == Array(text.utf8))
        script.receive(.ok, .key, .ready)
        #expect(script.takeLog() == "ready")
    }

    @Test func `SASL messages out of order are violations`() throws {
        let (keys, _) = try Self.keys()
        let bad: [[BackendMessage]] = [
            [.authentication(.saslContinue([1]))], [.authentication(.saslFinal([1]))],
            [.sasl("SCRAM-SHA-256"), .sasl("SCRAM-SHA-256")],
            [.sasl("SCRAM-SHA-256"), .authentication(.saslFinal([1]))],
            [.sasl("SCRAM-SHA-256"), .authentication(.saslContinue([]))],
        ]
        for messages in bad {
            var script = ServerScript(.disable, keys)
            script.connect()
            script.receive(ServerScript.bytes(messages))
            #expect(script.takeLog().hasSuffix("protocolViolation"))
        }
    }

    @Test func `relay passes each request on and each answer back, in turns`() {
        var script = ServerScript(.disable, .relay)
        script.connect()
        script.client([1])
        #expect(script.takeLog() == "startup")
        for request in [
            AuthenticationRequest.cleartextPassword, .md5Password(salt: [1, 2, 3, 4]),
            .sasl(mechanisms: [Array("SCRAM-SHA-256".utf8)]), .saslContinue([5]),
        ] {
            script.receive(.authentication(request))
            #expect(script.takeLog() == "forward")
            #expect(script.forwarded.last == ServerScript.bytes([.authentication(request)]))
            script.client([1, 2])
            script.client([3])
            #expect(script.takeLog() == "p")
            #expect(script.sent.last == [0x70, 0, 0, 0, 6, 1, 2])
        }
        script.receive(.authentication(.saslFinal([6])), .ok)
        script.client([1])
        #expect(script.takeLog() == "forward forward")
        script.receive(.key, .ready)
        #expect(script.takeLog() == "ready")
    }
}
