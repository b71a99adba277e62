internal import CLinux
internal import Glibc
internal import Synchronization

/// The registry of files: reads the documents, watches their directories, and reports each change
/// as one whole state.
///
/// It wakes for inotify events, for `reload()` (SIGHUP), and every half minute to look by itself,
/// which is what finds changes on file systems without events. Events are gathered until it is
/// quiet for a moment, and while a document is open for writing it waits for the writer, up to a
/// few seconds: half a file of documents must not look like tenants that were removed. What a load
/// may change is `RegistryMemory`'s rule.
///
/// - Thread: `start`, `reload` and `stop` from any; `onChange` is called on the registry's own.
package final class FileRegistry: Sendable {
    enum Timing {
        /// Milliseconds.
        static let quiet: Int32 = 60
        static let gatherMax = 400
        static let writerMax = 5_000
        static let poll: Int32 = 30_000
    }

    private struct State: ~Copyable {
        var isStarted = false
        var isStopping = false
        var reloads = 0
        /// The thread's, left here by `start`.
        var memory: RegistryMemory?
        var watch: DirectoryWatch?
    }

    private let servicePath: String
    private let onChange: @Sendable (RegistryUpdate) -> Void
    private let state = Mutex(State())
    private let wakeDescriptor: Int32

    /// - Parameter servicePath: the service's document, absolute or relative to the working
    ///   directory.
    package init(servicePath: String, onChange: @escaping @Sendable (RegistryUpdate) -> Void) {
        self.servicePath = Paths.absolute(
            servicePath, beside: ConfigurationReader.workingDirectory() + "/")
        self.onChange = onChange
        wakeDescriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
    }

    deinit { if wakeDescriptor >= 0 { close(wakeDescriptor) } }

    /// Reads everything once, on this thread, then begins to watch. Bad tenants' documents are in
    /// the result's problems, not an error.
    package func start() throws(ProblemList) -> RegistryUpdate {
        var memory = RegistryMemory(servicePath: servicePath)
        let first = try memory.load()
        let begins = state.withLock { state in
            guard !state.isStarted else { return false }
            state.isStarted = true
            // Here, so that no change after the return of this call is missed.
            var watch = DirectoryWatch()
            watch.watch(memory.watchedDirectories())
            state.watch = consume watch
            state.memory = memory
            return true
        }
        guard begins else { return first }
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        let result = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<FileRegistry>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        if result == 0 {
            pthread_detach(thread)
        } else {
            context.release()
            throw ProblemList([
                DocumentFile.problem(
                    servicePath, "can't watch for changes: \(ErrnoText.text(result))")
            ])
        }
        return first
    }

    /// Reads everything again, whether or not files seem changed; `onChange` follows in any case.
    package func reload() {
        state.withLock { $0.reloads += 1 }
        wake()
    }

    /// Ends the thread; nothing is reported after the call that may be running.
    package func stop() {
        state.withLock { $0.isStopping = true }
        wake()
    }

    private func wake() {
        var one: UInt64 = 1
        _ = write(wakeDescriptor, &one, 8)
    }

    private func run() {
        _ = pgtee_set_thread_name("pgtee-registry")
        guard var memory = state.withLock({ $0.memory.take() }),
            var watch = state.withLock({ $0.watch.take() })
        else { return }
        // Something may have changed between the first load and the watch.
        var cause = waitForCause(watch, memory, since: .now)
        while !state.withLock({ $0.isStopping }) {
            if cause == .reload || cause == .look && memory.isStale() {
                reread(&memory, &watch, isForced: cause == .reload)
            }
            cause = waitForCause(watch, memory, since: nil)
        }
    }

    private enum Cause { case nothing, look, reload }

    private func reread(
        _ memory: inout RegistryMemory, _ watch: inout DirectoryWatch, isForced: Bool
    ) {
        let before = memory.problems
        do throws(ProblemList) {
            let update = try memory.load()
            watch.watch(memory.watchedDirectories())
            // An end of errors is news as well.
            let isNews =
                update.hasChanged || update.certificatesChanged || update.problems != before
            if isForced || isNews, !state.withLock({ $0.isStopping }) { onChange(update) }
        } catch {
            // `load` fails only before the first good service document, and `start` had that one.
        }
    }

    /// Blocks until something may have changed and has settled, or until it's time to look.
    ///
    /// - Parameter since: when the first sign of a change was seen; nil: none yet.
    private func waitForCause(
        _ watch: borrowing DirectoryWatch, _ memory: RegistryMemory,
        since: ContinuousClock.Instant?
    ) -> Cause {
        var unfinished: Set<String> = []
        var first = since
        while true {
            if let first {
                let limit = unfinished.isEmpty ? Timing.gatherMax : Timing.writerMax
                if ContinuousClock.now - first > .milliseconds(limit) { return .look }
            }
            var polls = [
                pollfd(fd: wakeDescriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: watch.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            let ready = poll(&polls, nfds_t(polls.count), first == nil ? Timing.poll : Timing.quiet)
            if polls[0].revents != 0 { return takeWake() }
            if ready == 0 {
                if first == nil || unfinished.isEmpty { return .look }
            } else if ready > 0 {
                switch watch.drain() {
                case .overflow: return .look
                case .events(let events):
                    for event in events where memory.isRelevant(name: event.name) {
                        first = first ?? .now
                        if event.isUnfinished {
                            unfinished.insert(event.name)
                        } else {
                            unfinished.remove(event.name)
                        }
                    }
                }
            }
        }
    }

    private func takeWake() -> Cause {
        var count: UInt64 = 0
        _ = read(wakeDescriptor, &count, 8)
        return state.withLock { state in
            defer { state.reloads = 0 }
            return state.reloads > 0 ? .reload : .nothing
        }
    }
}
