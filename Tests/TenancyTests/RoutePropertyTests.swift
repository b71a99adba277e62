import Testing

@testable import Tenancy

/// Random logins built of dangerous pieces.
@Suite struct RoutePropertyTests {
    @Test func `whatever the bytes, a decision is made and its values keep the rules`() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(state: seed)
        let tables = [
            RouteSamples.table(),
            RouteSamples.table { $0.routing.defaultTenant = "globex" },
            RouteSamples.table { $0.routing.hideUnknownTenants = true },
        ]
        for round in 0..<20_000 {
            let request = RouteRequest(
                sni: random.bytes(), user: random.bytes(), database: random.bytes(),
                options: random.bytes(), replication: round % 4 == 0 ? random.bytes() : nil,
                listenerTenant: round % 8 == 0 ? "acme" : nil)
            for table in tables {
                if let fault = RouteRules.fault(of: table.decide(request), for: request) {
                    Issue.record("seed \(seed), \(request): \(fault)")
                    return
                }
            }
        }
    }
}

/// What holds for every decision.
enum RouteRules {
    static func fault(of decision: RouteDecision, for request: RouteRequest) -> String? {
        switch decision {
        case .refuse(let refusal):
            if refusal.sqlState.utf8.count != 5 { return "SQLSTATE \(refusal.sqlState)" }
            if refusal.mock != nil, refusal.sqlState != "28P01" { return "a mock that can be told" }
            return nil
        case .route(let route):
            if route.user.isEmpty || route.user.count > 63 { return "user of \(route.user.count)" }
            if let database = route.database, database.count > 63 { return "database too long" }
            if let options = route.options, !OptionsParameter(options).tenants.isEmpty {
                return "pgtee.tenant is still in the options"
            }
            if request.user.map({ !$0.starts(with: route.user) }) ?? true { return "another user" }
            return nil
        }
    }
}

struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    private static let pieces =
        [
            "acme", "globex", "nix", "@", ".", "db.example.com", "pg.acme.example.org", "remi",
            "-c", "-c ", " ", "\\", "pgtee.tenant=", "--pgtee.tenant=", "-e", "shop", "books",
            "both", "=", "true", "database", "\u{0}", "é", "PGTEE.TENANT=acme", "-", "\t",
        ].map { Array($0.utf8) }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func bytes() -> [UInt8]? {
        if Int.random(in: 0..<4, using: &self) == 0 { return nil }
        var result: [UInt8] = []
        for _ in 0..<Int.random(in: 0..<8, using: &self) {
            if Int.random(in: 0..<10, using: &self) == 0 {
                result.append(UInt8.random(in: 0 ... .max, using: &self))
            } else {
                result += Self.pieces.randomElement(using: &self) ?? []
            }
        }
        return result
    }
}
