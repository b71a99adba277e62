/// Every metric that pgtee gives out, in the order of `/metrics` and of docs/metrics.md, which is
/// made from this table. A new counter gets its line here; tests see to it that none is forgotten.
///
/// Names are `pgtee_<noun>_<unit>`, with `_total` for counters. Label values are bounded:
/// configured tenants, workers, and the words of an enum; never what a client sent.
package enum MetricCatalog {
    package static let families: [MetricFamily] =
        process + registry + connections + logins + relay + cancels + tenants + logs

    static let process: [MetricFamily] = [
        .init(
            "pgtee_build_info", .gauge, "Always 1; the version is in the label.",
            ["version"], [.init(.observed(.build))]),
        .init(
            "pgtee_start_time_seconds", .gauge, "Unix time at which the process started.",
            [.init(.observed(.startTime))]),
        .init(
            "pgtee_ready", .gauge, "1 while /readyz answers 200, else 0.",
            [.init(.observed(.ready))]),
        .init(
            "pgtee_resident_memory_bytes", .gauge, "Resident memory of the process.",
            [.init(.observed(.residentMemory))]),
        .init(
            "pgtee_open_files", .gauge, "Open file descriptors.",
            [.init(.observed(.openFiles))]),
        .init(
            "pgtee_open_files_limit", .gauge,
            "Soft limit of open file descriptors; a session needs two.",
            [.init(.observed(.openFilesLimit))]),
        .init(
            "pgtee_certificate_expiry_seconds", .gauge,
            "Unix time at which a certificate in use expires.",
            ["certificate"], [.init(.observed(.certificateExpiry))]),
        .init(
            "pgtee_errors_total", .counter,
            "Connections that ended in an error, and configurations that were not taken, by whose "
                + "fault it was.",
            ["source"], [.init(.errors)]),
    ]

    static let registry: [MetricFamily] = [
        .init(
            "pgtee_registry_generation", .gauge,
            "Number of the configuration in force; 0 before the first good one.",
            [.init(.observed(.registryGeneration))]),
        .init(
            "pgtee_registry_problems", .gauge,
            "Problems in the newest documents; while not 0, the last good configuration stays.",
            [.init(.observed(.registryProblems))]),
        .init(
            "pgtee_registry_success_age_seconds", .gauge,
            "Seconds since the documents were last read without a problem.",
            [.init(.observed(.registryAge))]),
        .init(
            "pgtee_registry_failures_total", .counter,
            "Times that documents were read and not taken.",
            [.init(.observed(.registryFailures))]),
        .init(
            "pgtee_route_table_swaps_total", .counter,
            "Route tables that a worker has put into force.",
            ["worker"], [.init(.worker(.snapshotSwaps))]),
        .init(
            "pgtee_route_table_generation", .gauge,
            "Generation of the route table that a worker routes by.",
            ["worker"], [.init(.worker(.snapshotGeneration))]),
    ]

    static let connections: [MetricFamily] = [
        .init(
            "pgtee_connections_accepted_total", .counter, "Connections accepted.",
            ["worker"], [.init(.worker(.accepted))]),
        .init(
            "pgtee_connections_handed_over_total", .counter,
            "Connections given to a less loaded worker before their first byte was read.",
            ["worker"], [.init(.worker(.handedOver))]),
        .init(
            "pgtee_connections_ended_total", .counter, "Connections ended, by reason.",
            ["reason"], [.init(.ends)]),
        .init(
            "pgtee_sessions", .gauge, "Sessions that are open.",
            ["worker"], [.init(.workerDifference(.sessionsOpened, .sessionsEnded))]),
        .init(
            "pgtee_sessions_opened_total", .counter, "Sessions whose login was completed.",
            ["worker"], [.init(.worker(.sessionsOpened))]),
        .init(
            "pgtee_sessions_ended_total", .counter, "Sessions ended after their login.",
            ["worker"], [.init(.worker(.sessionsEnded))]),
    ]

    static let logins: [MetricFamily] = [
        .init(
            "pgtee_logins_in_flight", .gauge, "Connections between accept and ReadyForQuery.",
            ["worker"], [.init(.worker(.loginsInFlight))]),
        .init(
            "pgtee_login_seconds", .histogram, "Time from accept to ReadyForQuery.",
            [.init(.loginTimes)]),
        .init(
            "pgtee_logins_refused_total", .counter, "Logins that pgtee refused, by reason.",
            ["worker", "reason"],
            [
                .init(.worker(.refusedRoute), ("reason", "route")),
                .init(.worker(.refusedLimit), ("reason", "limit")),
                .init(.worker(.refusedAuthentication), ("reason", "authentication")),
            ]),
        .init(
            "pgtee_verifier_lookups_total", .counter,
            "SCRAM verifiers asked for at a tenant's cluster.",
            ["worker"], [.init(.worker(.verifierLookups))]),
        .init(
            "pgtee_tls_handshakes_total", .counter, "TLS handshakes completed, both legs.",
            ["worker"], [.init(.worker(.tlsHandshakes))]),
        .init(
            "pgtee_tls_handshakes_failed_total", .counter, "TLS handshakes failed, both legs.",
            ["worker"], [.init(.worker(.tlsHandshakesFailed))]),
    ]

    static let relay: [MetricFamily] = [
        .init(
            "pgtee_relayed_bytes_total", .counter,
            "Bytes of the PostgreSQL protocol relayed, without TLS.",
            ["worker", "direction"],
            [
                .init(.worker(.bytesFromClient), ("direction", "client_to_server")),
                .init(.worker(.bytesFromServer), ("direction", "server_to_client")),
            ]),
        .init(
            "pgtee_relayed_bursts_total", .counter,
            "Bursts relayed: what one receive call returned.",
            ["worker", "direction"],
            [
                .init(.worker(.burstsFromClient), ("direction", "client_to_server")),
                .init(.worker(.burstsFromServer), ("direction", "server_to_client")),
            ]),
        .init(
            "pgtee_buffered_bytes", .gauge,
            "Bytes that wait because the peer does not take them.",
            ["worker"], [.init(.worker(.bufferedBytes))]),
        .init(
            "pgtee_wake_ups_total", .counter, "Times that a worker returned from epoll_wait.",
            ["worker"], [.init(.worker(.wakeUps))]),
    ]

    static let cancels: [MetricFamily] = [
        .init(
            "pgtee_cancel_requests_total", .counter, "Cancel requests received.",
            ["worker"], [.init(.worker(.cancelRequests))]),
        .init(
            "pgtee_cancel_outcomes_total", .counter,
            "What became of cancel requests: hit (the key was known and the request sent on), "
                + "miss, or ignored (too many misses from that source).",
            ["worker", "outcome"],
            [
                .init(.worker(.cancelHits), ("outcome", "hit")),
                .init(.worker(.cancelMisses), ("outcome", "miss")),
                .init(.worker(.cancelIgnored), ("outcome", "ignored")),
            ]),
    ]

    static let tenants: [MetricFamily] = [
        .init(
            "pgtee_tenant_sessions", .gauge, "Sessions of a tenant that are open.",
            ["tenant"], [.init(.tenantDifference(.sessionsOpened, .sessionsEnded))]),
        .init(
            "pgtee_tenant_sessions_opened_total", .counter, "Sessions of a tenant opened.",
            ["tenant"], [.init(.tenant(.sessionsOpened))]),
        .init(
            "pgtee_tenant_sessions_ended_total", .counter, "Sessions of a tenant ended.",
            ["tenant"], [.init(.tenant(.sessionsEnded))]),
        .init(
            "pgtee_tenant_relayed_bytes_total", .counter,
            "Bytes of the PostgreSQL protocol relayed for a tenant, without TLS.",
            ["tenant", "direction"],
            [
                .init(.tenant(.bytesFromClient), ("direction", "client_to_server")),
                .init(.tenant(.bytesFromServer), ("direction", "server_to_client")),
            ]),
        .init(
            "pgtee_tenant_exchanges_total", .counter,
            "ReadyForQuery messages of a tenant's servers after the login.",
            ["tenant"], [.init(.tenant(.exchanges))]),
        .init(
            "pgtee_tenant_logins_failed_total", .counter,
            "Logins that were routed to a tenant and failed.",
            ["tenant"], [.init(.tenant(.loginsFailed))]),
        .init(
            "pgtee_tenant_sessions_refused_total", .counter,
            "Logins refused because a limit of the tenant was reached.",
            ["tenant"], [.init(.tenant(.refusedLimit))]),
        .init(
            "pgtee_tenant_server_unreachable_total", .counter,
            "Logins that failed because the tenant's server could not be reached.",
            ["tenant"], [.init(.tenant(.serverUnreachable))]),
    ]

    static let logs: [MetricFamily] = [
        .init(
            "pgtee_log_lines_total", .counter, "Log lines written.",
            [.init(.observed(.logLines))]),
        .init(
            "pgtee_log_lines_dropped_total", .counter,
            "Log lines lost because the log could not be written fast enough.",
            [.init(.observed(.logLinesDropped))]),
        .init(
            "pgtee_log_lines_suppressed_total", .counter,
            "Log lines left out because too many of one kind came; a later one says how many.",
            [.init(.observed(.logLinesSuppressed))]),
    ]
}
