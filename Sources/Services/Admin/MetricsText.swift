internal import Telemetry

/// The answer of `/metrics`: the catalogue with its values, in Prometheus' text format 0.0.4.
///
/// - Shape: families in the catalogue's order, `# HELP` and `# TYPE` before each. In label values a
///   backslash, a quote and a line feed are escaped; other control bytes become spaces.
/// - Source: prometheus.io, "Exposition formats".
package enum MetricsText {
    package static func render(
        _ status: ServiceStatus, log: LogWriter.Counts,
        nowMilliseconds: UInt64 = RealTime.nowMilliseconds
    ) -> [UInt8] {
        var page = MetricsPage(
            status: status, usage: ProcessUsage.read(), log: log, nowMilliseconds: nowMilliseconds)
        for family in MetricCatalog.families { page.append(family) }
        return page.bytes
    }
}

private struct MetricsPage {
    let status: ServiceStatus
    let usage: ProcessUsage
    let log: LogWriter.Counts
    let nowMilliseconds: UInt64
    var bytes: [UInt8] = []

    typealias Label = (name: String, value: String)

    mutating func append(_ family: MetricFamily) {
        bytes += "# HELP \(family.name) \(family.help)\n".utf8
        bytes += "# TYPE \(family.name) \(family.type.rawValue)\n".utf8
        for series in family.series {
            let label = series.label.map { [$0] } ?? []
            append(family.name, series.source, label)
        }
    }

    private mutating func append(_ name: String, _ source: MetricSource, _ label: [Label]) {
        switch source {
        case .worker(let counter):
            for (index, worker) in status.workers.enumerated() {
                append(name, [("worker", "\(index)")] + label, worker.value(counter))
            }
        case .workerDifference(let more, let less):
            for (index, worker) in status.workers.enumerated() {
                let ended = worker.value(less)
                append(
                    name, [("worker", "\(index)")] + label,
                    worker.value(more).saturatingDistance(from: ended))
            }
        case .tenant(let counter):
            for tenant in status.tenants {
                append(name, [("tenant", tenant.name)] + label, tenant.sum(counter))
            }
        case .tenantDifference(let more, let less):
            for tenant in status.tenants {
                let ended = tenant.sum(less)
                append(
                    name, [("tenant", tenant.name)] + label,
                    tenant.sum(more).saturatingDistance(from: ended))
            }
        case .ends:
            for end in SessionEnd.allCases { append(name, [("reason", end.rawValue)], ends(end)) }
        case .errors:
            for source in ErrorSource.allCases {
                append(name, [("source", source.rawValue)], errors(source))
            }
        case .loginTimes: appendLoginTimes(name)
        case .observed(let observation): append(name, observation)
        }
    }

    private mutating func append(_ name: String, _ observation: Observation) {
        let registry = status.registry
        switch observation {
        case .build: append(name, [("version", status.version)], 1)
        case .startTime:
            append(name, [], seconds(milliseconds: status.startedAtMilliseconds))
        case .ready: append(name, [], status.notReadyReason == nil ? 1 : 0)
        case .residentMemory: appendIfKnown(name, usage.residentBytes)
        case .openFiles: appendIfKnown(name, usage.openFiles)
        case .openFilesLimit: appendIfKnown(name, usage.openFilesLimit)
        case .certificateExpiry:
            for certificate in status.certificates {
                append(
                    name, [("certificate", certificate.name)], "\(certificate.expirySeconds)")
            }
        case .registryGeneration: append(name, [], registry.generation)
        case .registryProblems: append(name, [], UInt64(registry.problems.count))
        case .registryAge:
            if let last = registry.lastSuccessMilliseconds {
                append(
                    name, [],
                    seconds(milliseconds: nowMilliseconds.saturatingDistance(from: last)))
            }
        case .registryFailures: append(name, [], registry.failures)
        case .logLines: append(name, [], log.lines)
        case .logLinesDropped: append(name, [], log.dropped)
        case .logLinesSuppressed: append(name, [], log.suppressed)
        }
    }

    private func ends(_ end: SessionEnd) -> UInt64 {
        status.workers.reduce(0) { $0 &+ $1.ends(end) }
    }

    private func errors(_ source: ErrorSource) -> UInt64 {
        if source == .registry { return status.registry.failures }
        return SessionEnd.allCases.filter { $0.errorSource == source }
            .reduce(0) { $0 &+ ends($1) }
    }

    private mutating func appendLoginTimes(_ name: String) {
        var times = LoginTimes()
        for worker in status.workers { times.merge(worker.loginTimes) }
        var below: UInt64 = 0
        for (index, bound) in LoginBuckets.boundsMicroseconds.enumerated() {
            below &+= times.counts[index]
            let text = LoginBuckets.seconds(microseconds: bound)
            append("\(name)_bucket", [("le", text)], below)
        }
        let all = times.counts.reduce(0, &+)
        append("\(name)_bucket", [("le", "+Inf")], all)
        let sum = LoginBuckets.seconds(microseconds: times.sumNanoseconds / 1_000)
        append("\(name)_sum", [], sum)
        append("\(name)_count", [], all)
    }

    private mutating func appendIfKnown(_ name: String, _ value: UInt64?) {
        if let value { append(name, [], value) }
    }

    private mutating func append(_ name: String, _ labels: [Label], _ value: UInt64) {
        append(name, labels, String(value))
    }

    private mutating func append(_ name: String, _ labels: [Label], _ value: String) {
        bytes += name.utf8
        for (index, label) in labels.enumerated() {
            bytes += (index == 0 ? "{" : ",").utf8
            bytes += label.name.utf8
            bytes += "=\"".utf8
            appendEscaped(label.value)
            bytes += "\"".utf8
        }
        if !labels.isEmpty { bytes += "}".utf8 }
        bytes += " \(value)\n".utf8
    }

    private mutating func appendEscaped(_ value: String) {
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): bytes += "\\\\".utf8
            case UInt8(ascii: "\""): bytes += "\\\"".utf8
            case UInt8(ascii: "\n"): bytes += "\\n".utf8
            case 0..<0x20, 0x7f: bytes.append(UInt8(ascii: " "))
            default: bytes.append(byte)
            }
        }
    }

    private func seconds(milliseconds: UInt64) -> String {
        let (micros, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000)
        return overflow ? "\(milliseconds / 1_000)" : LoginBuckets.seconds(microseconds: micros)
    }
}
