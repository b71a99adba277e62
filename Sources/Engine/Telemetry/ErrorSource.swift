/// Whose fault an error is: who has to look at it first.
package enum ErrorSource: String, Sendable, CaseIterable {
    case client, server, registry
    case pgtee = "internal"
}

extension SessionEnd {
    /// Nil for the ends that are nobody's error.
    package var errorSource: ErrorSource? {
        switch self {
        case .clientClosed, .serverClosed, .cancelRequest, .noStartup, .drained, .idleTimeout: nil
        case .clientLost, .clientProtocolViolation, .clientTLSFailed, .refusedRoute,
            .refusedLimit, .refusedAuthentication, .loginTimeout, .transactionTimeout,
            .clientStalled:
            .client
        case .serverLost, .serverProtocolViolation, .serverTLSFailed, .refusedByServer,
            .serverUnreachable:
            .server
        case .internalError: .pgtee
        }
    }

    /// Position in `allCases`: the index of this reason's counter.
    package var ordinal: Int {
        Self.allCases.firstIndex(of: self) ?? 0
    }
}
