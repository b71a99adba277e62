import Testing

@testable import Tenancy

/// Each key alone, rewriting, and what is no key.
@Suite struct RouteTableTests {
    @Test(arguments: [
        // The user name's suffix.
        ("remi@acme", nil, "acme remi/remi by user"),
        ("remi@acme", "", "acme remi/remi by user"),
        ("remi@acme", "remi@acme", "acme remi/remi by user"),
        ("remi@acme", "remi", "acme remi/remi by user"),
        ("remi@acme", "shop", "acme remi/acme_shop by user+database"),
        ("remi@acme", "both", "acme remi/acme_both by user"),
        ("remi@globex", "both", "globex remi/globex_both by user"),
        ("remi@acme", "other@acme", "acme remi/other@acme by user"),
        ("shop@acme", nil, "acme shop/acme_shop by user"),
        ("remi@acme.postgres.example.com", nil, "acme remi/remi by user"),
        (
            "remi@acme.POSTGRES.Example.com", "remi@acme.POSTGRES.Example.com",
            "acme remi/remi by user"
        ),
        // The database's name alone.
        ("remi", "shop", "acme remi/acme_shop by database"),
        ("remi", "books", "globex remi/globex_books by database"),
        ("remi", "both", "28000 tenant_unnamed"),
        ("remi", "remi", "28000 tenant_unnamed"),
        ("remi", nil, "28000 tenant_unnamed"),
        ("shop", "shop", "acme shop/acme_shop by database"),
        ("shop", nil, "28000 tenant_unnamed"),
    ])
    func `a user and a database lead to`(user: String, database: String?, line: String) {
        let decision = RouteSamples.table().decide(
            RouteSamples.request(user: user, database: database))
        #expect(decision.line == line)
    }

    @Test(
        arguments: [
            ("-c pgtee.tenant=acme", nil),
            ("-cpgtee.tenant=acme", nil),
            ("--pgtee.tenant=acme", nil),
            ("  -c   pgtee.tenant=acme  ", nil),
            ("-c\tpgtee.tenant=acme\n", nil),
            ("-c pgtee.tenant=\\a\\cme", nil),
            ("\\-c pgtee\\.tenant\\=acme", nil),
            ("-c PGTEE.Tenant=acme", nil),
            ("-c pgtee.tenant=acme -c work_mem=1MB", " -c work_mem=1MB"),
            ("-c work_mem=1MB -c pgtee.tenant=acme", "-c work_mem=1MB"),
            ("-c a=b\\  -c pgtee.tenant=acme  --x=\\\\y", "-c a=b\\   --x=\\\\y"),
            ("-ec pgtee.tenant=acme -E", "-e -E"),
            ("-ecpgtee.tenant=acme", "-e"),
            ("-e-pgtee.tenant=acme", "-e"),
            ("-c pgtee.tenant=acme -cpgtee.tenant=acme -S 1", " -S 1"),
            ("-S -c -c pgtee.tenant=acme", "-S -c"),
        ] as [(String, String?)])
    func `options name a tenant in every spelling that the server takes, and lose only that`(
        options: String, remaining: String?
    ) {
        let decision = RouteSamples.table().decide(RouteSamples.request(options: options))
        let trimmed = remaining.map { $0.hasPrefix(" -") ? String($0.dropFirst()) : $0 }
        #expect(decision.route?.tenant.name == "acme")
        #expect(decision.route?.keys == .options)
        #expect(decision.route?.options.map { String(decoding: $0, as: UTF8.self) } == trimmed)
    }

    @Test(arguments: [
        "-c work_mem=1MB", "-c pgtee.tenan=acme", "-c xpgtee.tenant=acme", "pgtee.tenant=acme",
        "-d pgtee.tenant=acme", "-- -c pgtee.tenant=acme", "-xc pgtee.tenant=acme",
        "-c a=-c\\ pgtee.tenant=acme", "-B -c pgtee.tenant=acme", "-c pgtee.tenant\\ =acme",
        "-c", "-", "--", "\\", "   ", "--pgtee.tenantx=acme", "-W 1 -c",
    ])
    func `options that would not set the parameter keep every byte`(options: String) {
        let decision = RouteSamples.table().decide(
            RouteSamples.request(user: "remi@acme", options: options))
        #expect(decision.line == "acme remi/remi [\(options)] by user")
    }

    @Test(arguments: [
        "-c pgtee.tenant", "-c pgtee.tenant=", "--pgtee.tenant", "-c pgtee.tenant=nix",
    ])
    func `options that name no known tenant refuse the login`(options: String) {
        let decision = RouteSamples.table().decide(RouteSamples.request(options: options))
        #expect(decision.line == "28000 tenant_unknown")
    }

    @Test func `the listener's tenant counts when nothing else is named`() {
        let table = RouteSamples.table()
        #expect(
            table.decide(RouteSamples.request(listener: "acme")).line == "acme remi/- by listener")
        #expect(
            table.decide(RouteSamples.request(user: "remi@acme", listener: "acme")).line
                == "acme remi/remi by user+listener")
        #expect(table.decide(RouteSamples.request(listener: "gone")).line == "28000 tenant_unknown")
    }

    @Test func `the default tenant counts only when no key was offered`() {
        let table = RouteSamples.table { $0.routing.defaultTenant = "globex" }
        #expect(table.decide(RouteSamples.request()).line == "globex remi/- by default")
        #expect(
            table.decide(RouteSamples.request(sni: "db.example.com")).line
                == "globex remi/- by default")
        #expect(
            table.decide(RouteSamples.request(user: "remi@acme")).line == "acme remi/remi by user")
        for request in [
            RouteSamples.request(user: "remi@nix"),
            RouteSamples.request(sni: "nix.db.example.com"),
            RouteSamples.request(options: "-c pgtee.tenant=nix"),
        ] {
            #expect(table.decide(request).line == "28000 tenant_unknown")
        }
    }

    @Test func `a key that is switched off is neither looked at nor cut out`() {
        let table = RouteSamples.table { $0.routing.keys = [.sni] }
        let decision = table.decide(
            RouteSamples.request(
                sni: "acme.db.example.com", user: "remi@globex", database: "books",
                options: "-c pgtee.tenant=globex", listener: "globex"))
        #expect(decision.line == "acme remi@globex/books [-c pgtee.tenant=globex] by sni")
    }

    @Test func `another separator splits at its last place, too`() {
        let table = RouteSamples.table { $0.routing.userSeparator = UInt8(ascii: ".") }
        #expect(
            table.decide(RouteSamples.request(user: "jean.remi.acme")).line
                == "acme jean.remi/jean.remi by user")
    }

    @Test(arguments: [
        ("true", "acme"), ("t", "acme"), ("TRUE", "acme"), ("yes", "acme"), ("y", "acme"),
        ("on", "acme"), ("ON", "acme"), ("1", "acme"), ("database", "acme"),
        ("false", "none"), ("f", "none"), ("no", "none"), ("n", "none"), ("off", "none"),
        ("of", "none"), ("0", "none"),
        ("Database", "22023"), ("o", "22023"), ("", "22023"), ("2", "22023"), ("truer", "22023"),
        ("10", "22023"),
    ])
    func `replication takes the server's spellings and needs permission`(
        value: String, expected: String
    ) {
        let table = RouteSamples.table()
        let allowed = table.decide(RouteSamples.request(user: "r@acme", replication: value))
        let forbidden = table.decide(RouteSamples.request(user: "r@globex", replication: value))
        switch expected {
        case "22023":
            #expect(allowed.line == "22023 replication_invalid")
            #expect(forbidden.line == "22023 replication_invalid")
        case "none":
            #expect(allowed.route?.replication == ReplicationRequest.none)
            #expect(forbidden.route?.replication == ReplicationRequest.none)
        default:
            #expect(
                allowed.route?.replication == (value == "database" ? .logical : .physical))
            #expect(forbidden.line == "28000 replication_forbidden")
            #expect(forbidden.refusal?.hint?.contains("replication: true") == true)
        }
    }

    @Test func `refusals say which keys were looked at and what to do`() throws {
        let table = RouteSamples.table()
        let unnamed = try #require(
            table.decide(RouteSamples.request(sni: "db.example.com", database: "both")).refusal)
        #expect(unnamed.message == "this login names no tenant")
        #expect(
            unnamed.detail
                == """
                Looked at: TLS server name ("db.example.com" names none), \
                user name (no "@" in it), options (no pgtee.tenant in them), \
                database name ("both" names none), listener (shared by all).
                """)
        #expect(
            unnamed.hint
                == """
                Connect as user@tenant, or connect to tenant.db.example.com over TLS, or set \
                options='-c pgtee.tenant=tenant'.
                """)
        let unknown = try #require(
            table.decide(RouteSamples.request(user: "ann@contoso.com")).refusal)
        #expect(unknown.message == "tenant \"contoso\" does not exist")
        #expect(unknown.detail == "It is named by the user name \"ann@contoso.com\".")
        #expect(unknown.hint?.contains("role@tenant") == true)
    }

    @Test func `a name with control characters or of any length is shown safely`() throws {
        let name =
            String(repeating: "x", count: 60) + "@a\nb\u{7F}" + String(repeating: "y", count: 200)
        let refusal = try #require(
            RouteSamples.table().decide(RouteSamples.request(user: name)).refusal)
        let texts = [refusal.message, refusal.detail ?? "", refusal.hint ?? "", refusal.logDetail]
        for text in texts {
            #expect(!text.contains("\n") && !text.contains("\u{7F}"))
            #expect(text.utf8.count < 400)
        }
    }

    @Test func `of ten thousand tenants each is found by each key`() {
        var service = RouteSamples.service()
        service.routing.domains = ["db.example.com"]
        let tenants = (0..<10_000).map { number in
            var tenant = Tenant(name: "t\(number)")
            tenant.hosts = ["h\(number).example.org"]
            tenant.databases = ["d\(number)": "app"]
            return tenant
        }
        let clock = ContinuousClock()
        var built: RouteTable?
        let time = clock.measure { built = RouteTable(configuration: service, tenants: tenants) }
        #expect(time < .seconds(5))
        guard let table = built else { return }
        for number in stride(from: 0, to: 10_000, by: 97) {
            for request in [
                RouteSamples.request(sni: "T\(number).db.example.com."),
                RouteSamples.request(sni: "h\(number).example.org"),
                RouteSamples.request(user: "remi@t\(number)"),
                RouteSamples.request(options: "-c pgtee.tenant=t\(number)"),
                RouteSamples.request(database: "d\(number)"),
                RouteSamples.request(listener: "t\(number)"),
            ] {
                #expect(table.decide(request).route?.tenantIndex == number)
            }
        }
    }
}
