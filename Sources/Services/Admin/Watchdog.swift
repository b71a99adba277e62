/// Sends the service manager a sign of life, as long as the service really lives.
///
/// `isAlive` is asked at half the manager's patience: it must look at what serves clients (each
/// worker has come round since the last time), not at this thread. While it says no, nothing is
/// sent, and the manager restarts the service when its patience ends.
package final class Watchdog: Sendable {
    private let notifier: ServiceNotifier
    private let thread = ControlThread()
    private let isAlive: @Sendable () -> Bool

    package init(notifier: ServiceNotifier, isAlive: @escaping @Sendable () -> Bool) {
        self.notifier = notifier
        self.isAlive = isAlive
    }

    /// Does nothing, and returns true, when the manager asked for no watchdog. False when the
    /// system has no thread to give.
    package func start() -> Bool {
        guard let interval = notifier.watchdogIntervalMilliseconds else { return true }
        let patience = Int32(clamping: interval)
        return thread.start(name: "pgtee-watchdog") { [self] in
            repeat {
                if isAlive() { notifier.alive() }
            } while !thread.wait(for: nil, milliseconds: patience)
        }
    }

    package func stop() { thread.stop() }
}
