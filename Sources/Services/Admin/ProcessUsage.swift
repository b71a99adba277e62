internal import Glibc

/// What /proc/self says of this process. A value that can't be read is nil and is left out.
struct ProcessUsage {
    var residentBytes: UInt64?
    var openFiles: UInt64?
    var openFilesLimit: UInt64?

    static func read() -> ProcessUsage {
        var files = rlimit()
        let hasLimit = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files) == 0
        return ProcessUsage(
            residentBytes: residentBytes(), openFiles: openFiles(),
            openFilesLimit: hasLimit ? UInt64(files.rlim_cur) : nil)
    }

    /// The second field of /proc/self/statm, in pages.
    private static func residentBytes() -> UInt64? {
        let descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return nil }
        let fields = String(decoding: buffer.prefix(count), as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = UInt64(fields[1]) else { return nil }
        let (bytes, overflow) = pages.multipliedReportingOverflow(
            by: UInt64(sysconf(Int32(_SC_PAGESIZE))))
        return overflow ? nil : bytes
    }

    private static func openFiles() -> UInt64? {
        guard let directory = opendir("/proc/self/fd") else { return nil }
        defer { closedir(directory) }
        var count: UInt64 = 0
        while readdir(directory) != nil { count += 1 }
        // Not `.`, `..` and the directory itself.
        return count >= 3 ? count - 3 : nil
    }
}
