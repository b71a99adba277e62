import Foundation
import TestSupport
import Testing

@Suite struct RigCleanupTests {
    /// Where the doomed process tells what it started; its parent looks there.
    private static let note = "/tmp/pgtee-cleanup-\(getuid())"

    @Test func `a test process that dies leaves no server and no directory behind`() async throws {
        try? FileManager.default.removeItem(atPath: Self.note)
        await #expect(processExitsWith: .signal(SIGKILL)) {
            let cluster = try PrivateCluster()
            try writeFile(
                RigCleanupTests.note, "\(cluster.pid ?? 0) \(cluster.socketDirectory)")
            kill(getpid(), SIGKILL)
        }
        let words = readText(Self.note).split(separator: " ")
        try #require(words.count == 2)
        let pid = try #require(Int32(words[0]))
        let directory = String(words[1])
        try waitUntil("the cluster and its directory are gone") {
            kill(pid, 0) != 0 && !FileManager.default.fileExists(atPath: directory)
        }
        try FileManager.default.removeItem(atPath: Self.note)
    }
}
