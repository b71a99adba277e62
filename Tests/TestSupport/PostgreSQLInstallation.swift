internal import Foundation
internal import Synchronization

/// The programs of one major version: Debian's 15, the others from .build/postgresql/<major>.
package struct PostgreSQLInstallation: Sendable {
    package let major: Int
    /// The directory of `postgres`, `initdb`, `psql`, … ; the server's user can reach it.
    package let binaries: String

    /// - Errors: the version is not installed; the text says how to install it.
    package init(major: Int) throws {
        self.major = major
        let places = [
            "\(Repository.root)/.build/postgresql/\(major)/bin",
            "/usr/lib/postgresql/\(major)/bin",
        ]
        guard
            let found = places.first(where: { access("\($0)/postgres", X_OK) == 0 })
        else {
            throw RunFailure(
                description: "PostgreSQL \(major) is not installed (looked in \(places));"
                    + " tools/install.sh test \(major) installs it")
        }
        binaries = try Self.reachable(found, major: major)
    }

    package func program(_ name: String) -> String { "\(binaries)/\(name)" }

    private static let copies = Mutex<[Int: TemporaryDirectory]>([:])

    /// The server's user can't enter /root, say: a copy where it can is used then.
    private static func reachable(_ binaries: String, major: Int) throws -> String {
        let prefix = ServerUser.current.prefix
        if prefix.isEmpty { return binaries }
        let test = try run(prefix + ["test", "-x", "\(binaries)/postgres"])
        if test.status == 0 { return binaries }
        return try copies.withLock { copies in
            if let copy = copies[major] { return copy.file("tree/bin") }
            let copy = try TemporaryDirectory("postgresql")
            let tree = (binaries as NSString).deletingLastPathComponent
            try runOrThrow(["cp", "-r", tree, copy.file("tree")])
            copies[major] = copy
            return copy.file("tree/bin")
        }
    }
}

/// Who runs servers: `postgres` when the tests run as root (initdb refuses root), else ourselves.
struct ServerUser: Sendable {
    let name: String
    /// The words to put in front of a command. setpriv replaces itself with the command, so the
    /// process that was started is the postmaster.
    let prefix: [String]

    static let current: ServerUser = {
        guard getuid() == 0 else { return ServerUser(name: NSUserName(), prefix: []) }
        return ServerUser(
            name: "postgres",
            prefix: [
                "setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups", "--",
            ])
    }()

    /// Gives files to this user.
    func own(_ path: String) throws {
        if !prefix.isEmpty { try runOrThrow(["chown", "-R", "\(name):\(name)", path]) }
    }
}

/// Where this checkout and its built programs are.
package enum Repository {
    package static let root: String = {
        // Tests/TestSupport/<this file>
        var path = #filePath as NSString
        for _ in 0..<3 { path = path.deletingLastPathComponent as NSString }
        return path as String
    }()

    /// The `pgtee` program: the environment's PGTEE_BINARY, else the one built beside these tests.
    package static let program: String = {
        if let given = ProcessInfo.processInfo.environment["PGTEE_BINARY"] { return given }
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
        let beside = ((tests ?? "") as NSString).deletingLastPathComponent + "/pgtee"
        return access(beside, X_OK) == 0 ? beside : "\(root)/.build/debug/pgtee"
    }()
}
