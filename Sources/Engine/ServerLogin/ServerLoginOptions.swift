package import Authentication
package import PostgresProtocol
package import Tenancy

/// What a login to a cluster is made with.
package struct ServerLoginOptions: Sendable {
    package enum Credential: Sendable, CustomStringConvertible, CustomReflectable {
        /// Only `trust`, `peer` or certificate logins succeed.
        case none
        case password([UInt8])
        /// The client's recovered key.
        case keys(clientKey: SecretKey32, verifier: ScramVerifier)
        /// The cluster's authentication messages go to the client, its answers come back.
        case relay

        // What is logged or dumped by mistake must not show a password.
        package var description: String { "Credential(hidden)" }
        package var customMirror: Mirror { Mirror(self, children: []) }
    }

    package enum Purpose: Sendable {
        case session
        /// Send this and wait for the end; no startup packet.
        case cancel(CancelRequest)
    }

    package var purpose = Purpose.session
    /// Asked of the cluster; it may answer with a lower one.
    package var version: ProtocolVersion
    /// In the order in which they are sent; `user` first.
    package var parameters: [StartupParameter]
    package var tls: ServerTLS
    /// Unix sockets never use TLS.
    package var isUnixSocket: Bool
    package var credential: Credential
    /// PBKDF2 is not run in the machine: it asks for it by `.derive`.
    package var derivesElsewhere = false

    package init(
        version: ProtocolVersion, parameters: [StartupParameter], tls: ServerTLS,
        isUnixSocket: Bool, credential: Credential
    ) {
        self.version = version
        self.parameters = parameters
        self.tls = tls
        self.isUnixSocket = isUnixSocket
        self.credential = credential
    }
}

/// What the machine wants done, in this order.
package enum ServerLoginAction: Sendable {
    case send([UInt8])
    /// Begin a TLS handshake; report `tlsEstablished` or `tlsFailed`.
    case startTLS
    /// Run this where waiting does no harm; report `derived`.
    case derive(ScramDerivation)
    /// Close the connection and open a new one to the same address; report `connected`.
    case reconnect
    /// A whole authentication message for the client (`relay`).
    case forwardToClient([UInt8])
    case ready(ServerLoginResult)
    case failed(ServerLoginFailure)
}

package struct ServerLoginResult: Sendable {
    package var processID: Int32 = 0
    /// 4 bytes in protocol 3.0, 4 to 256 in 3.2; empty when the cluster sent none.
    package var secret: [UInt8] = []
    /// The ParameterStatus messages as they came, ready to be passed on: each well-formed.
    package var parameterMessages: [UInt8] = []
    package var notices: [ErrorFields] = []
    package var status = TransactionStatus.idle
    package var version = ProtocolVersion.v3_0
    /// The login is bound to the cluster's certificate (SCRAM-SHA-256-PLUS).
    package var isBound = false
    /// What came after ReadyForQuery in the same bytes.
    package var leftover: [UInt8] = []

    /// The settings that the cluster reported, in its order. Decoded at each call.
    package var parameters: [ParameterStatus] {
        var parameters: [ParameterStatus] = []
        var offset = 0
        while parameterMessages.count - offset >= 5 {
            let length = parameterMessages[(offset + 1)..<(offset + 5)].reduce(0) {
                $0 << 8 | Int($1)
            }
            let end = offset + 1 + length
            guard length >= 4, end <= parameterMessages.count else { break }
            let body = Array(parameterMessages[(offset + 5)..<end])
            let message = try? BackendMessage.decode(
                type: BackendType.parameterStatus, body: body.span.bytes)
            if case .parameterStatus(let parameter)? = message { parameters.append(parameter) }
            offset = end
        }
        return parameters
    }
}

package struct ServerLoginFailure: Error, Sendable {
    package enum Kind: Sendable {
        /// The cluster's own ErrorResponse, for the client to read.
        case serverError(ErrorFields)
        case protocolViolation
        /// The cluster has no TLS, or answered a TLS request wrongly; nothing secret was sent.
        case tlsRefused
        case tlsFailed
        /// It asks for a method that the policy does not allow.
        case unsupportedAuthentication
        /// The cluster's salt or iterations are not the verifier's: look it up again.
        case staleVerifier
        /// It does not know the verifier, so it is not the cluster it claims to be.
        case wrongServerSignature
        /// It refused the connection before the protocol began (no memory, no process).
        case closed
    }

    package var kind: Kind
    /// For the log; may quote the cluster.
    package var logText: String

    package init(_ kind: Kind, _ logText: String) {
        self.kind = kind
        self.logText = logText
    }
}
