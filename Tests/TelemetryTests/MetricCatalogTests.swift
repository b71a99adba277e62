import Foundation
import Telemetry
import Testing

@Suite struct MetricCatalogTests {
    private let families = MetricCatalog.families
    private var sources: [MetricSource] { families.flatMap { $0.series.map(\.source) } }

    @Test func `every counter of a worker is in the catalogue`() {
        for counter in WorkerCounter.allCases {
            let isThere = sources.contains { source in
                switch source {
                case .worker(counter): true
                case .workerDifference(let more, let less): more == counter || less == counter
                default: false
                }
            }
            #expect(isThere, "\(counter) has no line in MetricCatalog")
        }
    }

    @Test func `every counter of a tenant is in the catalogue`() {
        for counter in TenantCounter.allCases {
            let isThere = sources.contains(.tenant(counter))
            #expect(isThere, "\(counter) has no line in MetricCatalog")
        }
    }

    @Test func `every observation is in the catalogue`() {
        for observation in Observation.allCases {
            #expect(sources.contains(.observed(observation)), "\(observation)")
        }
    }

    @Test func `names are unique and end as their type demands`() {
        #expect(Set(families.map(\.name)).count == families.count)
        for family in families {
            #expect(family.name.wholeMatch(of: /pgtee(_[a-z]+)+/) != nil, "\(family.name)")
            #expect(family.name.hasSuffix("_total") == (family.type == .counter), "\(family.name)")
            #expect(family.help.hasSuffix("."), "\(family.name)")
            #expect(!family.help.contains { $0 == "\\" || $0 == "\n" || $0 == "|" })
        }
    }

    @Test func `each label is a known word and each series has its family's labels`() {
        let known: Set = [
            "version", "certificate", "source", "worker", "reason", "direction", "outcome",
            "tenant",
        ]
        for family in families {
            #expect(Set(family.labels).isSubset(of: known), "\(family.name)")
            #expect(!family.series.isEmpty)
            for series in family.series {
                if let label = series.label { #expect(family.labels.contains(label.name)) }
            }
        }
    }

    @Test func `log keys are dotted lower case`() {
        for key in LogKey.allCases {
            #expect(key.rawValue.wholeMatch(of: /[a-z_]+(\.[a-z_]+)*/) != nil, "\(key)")
        }
    }

    @Test func `docs/operations explains every log key`() throws {
        let page = projectRoot.appendingPathComponent("docs/operations.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        let rows = text.split(separator: "\n").filter { $0.hasPrefix("| `") }
        for key in LogKey.allCases {
            let isExplained = rows.contains { row in
                row.split(separator: "|").first?.contains("`\(key.rawValue)`") == true
            }
            #expect(isExplained, "\(key.rawValue)")
        }
    }

    @Test func `no field is logged under a key that is not in the list`() throws {
        let known = Set(LogKey.allCases.map(\.rawValue))
        let sources = projectRoot.appendingPathComponent("Sources")
        let files = try #require(
            FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil))
        var read = 0
        for case let file as URL in files where file.pathExtension == "swift" {
            read += 1
            let text = try String(contentsOf: file, encoding: .utf8)
            for match in text.matches(of: /LogField\(\s*"([^"]*)"/) {
                #expect(known.contains(String(match.1)), "\(file.lastPathComponent): \(match.1)")
            }
        }
        #expect(read > 20)
    }

    @Test func `every end has its own ordinal`() {
        #expect(SessionEnd.allCases.map(\.ordinal) == Array(0..<SessionEnd.allCases.count))
    }

    /// UPDATE_GOLDEN=1 writes the page anew.
    @Test func `docs/metrics is the catalogue`() throws {
        let page = projectRoot.appendingPathComponent("docs/metrics.md")
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" {
            try Data(MetricCatalog.document.utf8).write(to: page)
        }
        let text = try String(contentsOf: page, encoding: .utf8)
        #expect(text == MetricCatalog.document, "run the tests with UPDATE_GOLDEN=1")
    }
}

@Suite struct LoginTimesTests {
    @Test func `a bound belongs to its bucket and the next nanosecond to the next`() {
        for (index, bound) in LoginBuckets.boundsMicroseconds.enumerated() {
            #expect(LoginBuckets.index(nanoseconds: bound * 1_000) == index)
            #expect(LoginBuckets.index(nanoseconds: bound * 1_000 + 1) == index + 1)
        }
        #expect(LoginBuckets.index(nanoseconds: 0) == 0)
        #expect(LoginBuckets.index(nanoseconds: .max) == LoginBuckets.count - 1)
    }

    @Test func `logins are counted and summed`() {
        let counters = WorkerCounters()
        counters.countLogin(nanoseconds: 400_000)
        counters.countLogin(nanoseconds: 600_000)
        var times = counters.loginTimes
        #expect(times.counts.prefix(3) == [1, 1, 0])
        #expect(times.sumNanoseconds == 1_000_000)
        times.merge(times)
        #expect(times.counts.reduce(0, +) == 4)
    }

    @Test func `seconds are exact`() {
        #expect(LoginBuckets.seconds(microseconds: 2_500) == "0.0025")
        #expect(LoginBuckets.seconds(microseconds: 1_000_000) == "1")
        #expect(LoginBuckets.seconds(microseconds: 0) == "0")
        #expect(LoginBuckets.seconds(microseconds: 10_000_001) == "10.000001")
    }
}
