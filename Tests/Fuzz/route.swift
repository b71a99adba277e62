import Tenancy

/// The tenant keys of a login: a decision for any bytes, and what a route must keep.
///
/// Shape of an input: a first byte of flags (1: tenants are hidden and there is no default tenant;
/// 2: the listener has a tenant), then the fields sni, user, database, options and replication,
/// each ended by 0xFF. What is missing is not given.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = FuzzInput.bytes(data, count)
    guard let flags = input.first else { return 0 }
    var fields = input.dropFirst().split(
        separator: 0xFF, maxSplits: 5, omittingEmptySubsequences: false
    ).map { Array($0) }
    func take() -> [UInt8]? { fields.isEmpty ? nil : fields.removeFirst() }
    let request = RouteRequest(
        sni: take(), user: take(), database: take(), options: take(), replication: take(),
        listenerTenant: flags & 2 != 0 ? "acme" : nil)
    switch tables[Int(flags & 1)].decide(request) {
    case .refuse(let refusal):
        FuzzInput.require(refusal.sqlState.utf8.count == 5, "an SQLSTATE has five letters")
        FuzzInput.require(refusal.message.utf8.count < 1_000, "a message is short")
        FuzzInput.require(
            refusal.mock == nil || refusal.sqlState == WrongPassword.sqlState,
            "a mock looks like a wrong password")
    case .route(let route): check(route, request)
    }
    return 0
}

private func check(_ route: Route, _ request: RouteRequest) {
    FuzzInput.require((1...63).contains(route.user.count), "a user has 1 to 63 bytes")
    FuzzInput.require((route.database?.count ?? 0) <= 63, "a database has at most 63 bytes")
    FuzzInput.require(
        request.user?.starts(with: route.user) ?? false, "the user is the client's own")
    // What is forwarded names no tenant any more.
    let again = RouteRequest(user: Array("u@acme".utf8), options: route.options)
    guard case .route(let second) = tables[0].decide(again) else {
        FuzzInput.require(false, "forwarded options name no tenant")
        return
    }
    FuzzInput.require(!second.keys.contains(.options), "forwarded options hold no key")
    FuzzInput.require(second.options == route.options, "cutting twice is cutting once")
}

private let tables: [RouteTable] = [false, true].map { isHiding in
    var service = ServiceConfiguration()
    service.routing.domains = ["db.example.com"]
    service.routing.hideUnknownTenants = isHiding
    service.routing.defaultTenant = isHiding ? nil : "globex"
    var acme = Tenant(name: "acme")
    acme.hosts = ["pg.acme.example.org"]
    acme.databases = ["shop": "acme_shop"]
    acme.allowsReplication = true
    var globex = Tenant(name: "globex")
    globex.databases = ["books": "globex_books"]
    return RouteTable(configuration: service, tenants: [acme, globex])
}
