/// A login's names, taken apart and rewritten, before anyone knows which tenants exist.
struct LoginNames {
    /// PostgreSQL's NAMEDATALEN - 1: a longer name is cut there, after parsing.
    static let nameBytesMax = 63

    let request: RouteRequest
    /// Normal form; nil: none, not a name, or the key is off.
    private(set) var serverName: [UInt8]?
    /// The tenant's part of the user name, host name cut at its first label.
    private(set) var userSuffix: ArraySlice<UInt8>?
    private(set) var user: [UInt8] = []
    /// As rewritten: the stripped user where the client repeated its user or gave none; nil: none
    /// given and nothing to rewrite.
    private(set) var database: [UInt8]?
    /// A database that the client chose, not one that follows from its user name; nil if the key is
    /// off.
    private(set) var explicitDatabase: [UInt8]?
    private(set) var options: [UInt8]?
    private(set) var optionTenants: [[UInt8]] = []
    private(set) var listenerTenant: [UInt8]?
    private(set) var replication = ReplicationRequest.none
    /// Set when the login is refused whatever it names.
    private(set) var malformed: RouteRefusal?

    init(_ request: RouteRequest, routing: Routing, keys: RouteKeySet) {
        self.request = request
        let fullUser = request.user ?? []
        user = fullUser
        if keys.contains(.sni), let sni = request.sni { serverName = ServerName.normalized(sni) }
        if keys.contains(.user) { splitUser(at: routing.userSeparator) }
        takeDatabase(fullUser: fullUser, isKey: keys.contains(.database))
        options = request.options
        if keys.contains(.options), let given = request.options {
            let parameter = OptionsParameter(given)
            options = parameter.remaining
            optionTenants = parameter.tenants
        }
        if keys.contains(.listener), let tenant = request.listenerTenant {
            listenerTenant = Array(tenant.utf8)
        }
        malformed = checkNames()
        guard malformed == nil else { return }
        if let replication = ReplicationRequest(parameter: request.replication) {
            self.replication = replication
        } else {
            malformed = RefusalTexts.replicationInvalid(request.replication ?? [])
        }
    }

    private mutating func splitUser(at separator: UInt8) {
        guard let at = user.lastIndex(of: separator) else { return }
        let suffix = user[(at + 1)...]
        userSuffix = Self.tenantPart(of: suffix)
        user = Array(user[..<at])
    }

    /// `acme.postgres.example.com` → `acme`; a suffix with dots that is no host name stays whole
    /// and so names no tenant.
    private static func tenantPart(of suffix: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard let end = suffix.firstIndex(of: dot) else { return suffix }
        let isHost =
            suffix.count <= ServerName.bytesMax && ServerName.isHostName(suffix.map(lowered))
        return isHost ? suffix[..<end] : suffix
    }

    private mutating func takeDatabase(fullUser: [UInt8], isKey: Bool) {
        guard let given = request.database, !given.isEmpty else {
            database = userSuffix == nil ? nil : user
            return
        }
        if userSuffix != nil, given == fullUser {
            database = user
            return
        }
        database = given
        if isKey { explicitDatabase = given }
    }

    private func checkNames() -> RouteRefusal? {
        if user.isEmpty { return RefusalTexts.userMissing(request) }
        if user.count > Self.nameBytesMax { return RefusalTexts.tooLong("user", user) }
        if let database, database.count > Self.nameBytesMax {
            return RefusalTexts.tooLong("database", database)
        }
        return nil
    }
}
