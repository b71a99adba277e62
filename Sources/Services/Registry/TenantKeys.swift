internal import Tenancy
internal import Yams

/// The table of keys of a tenant's document.
///
/// Later keys (the cluster's disk, memory, version, extensions) become sections of their own beside
/// these; nothing here may take their names: state, postgres, disk, resources, network, config,
/// extensions, roles, tls, routes, replicas, backup, protect.
enum TenantKeys {
    static func table() -> FieldTable<Tenant> {
        let make = FieldMaker(fresh: Tenant(name: "", active: ""))
        return FieldTable([
            name(make),
            make.texts(
                "hosts", \.hosts,
                "TLS server names that are this tenant's, beside those under a "
                    + "routing domain."),
            make.map(
                "databases", \.databases,
                "Names of databases as clients give them → the cluster's names. A name that only "
                    + "one tenant maps is a route key."),
            backends(make),
            make.text("active", \.active, "The backend that sessions go to.")
                .otherwise("the first backend"),
            make.section(
                "authentication", \.authentication, authentication(),
                "How clients prove who they are."),
            make.section(
                "client_tls", \.clientTLS, clientTLS(), "TLS towards this tenant's clients."),
            make.section("limits", \.limits, limits(), "Limits of this tenant."),
            make.flag(
                "replication", \.allowsReplication,
                "Let replication and logical decoding connections through."),
        ])
    }

    private static func name(_ make: FieldMaker<Tenant>) -> Field<Tenant> {
        make.custom(
            "tenant", .tenantName, "The tenant's name: \(TenantName.rule)."
        ) { target, node, context in
            guard let text = Scalars.text(node, .tenantName, &context) else { return }
            guard TenantName.isValid(text) else {
                context.report(
                    "\"\(text)\" is no tenant name", at: node,
                    hint: "a name is \(TenantName.rule)")
                return
            }
            target.name = text
        }.required()
    }

    private static func backends(_ make: FieldMaker<Tenant>) -> Field<Tenant> {
        let table = backendTable()
        let type = KeyType.list(.section)
        return make.custom(
            "backends", type, "The addresses of the tenant's cluster.",
            children: table.descriptions
        ) { target, node, context in
            let list = Scalars.list(node, type, &context) { node, context in
                var draft = BackendDraft()
                table.decode(node, into: &draft, &context)
                return draft.backend(at: node, &context)
            }
            target.backends = list ?? []
        }.required()
    }

    private static func backendTable() -> FieldTable<BackendDraft> {
        let make = FieldMaker(fresh: BackendDraft())
        return FieldTable([
            make.text("name", \.name, "What `active` calls it; unique in the document."),
            make.text(
                "host", \.host, "Host name or address. Either this or `socket`."),
            make.text(
                "socket", \.socket, "Directory of the cluster's unix socket. Either this or `host`."
            ),
            make.custom(
                "port", .integer(Ranges.port), "The cluster's port, for sockets, too.",
                defaultText: "\(make.fresh.port)"
            ) { target, node, context in
                if let port = Ports.decode(node, &context) { target.port = port }
            },
            make.section(
                "tls", \.tls, serverTLS(), "TLS towards the cluster; never used on a unix socket."),
        ])
    }

    private static func serverTLS() -> FieldTable<ServerTLS> {
        let make = FieldMaker(fresh: ServerTLS())
        return FieldTable([
            make.choice("mode", \.mode, "libpq's sslmode words with libpq's meanings."),
            make.path("ca", \.caPath, "PEM file of the authorities to trust."),
            make.path("crl", \.crlPath, "PEM file of revoked certificates."),
            make.text("name", \.name, "The name that the certificate must carry.")
                .otherwise("the host"),
            clientCertificate("certificate", \.certificatePath, "PEM file of pgtee's certificate."),
            clientCertificate("key", \.keyPath, "PEM file of its key."),
            make.path(
                "server_certificate", \.serverCertificatePath,
                "The PEM file of the cluster's own certificate. `relay` over TLS on both legs is "
                    + "possible only when clients are shown the same file."),
            make.choice(
                "negotiation", \.negotiation,
                "`direct` begins with TLS, without an SSLRequest (PostgreSQL 17 or later)."),
            make.choice("minimum_version", \.minimumVersion, "Lowest TLS version."),
            make.choice(
                "channel_binding", \.channelBinding,
                "Whether the login to the cluster is bound to its certificate."),
        ])
    }

    private static func clientCertificate(
        _ name: String, _ part: WritableKeyPath<CertificateFiles, String>, _ help: String
    ) -> Field<ServerTLS> {
        FieldMaker(fresh: ServerTLS()).custom(name, .path, help) { target, node, context in
            guard let path = Scalars.path(node, &context) else { return }
            var files =
                target.clientCertificate ?? CertificateFiles(certificatePath: "", keyPath: "")
            files[keyPath: part] = path
            target.clientCertificate = files
        }
    }

    private static func authentication() -> FieldTable<TenantAuthentication> {
        let make = FieldMaker(fresh: TenantAuthentication())
        return FieldTable([
            make.choice(
                "mode", \.mode,
                "`scram`: pgtee checks the password against the cluster's verifier and logs in "
                    + "with the key it recovers. `relay`: the cluster's own authentication "
                    + "is passed through."),
            make.section(
                "lookup", \.lookup, lookup(),
                "How verifiers are looked up in the cluster; `pgtee tenant sql` prints the SQL.",
                make: VerifierLookup.init),
            make.map(
                "verifiers", \.verifiers, "Role → verifier (`SCRAM-SHA-256$…`), kept here."),
            make.integer(
                "mock_iterations", \.mockIterations, 1...1_000_000,
                "Iterations shown to unknown users: the cluster's scram_iterations."),
        ])
    }

    private static func lookup() -> FieldTable<VerifierLookup> {
        let make = FieldMaker(fresh: VerifierLookup())
        return FieldTable([
            make.text("user", \.user, "The role that may call the function, and nothing else."),
            make.path(
                "password_file", \.passwordPath,
                "A file with the role's password, one line, readable by its owner only."),
            make.text("database", \.database, "Where the function is."),
            make.text("function", \.function, "The function's name with its schema."),
        ])
    }

    private static func clientTLS() -> FieldTable<TenantClientTLS> {
        let make = FieldMaker(fresh: TenantClientTLS())
        return FieldTable([
            make.choice("mode", \.mode, "Stricter than the service's mode.")
                .otherwise("the service's"),
            make.path(
                "client_ca", \.clientCAPath, "PEM file that client certificates must chain to."),
            make.path("client_crl", \.clientCRLPath, "PEM file of revoked client certificates."),
        ])
    }

    private static func limits() -> FieldTable<TenantLimits> {
        let make = FieldMaker(fresh: TenantLimits())
        return FieldTable([
            make.integer("sessions", \.sessions, Ranges.count, "Sessions at a time; 0: no limit."),
            make.integer(
                "logins_in_flight", \.loginsInFlight, Ranges.count,
                "Logins at a time; 0: no limit."),
            make.duration(
                "idle_session", \.idleSession, "A session without a query; 0: no limit."
            ).otherwise("the service's"),
            make.duration(
                "idle_transaction", \.idleTransaction,
                "A transaction without a query; 0: no limit."
            ).otherwise("the service's"),
            make.duration(
                "transaction", \.transaction, "A whole transaction; 0: no limit."
            ).otherwise("the service's"),
        ])
    }
}

/// A backend while it is being read: `host` and `socket` are two keys for one endpoint.
struct BackendDraft {
    var name = "main"
    var host: String?
    var socket: String?
    var port: UInt16 = 5432
    var tls = ServerTLS()

    func backend(at node: Node, _ context: inout DocumentContext) -> Backend? {
        let endpoint: Endpoint
        switch (host, socket) {
        case (let host?, nil):
            if host.hasPrefix("/") {
                context.report("a directory is written as \"socket\", not \"host\"", at: node)
                return nil
            }
            endpoint = .tcp(host: host, port: port)
        case (nil, let socket?): endpoint = .unix(directory: socket, port: port)
        default:
            context.report("a backend has either \"host\" or \"socket\"", at: node)
            return nil
        }
        var backend = Backend(name: name, endpoint: endpoint)
        backend.tls = tls
        return backend
    }
}
