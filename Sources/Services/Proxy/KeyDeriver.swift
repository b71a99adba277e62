internal import Authentication
internal import EventLoop
internal import Glibc
internal import Handoff

/// A thread for PBKDF2, which only our own roles' passwords need (look-up connections): a worker
/// would stand still for a millisecond or, at a cluster's wish, for thirty.
///
/// - Bounds: `jobsMax` wait; a login beyond that fails as if the cluster had not answered.
final class KeyDeriver: Sendable {
    struct Job: Sendable {
        var derivation: ScramDerivation
        var worker: Int
        var token: UInt64
    }

    private static let jobsMax = 4096
    private let jobs = Mailbox<Job>(capacity: jobsMax)

    /// False when too many wait.
    func submit(_ job: Job) -> Bool { jobs.post(job) }

    /// For the life of the process.
    func start(_ mailboxes: [Mailbox<WorkerMessage>]) throws(SystemError) {
        _ = try WorkerThread(name: "pgtee-keys") { [jobs] in
            while true {
                var waiting = pollfd(
                    fd: jobs.eventDescriptor, events: Int16(POLLIN), revents: 0)
                _ = poll(&waiting, 1, -1)
                for job in jobs.drain().values {
                    mailboxes[job.worker].post(.derived(job.token, job.derivation.run()))
                }
            }
        }
    }
}
