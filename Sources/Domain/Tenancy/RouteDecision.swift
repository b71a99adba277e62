/// What a login offers to be routed by. All bytes are the client's, unchanged and untruncated.
package struct RouteRequest: Sendable, Equatable {
    /// The name in the ClientHello's server_name extension; nil: none, or no TLS.
    package var sni: [UInt8]?
    /// Startup parameters; nil: not given.
    package var user: [UInt8]?
    package var database: [UInt8]?
    package var options: [UInt8]?
    package var replication: [UInt8]?
    /// The `tenant` of the listener that took the connection.
    package var listenerTenant: String?

    package init(
        sni: [UInt8]? = nil, user: [UInt8]? = nil, database: [UInt8]? = nil,
        options: [UInt8]? = nil, replication: [UInt8]? = nil, listenerTenant: String? = nil
    ) {
        self.sni = sni
        self.user = user
        self.database = database
        self.options = options
        self.replication = replication
        self.listenerTenant = listenerTenant
    }
}

package enum RouteDecision: Sendable {
    case route(Route)
    case refuse(RouteRefusal)
}

/// Where a login goes, and the startup parameters as the cluster must see them.
package struct Route: Sendable {
    package let entry: TenantEntry
    /// Without the tenant's part. Never empty, at most 63 bytes.
    package let user: [UInt8]
    /// The cluster's name for the database; nil: leave the parameter out (the cluster takes the
    /// user's name).
    package let database: [UInt8]?
    /// Without `pgtee.tenant`; nil: leave the parameter out.
    package let options: [UInt8]?
    package let replication: ReplicationRequest
    /// The keys that named the tenant; empty: the default tenant.
    package let keys: RouteKeySet

    package var tenant: Tenant { entry.tenant }
    package var tenantIndex: Int { entry.index }
}

/// A set of route keys in one byte.
package struct RouteKeySet: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package init(_ key: RouteKey) { rawValue = 1 << key.bit }

    package static let sni = RouteKeySet(.sni)
    package static let user = RouteKeySet(.user)
    package static let options = RouteKeySet(.options)
    package static let database = RouteKeySet(.database)
    package static let listener = RouteKeySet(.listener)

    package func contains(_ key: RouteKey) -> Bool { rawValue & (1 << key.bit) != 0 }

    /// In order of precedence.
    package var keys: [RouteKey] { RouteKey.allCases.filter { contains($0) } }
}

extension RouteKey {
    var bit: UInt8 {
        switch self {
        case .sni: 0
        case .user: 1
        case .options: 2
        case .database: 3
        case .listener: 4
        }
    }
}

/// Why a login is not routed, in the words for the client and, apart, for the log.
package struct RouteRefusal: Error, Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        case userMissing = "user_missing"
        case nameTooLong = "name_too_long"
        case replicationInvalid = "replication_invalid"
        case replicationForbidden = "replication_forbidden"
        case tenantUnnamed = "tenant_unnamed"
        case tenantUnknown = "tenant_unknown"
        case tenantConflict = "tenant_conflict"
    }

    package let kind: Kind
    /// For the client, as ErrorResponse fields. Client's bytes in them are repaired UTF-8,
    /// shortened.
    package let sqlState: String
    package let message: String
    package let detail: String?
    package let hint: String?
    /// For the log: which keys said what. May name tenants that the client didn't.
    package let logDetail: String
    /// Set where the refusal would tell a stranger which tenants exist and `hide_unknown_tenants`
    /// is on: run a mock SCRAM exchange for this name, then refuse as for a wrong password.
    /// `sqlState` and `message` are already those of a wrong password; `detail` and `hint` are nil.
    package let mock: MockLogin?
}

/// The names that a mock SCRAM exchange is seeded with.
package struct MockLogin: Sendable, Equatable {
    /// What the client called the tenant; empty when it named none.
    package let tenant: [UInt8]
    /// The user name as a route would have it.
    package let user: [UInt8]
}

/// The text of a wrong password, one for real and mock logins, so that they can't be told apart.
///
/// - Source: auth.c `auth_failed` (28P01).
package enum WrongPassword {
    package static let sqlState = "28P01"

    package static func message(user: [UInt8]) -> String {
        "password authentication failed for user \(ClientText.quoted(user))"
    }
}

/// Bytes of a client inside a text for people.
enum ClientText {
    /// More of a name than this says nothing more.
    static let bytesMax = 128

    static func quoted(_ bytes: some Collection<UInt8>) -> String {
        let shown = String(decoding: bytes.prefix(bytesMax), as: UTF8.self)
        let clean = shown.unicodeScalars.map { scalar in
            scalar.value < 0x20 || scalar.value == 0x7F ? "?" : String(scalar)
        }
        return "\"\(clean.joined())\(bytes.count > bytesMax ? "..." : "")\""
    }
}
