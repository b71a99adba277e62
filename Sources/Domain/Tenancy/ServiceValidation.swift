/// The rules for the service's own document that one key alone can't show.
package enum ServiceValidation {
    package static func problems(_ service: ServiceConfiguration) -> [TenancyProblem] {
        listeners(service) + clientTLS(service) + routing(service.routing) + limits(service)
    }

    private static func listeners(_ service: ServiceConfiguration) -> [TenancyProblem] {
        var problems: [TenancyProblem] = []
        var seen: [String: Int] = [:]
        for (index, listener) in service.listeners.enumerated() {
            let path = ["listen", "\(index)"]
            if listener.isUnix {
                // sockaddr_un holds 107 bytes and a NUL; the socket's own name is up to 15.
                let length = listener.address.utf8.count + "/.s.PGSQL.\(listener.port)".utf8.count
                if length > 107 {
                    problems.append(
                        TenancyProblem(
                            path, "the socket's path has \(length) bytes; 107 are possible"))
                }
            } else if listener.address != "*", NetworkAddress(listener.address) == nil {
                problems.append(
                    TenancyProblem(
                        path, "\"\(listener.address)\" is no address to listen on",
                        hint: "Write an IPv4 or IPv6 address, \"*\", or a socket's directory."))
            }
            if seen.updateValue(index, forKey: "\(listener.address):\(listener.port)") != nil {
                problems.append(TenancyProblem(path, "this address is listed twice"))
            }
            if let tenant = listener.tenant, !TenantName.isValid(tenant) {
                problems.append(
                    TenancyProblem(path + ["tenant"], "\"\(tenant)\" is no tenant name"))
            }
            if service.admin.isEnabled, !listener.isUnix, listener.port == service.admin.port,
                listener.address == "*" || listener.address == service.admin.address
            {
                problems.append(TenancyProblem(path, "this is the address of \"admin\", too"))
            }
        }
        return problems
    }

    private static func clientTLS(_ service: ServiceConfiguration) -> [TenancyProblem] {
        let tls = service.tls
        var problems: [TenancyProblem] = []
        if let files = tls.certificate {
            if files.certificatePath.isEmpty {
                problems.append(
                    TenancyProblem(["tls"], "there is a \"key\" without \"certificate\""))
            }
            if files.keyPath.isEmpty {
                problems.append(
                    TenancyProblem(["tls"], "there is a \"certificate\" without \"key\""))
            }
        }
        if tls.certificate == nil {
            if tls.mode == .prefer, tls.certificates.isEmpty {
                problems.append(
                    TenancyProblem(
                        ["tls"], "clients are not offered TLS: there is no certificate",
                        hint: "Give tls.certificate and tls.key.", isWarning: true))
            } else if tls.mode != .disable, tls.mode != .prefer {
                problems.append(
                    TenancyProblem(
                        ["tls", "mode"], "\(tls.mode.rawValue) needs a certificate",
                        hint: "Give tls.certificate and tls.key."))
            }
        }
        if tls.minimumVersion == .tls13, tls.maximumVersion == .tls12 {
            problems.append(
                TenancyProblem(
                    ["tls", "minimum_version"], "the minimum version is above the maximum version"))
        }
        var seen = Set<String>()
        for (index, certificate) in tls.certificates.enumerated() {
            for name in certificate.names {
                let path = ["tls", "certificates", "\(index)", "names"]
                let bare = name.hasPrefix("*.") ? String(name.dropFirst(2)) : name
                if !ServerName.isHostName(bare.utf8) {
                    problems.append(
                        TenancyProblem(
                            path, "\"\(name)\" is no host name",
                            hint: "Names are in lower case; *.domain stands for one label."))
                } else if !seen.insert(name).inserted {
                    problems.append(TenancyProblem(path, "\"\(name)\" has two certificates"))
                }
            }
        }
        return problems
    }

    private static func routing(_ routing: Routing) -> [TenancyProblem] {
        var problems: [TenancyProblem] = []
        if routing.keys.isEmpty, routing.defaultTenant == nil {
            problems.append(
                TenancyProblem(
                    ["routing", "keys"], "without keys and default_tenant no login is routed"))
        }
        for (index, domain) in routing.domains.enumerated()
        where !ServerName.isHostName(domain.utf8) {
            problems.append(
                TenancyProblem(
                    ["routing", "domains", "\(index)"], "\"\(domain)\" is no domain",
                    hint: "Write it in lower case, without \"*.\"; other scripts as xn--."))
        }
        let separator = routing.userSeparator
        if separator <= 0x20 || separator >= 0x7F || separator == backslash || separator == dash
            || separator == underscore || isDigit(separator) || isLower(lowered(separator))
        {
            problems.append(
                TenancyProblem(
                    ["routing", "user_separator"],
                    "the separator can't be a letter, a digit, a space, \\, - or _",
                    hint: "Use @ or another sign that no tenant's name has."))
        }
        if let tenant = routing.defaultTenant, !TenantName.isValid(tenant) {
            problems.append(
                TenancyProblem(["routing", "default_tenant"], "\"\(tenant)\" is no tenant name"))
        }
        return problems
    }

    private static func limits(_ service: ServiceConfiguration) -> [TenancyProblem] {
        guard service.limits.bufferBytesPerLeg > service.limits.bufferBytesTotal else { return [] }
        return [
            TenancyProblem(
                ["limits", "buffer_per_leg"], "a leg's buffer is larger than that of all sessions")
        ]
    }
}
