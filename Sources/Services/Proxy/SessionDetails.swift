internal import Authentication
internal import EventLoop
internal import PostgresProtocol
internal import ServerLogin
internal import Telemetry
internal import Tenancy

/// What a session needs at its login and at its end, but never while it relays.
final class SessionDetails {
    let number: UInt64
    let acceptedNanoseconds: UInt64
    var clientAddress: SocketAddress
    var runtime: TenantRuntime?
    /// After rewriting, as the cluster gets them.
    var user: [UInt8] = []
    var database: [UInt8] = []
    var applicationName: [UInt8] = []
    var loginNanoseconds: UInt64 = 0
    /// The cluster's own pid and key, for cancel requests.
    var serverProcessID: Int32 = 0
    var serverSecret: CancelSecret?
    /// What the client got in place of the key; empty until then.
    var cancelSecret: CancelSecret?
    var routedBy = ""
    var protocolMinor: UInt8 = 0
    /// Static names of TLS versions, so that they cost no memory per session.
    var clientTLS = ""
    var serverTLS = ""
    var holdsSessionCount = false
    var holdsTenantCount = false
    var holdsLoginCount = false
    var holdsTenantLoginCount = false
    /// Until the login is complete.
    var login: LoginState?
    var lookup: LookupConnection?
    var cancel: CancelTask?
    var failure: SessionFailure?

    init(number: UInt64, address: SocketAddress, nowNanoseconds: UInt64) {
        self.number = number
        clientAddress = address
        acceptedNanoseconds = nowNanoseconds
    }

    /// What the client is told and the log has.
    var reference: String { "pgtee-" + String(number, radix: 16) }
}

/// The texts of a session that did not end by itself.
///
/// A class, as everything here that most sessions don't have: an idle session pays eight bytes for
/// it.
final class SessionFailure {
    let sqlState: String
    let message: String
    let detail: String

    init(sqlState: String = "", message: String = "", detail: String) {
        self.sqlState = sqlState
        self.message = message
        self.detail = detail
    }
}

/// Who is to speak next in a login.
enum LoginStage {
    /// The client: negotiation, startup packet or SASL message.
    case client
    /// A look-up or the cluster; the client's bytes wait.
    case waiting
    /// The cluster asks the client itself (`relay`).
    case relayed
}

/// The state of a login on both legs; dropped when relaying begins.
final class LoginState {
    let listenerTenant: String?
    let isUnix: Bool
    var client = ClientLogin()
    var stage = LoginStage.client
    var isDirectTLS = false
    var input: [UInt8] = []
    var startup: StartupMessage?
    /// The route's view of the startup parameters, to be sent to the cluster.
    var serverParameters: [StartupParameter] = []
    var negotiation: NegotiateProtocolVersion?
    var clientVersion = ProtocolVersion.v3_0
    var scram: ScramServerExchange?
    var isMock = false
    var hasMechanism = false
    var clientKey: SecretKey32?
    var verifier: ScramVerifier?
    /// SASLFinal and AuthenticationOk wait here until the cluster has let us in, so that they leave
    /// with the rest of the login in one packet.
    var heldForClient: [UInt8] = []
    var server: ServerLoginMachine?
    var addressIndex = 0
    var isRefetching = false
    var hasRetriedPlain = false

    init(listenerTenant: String?, isUnix: Bool) {
        self.listenerTenant = listenerTenant
        self.isUnix = isUnix
    }
}
