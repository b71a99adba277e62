/// The keys of log fields: dotted lower case, the unit at the end. A key that is not here is not
/// used; docs/operations.md explains each.
package enum LogKey: String, Sendable, CaseIterable {
    case sessionID = "session.id"
    case worker
    case tenant
    case backend
    case user
    case database
    case application
    case clientAddress = "client.address"
    case clientTLS = "client.tls"
    case serverTLS = "server.tls"
    case serverProcessID = "server.pid"
    case routedBy = "routed_by"
    case protocolVersion = "protocol"
    case loginMilliseconds = "login_ms"
    case durationMilliseconds = "duration_ms"
    case bytesFromClient = "client.bytes"
    case bytesFromServer = "server.bytes"
    case exchanges
    case end
    case sqlState = "error.sqlstate"
    case errorMessage = "error.message"
    case errorDetail = "error.detail"
    case errorReference = "error.reference"
    case errorNumber = "error.errno"
    case suppressed
    case dropped
    case file
    case line
    case column
    case hint
    case address
    case signal
    case version
    case workers
    case tenants
    case generation
    case problems
    case certificate
    case daysLeft = "days_left"
    case limit
    case component
    case kind
    case error
    case problem
    case reason
    case sessions
    case deadlineSeconds = "deadline_s"
    case openFiles = "open_files"
    case openFilesBefore = "open_files.before"
    case coreForbidden = "core_forbidden"
    case dumpsForbidden = "dumps_forbidden"
}
