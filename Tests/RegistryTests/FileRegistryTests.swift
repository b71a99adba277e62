import Glibc
import Synchronization
import Tenancy
import Testing

@testable import Registry

/// The registry over real files: what changes, what stays, what is reported.
@Suite struct FileRegistryTests {
    let directory: TestDirectory
    let tenants: String

    init() throws {
        directory = try TestDirectory()
        tenants = directory.makeDirectory("tenants")
        try directory.write("pgtee.yaml", "tenants: tenants\ntls: {mode: disable}\n")
        try writeTenant("acme", "/run/acme")
        try writeTenant("globex", "/run/globex")
    }

    private func document(_ name: String, _ socket: String, _ more: String = "") -> String {
        "tenant: \(name)\nbackends: [{socket: \(socket)}]\nauthentication: {mode: relay}\n\(more)"
    }

    private func writeTenant(_ name: String, _ socket: String, _ more: String = "") throws {
        try directory.write("tenants/\(name).yaml", document(name, socket, more))
    }

    /// A started registry and the updates it reported.
    private final class Watched: Sendable {
        let updates = Mutex<[RegistryUpdate]>([])
        let registry: Mutex<FileRegistry?> = Mutex(nil)
        let first: RegistryUpdate

        init(_ path: String) throws {
            let box = Box()
            let registry = FileRegistry(servicePath: path) { update in
                box.owner.withLock { $0?.updates.withLock { $0.append(update) } }
            }
            first = try registry.start()
            self.registry.withLock { $0 = registry }
            box.owner.withLock { $0 = self }
        }

        func stop() { registry.withLock { $0?.stop() } }
        func reload() { registry.withLock { $0?.reload() } }

        /// The first update that fits, awaited; nil after ten seconds.
        func update(_ fits: (RegistryUpdate) -> Bool) -> RegistryUpdate? {
            let deadline = ContinuousClock.now + .seconds(10)
            while ContinuousClock.now < deadline {
                if let found = updates.withLock({ $0.first(where: fits) }) { return found }
                poll(nil, 0, 5)
            }
            return nil
        }

        private final class Box: Sendable {
            let owner: Mutex<Watched?> = Mutex(nil)
        }
    }

    private func watched() throws -> Watched { try Watched(directory.path + "/pgtee.yaml") }

    private func socket(_ name: String, _ update: RegistryUpdate?) -> String? {
        guard let tenant = update?.tenants.first(where: { $0.name == name }),
            case .unix(let directory, _)? = tenant.activeBackend?.endpoint
        else { return nil }
        return directory
    }

    @Test func `a renamed-over document is in force soon, as part of a whole state`() throws {
        let watched = try watched()
        defer { watched.stop() }
        #expect(watched.first.tenants.map(\.name) == ["acme", "globex"])
        #expect(watched.first.generation == 1)
        try writeTenant("acme", "/run/new")
        let update = watched.update { socket("acme", $0) == "/run/new" }
        #expect(socket("globex", update) == "/run/globex")
        #expect(update?.generation == 2)
        #expect(update?.problems == [])
    }

    @Test func `a bad document keeps its tenant's last good values while others change`() throws {
        let watched = try watched()
        defer { watched.stop() }
        try writeTenant("acme", "/run/acme2", "nonsense: 1\n")
        try writeTenant("globex", "/run/globex2")
        try writeTenant("initech", "/run/initech")
        let update = watched.update {
            $0.hasErrors && $0.tenants.count == 3 && socket("globex", $0) == "/run/globex2"
        }
        #expect(socket("acme", update) == "/run/acme")
        #expect(update?.keptTenants == ["acme"])
        #expect(update?.problems.first?.message == "unknown key \"nonsense\"")
        try writeTenant("acme", "/run/acme3")
        let healed = watched.update { socket("acme", $0) == "/run/acme3" }
        #expect(healed?.hasErrors == false)
        #expect(healed?.keptTenants == [])
    }

    @Test func `a document whose name can't be read keeps all tenants of its file`() throws {
        let watched = try watched()
        defer { watched.stop() }
        try directory.write("tenants/acme.yaml", "tenant: [\n")
        #expect(watched.update { $0.keptTenants == ["acme"] } != nil)
        try directory.write("tenants/globex.yaml", "")
        let update = watched.update { $0.keptTenants == ["acme", "globex"] }
        #expect(socket("globex", update) == "/run/globex")
    }

    @Test func `a bad service document keeps the last good one, tenants still change`() throws {
        let watched = try watched()
        defer { watched.stop() }
        try directory.write("pgtee.yaml", "tenant: tenants\n")
        let bad = watched.update { $0.isServiceKept }
        #expect(bad?.hasErrors == true)
        try writeTenant("acme", "/run/new")
        #expect(watched.update { socket("acme", $0) == "/run/new" && $0.isServiceKept } != nil)
        try directory.write("pgtee.yaml", "tenants: tenants\nworkers: 3\n")
        #expect(watched.update { $0.configuration.workers == 3 && !$0.isServiceKept } != nil)
    }

    @Test func `a removed file removes its tenant, but never the last ones`() throws {
        let watched = try watched()
        defer { watched.stop() }
        unlink(tenants + "/acme.yaml")
        #expect(watched.update { $0.tenants.map(\.name) == ["globex"] && !$0.hasErrors } != nil)
        unlink(tenants + "/globex.yaml")
        let last = watched.update { $0.keptTenants == ["globex"] }
        #expect(last?.tenants.map(\.name) == ["globex"])
        #expect(
            last?.problems.contains { $0.message.contains("no tenant document is left") } == true)
    }

    @Test func `a directory that goes away keeps everything, and its return is seen`() throws {
        let watched = try watched()
        defer { watched.stop() }
        rename(tenants, directory.path + "/gone")
        #expect(watched.update { $0.keptTenants == ["acme", "globex"] } != nil)
        try directory.write("gone/acme.yaml", document("acme", "/run/back"))
        rename(directory.path + "/gone", tenants)
        let update = watched.update { socket("acme", $0) == "/run/back" }
        #expect(update?.hasErrors == false)
        try writeTenant("acme", "/run/later")
        #expect(watched.update { socket("acme", $0) == "/run/later" } != nil)
    }

    @Test func `a swap of symbolic links, as Kubernetes does it, is one change`() throws {
        let volume = directory.makeDirectory("volume")
        for (release, path) in [("..1", "/run/one"), ("..2", "/run/two")] {
            _ = directory.makeDirectory("volume/\(release)")
            try directory.write("volume/\(release)/acme.yaml", document("acme", path))
        }
        symlink("..1", volume + "/..data")
        symlink("..data/acme.yaml", volume + "/acme.yaml")
        try directory.write("pgtee.yaml", "tenants: volume\n")
        let watched = try watched()
        defer { watched.stop() }
        #expect(socket("acme", watched.first) == "/run/one")
        symlink("..2", volume + "/..new")
        rename(volume + "/..new", volume + "/..data")
        #expect(watched.update { socket("acme", $0) == "/run/two" } != nil)
    }

    @Test func `a document written in place is read only when its writer has closed it`() throws {
        try directory.write(
            "pgtee.yaml", "tenants: all.yaml\n")
        let text = Array((document("acme", "/run/a") + "---\n" + document("globex", "/run/b")).utf8)
        let path = try directory.write("all.yaml", text)
        let watched = try watched()
        defer { watched.stop() }
        let file = open(path, O_WRONLY | O_TRUNC)
        let half = document("acme", "/run/a").utf8.count
        #expect(write(file, text, half) == half)
        // Longer than the quiet time: half a file is a valid document with one tenant less.
        poll(nil, 0, 300)
        #expect(watched.updates.withLock { $0.isEmpty })
        let rest = Array((document("x", "/run/x")).utf8)
        _ = write(file, "---\n", 4)
        _ = write(file, rest, rest.count)
        close(file)
        #expect(watched.update { $0.tenants.map(\.name) == ["acme", "x"] } != nil)
    }

    @Test func `SIGHUP's reload always answers, with or without a change`() throws {
        let watched = try watched()
        defer { watched.stop() }
        watched.reload()
        let update = watched.update { _ in true }
        #expect(update?.hasChanged == false)
        #expect(update?.generation == 1)
    }

    @Test func `another certificate is reported, and it alone`() throws {
        try directory.write("a.crt", "one")
        try directory.write("a.key", "one", mode: 0o600)
        try directory.write(
            "pgtee.yaml", "tenants: tenants\ntls: {certificate: a.crt, key: a.key}\n")
        let watched = try watched()
        defer { watched.stop() }
        #expect(!watched.first.certificatesChanged)
        try directory.write("a.crt", "two")
        let update = watched.update { $0.certificatesChanged }
        #expect(update?.hasChanged == false)
        try writeTenant("acme", "/run/new")
        let other = watched.update { $0.hasChanged }
        #expect(other?.certificatesChanged == false)
    }

    @Test func `another password is read anew`() throws {
        try directory.write("pw", "one\n", mode: 0o600)
        try directory.write(
            "tenants/acme.yaml",
            "tenant: acme\nbackends: [{socket: /run/a}]\n"
                + "authentication: {lookup: {password_file: ../pw}}\n"
        )
        let watched = try watched()
        defer { watched.stop() }
        try directory.write("pw", "two\n", mode: 0o600)
        let update = watched.update { $0.tenants.first?.authentication.lookup?.password == "two" }
        #expect(update?.hasChanged == true)
    }

    @Test func `a host that a bad document's tenant holds can't be taken meanwhile`() throws {
        try writeTenant("globex", "/run/globex", "hosts: [pg.globex.example]\n")
        let watched = try watched()
        defer { watched.stop() }
        try writeTenant("globex", "/run/globex", "hosts: [pg.globex.example]\nnonsense: 1\n")
        try writeTenant("acme", "/run/evil", "hosts: [pg.globex.example]\n")
        let update = watched.update { update in
            update.problems.contains { $0.message.contains("belongs to tenant") }
        }
        #expect(update?.tenants.first { $0.name == "globex" }?.hosts == ["pg.globex.example"])
        #expect(socket("acme", update) == "/run/acme")
    }

    @Test func `at first start a bad tenant is left out, the others are served`() throws {
        try writeTenant("acme", "/run/acme", "nonsense: 1\n")
        let watched = try watched()
        defer { watched.stop() }
        #expect(watched.first.tenants.map(\.name) == ["globex"])
        #expect(watched.first.hasErrors)
    }

    @Test func `without a good service document the start fails with the reasons`() throws {
        try directory.write("pgtee.yaml", "tenant: x\n")
        #expect(throws: ProblemList.self) { try self.watched() }
    }

    @Test func `ten thousand documents load and change within seconds`() throws {
        let all = (0..<10_000).map {
            document(
                "t\($0)", "/run/t\($0)", "hosts: [h\($0).example.org]\nlimits: {sessions: 100}\n")
        }
        try directory.write("tenants/many.yaml", all.joined(separator: "---\n"))
        let clock = ContinuousClock()
        var read: (tenants: [Tenant], problems: [DocumentProblem]) = ([], [])
        let time = clock.measure {
            read = ConfigurationReader.readTenants(tenants, service: ServiceConfiguration())
        }
        #expect(read.tenants.count == 10_002)
        #expect(read.problems.isEmpty)
        // A debug build beside other work; a release build takes about 1.4 s.
        #expect(time < .seconds(60))
        print("10,002 tenant documents read in \(time)")
    }
}
