/// What `pgtee status` prints: a few lines about the service and a table of tenants.
package enum StatusTable {
    package static func render(_ status: StatusDocument) -> String {
        var text = "pgtee \(printable(status.version)), \(printable(status.phase))"
        text += ", up \(duration(seconds: status.uptimeS))"
        let sessions = status.workers.reduce(0) { $0 &+ $1.sessions }
        text +=
            ", \(count(UInt64(status.workers.count), "worker")), \(count(sessions, "session"))\n"
        if let reason = status.notReady { text += "not ready: \(printable(reason))\n" }
        text += "configuration \(status.registry.generation)"
        if let age = status.registry.successAgeS {
            text += ", read without a problem \(duration(seconds: age)) ago"
        }
        text += "\n"
        for problem in status.registry.problems.prefix(problemsMax) {
            text += "problem: \(printable(problem))\n"
        }
        if status.registry.problems.count > problemsMax {
            text += "and \(status.registry.problems.count - problemsMax) problems more\n"
        }
        for certificate in status.certificates {
            text += "certificate \(printable(certificate.certificate)): "
            text +=
                certificate.daysLeft < 0
                ? "expired\n" : "\(certificate.daysLeft) days left\n"
        }
        return text + "\n" + tenants(status.tenants)
    }

    private static let problemsMax = 20

    private static func tenants(_ tenants: [StatusDocument.Tenant]) -> String {
        var rows = [["TENANT", "SESSIONS", "IN", "OUT", "LOGINS FAILED", "BACKEND"]]
        for tenant in tenants {
            let limit = tenant.sessionLimit > 0 ? "/\(tenant.sessionLimit)" : ""
            rows.append([
                printable(tenant.tenant), "\(tenant.sessions)\(limit)",
                size(tenant.bytesFromClients), size(tenant.bytesFromServers),
                "\(tenant.loginsFailed)", printable(tenant.backend),
            ])
        }
        let widths = (0..<rows[0].count).map { column in
            rows.map { $0[column].utf8.count }.max() ?? 0
        }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.utf8.count)
                // Names to the left, numbers to the right.
                let isName = column == 0 || column == row.count - 1
                line += (column == 0 ? "" : "  ") + (isName ? cell + padding : padding + cell)
            }
            while line.hasSuffix(" ") { line.removeLast() }
            return line + "\n"
        }.joined()
    }

    /// `0 B`, `1023 B`, `1.5 KiB`, … with one decimal, rounded down.
    static func size(_ bytes: UInt64) -> String {
        let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        guard bytes >= 1_024 else { return "\(bytes) B" }
        var unit = 0
        var rest = bytes
        while rest >= 1_024 * 1_024 {
            rest /= 1_024
            unit += 1
        }
        return "\(rest / 1_024).\(rest % 1_024 * 10 / 1_024) \(units[unit])"
    }

    /// The two largest units: `3d 4h`, `5m 6s`, `7s`.
    static func duration(seconds: UInt64) -> String {
        let parts = [
            (seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m"),
            (seconds % 60, "s"),
        ]
        guard let first = parts.firstIndex(where: { $0.0 > 0 }) else { return "0s" }
        return parts[first...].prefix(2).filter { $0.0 > 0 }.map { "\($0.0)\($0.1)" }
            .joined(separator: " ")
    }

    private static func count(_ number: UInt64, _ noun: String) -> String {
        number == 1 ? "1 \(noun)" : "\(number) \(noun)s"
    }

    /// A server's answer must not move the terminal's cursor: only printable ASCII passes.
    private static func printable(_ text: String) -> String {
        String(
            decoding: text.utf8.map { $0 < 0x20 || $0 > 0x7e ? UInt8(ascii: "?") : $0 },
            as: UTF8.self)
    }
}
