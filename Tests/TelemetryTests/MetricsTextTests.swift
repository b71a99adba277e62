import Foundation
import Telemetry
import Testing

@testable import Admin

/// A line of the exposition format, read by its grammar.
private struct Sample: Equatable {
    var name: String
    var labels: [String: String]
    var value: Double
}

@Suite struct MetricsTextTests {
    private func samples(_ status: ServiceStatus) throws -> [Sample] {
        let text = String(
            decoding: MetricsText.render(
                status, log: LogWriter.Counts(lines: 9, dropped: 2, suppressed: 1),
                nowMilliseconds: 1_000_000_090_500),
            as: UTF8.self)
        #expect(text.hasSuffix("\n"))
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
        return try lines.map { try #require(parse(String($0)), "\($0)") }
    }

    @Test func `every family has its help, its type and at least one value`() throws {
        let status = sampleStatus()
        let text = String(
            decoding: MetricsText.render(status, log: LogWriter.Counts()), as: UTF8.self)
        let all = try samples(status)
        for family in MetricCatalog.families {
            #expect(text.contains("# HELP \(family.name) \(family.help)\n"))
            #expect(text.contains("# TYPE \(family.name) \(family.type.rawValue)\n"))
            let own = all.filter { $0.name == family.name || $0.name == family.name + "_bucket" }
            #expect(!own.isEmpty, "\(family.name)")
            for sample in own where family.type != .histogram {
                #expect(Set(sample.labels.keys) == Set(family.labels), "\(family.name)")
            }
        }
    }

    @Test func `no series comes twice`() throws {
        let keys = try samples(sampleStatus()).map { sample in
            sample.name + sample.labels.sorted { $0.key < $1.key }.map { "\($0)" }.joined()
        }
        #expect(Set(keys).count == keys.count)
    }

    @Test func `values are the ones that were counted`() throws {
        let all = try samples(sampleStatus())
        let expected = [
            Sample(name: "pgtee_build_info", labels: ["version": "0.1.0"], value: 1),
            Sample(name: "pgtee_ready", labels: [:], value: 1),
            Sample(name: "pgtee_start_time_seconds", labels: [:], value: 1_000_000_000.5),
            Sample(name: "pgtee_sessions", labels: ["worker": "0"], value: 3),
            Sample(name: "pgtee_sessions", labels: ["worker": "1"], value: 0),
            Sample(name: "pgtee_logins_in_flight", labels: ["worker": "0"], value: 1),
            Sample(name: "pgtee_buffered_bytes", labels: ["worker": "0"], value: 4_096),
            Sample(name: "pgtee_tenant_sessions", labels: ["tenant": "acme"], value: 3),
            Sample(name: "pgtee_tenant_sessions", labels: ["tenant": "globex"], value: 0),
            Sample(
                name: "pgtee_tenant_relayed_bytes_total",
                labels: ["tenant": "acme", "direction": "client_to_server"], value: 1_536),
            Sample(
                name: "pgtee_connections_ended_total", labels: ["reason": "server_lost"], value: 1),
            Sample(name: "pgtee_errors_total", labels: ["source": "server"], value: 1),
            Sample(name: "pgtee_errors_total", labels: ["source": "registry"], value: 2),
            Sample(name: "pgtee_errors_total", labels: ["source": "client"], value: 0),
            Sample(name: "pgtee_registry_success_age_seconds", labels: [:], value: 30.5),
            Sample(name: "pgtee_registry_problems", labels: [:], value: 1),
            Sample(
                name: "pgtee_certificate_expiry_seconds",
                labels: ["certificate": "/etc/pgtee/proxy.crt"], value: 1_000_864_000),
            Sample(name: "pgtee_log_lines_dropped_total", labels: [:], value: 2),
            Sample(name: "pgtee_login_seconds_bucket", labels: ["le": "0.001"], value: 0),
            Sample(name: "pgtee_login_seconds_bucket", labels: ["le": "0.0025"], value: 1),
            Sample(name: "pgtee_login_seconds_bucket", labels: ["le": "+Inf"], value: 1),
            Sample(name: "pgtee_login_seconds_sum", labels: [:], value: 0.0025),
            Sample(name: "pgtee_login_seconds_count", labels: [:], value: 1),
        ]
        for sample in expected { #expect(all.contains(sample), "\(sample)") }
    }

    @Test func `memory and descriptors are those of this process`() throws {
        let all = try samples(sampleStatus())
        let memory = try #require(all.first { $0.name == "pgtee_resident_memory_bytes" })
        #expect(memory.value > 1_000_000)
        let files = try #require(all.first { $0.name == "pgtee_open_files" })
        let limit = try #require(all.first { $0.name == "pgtee_open_files_limit" })
        #expect(files.value >= 3 && files.value < limit.value)
    }

    @Test func `buckets never fall`() throws {
        let counters = WorkerCounters()
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<1_000 {
            counters.countLogin(nanoseconds: .random(in: 0...20_000_000_000, using: &generator))
        }
        var status = sampleStatus()
        status.workers = [counters]
        let values = try samples(status).filter { $0.name == "pgtee_login_seconds_bucket" }
            .map(\.value)
        #expect(values == values.sorted())
        #expect(values.last == 1_000)
        #expect(values.count == LoginBuckets.count)
    }

    @Test func `a gauge that is read between two counters is not negative`() throws {
        let worker = WorkerCounters()
        worker.add(.sessionsEnded, 1)
        var status = sampleStatus()
        status.workers = [worker]
        let sample = Sample(name: "pgtee_sessions", labels: ["worker": "0"], value: 0)
        #expect(try samples(status).contains(sample))
    }

    @Test func `hostile label values stay in their quotes`() throws {
        let hostile = [
            "a\"b", "a\\", "a\nb", "\"} 1\npgtee_ready 0", "\\n", "", "müller", "a\r\tb",
        ]
        var status = sampleStatus()
        status.tenants = hostile.map { TenantStatus(name: $0, backend: "b", counters: []) }
        let names = try samples(status).filter { $0.name == "pgtee_tenant_sessions" }
            .compactMap { $0.labels["tenant"] }
        #expect(names == hostile.dropLast() + ["a  b"])
    }

    private func parse(_ line: String) -> Sample? {
        guard let match = line.wholeMatch(of: /([a-z_]+)(\{(.*)\})? ([0-9.]+)/),
            let value = Double(String(match.4))
        else { return nil }
        var labels: [String: String] = [:]
        var rest = Substring(match.3 ?? "")
        while !rest.isEmpty {
            let prefix = /([a-z]+)="((?:[^"\\]|\\["\\n])*)"(,|$)/
            guard let label = rest.prefixMatch(of: prefix) else { return nil }
            var text = ""
            var escaped = false
            for character in label.2.unicodeScalars {
                if escaped {
                    text.unicodeScalars.append(character == "n" ? "\n" : character)
                    escaped = false
                } else if character == "\\" {
                    escaped = true
                } else {
                    text.unicodeScalars.append(character)
                }
            }
            labels[String(label.1)] = text
            rest = rest[label.range.upperBound...]
        }
        return Sample(name: String(match.1), labels: labels, value: value)
    }
}
