internal import Foundation
internal import Telemetry

/// What `/status` says, as `pgtee status` reads it. Keys are snake_case with units; a key may be
/// added, none changes its meaning.
package struct StatusDocument: Codable, Sendable, Equatable {
    package var version: String
    package var phase: String
    /// Why `/readyz` answers 503; absent when it answers 200.
    package var notReady: String?
    package var uptimeS: UInt64
    package var workers: [Worker]
    package var tenants: [Tenant]
    package var registry: Registry
    package var certificates: [Certificate]

    package struct Worker: Codable, Sendable, Equatable {
        package var worker: Int
        package var sessions: UInt64
        package var loginsInFlight: UInt64
        package var bufferedBytes: UInt64
    }

    package struct Tenant: Codable, Sendable, Equatable {
        package var tenant: String
        package var backend: String
        package var sessions: UInt64
        package var sessionLimit: Int
        package var bytesFromClients: UInt64
        package var bytesFromServers: UInt64
        package var exchanges: UInt64
        package var loginsFailed: UInt64
        package var sessionsRefused: UInt64
        package var serverUnreachable: UInt64
    }

    package struct Registry: Codable, Sendable, Equatable {
        package var generation: UInt64
        package var problems: [String]
        /// Seconds since the documents were last read without a problem.
        package var successAgeS: UInt64?
    }

    package struct Certificate: Codable, Sendable, Equatable {
        package var certificate: String
        package var daysLeft: Int64
    }
}

extension StatusDocument {
    package init(
        _ status: ServiceStatus, nowMilliseconds now: UInt64 = RealTime.nowMilliseconds
    ) {
        version = status.version
        phase = status.phase.rawValue
        notReady = status.notReadyReason
        uptimeS = now.saturatingDistance(from: status.startedAtMilliseconds) / 1_000
        workers = status.workers.enumerated().map { index, counters in
            Worker(
                worker: index,
                sessions: counters.value(.sessionsOpened)
                    .saturatingDistance(from: counters.value(.sessionsEnded)),
                loginsInFlight: counters.value(.loginsInFlight),
                bufferedBytes: counters.value(.bufferedBytes))
        }
        tenants = status.tenants.map { tenant in
            Tenant(
                tenant: tenant.name, backend: tenant.backend,
                sessions: tenant.sum(.sessionsOpened)
                    .saturatingDistance(from: tenant.sum(.sessionsEnded)),
                sessionLimit: tenant.sessionLimit,
                bytesFromClients: tenant.sum(.bytesFromClient),
                bytesFromServers: tenant.sum(.bytesFromServer),
                exchanges: tenant.sum(.exchanges), loginsFailed: tenant.sum(.loginsFailed),
                sessionsRefused: tenant.sum(.refusedLimit),
                serverUnreachable: tenant.sum(.serverUnreachable))
        }
        registry = Registry(
            generation: status.registry.generation, problems: status.registry.problems,
            successAgeS: status.registry.lastSuccessMilliseconds.map {
                now.saturatingDistance(from: $0) / 1_000
            })
        certificates = status.certificates.map {
            Certificate(certificate: $0.name, daysLeft: $0.daysLeft(nowMilliseconds: now))
        }
    }

    /// Nil only when the encoder fails, which has no known cause.
    var json: [UInt8]? {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(self) else { return nil }
        return Array(data) + [UInt8(ascii: "\n")]
    }

    /// Nil when it is not such a document.
    package init?(json: [UInt8]) {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        guard let document = try? decoder.decode(Self.self, from: Data(json)) else { return nil }
        self = document
    }
}

extension UInt64 {
    /// Counters are read while others write them: a difference can be taken too early.
    func saturatingDistance(from start: UInt64) -> UInt64 { self > start ? self - start : 0 }
}
