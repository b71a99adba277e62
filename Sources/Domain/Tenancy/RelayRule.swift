/// Where `authentication: {mode: relay}` works: the cluster's SCRAM messages are passed on
/// unchanged, and what a client says in them about TLS must be true for the cluster's leg as well.
/// A client binds to the certificate it sees, or says that it could have; the bytes can't be
/// changed, they are signed.
///
/// | client leg | server leg | |
/// | --- | --- | --- |
/// | any | plain TCP or unix socket | works |
/// | TLS | TLS, same leaf certificate | works |
/// | TLS | TLS, another certificate | refused |
/// | plain or either | TLS | refused |
enum RelayRule {
    static func problems(
        _ tenant: Tenant, backend index: Int, service: ServiceConfiguration
    ) -> [TenancyProblem] {
        let backend = tenant.backends[index]
        guard tenant.authentication.mode == .relay, case .tcp = backend.endpoint,
            backend.tls.mode != .disable
        else { return [] }
        let mode = tenant.clientTLS.mode ?? service.tls.mode
        guard mode.rank >= ClientTLSMode.require.rank else {
            return refusal(
                "clients may come without TLS while backend \"\(backend.name)\" may use it; "
                    + "SCRAM then fails for some clients, because "
                    + "they are offered a binding they can't have",
                hint:
                    "Set client_tls.mode to require, or the backend's tls.mode to disable, or use "
                    + "mode scram.")
        }
        let shown = Set(
            ([service.tls.certificate?.certificatePath].compactMap { $0 })
                + service.tls.certificates.map(\.files.certificatePath))
        guard let own = backend.tls.serverCertificatePath, shown == [own] else {
            return refusal(
                "both legs use TLS with different certificates as far as is known; SCRAM binds the "
                    + "client to the one it sees, so the cluster refuses the login",
                hint:
                    "Use mode scram. Only if pgtee shows clients the cluster's own certificate, "
                    + "and no other, name that file as server_certificate of backend "
                    + "\"\(backend.name)\".")
        }
        return []
    }

    private static func refusal(_ reason: String, hint: String) -> [TenancyProblem] {
        [
            TenancyProblem(
                ["authentication", "mode"], "relay can't work here: \(reason)", hint: hint)
        ]
    }
}
