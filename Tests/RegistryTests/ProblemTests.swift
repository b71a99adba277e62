import Tenancy
import Testing

@testable import Registry

/// What is wrong with a document, as text.
@Suite struct ProblemTests {
    let directory: TestDirectory

    init() throws { directory = try TestDirectory() }

    private func service(_ text: String) throws -> [String] {
        let path = try directory.write("s.yaml", text)
        do throws(ProblemList) {
            _ = try ConfigurationReader.readService(path)
            return []
        } catch { return texts(error.problems) }
    }

    private func tenant(_ text: String, service: ServiceConfiguration = ServiceConfiguration())
        throws -> [String]
    {
        let path = try directory.write("t.yaml", text)
        return texts(ConfigurationReader.readTenants(path, service: service).problems)
    }

    private func texts(_ problems: [DocumentProblem]) -> [String] {
        problems.map { $0.description.replacing(directory.path + "/", with: "") }
    }

    @Test(
        arguments: [
            (
                "tenant: t\n",
                "s.yaml:1:1: error: unknown key \"tenant\" (did you mean \"tenants\"?)"
            ),
            (
                "tenants: t\nlimit: {}\n",
                "s.yaml:2:1: error: unknown key \"limit\" (did you mean \"limits\"?)"
            ),
            (
                "tenants: t\ntimeouts: {login-timeout: 1s}\n",
                "s.yaml:2:12: error: unknown key \"login-timeout\" (did you mean \"login\"?)"
            ),
            (
                "tenants: t\ntimeouts: {login: 15}\n",
                "s.yaml:2:19: error: expected a duration such as 250ms, 15s or 2m, found \"15\""
            ),
            (
                "tenants: t\ntimeouts: {login: 0}\n",
                "s.yaml:2:19: error: 0 is out of range: 1ms to 1h is possible"
            ),
            (
                "tenants: t\nlimits: {buffer_per_leg: 1KiB}\n",
                "s.yaml:2:26: error: 1KiB is out of range: 16KiB to 1GiB is possible"
            ),
            (
                "tenants: t\nworkers: many\n",
                "s.yaml:2:10: error: expected a whole number, found \"many\""
            ),
            (
                "tenants: t\nworkers: \"3\"\n",
                "s.yaml:2:10: error: expected a whole number, found \"3\""
            ),
            (
                "tenants: t\nworkers: 99999999999999999999\n",
                "s.yaml:2:10: error: expected a whole number, found \"99999999999999999999\""
            ),
            (
                "tenants: t\ncancel_on_client_loss: yes\n",
                "s.yaml:2:24: error: expected true or false, found \"yes\" (YAML's yes, no, on and"
            ),
            ("tenants: [t]\n", "s.yaml:1:10: error: expected a file or directory, found a list"),
            (
                "tenants: t\ntls: prefer\n",
                "s.yaml:2:6: error: expected a mapping of keys, found text"
            ),
            (
                "tenants: t\ntls: {mode: requires}\n",
                "s.yaml:2:13: error: \"requires\" is not one of disable, prefer, require, verify-c"
            ),
            (
                "tenants: t\nrouting: {domains: a.example}\n",
                "s.yaml:2:20: error: expected a list of texts, found \"a.example\" (write it as a"
            ),
            (
                "tenants: t\nlisten: [localhost]\n",
                "s.yaml:2:10: error: \"localhost\" is not an address with a port (write host:port,"
            ),
            (
                "tenants: t\nlisten: [\"127.0.0.1:65536\"]\n",
                "s.yaml:2:10: error: \"127.0.0.1:65536\" is not an address with a port (write host"
            ),
            (
                "tenants: t\nlisten: [*:6432]\n",
                "s.yaml:2:10: error: anchors and aliases are not used in these documents (put the"
            ),
            ("tenants: t\ntenants: u\n", "s.yaml:1:1: error: the key \"tenants\" is given twice"),
            ("listen: []\n", "s.yaml:1:1: error: the key \"tenants\" is missing"),
            (
                "tenants: t\ntls: {mode: require}\n",
                "s.yaml:2:13: error: require needs a certificate (Give tls.certificate and tls.key"
            ),
            (
                "tenants: t\nrouting: {user_separator: a}\n",
                "s.yaml:2:27: error: the separator can't be a letter, a digit, a space, \\, - or _"
            ),
            (
                "tenants: t\nmock_secret: nowhere\n",
                "s.yaml:2:14: error: nowhere: can't open: no such file or directory"
            ),
            (
                "a: b: c\n",
                "s.yaml:1:5: error: not YAML: mapping values are not allowed in this context (chec"
            ),
            (
                "a:\n\t- b\n",
                "s.yaml:2:1: error: not YAML: found character that cannot start any token"
            ),
            ("tenants: t\nx: \u{7}\n", "s.yaml:2:4: error: a control character (0x7)"),
            (
                "tenants: t\n---\ntenants: u\n",
                "s.yaml: error: the file has several documents; one is expected"
            ),
            ("# nothing\n", "s.yaml: error: the file is empty; one is expected"),
        ] as [(String, String)])
    func `a service document's fault is explained with its place`(text: String, expected: String)
        throws
    {
        let found = try service(text)
        let error = found.first { $0.contains(": error: ") }
        #expect(error?.hasPrefix(expected) == true, "\(found)")
    }

    @Test func `all faults are told at once, in one run`() throws {
        #expect(
            try service("tenant: t\nlimits: {session: 1}\nworkers: 0\n").count == 4)
    }

    private static let socketBackend = "tenant: a\nbackends: [{socket: /x}]\n"
    private static let tlsBackend =
        "tenant: a\nbackends: [{host: 10.0.0.1, tls: {mode: require}}]\n"
    private static let backend = "backends: [{socket: /run/x}]\nauthentication: {mode: relay}\n"

    @Test(
        arguments: [
            ("tenant: Acme\n" + backend, "t.yaml:1:9: error: \"Acme\" is no tenant name"),
            ("tenant: a\nbackends: []\n", "t.yaml:2:11: error: a tenant has at least one backend"),
            (
                "tenant: a\nbackends: [{host: 1.2.3.4, socket: /x}]\n",
                "t.yaml:2:12: error: a backend has either \"host\" or \"socket\""
            ),
            (
                "tenant: a\nactive: blau\nbackends: [{name: blue, socket: /x}]\n",
                "t.yaml:2:9: error: there is no backend \"blau\" (The backends are: blue.)"
            ),
            (
                "tenant: a\nbackends: [{host: 10.0.0.1}]\n",
                "t.yaml:2:12: error: verify-full needs \"ca\""
            ),
            (
                "tenant: a\nbackends: [{host: 10.0.0.1,tls: {mode: allow, negotiation: direct}}]\n",
                "t.yaml:2:60: error: direct negotiation needs mode require or stronger"
            ),
            (
                "tenant: a\nhosts: [A.example.com]\n" + backend,
                "t.yaml:2:9: error: \"A.example.com\" is no host name"
            ),
            (
                "tenant: a\nhosts: [x.example.com, x.example.com]\n" + backend,
                "t.yaml:2:24: error: \"x.example.com\" is listed twice"
            ),
            (
                "tenant: a\nclient_tls: {mode: verify-full}\n" + backend,
                "t.yaml:2:20: error: verify-full needs a certificate of the service"
            ),
            (
                socketBackend + "authentication: {verifiers: {remi: md5abc}}\n",
                "t.yaml:3:36: error: an md5 hash is as good as the password and is not kept here"
            ),
            (
                socketBackend + "authentication: {verifiers: {remi: hunter2}}\n",
                "t.yaml:3:36: error: this is no SCRAM verifier"
            ),
            (
                "tenant: a\nbackends: [{socket: /x}]\n",
                "t.yaml:1:1: warning: there are no verifiers, so no one can log in"
            ),
            (
                tlsBackend + "authentication: {lookup: {}}\n",
                "t.yaml:3:18: warning: the look-up role has no password and no certificate"
            ),
            (
                tlsBackend + "authentication: {mode: relay}\n",
                "t.yaml:3:24: error: relay can't work here: clients may come without TLS"
            ),
            (
                "tenant: a\nbackends: [{host: 10.0.0.1, port: 0}]\n",
                "t.yaml:2:35: error: 0 is out of range: 1 to 65535 is possible"
            ),
            (
                "tenant: a\nbackends: [{host: 10.0.0.1, port: -1}]\n",
                "t.yaml:2:35: error: -1 is out of range: 1 to 65535 is possible"
            ),
            (
                "tenant: a\nbackends: [{host: 10.0.0.1, port: 65536}]\n",
                "t.yaml:2:35: error: 65536 is out of range: 1 to 65535 is possible"
            ),
            (
                "tenant: a\nbackends: [{host: \"10.0.0.1\\nx\"}]\n",
                "t.yaml:2:19: error: the text is too long or has control characters in it"
            ),
            (
                "tenant: a\nbackends: 5\n",
                "t.yaml:2:11: error: expected a list of mappings, found \"5\""
            ),
            (
                "apiVersion: v2\ntenant: a\n" + backend,
                "t.yaml:1:1: error: unknown key \"apiVersion\""
            ),
        ] as [(String, String)])
    func `a tenant document's fault is explained with its place`(text: String, expected: String)
        throws
    {
        let found = try tenant(text)
        #expect(found.first?.hasPrefix(expected) == true, "\(found)")
    }

    @Test func `one bad document leaves its neighbours alone, and lines count in the file`() throws
    {
        let path = try directory.write(
            "t.yaml",
            """
            tenant: a
            \(Self.backend)---
            tenant: b
            hosts: [
            ---
            tenant: c
            nonsense: 1
            \(Self.backend)---
            tenant: d
            \(Self.backend)
            """)
        let read = ConfigurationReader.tenants(path, service: ServiceConfiguration())
        #expect(read.tenants.map(\.name) == ["a", "d"])
        #expect(read.problems.map(\.line) == [7, 9])
        #expect(read.rejected == ["c"])
        #expect(read.unreadable == [path])
    }

    @Test func `a second claim to a name or a host is refused with both places`() throws {
        try directory.write("1.yaml", "tenant: a\nhosts: [x.example.org]\n" + Self.backend)
        try directory.write("2.yaml", "tenant: a\n" + Self.backend)
        try directory.write("3.yaml", "tenant: b\nhosts: [x.example.org]\n" + Self.backend)
        try directory.write("ignored.txt", "nonsense")
        try directory.write(".hidden.yaml", "nonsense")
        let read = ConfigurationReader.readTenants(directory.path, service: ServiceConfiguration())
        #expect(read.tenants.map(\.name) == ["a"])
        #expect(
            texts(read.problems) == [
                "2.yaml:1:9: error: tenant \"a\" has a document already, 1.yaml:1",
                "3.yaml:2:9: error: the host \"x.example.org\" belongs to tenant \"a\", 1.yaml:1",
            ])
    }

    @Test func `secrets that others may read are refused`() throws {
        let text =
            "tenant: a\nbackends: [{socket: /x}]\nauthentication: {lookup: {password_file: pw}}\n"
        for (mode, fault) in [
            (0o600, nil), (0o400, nil), (0o640, "others may read this secret"),
            (0o604, "others may read this secret"), (0o620, "others may read this secret"),
        ] as [(UInt32, String?)] {
            try directory.write("pw", "secret\n", mode: mode)
            let found = try tenant(text)
            #expect(fault.map { found.first?.contains($0) == true } ?? found.isEmpty, "\(found)")
        }
        try directory.write("pw", "", mode: 0o600)
        #expect(try tenant(text).first?.contains("the secret is empty") == true)
        try directory.write("pw", "a\nb\n", mode: 0o600)
        #expect(try tenant(text).first?.contains("not one line") == true)
    }

    @Test func `files that everyone may write, that are no files, or are too large are refused`()
        throws
    {
        let path = try directory.write("s.yaml", "tenants: t\n", mode: 0o666)
        #expect(throws: ProblemList.self) { try ConfigurationReader.readService(path) }
        #expect(throws: ProblemList.self) { try ConfigurationReader.readService(directory.path) }
        #expect(throws: ProblemList.self) { try ConfigurationReader.readService("/dev/zero") }
        let large = [UInt8](repeating: 0x23, count: DocumentFile.Limits.fileBytes + 1)
        let file = try directory.write("large.yaml", large)
        #expect(throws: ProblemList.self) { try ConfigurationReader.readService(file) }
    }

    @Test func `a byte order mark is skipped, UTF-16 and broken UTF-8 are refused`() throws {
        #expect(try service("\u{FEFF}tenants: t\n") == [])
        let path = try directory.write("s.yaml", [0xFF, 0xFE, 0x74, 0x00])
        #expect(throws: ProblemList.self) { try ConfigurationReader.readService(path) }
        try directory.write("s.yaml", Array("tenants: t\nx: ".utf8) + [0xC3, 0x28])
        #expect(throws: ProblemList.self) { try ConfigurationReader.readService(path) }
    }

    @Test(arguments: [
        String(repeating: "[", count: 100_000),
        "a: " + String(repeating: "{a: ", count: 50_000),
        String(repeating: "- ", count: 100_000) + "x",
        (0..<2_000).map { String(repeating: " ", count: $0) + "a:\n" }.joined(),
        "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n? *c\n: x\n",
        "a: x\n  \"y\nb: &b [z]\nq: [" + String(repeating: "*b, ", count: 40) + "]\n\"",
        "? [a, {b: c}]\n: d\n", "? |\n  x\n: y\n", "!!binary aGk=\n", "--- >\n x\n",
        "%YAML 9.9\n--- a\n",
        "\"\\ud800\"", "- a\n- b\n", "~\n", "just text\n", "a: 'x\n", "{a: b", "a: |\n", "? \n",
    ])
    func `hostile YAML ends in a problem, not in a trap or a long wait`(text: String) throws {
        #expect(try !service(text).isEmpty)
        #expect(try !tenant(text).isEmpty)
    }

    @Test func `any bytes end in a value or a problem`() throws {
        var random = SystemRandomNumberGenerator()
        let seed = random.next()
        var generator = SplitMix(state: seed)
        let sample = Array(
            "tenant: a\nhosts: [x.example.org]\nbackends: [{name: m, socket: /run/x, port: 5}]\n"
                .utf8)
        for _ in 0..<300 {
            var bytes = sample
            for _ in 0..<(1 + Int(generator.next() % 6)) {
                let at = Int(generator.next() % UInt64(bytes.count))
                switch generator.next() % 3 {
                case 0: bytes[at] = UInt8(truncatingIfNeeded: generator.next())
                case 1: bytes.remove(at: at)
                default:
                    bytes.insert(
                        Array("[]{}:-?&*!|>'\"%@#,\n\t ".utf8)[Int(generator.next() % 21)], at: at)
                }
            }
            let path = try directory.write("t.yaml", bytes)
            let read = ConfigurationReader.tenants(path, service: ServiceConfiguration())
            #expect(
                !read.documents.isEmpty || !read.problems.isEmpty, "seed \(seed), \(bytes)")
        }
    }
}

struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
