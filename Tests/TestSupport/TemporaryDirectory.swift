internal import Foundation
internal import Synchronization

/// A directory in memory (/dev/shm) where there is room, else in /tmp; gone with its last
/// reference, or with the test process.
package final class TemporaryDirectory: Sendable {
    package let path: String

    /// `name` is for people who look at the file system; paths stay short enough for unix sockets.
    package init(_ name: String) throws {
        let number = Self.count.withLock { count in
            count += 1
            return count
        }
        path = "\(Self.base)/\(name)-\(number)"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o755])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    package func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file, atomically, with the directories above it; returns its path.
    @discardableResult
    package func write(_ name: String, _ text: String, mode: Int = 0o644) throws -> String {
        try writeFile(file(name), text, mode: mode)
        return file(name)
    }

    private static let count = Mutex(0)

    private static let base: String = {
        var parent = "/tmp"
        var room = statvfs()
        if statvfs("/dev/shm", &room) == 0, access("/dev/shm", W_OK) == 0,
            UInt64(room.f_bavail) * UInt64(room.f_frsize) > 2 << 30
        {
            parent = "/dev/shm"
        }
        let path = "\(parent)/pgtee-\(getpid())"
        try? FileManager.default.removeItem(atPath: path)
        try? FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o755])
        Watchdog.guardDirectory(path)
        return path
    }()
}

/// Writes a file by rename, as careful editors do, so that a reader sees the old or the new text.
package func writeFile(_ path: String, _ text: String, mode: Int = 0o644) throws {
    let parent = (path as NSString).deletingLastPathComponent
    try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
    let temporary = path + ".new"
    try? FileManager.default.removeItem(atPath: temporary)
    guard
        FileManager.default.createFile(
            atPath: temporary, contents: Data(text.utf8), attributes: [.posixPermissions: mode])
    else { throw SystemFailure("cannot write \(temporary)") }
    guard rename(temporary, path) == 0 else { throw SystemFailure("cannot write \(path)") }
}
