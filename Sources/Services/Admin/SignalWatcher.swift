internal import CLinux
internal import Glibc

/// What the operator asks for by a signal.
package enum SignalRequest: Sendable, Equatable {
    /// The first SIGTERM or SIGINT: end idle sessions now, the others until the deadline.
    case drain
    /// The second one: end everything now.
    case endNow
    /// SIGHUP: read certificates and documents again.
    case reload
}

/// Which request a signal means: a value, so that its order can be tested without signals.
package struct SignalSequence: Sendable {
    private var isDraining = false

    package init() {}

    package mutating func on(_ signal: Int32) -> SignalRequest? {
        switch signal {
        case SIGTERM, SIGINT:
            defer { isDraining = true }
            return isDraining ? .endNow : .drain
        case SIGHUP: return .reload
        default: return nil
        }
    }
}

/// Turns signals into calls on a thread of its own, by signalfd: no code runs in signal context.
///
/// Order at start matters: `prepare` first, as the very first thing in the program, since threads
/// inherit the mask of the thread that makes them and a signal that one thread doesn't block kills
/// the process. Child processes inherit the mask too and the ignored SIGPIPE: who starts one sets
/// both back (POSIX_SPAWN_SETSIGMASK, POSIX_SPAWN_SETSIGDEF).
package final class SignalWatcher: Sendable {
    private let thread = ControlThread()
    private let descriptor: Int32
    private let handler: @Sendable (SignalRequest) -> Void

    /// Blocks SIGTERM, SIGINT and SIGHUP in this thread and in all that it starts from now on, and
    /// ignores SIGPIPE (a peer that is gone is an error of send, not of the process).
    package static func prepare() {
        signal(SIGPIPE, SIG_IGN)
        var set = watchedSignals
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Nil when the system has no descriptor to give; errno says why.
    package init?(handler: @escaping @Sendable (SignalRequest) -> Void) {
        var set = Self.watchedSignals
        descriptor = signalfd(-1, &set, Int32(SFD_NONBLOCK | SFD_CLOEXEC))
        self.handler = handler
        if descriptor < 0 { return nil }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    package func start() -> Bool {
        thread.start(name: "pgtee-signals") { [self] in
            var sequence = SignalSequence()
            while !thread.wait(for: descriptor, milliseconds: -1) {
                while let number = nextSignal() {
                    if let request = sequence.on(number) { handler(request) }
                }
            }
        }
    }

    /// Must not be called by the handler.
    package func stop() { thread.stop() }

    /// Reads one pending signal of the calling thread or of the process; nil when there is none.
    func nextSignal() -> Int32? {
        var info = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        guard read(descriptor, &info, size) == size else { return nil }
        return Int32(truncatingIfNeeded: info.ssi_signo)
    }

    private static var watchedSignals: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for number in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&set, number) }
        return set
    }
}
