import Testing

@testable import Tenancy

/// The tenants that routing tests route to.
enum RouteSamples {
    static func service(_ change: (inout ServiceConfiguration) -> Void = { _ in })
        -> ServiceConfiguration
    {
        var service = ServiceConfiguration()
        service.routing.domains = ["db.example.com"]
        change(&service)
        return service
    }

    static var tenants: [Tenant] {
        var acme = Tenant(name: "acme", active: "main")
        acme.hosts = ["pg.acme.example.org"]
        acme.databases = ["shop": "acme_shop", "both": "acme_both"]
        acme.allowsReplication = true
        var globex = Tenant(name: "globex", active: "main")
        globex.hosts = ["pg.globex.example.org"]
        globex.databases = ["books": "globex_books", "both": "globex_both"]
        return [acme, globex].map { tenant in
            var tenant = tenant
            tenant.backends = [
                Backend(endpoint: .unix(directory: "/run/\(tenant.name)", port: 5432))
            ]
            return tenant
        }
    }

    static func table(_ change: (inout ServiceConfiguration) -> Void = { _ in }) -> RouteTable {
        RouteTable(configuration: service(change), tenants: tenants)
    }

    static func bytes(_ text: String?) -> [UInt8]? { text.map { Array($0.utf8) } }

    static func request(
        sni: String? = nil, user: String? = "remi", database: String? = nil,
        options: String? = nil, replication: String? = nil, listener: String? = nil
    ) -> RouteRequest {
        RouteRequest(
            sni: bytes(sni), user: bytes(user), database: bytes(database), options: bytes(options),
            replication: bytes(replication), listenerTenant: listener)
    }
}

extension RouteDecision {
    /// One line: `tenant user/database [options] by keys`, or `SQLSTATE kind`.
    var line: String {
        switch self {
        case .refuse(let refusal):
            return "\(refusal.sqlState) \(refusal.kind.rawValue)"
                + (refusal.mock == nil ? "" : " mock")
        case .route(let route):
            let database = route.database.map { String(decoding: $0, as: UTF8.self) } ?? "-"
            let options = route.options.map { " [\(String(decoding: $0, as: UTF8.self))]" } ?? ""
            let keys = route.keys.keys.map(\.rawValue).joined(separator: "+")
            return "\(route.tenant.name) \(String(decoding: route.user, as: UTF8.self))/\(database)"
                + "\(options) by \(keys.isEmpty ? "default" : keys)"
        }
    }

    var refusal: RouteRefusal? {
        if case .refuse(let refusal) = self { refusal } else { nil }
    }

    var route: Route? {
        if case .route(let route) = self { route } else { nil }
    }
}
