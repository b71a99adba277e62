/// The immutable snapshot of all tenants that a worker routes by.
///
/// A login names its tenant by route keys, in this order of precedence: the TLS server name, the
/// user name's suffix, `pgtee.tenant` in `options`, the database name, the listener. The rules:
///
/// 1. Every key that is enabled and offered is looked at, not only the first. When two name
///    different tenants the login is refused (28000): a guess could put a client into another
///    tenant's cluster. Whether the tenants exist plays no part in that, and the text is the same.
/// 2. A key that names no known tenant is refused too. It never falls through to a weaker key or to
///    the default tenant: the client said where it wants to go.
/// 3. What is *not* a key: a server name that is neither a tenant's host nor under a routing domain
///    (libpq sends the name it dialled, so a shared name says nothing), a user name without the
///    separator, a database name that no tenant, or more than one tenant, maps. A database name
///    that the tenant named by another key maps itself never conflicts.
/// 4. The default tenant counts only when no key was offered.
///
/// A role name that holds the separator needs the tenant after it (`ann@contoso.com@acme`), or the
/// key `user` switched off.
///
/// - Invariant: the values were validated (`TenancyValidation`); of duplicates the first wins.
/// - Thread: any. Nothing in it changes, so a worker may hold it as long as it likes.
/// - Cost: `decide` allocates its result and small copies of what it rewrites, whatever the number
///   of tenants.
package final class RouteTable: Sendable {
    package let configuration: ServiceConfiguration
    package let entries: [TenantEntry]
    package let generation: UInt64

    let keys: RouteKeySet
    private let names: PackedNames
    private let hosts: PackedNames
    private let domains: PackedNames
    /// Database name → tenant; `sharedDatabase` when several tenants map it.
    private let databases: PackedNames
    private static let sharedDatabase: Int32 = -1

    package init(configuration: ServiceConfiguration, tenants: [Tenant], generation: UInt64 = 1) {
        var names = PackedNames(capacity: tenants.count)
        var hosts = PackedNames()
        var databases = PackedNames()
        var entries: [TenantEntry] = []
        entries.reserveCapacity(tenants.count)
        for tenant in tenants where entries.count < Int(Int32.max) {
            let index = Int32(entries.count)
            guard names.insert(tenant.name, value: index) == nil else { continue }
            entries.append(TenantEntry(tenant, index: Int(index)))
            for host in tenant.hosts {
                if let host = ServerName.normalized(Array(host.utf8)) {
                    _ = hosts.insert(host[...], value: index)
                }
            }
            for database in tenant.databases.keys {
                if let other = databases.insert(database, value: index), other != index {
                    databases.replace(database, value: Self.sharedDatabase)
                }
            }
        }
        var domains = PackedNames()
        for domain in configuration.routing.domains {
            if let domain = ServerName.normalized(Array(domain.utf8)) {
                _ = domains.insert(domain[...], value: 0)
            }
        }
        self.configuration = configuration
        self.entries = entries
        self.generation = generation
        self.keys = configuration.routing.keys.reduce(into: []) { $0.insert(RouteKeySet($1)) }
        self.names = names
        self.hosts = hosts
        self.domains = domains
        self.databases = databases
    }

    package var tenants: [Tenant] { entries.map(\.tenant) }

    package func entry(named name: String) -> TenantEntry? {
        names.value(of: Array(name.utf8)).map { entries[Int($0)] }
    }

    /// Chooses the tenant of a login and rewrites its parameters, or says why not.
    ///
    /// - Errors: none is thrown, and no bytes make it trap. Names that PostgreSQL would truncate to
    ///   63 bytes are refused (two names could become one).
    package func decide(_ request: RouteRequest) -> RouteDecision {
        var login = LoginNames(request, routing: configuration.routing, keys: keys)
        if let refusal = login.malformed { return .refuse(refusal) }
        let found = look(at: login)
        let texts = RefusalTexts(login: login, found: found, table: self)
        guard let chosen = found.first else {
            guard let name = configuration.routing.defaultTenant else {
                return .refuse(texts.unnamed())
            }
            guard let entry = entry(named: name) else { return .refuse(texts.unknown()) }
            return finish(&login, entry, [], texts)
        }
        if found.conflicts { return .refuse(texts.conflict()) }
        guard let index = chosen.index else { return .refuse(texts.unknown()) }
        return finish(&login, entries[index], found.keys, texts)
    }

    private func finish(
        _ login: inout LoginNames, _ entry: TenantEntry, _ keys: RouteKeySet, _ texts: RefusalTexts
    ) -> RouteDecision {
        if login.replication != .none, !entry.tenant.allowsReplication {
            return .refuse(texts.replicationForbidden(entry))
        }
        return .route(
            Route(
                entry: entry, user: login.user, database: entry.clusterName(of: login),
                options: login.options, replication: login.replication, keys: keys))
    }

    private func look(at login: LoginNames) -> FoundTenants {
        var found = FoundTenants()
        if let name = login.serverName { lookAtServerName(name, &found) }
        if let name = login.userSuffix { found.add(.user, name, index: index(of: name)) }
        for name in login.optionTenants {
            found.add(.options, name[...], index: index(of: name[...]))
        }
        if let name = login.explicitDatabase { lookAtDatabase(name, &found) }
        if let name = login.listenerTenant {
            found.add(.listener, name[...], index: index(of: name[...]))
        }
        return found
    }

    private func index(of name: ArraySlice<UInt8>) -> Int? { names.value(of: name).map(Int.init) }

    private func lookAtServerName(_ name: [UInt8], _ found: inout FoundTenants) {
        if let index = hosts.value(of: name) {
            found.add(.sni, entries[Int(index)].name[...], index: Int(index))
            found.usesTableOnlyNames = true
            return
        }
        if domains.count == 0 || domains.value(of: name) != nil { return }
        for position in name.indices where name[position] == dot {
            if domains.value(of: name[(position + 1)...]) != nil {
                // A label with a dot in it is no tenant's name, so it is refused as unknown.
                let label = name[..<position]
                found.add(.sni, label, index: index(of: label))
                return
            }
        }
    }

    private func lookAtDatabase(_ name: [UInt8], _ found: inout FoundTenants) {
        guard let value = databases.value(of: name), value != Self.sharedDatabase else { return }
        // The tenant that is named already may map this name as well; then it is shared, not here.
        let index = Int(value)
        if let chosen = found.first, chosen.index != index { found.usesTableOnlyNames = true }
        found.add(.database, entries[index].name[...], index: index)
    }

    /// Whether a name is one that says nothing about the tenant by configuration.
    func isSharedServerName(_ name: [UInt8]) -> Bool { domains.value(of: name) != nil }
}

/// A tenant in the route table, with what routing needs in bytes.
package final class TenantEntry: Sendable {
    package let index: Int
    package let tenant: Tenant
    package let name: [UInt8]
    private let databaseNumbers: PackedNames
    private let clusterNames: [[UInt8]]

    init(_ tenant: Tenant, index: Int) {
        self.index = index
        self.tenant = tenant
        name = Array(tenant.name.utf8)
        var numbers = PackedNames()
        var clusterNames: [[UInt8]] = []
        for (database, clusterName) in tenant.databases
        where numbers.insert(database, value: Int32(clusterNames.count)) == nil {
            clusterNames.append(Array(clusterName.utf8))
        }
        databaseNumbers = numbers
        self.clusterNames = clusterNames
    }

    /// The database to ask the cluster for: through the map, else as rewritten; nil: not given.
    func clusterName(of login: LoginNames) -> [UInt8]? {
        let name = login.database ?? login.user
        if let number = databaseNumbers.value(of: name) { return clusterNames[Int(number)] }
        return login.database
    }
}

/// What the keys of one login named.
struct FoundTenants {
    struct Named {
        var key: RouteKey
        var name: ArraySlice<UInt8>
        /// nil: no tenant has this name.
        var index: Int?
    }

    /// By the strongest key.
    private(set) var first: Named?
    private(set) var all: [Named] = []
    private(set) var keys: RouteKeySet = []
    private(set) var conflicts = false
    /// The outcome tells something that only the tenant documents know, not just the client's
    /// words.
    var usesTableOnlyNames = false

    mutating func add(_ key: RouteKey, _ name: ArraySlice<UInt8>, index: Int?) {
        let named = Named(key: key, name: name, index: index)
        all.append(named)
        keys.insert(RouteKeySet(key))
        guard let first else {
            self.first = named
            return
        }
        if first.index != index || (index == nil && first.name != name) { conflicts = true }
    }
}
