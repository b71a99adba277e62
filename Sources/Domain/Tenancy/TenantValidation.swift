/// The rules for one tenant's document, and for all of them together.
package enum TenantValidation {
    /// - Parameter localAddresses: this machine's addresses, for finding loops behind `*`
    ///   listeners.
    package static func problems(
        _ tenant: Tenant, service: ServiceConfiguration, localAddresses: Set<String> = []
    ) -> [TenancyProblem] {
        var problems: [TenancyProblem] = []
        if !TenantName.isValid(tenant.name) {
            problems.append(
                TenancyProblem(
                    ["tenant"], "\"\(tenant.name)\" is no tenant name",
                    hint: "A name is \(TenantName.rule)."))
        }
        problems += names(tenant, service)
        problems += backends(tenant, service, localAddresses)
        problems += authentication(tenant)
        problems += clientTLS(tenant, service)
        for index in tenant.backends.indices {
            problems += RelayRule.problems(tenant, backend: index, service: service)
        }
        return problems
    }

    /// Names that the service's document uses and no tenant has.
    package static func references(
        _ service: ServiceConfiguration, tenants: [Tenant]
    ) -> [TenancyProblem] {
        let names = Set(tenants.map(\.name))
        var problems: [TenancyProblem] = []
        if let tenant = service.routing.defaultTenant, !names.contains(tenant) {
            problems.append(
                TenancyProblem(
                    ["routing", "default_tenant"], "there is no tenant \"\(tenant)\"",
                    isWarning: true))
        }
        for (index, listener) in service.listeners.enumerated() {
            if let tenant = listener.tenant, !names.contains(tenant) {
                problems.append(
                    TenancyProblem(
                        ["listen", "\(index)", "tenant"], "there is no tenant \"\(tenant)\"",
                        isWarning: true))
            }
        }
        return problems
    }

    private static func names(_ tenant: Tenant, _ service: ServiceConfiguration)
        -> [TenancyProblem]
    {
        var problems: [TenancyProblem] = []
        var seen = Set<String>()
        for (index, host) in tenant.hosts.enumerated() {
            let path = ["hosts", "\(index)"]
            if !ServerName.isHostName(host.utf8) {
                problems.append(
                    TenancyProblem(
                        path, "\"\(host)\" is no host name",
                        hint:
                            "Write it in lower case, without a trailing dot; other scripts as xn--."
                    ))
            } else if !seen.insert(host).inserted {
                problems.append(TenancyProblem(path, "\"\(host)\" is listed twice"))
            }
            if service.routing.domains.contains(host) {
                problems.append(
                    TenancyProblem(path, "\"\(host)\" is a routing domain, shared by all tenants"))
            }
            for domain in service.routing.domains
            where host.hasSuffix("." + domain) && host != "\(tenant.name).\(domain)" {
                problems.append(
                    TenancyProblem(
                        path, "\"\(host)\" is under the routing domain \"\(domain)\"",
                        hint: "There the label is the tenant: \(tenant.name).\(domain)."))
            }
        }
        for (database, clusterName) in tenant.databases.sorted(by: { $0.key < $1.key }) {
            for name in [database, clusterName] where name.isEmpty || name.utf8.count > 63 {
                problems.append(
                    TenancyProblem(
                        ["databases", database], "a database name has 1 to 63 bytes"))
            }
        }
        return problems
    }

    private static func backends(
        _ tenant: Tenant, _ service: ServiceConfiguration, _ localAddresses: Set<String>
    ) -> [TenancyProblem] {
        guard !tenant.backends.isEmpty else {
            return [TenancyProblem(["backends"], "a tenant has at least one backend")]
        }
        var problems: [TenancyProblem] = []
        var seen = Set<String>()
        for (index, backend) in tenant.backends.enumerated() {
            let path = ["backends", "\(index)"]
            if !TenantName.isValid(backend.name) {
                problems.append(
                    TenancyProblem(
                        path + ["name"], "\"\(backend.name)\" is no backend name",
                        hint: "A name is \(TenantName.rule)."))
            }
            if !seen.insert(backend.name).inserted {
                problems.append(
                    TenancyProblem(path + ["name"], "two backends are named \"\(backend.name)\""))
            }
            problems += BackendRules(path, backend, service, localAddresses).problems()
        }
        if tenant.activeBackend == nil {
            let known = tenant.backends.map(\.name).joined(separator: ", ")
            problems.append(
                TenancyProblem(
                    ["active"], "there is no backend \"\(tenant.active)\"",
                    hint: "The backends are: \(known)."))
        }
        return problems
    }

    private static func authentication(_ tenant: Tenant) -> [TenancyProblem] {
        let authentication = tenant.authentication
        var problems: [TenancyProblem] = []
        let path = ["authentication"]
        switch authentication.mode {
        case .relay:
            if authentication.lookup != nil || !authentication.verifiers.isEmpty {
                problems.append(
                    TenancyProblem(
                        path, "relay asks the cluster itself and uses no verifiers", isWarning: true
                    ))
            }
        case .scram:
            if authentication.lookup == nil, authentication.verifiers.isEmpty {
                problems.append(
                    TenancyProblem(
                        path, "there are no verifiers, so no one can log in",
                        hint: "Give authentication.lookup (see pgtee tenant sql) or verifiers.",
                        isWarning: true))
            }
        }
        if let lookup = authentication.lookup, authentication.mode == .scram {
            problems += VerifierRules.problems(lookup, tenant, path + ["lookup"])
        }
        for (role, verifier) in authentication.verifiers.sorted(by: { $0.key < $1.key }) {
            problems += VerifierRules.problems(verifier, role: role, path + ["verifiers", role])
        }
        return problems
    }

    private static func clientTLS(_ tenant: Tenant, _ service: ServiceConfiguration)
        -> [TenancyProblem]
    {
        var problems: [TenancyProblem] = []
        let mode = tenant.clientTLS.mode ?? service.tls.mode
        if let own = tenant.clientTLS.mode, own.rank < service.tls.mode.rank {
            problems.append(
                TenancyProblem(
                    ["client_tls", "mode"],
                    "\(own.rawValue) is weaker than the service's \(service.tls.mode.rawValue)"))
        }
        if mode != .disable, mode != .prefer, service.tls.certificate == nil,
            tenant.clientTLS.mode != nil
        {
            problems.append(
                TenancyProblem(
                    ["client_tls", "mode"], "\(mode.rawValue) needs a certificate of the service",
                    hint: "Give tls.certificate and tls.key in the service's document."))
        }
        if mode == .verifyCA || mode == .verifyFull, tenant.clientTLS.clientCAPath == nil {
            problems.append(
                TenancyProblem(
                    ["client_tls"], "\(mode.rawValue) needs \"client_ca\"",
                    hint: "Name the PEM file that this tenant's client certificates chain to."))
        }
        if tenant.clientTLS.clientCRLPath != nil, tenant.clientTLS.clientCAPath == nil {
            problems.append(
                TenancyProblem(["client_tls", "client_crl"], "client_crl needs \"client_ca\""))
        }
        return problems
    }
}

extension ClientTLSMode {
    /// Higher is stricter.
    package var rank: Int {
        switch self {
        case .disable: 0
        case .prefer: 1
        case .require: 2
        case .verifyCA: 3
        case .verifyFull: 4
        }
    }
}
