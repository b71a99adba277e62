internal import Tenancy
internal import Yams

/// Addresses in documents: `host:port` texts and `{address, port, tenant}` mappings.
enum Listeners {
    static func table() -> FieldTable<Listener> {
        let make = FieldMaker(fresh: ServiceKeys.defaultListener)
        return FieldTable([
            make.text("address", \.address, "An address, \"*\", or the directory of a unix socket.")
                .required(),
            port(make),
            make.text("tenant", \.tenant, "All who connect here belong to this tenant."),
        ])
    }

    private static func port(_ make: FieldMaker<Listener>) -> Field<Listener> {
        make.custom(
            "port", .integer(Ranges.port), "TCP port, or the number in a unix socket's name.",
            defaultText: "\(make.fresh.port)"
        ) { target, node, context in
            if let port = Ports.decode(node, &context) { target.port = port }
        }
    }

    static func decode(_ node: Node, _ context: inout DocumentContext) -> Listener? {
        if let text = node.text {
            guard let address = split(text) else {
                context.report(
                    "\"\(text)\" is not an address with a port", at: node,
                    hint: "write host:port, [ipv6]:port, \"*:port\" or /directory:port")
                return nil
            }
            return Listener(address: address.host, port: address.port)
        }
        var listener = ServiceKeys.defaultListener
        table().decode(node, into: &listener, &context)
        return listener
    }

    /// `host:port`, `[ipv6]:port`, `*:port`, `/directory:port`.
    static func split(_ text: String) -> (host: String, port: UInt16)? {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), let port = UInt16(digits), port > 0
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":"), !host.hasPrefix("/") {
            return nil
        }
        return host.isEmpty ? nil : (String(host), port)
    }
}

enum Ports {
    static func decode(_ node: Node, _ context: inout DocumentContext) -> UInt16? {
        let type = KeyType.integer(Ranges.port)
        return Scalars.number(node, type, Ranges.port, Units.integer, &context)
            .flatMap(UInt16.init(exactly:))
    }
}
