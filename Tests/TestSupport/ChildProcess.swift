internal import Foundation
internal import Synchronization

/// A program that runs beside the test; its output goes to a file. It ends with the test process.
package final class ChildProcess: Sendable {
    package enum Ending: Equatable, Sendable {
        case exited(Int32)
        case killed(signal: Int32)
    }

    package let pid: Int32
    package let arguments: [String]
    /// Standard output and error together, unless `errorPath` was given.
    package let outputPath: String
    private let ended = Mutex<Ending?>(nil)

    package init(
        _ arguments: [String], environment: [String: String] = [:], directory: String? = nil,
        inputPath: String? = nil, outputPath: String, errorPath: String? = nil
    ) throws {
        let flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC
        let output = open(outputPath, flags, 0o644)
        guard output >= 0 else { throw SystemFailure("cannot write \(outputPath)") }
        defer { close(output) }
        let error = errorPath.map { open($0, flags, 0o644) }
        defer { if let error { close(error) } }
        let input = inputPath.map { open($0, O_RDONLY | O_CLOEXEC) }
        defer { if let input { close(input) } }
        self.arguments = arguments
        self.outputPath = outputPath
        pid = try spawn(
            SpawnRequest(
                arguments: arguments, environment: environment, directory: directory, input: input,
                output: output, error: error ?? output))
        Watchdog.guardProcess(pid)
    }

    deinit {
        if ending == nil {
            kill(pid, SIGKILL)
            _ = try? wait(deadline: .seconds(5))
        }
    }

    /// How it ended; nil while it runs. Reaps it.
    package var ending: Ending? {
        ended.withLock { known in
            if let known { return known }
            var status: Int32 = 0
            guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
            let signal = status & 0x7f
            known = signal == 0 ? .exited((status >> 8) & 0xff) : .killed(signal: signal)
            Watchdog.releaseProcess(pid)
            return known
        }
    }

    package var isRunning: Bool { ending == nil }

    package func signal(_ number: Int32) {
        ended.withLock { if $0 == nil { _ = kill(pid, number) } }
    }

    @discardableResult
    package func wait(deadline: Duration) throws -> Ending {
        try waitFor(deadline: deadline, "\(arguments[0]) (pid \(pid)) ends") { ending }
    }

    /// What it has written until now.
    package var output: String { readText(outputPath) }
}

/// The file's text, "" when there is none.
package func readText(_ path: String) -> String {
    guard let data = FileManager.default.contents(atPath: path) else { return "" }
    return String(decoding: data, as: UTF8.self)
}
