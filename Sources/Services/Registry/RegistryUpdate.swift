package import Tenancy

/// What the registry knows after a load: always a whole, valid state, with what is wrong beside it.
package struct RegistryUpdate: Sendable {
    package var configuration: ServiceConfiguration
    package var tenants: [Tenant]
    /// Counts loads that changed something, from 1.
    package var generation: UInt64
    /// Documents or values differ from the update before.
    package var hasChanged: Bool
    /// A certificate, key, authority or revocation list has another content: build TLS contexts
    /// anew.
    package var certificatesChanged: Bool
    /// What is wrong or doubtful now. Errors are an alarm: a document is not in force.
    package var problems: [DocumentProblem]
    /// Tenants whose last good values stay because their document is bad, in order.
    package var keptTenants: [String]
    /// The service's document is bad and its last good values stay.
    package var isServiceKept: Bool

    package var hasErrors: Bool { problems.contains { $0.severity == .error } }
}
