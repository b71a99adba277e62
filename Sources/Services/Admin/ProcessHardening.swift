internal import CLinux
internal import Glibc
internal import Telemetry

/// Limits of the process, set once at start.
///
/// Secrets of clients and keys of TLS are in memory: so no core file, no ptrace and no
/// /proc/self/mem for other processes of the same user. Each session needs two descriptors: so the
/// soft limit of them is raised to the hard one. None of this needs a privilege; what fails is
/// reported, not fatal.
package struct ProcessHardening: Sendable, Equatable {
    /// The soft limit of open files, before and after; equal when it could not be raised.
    package var openFilesBefore: UInt64
    package var openFilesAfter: UInt64
    package var coreForbidden: Bool
    package var dumpsForbidden: Bool

    package static func apply() -> ProcessHardening {
        var files = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
        let before = UInt64(files.rlim_cur)
        files.rlim_cur = files.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)

        // A watchdog's SIGABRT must end the process: Swift's own handler prints a trace and goes on
        // when the signal came from outside. Traps are other signals.
        signal(SIGABRT, SIG_DFL)

        var core = rlimit(rlim_cur: 0, rlim_max: 0)
        let coreForbidden = setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &core) == 0
        return ProcessHardening(
            openFilesBefore: before, openFilesAfter: UInt64(files.rlim_cur),
            coreForbidden: coreForbidden, dumpsForbidden: pgtee_forbid_dumps() == 0)
    }

    /// For the log: what was done, and what was not.
    package var fields: [LogField] {
        [
            LogField(.openFiles, .number(Int64(clamping: openFilesAfter))),
            LogField(.openFilesBefore, .number(Int64(clamping: openFilesBefore))),
            LogField(.coreForbidden, .text(coreForbidden ? "yes" : "no")),
            LogField(.dumpsForbidden, .text(dumpsForbidden ? "yes" : "no")),
        ]
    }
}
