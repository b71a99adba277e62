/// All texts of refused routes. What the client reads names only what the client sent.
struct RefusalTexts {
    let login: LoginNames
    let found: FoundTenants
    let table: RouteTable

    private var routing: Routing { table.configuration.routing }

    static func userMissing(_ request: RouteRequest) -> RouteRefusal {
        let isEmpty = request.user?.isEmpty ?? true
        return RouteRefusal(
            kind: .userMissing, sqlState: "28000",
            message: "no PostgreSQL user name specified in startup packet",
            detail: isEmpty ? nil : "There is nothing in front of the tenant's name.",
            hint: isEmpty ? nil : "Connect as user@tenant.",
            logDetail: "user \(ClientText.quoted(request.user ?? []))", mock: nil)
    }

    static func tooLong(_ what: String, _ name: [UInt8]) -> RouteRefusal {
        RouteRefusal(
            kind: .nameTooLong, sqlState: "42622", message: "\(what) name is too long",
            detail: "It has \(name.count) bytes; \(LoginNames.nameBytesMax) are possible.",
            hint:
                "PostgreSQL would cut the name, and two names could become one; use the short one.",
            logDetail: "\(what) \(ClientText.quoted(name)), \(name.count) bytes", mock: nil)
    }

    static func replicationInvalid(_ value: [UInt8]) -> RouteRefusal {
        RouteRefusal(
            kind: .replicationInvalid, sqlState: "22023",
            message: "invalid value for parameter \"replication\": \(ClientText.quoted(value))",
            detail: nil, hint: "Valid values are: \"false\", 0, \"true\", 1, \"database\".",
            logDetail: "replication \(ClientText.quoted(value))", mock: nil)
    }

    func unnamed() -> RouteRefusal {
        // Without `hide`, or where no name of the client's was looked up, there is nothing to hide.
        let asksTable =
            login.explicitDatabase != nil
            || login.serverName.map { !table.isSharedServerName($0) } ?? false
        return refusal(
            .tenantUnnamed, hides: asksTable, message: "this login names no tenant",
            detail: "Looked at: \(lookedAt()).", hint: howToName())
    }

    func unknown() -> RouteRefusal {
        let name = found.first?.name ?? []
        return refusal(
            .tenantUnknown, hides: true,
            message: "tenant \(ClientText.quoted(name)) does not exist",
            detail: "It is named by \(named()).", hint: unknownHint())
    }

    func conflict() -> RouteRefusal {
        refusal(
            .tenantConflict, hides: found.usesTableOnlyNames,
            message: "this login names more than one tenant",
            detail: "The keys that disagree: \(named()).",
            hint: "Name one tenant only; \(Self.lowerFirst(howToName()))")
    }

    func replicationForbidden(_ entry: TenantEntry) -> RouteRefusal {
        refusal(
            .replicationForbidden, hides: true,
            message: "replication connections are not allowed for this tenant", detail: nil,
            hint: "Set \"replication: true\" in the tenant's document to allow them.")
    }

    private func refusal(
        _ kind: RouteRefusal.Kind, hides: Bool, message: String, detail: String?, hint: String?
    ) -> RouteRefusal {
        guard routing.hideUnknownTenants, hides else {
            return RouteRefusal(
                kind: kind, sqlState: "28000", message: message, detail: detail, hint: hint,
                logDetail: logDetail(), mock: nil)
        }
        let mock = MockLogin(tenant: Array(found.first?.name ?? []), user: login.user)
        return RouteRefusal(
            kind: kind, sqlState: WrongPassword.sqlState,
            message: WrongPassword.message(user: login.user), detail: nil, hint: nil,
            logDetail: "\(message); \(logDetail())", mock: mock)
    }

    /// What the client said by each key that named a tenant, in its own words.
    private func named() -> String {
        let parts = found.keys.keys.map(saying)
        return parts.isEmpty ? "the default tenant" : parts.joined(separator: ", ")
    }

    private func saying(_ key: RouteKey) -> String {
        let request = login.request
        return switch key {
        case .sni: "the TLS server name \(ClientText.quoted(request.sni ?? []))"
        case .user: "the user name \(ClientText.quoted(request.user ?? []))"
        case .options:
            "pgtee.tenant in options "
                + login.optionTenants.map { ClientText.quoted($0) }.joined(separator: " and ")
        case .database: "the database name \(ClientText.quoted(request.database ?? []))"
        case .listener: "the address that was connected to"
        }
    }

    private func lookedAt() -> String {
        let parts = table.keys.keys.map { key -> String in
            switch key {
            case .sni:
                guard let sni = login.request.sni else { return "TLS server name (none sent)" }
                return "TLS server name (\(ClientText.quoted(sni)) names none)"
            case .user:
                return "user name (no \(ClientText.quoted([routing.userSeparator])) in it)"
            case .options: return "options (no pgtee.tenant in them)"
            case .database:
                guard let database = login.explicitDatabase else {
                    return "database name (none of its own)"
                }
                return "database name (\(ClientText.quoted(database)) names none)"
            case .listener: return "listener (shared by all)"
            }
        }
        return parts.joined(separator: ", ")
    }

    private func howToName() -> String {
        let separator = String(decoding: [routing.userSeparator], as: UTF8.self)
        var ways: [String] = []
        if table.keys.contains(.user) { ways.append("connect as user\(separator)tenant") }
        if table.keys.contains(.sni), let domain = routing.domains.first {
            ways.append("connect to tenant.\(domain) over TLS")
        }
        if table.keys.contains(.options) { ways.append("set options='-c pgtee.tenant=tenant'") }
        guard let first = ways.first else { return "Ask your administrator for the address." }
        let all = ([Self.upperFirst(first)] + ways.dropFirst()).joined(separator: ", or ")
        return all + "."
    }

    private func unknownHint() -> String {
        let separator = String(decoding: [routing.userSeparator], as: UTF8.self)
        let base = "Check the spelling; tenant names are in lower case."
        guard found.first?.key == .user else { return base }
        return base
            + " If \"\(separator)\" belongs to the role's name, put the tenant after it: "
            + "role\(separator)tenant."
    }

    private func logDetail() -> String {
        let parts = found.all.map { named in
            "\(named.key.rawValue) names \(ClientText.quoted(named.name))"
                + (named.index == nil ? " (unknown)" : "")
        }
        let all = parts.isEmpty ? "no key names a tenant" : parts.joined(separator: ", ")
        return "\(all); user \(ClientText.quoted(login.request.user ?? []))"
    }

    private static func upperFirst(_ text: String) -> String {
        text.prefix(1).uppercased() + text.dropFirst()
    }

    private static func lowerFirst(_ text: String) -> String {
        text.prefix(1).lowercased() + text.dropFirst()
    }
}
