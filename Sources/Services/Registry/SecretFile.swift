internal import Glibc

/// Files that hold a secret: readable by their owner only, as libpq demands of ~/.pgpass.
package enum SecretFile {
    static let bytesMax = 4_096

    /// The first line of the file.
    ///
    /// - Errors: the file can't be read, others may read it, it is empty or has several lines.
    package static func line(_ path: String) throws(DocumentProblem) -> String {
        try checkPermissions(path, isKey: false)
        let bytes = try DocumentFile.read(path, limit: bytesMax)
        var content = bytes[...]
        if content.last == 0x0A { content.removeLast() }
        if content.last == 0x0D { content.removeLast() }
        guard !content.isEmpty else {
            throw DocumentFile.problem(path, "the secret is empty")
        }
        guard !content.contains(where: { $0 == 0 || $0 == 0x0A }),
            let text = String(validating: content, as: UTF8.self)
        else { throw DocumentFile.problem(path, "the secret is not one line of UTF-8") }
        return text
    }

    /// Whether a file is there and its permissions fit.
    ///
    /// - Source: fe-connect.c `passwordFromFile` for secrets; be-secure-common.c
    ///   `check_ssl_key_file_permissions` for keys (a root-owned key may be readable by a group).
    static func checkPermissions(_ path: String, isKey: Bool) throws(DocumentProblem) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw DocumentFile.problem(path, "can't open: \(ErrnoText.current())")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw DocumentFile.problem(path, "not a regular file")
        }
        let isRootsKey = isKey && status.st_uid == 0
        let forbidden = isRootsKey ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO
        if status.st_mode & forbidden != 0 {
            throw DocumentFile.problem(
                path, "others may read this secret", hint: "Run chmod 600 on it.")
        }
    }

    /// Whether a file can be opened for reading.
    static func checkReadable(_ path: String) throws(DocumentProblem) {
        guard access(path, R_OK) == 0 else {
            throw DocumentFile.problem(path, "can't open: \(ErrnoText.current())")
        }
    }
}
