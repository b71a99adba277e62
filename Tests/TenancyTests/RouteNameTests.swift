import Testing

@testable import Tenancy

/// Server names, user names and lengths that try to be something they are not.
@Suite struct RouteNameTests {
    private static let long = String(repeating: "a", count: 63)

    /// nil: no key (the shared name), so the login names no tenant.
    @Test(
        arguments: [
            ("acme.db.example.com", "acme"), ("ACME.DB.Example.COM", "acme"),
            ("acme.db.example.com.", "acme"), ("pg.acme.example.org", "acme"),
            ("PG.ACME.example.org.", "acme"),
            ("db.example.com", nil), ("DB.example.com.", nil), ("other.example.net", nil),
            ("acme.example.org", nil), ("x.pg.acme.example.org", nil),
            ("acme.db.example.com.evil.org", nil), ("evil-db.example.com", nil),
            ("acmedb.example.com", nil), ("acme.db.example.com..", nil), ("", nil), (".", nil),
            ("127.0.0.1", nil), ("::1", nil), ("10.0.0.1.", nil),
            ("nix.db.example.com", "?"), ("evil-acme.db.example.com", "?"),
            ("a.acme.db.example.com", "?"), ("acme..db.example.com", "?"), (".db.example.com", "?"),
            ("*.db.example.com", "?"), ("acme .db.example.com", "?"),
            ("acme\u{0}.db.example.com", "?"), ("acme.db.example.com\u{0}.evil", nil),
            ("xn--acm-dma.db.example.com", "?"), ("acmé.db.example.com", "?"),
            ("ac\u{131}me.db.example.com", "?"), ("\u{FF41}cme.db.example.com", "?"),
            ("acme\u{3002}db.example.com", nil), ("acme.db.example.com:5432", nil),
        ] as [(String, String?)])
    func `a server name routes only when its normal form is configured`(
        name: String, tenant: String?
    ) {
        let decision = RouteSamples.table().decide(RouteSamples.request(sni: name))
        switch tenant {
        case nil: #expect(decision.line == "28000 tenant_unnamed")
        case "?": #expect(decision.line == "28000 tenant_unknown")
        default: #expect(decision.line == "\(tenant ?? "") remi/- by sni")
        }
        // With a default tenant an unknown shared name goes there, a wrong tenant's name never.
        let open = RouteSamples.table { $0.routing.defaultTenant = "globex" }
        let defaulted = open.decide(RouteSamples.request(sni: name))
        if tenant == nil { #expect(defaulted.line == "globex remi/- by default") }
        if tenant == "?" { #expect(defaulted.line == "28000 tenant_unknown") }
        // Without one it never does.
        if tenant == nil {
            let user = RouteSamples.request(sni: name, user: "remi@acme")
            #expect(RouteSamples.table().decide(user).line == "acme remi/remi by user")
        }
    }

    @Test func `names at and over the length of a host name end without a route`() {
        for count in [236, 237, 238, 239, 240, 241, 255, 256, 65_535] {
            let name = String(repeating: "a", count: count) + ".db.example.com"
            let decision = RouteSamples.table().decide(RouteSamples.request(sni: name))
            #expect(decision.refusal != nil)
        }
    }

    @Test func `under nested domains the longest one counts`() {
        let table = RouteSamples.table { $0.routing.domains = ["example.com", "db.example.com"] }
        #expect(
            table.decide(RouteSamples.request(sni: "acme.db.example.com")).line
                == "acme remi/- by sni")
        #expect(
            table.decide(RouteSamples.request(sni: "acme.example.com")).line
                == "acme remi/- by sni")
        #expect(
            table.decide(RouteSamples.request(sni: "db.example.com")).line
                == "28000 tenant_unnamed")
    }

    @Test(arguments: [
        ("remi@acme", "acme remi"), ("a@b@acme", "acme a@b"),
        ("ann@contoso.com@acme", "acme ann@contoso.com"),
        ("re%mi@acme", "acme re%mi"), ("re\"mi'@acme", "acme re\"mi'"),
        ("re mi@acme", "acme re mi"),
        ("REMI@acme", "acme REMI"), ("İ@acme", "acme İ"),
        // NFC and NFD are two roles; bytes pass unchanged.
        ("re\u{301}mi@acme", "acme re\u{301}mi"), ("r\u{E9}mi@acme", "acme r\u{E9}mi"),
        ("@acme", "28000 user_missing"), ("@", "28000 user_missing"), ("", "28000 user_missing"),
        ("u@", "28000 tenant_unknown"), ("a@acme@", "28000 tenant_unknown"),
        ("u@ACME", "28000 tenant_unknown"), ("u@Acme", "28000 tenant_unknown"),
        ("u@acme ", "28000 tenant_unknown"), ("u@ acme", "28000 tenant_unknown"),
        ("u@../acme", "28000 tenant_unknown"), ("u@acme/..", "28000 tenant_unknown"),
        ("u@acme%00", "28000 tenant_unknown"), ("u@acme\u{0}", "28000 tenant_unknown"),
        ("u@acme.", "28000 tenant_unknown"), ("u@acme..example.com", "28000 tenant_unknown"),
        ("u@.acme", "28000 tenant_unknown"), ("u@acme.1.2.3", "28000 tenant_unknown"),
        ("u@acme.-x.com", "28000 tenant_unknown"), ("u@acme.exa mple.com", "28000 tenant_unknown"),
        ("u@acm\u{65}\u{301}", "28000 tenant_unknown"), ("u@ACM\u{130}", "28000 tenant_unknown"),
        ("u@acme.example.com@globex", "globex u@acme.example.com"),
        ("remi\u{FF20}acme", "28000 tenant_unnamed"),
    ])
    func `a user name is split at its last separator and nowhere else`(user: String, line: String) {
        let decision = RouteSamples.table().decide(RouteSamples.request(user: user))
        let role = line.dropFirst(line.hasPrefix("acme ") ? 5 : 7)
        if decision.route == nil {
            #expect(decision.line == line)
        } else {
            #expect(decision.line == "\(line)/\(role) by user")
        }
    }

    @Test func `bytes that are no UTF-8 pass through the role and name no tenant`() {
        let table = RouteSamples.table()
        let role = table.decide(RouteRequest(user: [0xFF, 0xC3] + Array("@acme".utf8)))
        #expect(role.route?.user == [0xFF, 0xC3])
        let tenant = table.decide(RouteRequest(user: Array("u@acme".utf8) + [0xFF]))
        #expect(tenant.line == "28000 tenant_unknown")
    }

    @Test func `a user is required`() {
        let decision = RouteSamples.table().decide(RouteSamples.request(user: nil))
        #expect(decision.line == "28000 user_missing")
        #expect(
            decision.refusal?.message == "no PostgreSQL user name specified in startup packet")
    }

    @Test(arguments: [
        (62, true), (63, true), (64, false), (65, false), (9_000, false),
    ])
    func `names are cut by nobody: after rewriting they have at most 63 bytes`(
        count: Int, fits: Bool
    ) {
        let name = String(repeating: "n", count: count)
        let table = RouteSamples.table()
        let user = table.decide(RouteSamples.request(user: "\(name)@acme"))
        #expect(user.line == (fits ? "acme \(name)/\(name) by user" : "42622 name_too_long"))
        let database = table.decide(RouteSamples.request(user: "u@acme", database: name))
        #expect(database.line == (fits ? "acme u/\(name) by user" : "42622 name_too_long"))
        let both = table.decide(
            RouteSamples.request(user: "\(name)@acme", database: "\(name)@acme"))
        #expect(both.line == user.line)
    }

    @Test func `64 bytes whose first 63 are another user's are refused, not cut`() {
        let table = RouteSamples.table { $0.routing.defaultTenant = "acme" }
        let victim = Self.long
        #expect(table.decide(RouteSamples.request(user: victim)).route != nil)
        #expect(
            table.decide(RouteSamples.request(user: victim + "x")).line == "42622 name_too_long")
        // The separator stands behind byte 63: the server would never have seen it.
        #expect(
            table.decide(RouteSamples.request(user: victim + "@globex")).line
                == "globex \(victim)/\(victim) by user")
    }
}
