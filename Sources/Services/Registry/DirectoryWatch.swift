internal import CLinux
internal import Glibc

/// inotify on directories, never on files: a renamed-over file is another inode, its directory is
/// not.
///
/// - Thread: the registry's.
struct DirectoryWatch: ~Copyable {
    struct Event {
        /// In the directory; empty: the directory itself.
        var name: String
        /// The file is open for writing and not closed yet.
        var isUnfinished: Bool
    }

    enum Batch {
        case events([Event])
        /// The kernel's queue ran over: anything may have changed.
        case overflow
    }

    /// -1: the kernel gives no inotify instance; the registry polls.
    let descriptor: Int32
    private var watched: [String: Int32] = [:]

    private static let mask =
        UInt32(IN_CLOSE_WRITE) | UInt32(IN_MODIFY) | UInt32(IN_MOVED_TO) | UInt32(IN_MOVED_FROM)
        | UInt32(IN_CREATE) | UInt32(IN_DELETE) | UInt32(IN_ATTRIB) | UInt32(IN_DELETE_SELF)
        | UInt32(IN_MOVE_SELF) | UInt32(IN_ONLYDIR)

    init() { descriptor = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC)) }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Watches these directories and no others. Asking again for one that was replaced watches the
    /// new one.
    mutating func watch(_ directories: Set<String>) {
        guard descriptor >= 0 else { return }
        var now: [String: Int32] = [:]
        for directory in directories {
            let number = inotify_add_watch(descriptor, directory, Self.mask)
            if number >= 0 { now[directory] = number }
        }
        let used = Set(now.values)
        for number in Set(watched.values) where !used.contains(number) {
            inotify_rm_watch(descriptor, number)
        }
        watched = now
    }

    /// What happened since the last call; does not block.
    func drain() -> Batch {
        var events: [Event] = []
        var overflows = false
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while descriptor >= 0 {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            buffer.withUnsafeBytes { bytes in
                Self.decode(UnsafeRawBufferPointer(rebasing: bytes[..<count]), &events, &overflows)
            }
        }
        return overflows ? .overflow : .events(events)
    }

    private static func decode(
        _ bytes: UnsafeRawBufferPointer, _ events: inout [Event], _ overflows: inout Bool
    ) {
        let header = 16
        var offset = 0
        while offset + header <= bytes.count {
            let mask = bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
            let length = Int(bytes.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self))
            guard length <= bytes.count - offset - header else { return }
            let name = bytes[(offset + header)..<(offset + header + length)].prefix { $0 != 0 }
            offset += header + length
            if mask & UInt32(IN_Q_OVERFLOW) != 0 {
                overflows = true
            } else if mask & UInt32(IN_IGNORED) == 0 {
                events.append(
                    Event(
                        name: String(decoding: name, as: UTF8.self),
                        isUnfinished: mask & UInt32(IN_MODIFY) != 0))
            }
        }
    }
}
