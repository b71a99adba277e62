internal import Foundation

/// A data directory that initdb made once for a version; clusters are copies of it.
///
/// It is kept in /tmp (or /dev/shm) for later runs. The superuser is `postgres`; locale C, UTF8.
enum ClusterTemplate {
    /// Copies the template of this version to `destination`, which must not exist.
    static func copy(_ installation: PostgreSQLInstallation, to destination: String) throws {
        let template = try prepare(installation)
        try runOrThrow(["cp", "-a", template, destination])
    }

    private static func prepare(_ installation: PostgreSQLInstallation) throws -> String {
        let version = try runOrThrow([installation.program("postgres"), "--version"])
        let name = version.split(separator: " ").dropFirst(2).first.map { trimmed($0) } ?? "unknown"
        let parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        let directory = "\(parent)/pgtee-templates-\(getuid())"
        mkdir(directory, 0o711)
        // Another user's directory of this name would be another user's data.
        var about = stat()
        guard lstat(directory, &about) == 0, about.st_uid == getuid(),
            about.st_mode & S_IFMT == S_IFDIR
        else { throw RunFailure(description: "\(directory) belongs to somebody else") }

        let lock = open("\(directory)/\(name).lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw SystemFailure("cannot lock \(directory)/\(name).lock") }
        defer { close(lock) }
        guard flock(lock, LOCK_EX) == 0 else { throw SystemFailure("cannot lock \(directory)") }

        let template = "\(directory)/\(name)"
        if access(template, F_OK) == 0 { return template }
        let unfinished = "\(directory)/\(name).new"
        try? FileManager.default.removeItem(atPath: unfinished)
        try FileManager.default.createDirectory(
            atPath: unfinished, withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o700])
        try ServerUser.current.own(unfinished)
        try runOrThrow(
            ServerUser.current.prefix + [
                installation.program("initdb"), "-D", unfinished, "-U", "postgres", "-A", "trust",
                "--locale=C", "--encoding=UTF8", "--no-sync",
            ], deadline: .seconds(120))
        guard rename(unfinished, template) == 0 else {
            throw SystemFailure("cannot name \(template)")
        }
        return template
    }

    private static func trimmed(_ text: Substring) -> String {
        text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
