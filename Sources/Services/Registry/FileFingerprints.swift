internal import Glibc

/// What files looked like when they were read, so that a wake-up without a change costs a stat
/// each.
struct FileFingerprints {
    struct Fingerprint: Equatable {
        var device: UInt64
        var inode: UInt64
        var size: Int
        var seconds: Int
        var nanoseconds: Int
        var changeSeconds: Int
        var changeNanoseconds: Int

        /// nil: not there. Symbolic links are followed.
        init?(_ path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            device = UInt64(status.st_dev)
            inode = UInt64(status.st_ino)
            size = Int(status.st_size)
            seconds = status.st_mtim.tv_sec
            nanoseconds = status.st_mtim.tv_nsec
            changeSeconds = status.st_ctim.tv_sec
            changeNanoseconds = status.st_ctim.tv_nsec
        }
    }

    private var documents: [String: Fingerprint] = [:]
    private var material: [String: Fingerprint] = [:]
    private var secrets: [String: Fingerprint] = [:]
    private(set) var materialPaths: Set<String> = []
    /// Last parts of all paths.
    private(set) var names: Set<String> = []
    private var renewedSeconds = 0

    /// Takes new ones; true if certificate material changed since the last time.
    mutating func renew(documents: [String], material: Set<String>, secrets: Set<String>) -> Bool {
        let old = (
            paths: Set(self.material.keys), prints: self.material, first: renewedSeconds == 0
        )
        self.documents = Self.take(documents)
        self.material = Self.take(material)
        self.secrets = Self.take(secrets)
        materialPaths = material.union(secrets)
        names = Set(
            (documents + material + secrets).map { path in
                path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
            })
        renewedSeconds = time(nil)
        if old.first { return false }
        return self.material.contains { path, print in
            old.paths.contains(path) && old.prints[path] != print
        }
    }

    func isStale(documents now: [String]) -> Bool {
        if Set(now) != Set(documents.keys) { return true }
        for prints in [documents, material, secrets] {
            for (path, print) in prints {
                // A write in the same tick of the clock as the read leaves no trace in these
                // numbers.
                if print.changeSeconds >= renewedSeconds - 1 { return true }
                if Fingerprint(path) != print { return true }
            }
        }
        return materialPaths.contains {
            material[$0] == nil && secrets[$0] == nil && Fingerprint($0) != nil
        }
    }

    private static func take(_ paths: some Sequence<String>) -> [String: Fingerprint] {
        var prints: [String: Fingerprint] = [:]
        for path in paths { prints[path] = Fingerprint(path) }
        return prints
    }
}
