internal import Foundation

/// What a command did.
package struct RunResult: Sendable, CustomStringConvertible {
    package let arguments: [String]
    /// The exit code; 128 + signal when a signal ended it, as shells say.
    package let status: Int32
    package let output: String
    package let error: String

    package var description: String {
        "\(arguments.joined(separator: " "))\nstatus \(status)\n\(output)\(error)"
    }
}

package struct RunFailure: Error, CustomStringConvertible {
    package let description: String
}

/// Runs a command to its end. Its output goes through files, so no size can block it.
///
/// - Errors: it can't be started, or runs longer than `deadline` (it is killed then). Any exit
///   status is a result; `runOrThrow` makes one other than 0 an error.
package func run(
    _ arguments: [String], environment: [String: String] = [:], directory: String? = nil,
    input: String? = nil, deadline: Duration = .seconds(60)
) throws -> RunResult {
    let scratch = try TemporaryDirectory("run")
    var inputPath: String?
    if let input { inputPath = try scratch.write("input", input) }
    let child = try ChildProcess(
        arguments, environment: environment, directory: directory, inputPath: inputPath,
        outputPath: scratch.file("output"), errorPath: scratch.file("error"))
    let ending: ChildProcess.Ending
    do {
        ending = try child.wait(deadline: deadline)
    } catch {
        child.signal(SIGKILL)
        throw RunFailure(
            description: "\(arguments.joined(separator: " ")) ran longer than \(deadline)\n"
                + readText(scratch.file("output")) + readText(scratch.file("error")))
    }
    let status: Int32
    switch ending {
    case .exited(let code): status = code
    case .killed(let signal): status = 128 + signal
    }
    return RunResult(
        arguments: arguments, status: status, output: readText(scratch.file("output")),
        error: readText(scratch.file("error")))
}

/// The command's standard output; any status but 0 is an error.
@discardableResult
package func runOrThrow(
    _ arguments: [String], environment: [String: String] = [:], directory: String? = nil,
    input: String? = nil, deadline: Duration = .seconds(60)
) throws -> String {
    let result = try run(
        arguments, environment: environment, directory: directory, input: input,
        deadline: deadline)
    guard result.status == 0 else { throw RunFailure(description: result.description) }
    return result.output
}
