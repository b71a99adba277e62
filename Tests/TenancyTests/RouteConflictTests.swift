import Testing

@testable import Tenancy

/// Two keys that disagree: reliability rows on route confusion and on fixed texts.
@Suite struct RouteConflictTests {
    /// How each key names one tenant: acme, globex, and one that does not exist (where a client
    /// can).
    private struct Naming: CustomStringConvertible, Sendable {
        var key: RouteKey
        var variant: String
        var apply: @Sendable (inout RouteRequest, String) -> Bool
        var description: String { variant }
    }

    private static let namings: [Naming] = [
        Naming(key: .sni, variant: "sni") { request, tenant in
            request.sni = Array("\(tenant).db.example.com".utf8)
            return true
        },
        Naming(key: .sni, variant: "host") { request, tenant in
            request.sni = Array("pg.\(tenant).example.org".utf8)
            return tenant != "nowhere"
        },
        Naming(key: .user, variant: "user") { request, tenant in
            request.user = Array("remi@\(tenant)".utf8)
            return true
        },
        Naming(key: .user, variant: "user with host") { request, tenant in
            request.user = Array("remi@\(tenant).postgres.example.com".utf8)
            return true
        },
        Naming(key: .options, variant: "options") { request, tenant in
            request.options = Array("-c pgtee.tenant=\(tenant)".utf8)
            return true
        },
        Naming(key: .database, variant: "database") { request, tenant in
            request.database = Array((tenant == "acme" ? "shop" : "books").utf8)
            return tenant != "nowhere"
        },
        Naming(key: .listener, variant: "listener") { request, tenant in
            request.listenerTenant = tenant
            return true
        },
    ]

    private func request(
        _ first: Naming, _ firstTenant: String, _ second: Naming, _ secondTenant: String
    ) -> RouteRequest? {
        var request = RouteSamples.request()
        let fits = first.apply(&request, firstTenant)
        return second.apply(&request, secondTenant) && fits ? request : nil
    }

    @Test(arguments: 0..<7, 0..<7)
    func `two keys that name different tenants refuse the login, and agree when they agree`(
        one: Int, two: Int
    ) throws {
        let (first, second) = (Self.namings[one], Self.namings[two])
        guard first.key != second.key else { return }
        let tables = [
            RouteSamples.table(), RouteSamples.table { $0.routing.defaultTenant = "acme" },
        ]
        for table in tables {
            let conflict = try #require(request(first, "acme", second, "globex"))
            #expect(table.decide(conflict).line == "28000 tenant_conflict", "\(first) \(second)")
            let agreement = try #require(request(first, "acme", second, "acme"))
            let route = try #require(table.decide(agreement).route)
            #expect(route.tenant.name == "acme")
            #expect(route.keys.contains(first.key) && route.keys.contains(second.key))
            if let missing = request(first, "acme", second, "nowhere") {
                #expect(table.decide(missing).line == "28000 tenant_conflict")
            }
        }
    }

    @Test(arguments: 0..<7, 0..<7)
    func `the text of a conflict is the same whether or not the second tenant exists`(
        one: Int, two: Int
    ) throws {
        let (first, second) = (Self.namings[one], Self.namings[two])
        guard first.key != second.key,
            let missing = request(first, "acme", second, "nowhere"),
            let existing = request(first, "acme", second, "globex")
        else { return }
        for isHiding in [false, true] {
            let table = RouteSamples.table { $0.routing.hideUnknownTenants = isHiding }
            let a = try #require(table.decide(existing).refusal)
            let b = try #require(table.decide(missing).refusal)
            func neutral(_ text: String?) -> String? {
                text?.replacing("globex", with: "X").replacing("nowhere", with: "X")
            }
            #expect(neutral(a.message) == neutral(b.message))
            #expect(neutral(a.detail) == neutral(b.detail))
            #expect(neutral(a.hint) == neutral(b.hint))
            #expect(a.sqlState == b.sqlState && a.kind == b.kind)
            #expect((a.mock == nil) == (b.mock == nil))
        }
    }

    @Test func `a conflict's log line names both keys, the client's text no tenant it did not say`()
        throws
    {
        let refusal = try #require(
            RouteSamples.table().decide(
                RouteSamples.request(user: "remi@acme", database: "books", listener: "acme")
            ).refusal)
        #expect(
            refusal.logDetail
                == """
                user names "acme", database names "globex", listener names "acme"; user "remi@acme"
                """)
        #expect(refusal.message == "this login names more than one tenant")
        #expect(
            refusal.detail
                == """
                The keys that disagree: the user name "remi@acme", the database name "books", \
                the address that was connected to.
                """)
        let texts = [refusal.message, refusal.detail ?? "", refusal.hint ?? ""].joined()
        #expect(!texts.contains("globex"))
    }

    @Test func `options that name two tenants are a conflict by themselves`() {
        let decision = RouteSamples.table().decide(
            RouteSamples.request(options: "-c pgtee.tenant=acme --pgtee.tenant=globex"))
        #expect(decision.line == "28000 tenant_conflict")
    }

    @Test func `two unknown names that differ are a conflict, the same twice is unknown`() {
        let table = RouteSamples.table()
        let differ = RouteSamples.request(user: "r@nix", options: "-c pgtee.tenant=nox")
        #expect(table.decide(differ).line == "28000 tenant_conflict")
        let same = RouteSamples.request(user: "r@nix", options: "-c pgtee.tenant=nix")
        #expect(table.decide(same).line == "28000 tenant_unknown")
    }

    @Test func `hidden tenants: what depends on the documents looks like a wrong password`() throws
    {
        let table = RouteSamples.table { $0.routing.hideUnknownTenants = true }
        for request in [
            RouteSamples.request(user: "remi@nix"),
            RouteSamples.request(sni: "nix.db.example.com"),
            RouteSamples.request(options: "-c pgtee.tenant=nix"),
            RouteSamples.request(sni: "pg.nix.example.org"),
            RouteSamples.request(database: "nix"),
            RouteSamples.request(user: "remi@acme", database: "books"),
            RouteSamples.request(sni: "pg.globex.example.org", user: "remi@acme"),
            RouteSamples.request(user: "remi@globex", replication: "true"),
        ] {
            let refusal = try #require(table.decide(request).refusal)
            #expect(refusal.sqlState == "28P01")
            #expect(refusal.message == "password authentication failed for user \"remi\"")
            #expect(refusal.detail == nil && refusal.hint == nil)
            #expect(refusal.mock?.user == Array("remi".utf8))
        }
        let unknown = table.decide(RouteSamples.request(user: "remi@nix")).refusal
        #expect(unknown?.mock?.tenant == Array("nix".utf8))
        #expect(unknown?.logDetail.contains("\"nix\" (unknown)") == true)
        // What the client can tell from its own words stays clear.
        let own = RouteSamples.request(user: "r@acme", options: "-c pgtee.tenant=globex")
        #expect(table.decide(own).line == "28000 tenant_conflict")
        #expect(table.decide(RouteSamples.request()).line == "28000 tenant_unnamed")
    }
}
