internal import CLinux
internal import Glibc

/// A plain thread with a name. Signals are blocked in it: they belong to the control part.
package final class WorkerThread: @unchecked Sendable {
    private var thread = pthread_t()
    private let body: @Sendable () -> Void
    private let name: String

    /// - Errors: `SystemError` when no thread could be made.
    package init(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        self.name = name
        self.body = body
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, 1 << 20)
        let context = Unmanaged.passRetained(self)
        let result = pthread_create(
            &thread, &attributes,
            { context in
                guard let context else { return nil }
                let thread = Unmanaged<WorkerThread>.fromOpaque(context).takeRetainedValue()
                var all = sigset_t()
                sigfillset(&all)
                pthread_sigmask(SIG_BLOCK, &all, nil)
                _ = pgtee_set_thread_name(thread.name)
                thread.body()
                return nil
            }, context.toOpaque())
        if result != 0 {
            context.release()
            throw SystemError(number: result, doing: "start thread \"\(name)\"")
        }
    }

    /// Waits for the end of the thread; once.
    package func join() { pthread_join(thread, nil) }
}
