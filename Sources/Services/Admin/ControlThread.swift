internal import CLinux
internal import Glibc
import Synchronization

/// A named thread of the control part. Its owner wakes it through `stopDescriptor` and joins it.
final class ControlThread: Sendable {
    /// Readable once `stop` was called.
    let stopDescriptor: Int32
    private let thread = Mutex<pthread_t?>(nil)

    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    init() {
        stopDescriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
    }

    deinit { close(stopDescriptor) }

    /// - Parameter name: at most 15 bytes, as `ps -L` shows it.
    /// - Returns: false when the system has no thread to give.
    func start(name: String, body: @escaping @Sendable () -> Void) -> Bool {
        thread.withLock { thread in
            guard thread == nil, stopDescriptor >= 0 else { return false }
            let start = Unmanaged.passRetained(Start(name: name, body: body))
            var created = pthread_t()
            let code = pthread_create(
                &created, nil,
                { argument in
                    guard let argument else { return nil }
                    let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                    _ = pgtee_set_thread_name(start.name)
                    start.body()
                    return nil
                }, start.toOpaque())
            guard code == 0 else {
                start.release()
                return false
            }
            thread = created
            return true
        }
    }

    /// Asks the thread to end and waits until it has. Must not be called on the thread itself.
    func stop() {
        var one: UInt64 = 1
        _ = write(stopDescriptor, &one, 8)
        let running = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        if let running { pthread_join(running, nil) }
    }

    /// Waits until a descriptor is readable, `stop` was called, or the time is over.
    ///
    /// - Returns: true when `stop` was called.
    func wait(for descriptor: Int32?, milliseconds: Int32) -> Bool {
        var polled = [pollfd(fd: stopDescriptor, events: Int16(POLLIN), revents: 0)]
        if let descriptor {
            polled.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
        }
        _ = poll(&polled, nfds_t(polled.count), milliseconds)
        return polled[0].revents != 0
    }
}
