internal import Tenancy
internal import Yams

/// The table of keys of the service's document.
enum ServiceKeys {
    static let defaultListener = Listener(address: "127.0.0.1", port: 6432)

    static func table() -> FieldTable<ServiceConfiguration> {
        let make = FieldMaker(fresh: ServiceConfiguration())
        return FieldTable([
            listen(make),
            make.path(
                "tenants", \.tenantsPath,
                "A file with one or more tenant documents, or a directory whose *.yaml and *.yml "
                    + "files hold them."
            ).required(),
            make.section("tls", \.tls, tls(), "TLS towards clients."),
            make.section("routing", \.routing, routing(), "How a login names its tenant."),
            make.section("limits", \.limits, limits(), "Limits of the whole service."),
            make.section("timeouts", \.timeouts, timeouts(), "How long things may take."),
            admin(make),
            make.section("log", \.log, log(), "Log output."),
            make.integer("workers", \.workers, 1...1024, "Worker threads.").restart()
                .otherwise("one per core"),
            make.path(
                "runtime_directory", \.runtimeDirectory,
                "Where instances that share a port find each other, so that a cancel request finds "
                    + "its session."
            ).restart(),
            make.flag(
                "cancel_on_client_loss", \.cancelOnClientLoss,
                "Cancel the query of a client that is gone before its server leg is closed."),
            drain(make),
            make.path(
                "mock_secret", \.mockSecretPath,
                "A file with the secret behind the salts that unknown users are shown; the same on "
                    + "all instances."
            ).otherwise("made at each start"),
        ])
    }

    private static func listen(_ make: FieldMaker<ServiceConfiguration>)
        -> Field<ServiceConfiguration>
    {
        let type = KeyType.either(
            "a list of addresses: host:port, [ipv6]:port, \"*:port\", /directory:port, or "
                + "{address, port, tenant}",
            [.list(.either("an address", [.text, .section]))])
        return make.custom(
            "listen", type,
            "Addresses that clients connect to. An absolute path is the directory of a unix "
                + "socket. With a tenant, all who connect there belong to it.",
            defaultText: "[127.0.0.1:6432]", children: Listeners.table().descriptions
        ) { target, node, context in
            target.listeners =
                Scalars.list(node, type, &context, element: Listeners.decode) ?? []
        }.restart()
    }

    private static func admin(_ make: FieldMaker<ServiceConfiguration>)
        -> Field<ServiceConfiguration>
    {
        let inner = FieldMaker(fresh: AdminEndpoint())
        let table = FieldTable<AdminEndpoint>([
            inner.custom(
                "listen", .text, "Address of /metrics, /healthz and /readyz.",
                defaultText: "127.0.0.1:9432"
            ) { target, node, context in
                guard let text = Scalars.text(node, .text, &context) else { return }
                guard let address = Listeners.split(text), !address.host.hasPrefix("/") else {
                    context.report("\"\(text)\" is not host:port", at: node)
                    return
                }
                target.address = address.host
                target.port = address.port
            }.restart()
        ])
        let type = KeyType.either("a mapping of keys, or off", [.section, .constant("off")])
        return make.custom(
            "admin", type, "The HTTP endpoint for metrics and health; `off` for none.",
            children: table.descriptions
        ) { target, node, context in
            if node.plainText == "off" {
                target.admin.isEnabled = false
            } else {
                table.decode(node, into: &target.admin, &context)
            }
        }.restart()
    }

    private static func drain(_ make: FieldMaker<ServiceConfiguration>)
        -> Field<ServiceConfiguration>
    {
        let range = 0...86_400_000
        return make.custom(
            "drain", .duration(range),
            "How long SIGTERM waits for sessions that are inside a transaction.",
            defaultText: Units.durationText(make.fresh.drainSeconds * 1_000)
        ) { target, node, context in
            let type = KeyType.duration(range)
            if let value = Scalars.number(node, type, range, Units.duration, &context) {
                target.drainSeconds = (value + 999) / 1_000
            }
        }
    }

    private static func tls() -> FieldTable<ClientTLS> {
        let make = FieldMaker(fresh: ClientTLS())
        let named = FieldTable<NamedFiles>([
            FieldMaker(fresh: NamedFiles()).texts(
                "names", \.names, "Host names, or *.domain for one label."
            ).required(),
            FieldMaker(fresh: NamedFiles()).path(
                "certificate", \.certificate, "PEM file: leaf first, then the chain."
            ).required(),
            FieldMaker(fresh: NamedFiles()).path("key", \.key, "PEM file of its key.").required(),
        ])
        return FieldTable([
            make.choice(
                "mode", \.mode,
                "`prefer` lets clients choose, `require` refuses plain text, `verify-ca` and "
                    + "`verify-full` demand a client certificate, too."),
            certificatePart(
                "certificate", \.certificatePath, "PEM file of the default certificate."),
            certificatePart("key", \.keyPath, "PEM file of its key."),
            make.custom(
                "certificates", .list(.section), "Certificates chosen by the TLS server name.",
                children: named.descriptions
            ) { target, node, context in
                let list = Scalars.list(node, .list(.section), &context) { node, context in
                    var value = NamedFiles()
                    named.decode(node, into: &value, &context)
                    return value
                }
                target.certificates = (list ?? []).map {
                    NamedCertificate(
                        names: $0.names,
                        files: CertificateFiles(certificatePath: $0.certificate, keyPath: $0.key))
                }
            },
            make.choice("minimum_version", \.minimumVersion, "Lowest TLS version."),
            make.choice("maximum_version", \.maximumVersion, "Highest TLS version."),
        ])
    }

    private static func certificatePart(
        _ name: String, _ part: WritableKeyPath<CertificateFiles, String>, _ help: String
    ) -> Field<ClientTLS> {
        FieldMaker(fresh: ClientTLS()).custom(name, .path, help) { target, node, context in
            guard let path = Scalars.path(node, &context) else { return }
            var files =
                target.certificate ?? CertificateFiles(certificatePath: "", keyPath: "")
            files[keyPath: part] = path
            target.certificate = files
        }
    }

    private static func routing() -> FieldTable<Routing> {
        let make = FieldMaker(fresh: Routing())
        let words = RouteKey.allCases.map(\.rawValue)
        let type = KeyType.list(.choice(words))
        return FieldTable([
            make.custom(
                "keys", type,
                "Route keys that count. Their precedence is fixed (this order); two that name "
                    + "different tenants refuse the login.",
                defaultText: "[\(words.joined(separator: ", "))]"
            ) { target, node, context in
                if let keys: [RouteKey] = Scalars.list(
                    node, type, &context, element: { Scalars.choice($0, &$1) })
                {
                    target.keys = RouteKey.allCases.filter(keys.contains)
                }
            },
            make.texts(
                "domains", \.domains,
                "Domains whose names are tenant.domain; the label is the tenant."),
            make.custom(
                "user_separator", .text,
                "The character between role and tenant in the user name; the last one counts.",
                defaultText: "\"@\""
            ) { target, node, context in
                guard let text = Scalars.text(node, .text, &context) else { return }
                guard text.utf8.count == 1, let byte = text.utf8.first else {
                    context.report("the separator is one ASCII character", at: node)
                    return
                }
                target.userSeparator = byte
            },
            make.text(
                "default_tenant", \.defaultTenant,
                "Where logins go that name no tenant at all."
            ).otherwise("none: they are refused"),
            make.flag(
                "hide_unknown_tenants", \.hideUnknownTenants,
                "Answer unknown tenants as wrong passwords, so that strangers can't find out which "
                    + "tenants exist."),
        ])
    }

    private static func limits() -> FieldTable<ServiceLimits> {
        let make = FieldMaker(fresh: ServiceLimits())
        return FieldTable([
            make.integer("sessions", \.sessions, 1...10_000_000, "Sessions at a time."),
            make.integer(
                "logins_in_flight", \.loginsInFlight, 1...1_000_000,
                "Connections that have not finished their login."),
            make.integer(
                "logins_in_flight_per_source", \.loginsInFlightPerSource, 1...1_000_000,
                "The same, per source address (IPv4 address, IPv6 /64)."),
            make.size(
                "buffer_per_leg", \.bufferBytesPerLeg, 16_384...1 << 30,
                "Bytes waiting for one leg before reading from the other stops."),
            make.size(
                "buffer_total", \.bufferBytesTotal, 1 << 20...1 << 40,
                "Bytes waiting in a worker; beyond it new sessions are refused."),
            make.integer(
                "failed_logins_per_minute", \.failedLoginsPerMinute, Ranges.count,
                "Failed logins per source before it has to wait; 0: no limit."),
            make.integer(
                "cancel_misses_per_minute", \.cancelMissesPerMinute, Ranges.count,
                "Cancel requests per source that find no session, before they are ignored; 0: no "
                    + "limit."),
        ])
    }

    private static func timeouts() -> FieldTable<Timeouts> {
        let make = FieldMaker(fresh: Timeouts())
        let short = 1...3_600_000
        return FieldTable([
            make.duration(
                "login", \.login, in: short, "From the connection to the end of the login."),
            make.duration("server_connect", \.serverConnect, in: short, "Connecting to a backend."),
            make.duration("server_login", \.serverLogin, in: short, "Logging in to a backend."),
            make.duration("cancel", \.cancel, in: short, "Passing a cancel request on."),
            make.duration(
                "idle_session", \.idleSession, "A session without a query; 0: no limit."),
            make.duration(
                "idle_transaction", \.idleTransaction,
                "A transaction without a query; 0: no limit."),
            make.duration("transaction", \.transaction, "A whole transaction; 0: no limit."),
            make.duration(
                "client_stall", \.clientStall,
                "A client that does not read its answers; 0: no limit."),
            make.duration(
                "tcp_keepalive_idle", \.tcpKeepAliveIdle,
                "Idle time before TCP keep-alive probes."),
            make.duration(
                "tcp_user_timeout", \.tcpUserTimeout,
                "Unacknowledged data before a connection counts as dead."),
        ])
    }

    private static func log() -> FieldTable<LogOutput> {
        let make = FieldMaker(fresh: LogOutput())
        return FieldTable([
            make.choice("format", \.format, "Form of a line.").restart(),
            make.choice("level", \.level, "The least important level that is written."),
        ])
    }
}

/// A certificate with names while it is being read.
struct NamedFiles {
    var names: [String] = []
    var certificate = ""
    var key = ""
}
