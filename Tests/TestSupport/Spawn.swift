internal import Foundation

/// What posix_spawn is told. Descriptors that are nil become /dev/null.
struct SpawnRequest {
    var arguments: [String]
    var environment: [String: String] = [:]
    var directory: String?
    var input: Int32?
    var output: Int32?
    var error: Int32?
    var newSession = false
}

/// A failed system call with what was tried.
package struct SystemFailure: Error, CustomStringConvertible {
    package let description: String

    init(_ what: String, _ code: Int32 = errno) {
        description = "\(what): \(String(cString: strerror(code)))"
    }
}

/// Starts a program with default signals, no inherited descriptors (all of ours are CLOEXEC) and
/// the environment of this process with `environment` on top.
func spawn(_ request: SpawnRequest) throws -> Int32 {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (target, source) in [request.input, request.output, request.error].enumerated() {
        if let source {
            posix_spawn_file_actions_adddup2(&actions, source, Int32(target))
        } else {
            posix_spawn_file_actions_addopen(&actions, Int32(target), "/dev/null", O_RDWR, 0)
        }
    }

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var defaults = sigset_t()
    sigfillset(&defaults)
    posix_spawnattr_setsigdefault(&attributes, &defaults)
    var mask = sigset_t()
    sigemptyset(&mask)
    posix_spawnattr_setsigmask(&attributes, &mask)
    let newSession: Int16 = request.newSession ? 0x80 : 0
    posix_spawnattr_setflags(
        &attributes, Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSIGMASK) | newSession)

    let merged = ProcessInfo.processInfo.environment.merging(request.environment) { $1 }
    // posix_spawn's own way to change directory is not in Glibc's module.
    let change = request.directory.map { ["env", "--chdir=\($0)"] } ?? []
    let words = change + request.arguments
    var arguments = words.map { strdup($0) } + [nil]
    var environment = merged.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer {
        for pointer in arguments + environment { free(pointer) }
    }
    var pid: pid_t = 0
    let result = posix_spawnp(
        &pid, words[0], &actions, &attributes, &arguments, &environment)
    guard result == 0 else { throw SystemFailure("cannot start \(words[0])", result) }
    return pid
}
