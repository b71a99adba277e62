internal import Telemetry

/// What each path answers. Only GET, and nothing here changes anything.
struct AdminRoutes: Sendable {
    let source: StatusSource
    let log: LogWriter?

    /// Nil while the head is not complete.
    func answer(_ bytes: [UInt8], _ policy: HostPolicy) -> AdminResponse? {
        do throws(HTTPRequestHead.Problem) {
            return answer(try HTTPRequestHead(bytes), policy)
        } catch {
            switch error {
            case .incomplete: return nil
            case .tooLong: return AdminResponse(431, text: "the request's head is too long")
            case .malformed: return AdminResponse(400, text: "the request is malformed")
            case .versionNotSupported: return AdminResponse(505, text: "only HTTP/1.1 is spoken")
            case .body: return AdminResponse(413, text: "requests have no body here")
            }
        }
    }

    private func answer(_ head: HTTPRequestHead, _ policy: HostPolicy) -> AdminResponse {
        if let host = head.host, !policy.allows(host) {
            return AdminResponse(
                403, text: "this Host is not allowed; ask by an address, or configure the name")
        }
        guard head.method == "GET" else { return AdminResponse(405, text: "only GET is allowed") }
        switch head.path {
        case "/healthz": return AdminResponse(200, text: "ok")
        case "/readyz":
            if let reason = source().notReadyReason { return AdminResponse(503, text: reason) }
            return AdminResponse(200, text: "ok")
        case "/metrics":
            let text = MetricsText.render(source(), log: log?.counts ?? LogWriter.Counts())
            return AdminResponse(
                200, contentType: "text/plain; version=0.0.4; charset=utf-8", body: text)
        case "/status":
            guard let body = StatusDocument(source()).json else {
                return AdminResponse(500, text: "the status could not be written as JSON")
            }
            return AdminResponse(200, contentType: "application/json", body: body)
        case "/":
            return AdminResponse(200, text: "/healthz\n/readyz\n/metrics\n/status")
        default:
            return AdminResponse(
                404, text: "not found; there are /healthz, /readyz, /metrics and /status")
        }
    }
}
