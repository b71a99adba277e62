/// One metric of the catalogue: all series of one name.
package struct MetricFamily: Sendable {
    package let name: String
    package let type: MetricType
    /// A sentence, for `# HELP` and docs/metrics.md.
    package let help: String
    package let labels: [String]
    package let series: [MetricSeries]

    init(
        _ name: String, _ type: MetricType, _ help: String, _ labels: [String],
        _ series: [MetricSeries]
    ) {
        self.name = name
        self.type = type
        self.help = help
        self.labels = labels
        self.series = series
    }

    init(_ name: String, _ type: MetricType, _ help: String, _ series: [MetricSeries]) {
        self.init(name, type, help, [], series)
    }
}

package enum MetricType: String, Sendable { case counter, gauge, histogram }

/// Where the values of a family come from, and the label that tells this series from its sisters.
package struct MetricSeries: Sendable {
    package let source: MetricSource
    package let label: (name: String, value: String)?

    init(_ source: MetricSource, _ label: (name: String, value: String)? = nil) {
        self.source = source
        self.label = label
    }
}

package enum MetricSource: Sendable, Equatable {
    /// One value per worker.
    case worker(WorkerCounter)
    case workerDifference(WorkerCounter, WorkerCounter)
    /// One value per tenant, summed over the workers.
    case tenant(TenantCounter)
    case tenantDifference(TenantCounter, TenantCounter)
    /// One value per `SessionEnd`, per `ErrorSource`, and the login histogram, over all workers.
    case ends, errors, loginTimes
    case observed(Observation)
}

/// What is not counted by a worker but read or kept by the control part.
package enum Observation: String, Sendable, CaseIterable {
    case build, startTime, ready
    case residentMemory, openFiles, openFilesLimit
    case certificateExpiry
    case registryGeneration, registryProblems, registryAge, registryFailures
    case logLines, logLinesDropped, logLinesSuppressed
}

extension MetricCatalog {
    /// The text of docs/metrics.md.
    package static var document: String {
        var text = """
            # Metrics

            `GET /metrics` on the admin address gives these in Prometheus' text format 0.0.4. This
            page is made from the catalogue in Sources/Engine/Telemetry/MetricCatalog.swift. Labels
            have bounded values: `tenant` is a configured tenant, `worker` a worker's number, the
            others are words of a fixed list. Nothing that a client sent ever becomes a label.

            | metric | type | labels | meaning |
            | --- | --- | --- | --- |

            """
        for family in families {
            let labels = family.labels.map { "`\($0)`" }.joined(separator: " ")
            text += "| `\(family.name)` | \(family.type.rawValue) | \(labels) | \(family.help) |\n"
        }
        text += "\n## Values of labels\n\n"
        text += "`reason` of `pgtee_connections_ended_total`, and whose error (`source` of\n"
        text += "`pgtee_errors_total`) it counts as:\n\n| reason | source |\n| --- | --- |\n"
        for end in SessionEnd.allCases {
            let source = end.errorSource.map { "`\($0.rawValue)`" } ?? "none: not an error"
            text += "| `\(end.rawValue)` | \(source) |\n"
        }
        text += "\n`source` is also `registry`: a configuration that was read and not taken.\n\n"
        for family in families {
            let words = family.series.compactMap { $0.label }
            guard let name = words.first?.name else { continue }
            let values = words.map { "`\($0.value)`" }.joined(separator: ", ")
            text += "`\(name)` of `\(family.name)`: \(values).\n\n"
        }
        text += "Upper bounds of `pgtee_login_seconds`, in seconds: "
        text += LoginBuckets.boundsMicroseconds.map { LoginBuckets.seconds(microseconds: $0) }
            .joined(separator: ", ")
        text += ", +Inf.\n"
        return text
    }
}

extension LoginBuckets {
    /// `0.0025` for 2,500: exact, without a trailing zero.
    package static func seconds(microseconds: UInt64) -> String {
        let whole = microseconds / 1_000_000
        var digits = String(microseconds % 1_000_000)
        digits = String(repeating: "0", count: 6 - digits.utf8.count) + digits
        while digits.utf8.last == UInt8(ascii: "0") { digits.removeLast() }
        return digits.isEmpty ? "\(whole)" : "\(whole).\(digits)"
    }
}
