internal import Foundation
internal import Synchronization

/// A loopback port that no other test on this machine uses while the lock lives.
///
/// The port's file below /tmp/pgtee-ports is locked with flock(2): the kernel frees it when the
/// process ends. The range lies below the ephemeral ports, so no outgoing connection takes one.
package final class PortLock: Sendable {
    package let port: UInt16
    private let descriptor: Int32

    package init() throws {
        let directory = "/tmp/pgtee-ports"
        if mkdir(directory, 0o1777) == 0 { chmod(directory, 0o1777) }
        for _ in 0..<Self.range.count {
            let candidate = Self.next.withLock { next in
                next = next == Self.range.upperBound ? Self.range.lowerBound : next + 1
                return next
            }
            let path = "\(directory)/\(candidate)"
            let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
            guard descriptor >= 0 else { continue }
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0, Self.isFree(candidate) {
                port = candidate
                self.descriptor = descriptor
                return
            }
            close(descriptor)
        }
        throw RunFailure(description: "no free port in \(Self.range) (locks: \(directory))")
    }

    deinit { close(descriptor) }

    private static let range: ClosedRange<UInt16> = 21_000...29_999
    private static let next = Mutex(UInt16.random(in: range))

    private static func isFree(_ port: UInt16) -> Bool {
        let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        guard probe >= 0 else { return false }
        defer { close(probe) }
        var yes: Int32 = 1
        setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = loopback(port)
        return withSocketAddress(&address) { bind(probe, $0, $1) } == 0
    }
}

/// 127.0.0.1 and a port.
func loopback(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return address
}

func withSocketAddress<Address, Result>(
    _ address: inout Address, _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> Result
) -> Result {
    withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<Address>.size))
        }
    }
}
