internal import Foundation
internal import Synchronization

/// Ends what a test process started when that process ends, however it ends.
///
/// A shell reads commands from a pipe whose other end only the test process holds. At the end of
/// process, by exit, crash or SIGKILL, the pipe closes; the shell then kills the processes and
/// removes the directories that are still on its lists. PR_SET_PDEATHSIG would not do: it fires
/// when the *thread* that started the child ends, and threads of Swift's pool come and go.
enum Watchdog {
    private static let pipe = Mutex<Int32?>(nil)

    static func guardProcess(_ pid: Int32) { tell("process \(pid)") }
    static func releaseProcess(_ pid: Int32) { tell("reaped \(pid)") }
    static func guardDirectory(_ path: String) { tell("directory \(path)") }

    private static let script = """
        trap '' INT TERM HUP
        pids=' '
        directories=''
        while read -r what which; do
            case $what in
            process) pids="$pids$which " ;;
            reaped)
                case $pids in
                *" $which "*) pids="${pids%% $which *} ${pids#* $which }" ;;
                esac ;;
            directory) directories="$directories $which" ;;
            esac
        done
        [ -n "${pids# }" ] && kill -QUIT $pids 2>/dev/null
        for attempt in 1 2 3 4 5 6 7 8 9 10; do
            kill -0 $pids 2>/dev/null || break
            sleep 0.1
        done
        [ -n "${pids# }" ] && kill -KILL $pids 2>/dev/null
        [ -n "$directories" ] && rm -rf $directories
        exit 0
        """

    private static func tell(_ line: String) {
        pipe.withLock { descriptor in
            if descriptor == nil { descriptor = start() }
            guard let descriptor else { return }
            let bytes = Array((line + "\n").utf8)
            _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        }
    }

    private static func start() -> Int32? {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let request = SpawnRequest(
            arguments: ["/bin/sh", "-c", script], input: ends[0], newSession: true)
        _ = try? spawn(request)
        close(ends[0])
        return ends[1]
    }
}
