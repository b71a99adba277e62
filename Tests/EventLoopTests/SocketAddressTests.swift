import Glibc
import Testing

@testable import EventLoop

@Suite struct SocketAddressTests {
    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1:5432"), ("255.255.255.255", "255.255.255.255:5432"),
        ("0.0.0.0", "0.0.0.0:5432"), ("::1", "[::1]:5432"), ("2001:DB8::5", "[2001:db8::5]:5432"),
        ("::ffff:192.0.2.1", "[::ffff:192.0.2.1]:5432"), ("fe80::1%1", "[fe80::1]:5432"),
    ])
    func `a literal becomes an address and a text again`(literal: String, text: String) {
        #expect(SocketAddress(literal: literal, port: 5432)?.description == text)
    }

    @Test(arguments: [
        "", "localhost", "127.0.0.1.", "127.1", "256.0.0.1", "1.2.3.4.5", ":::", "g::1", "[::1]",
        "1.2.3.4\u{0}", "/tmp", " 127.0.0.1",
    ])
    func `what is no literal is refused`(text: String) {
        #expect(SocketAddress(literal: text, port: 1) == nil)
    }

    @Test(arguments: ["10.1.2.3", "2001:db8:1:2:3:4:5:6", "::"], [UInt16(0), 1, 5432, 65535])
    func `an address survives the kernel's form`(literal: String, port: UInt16) throws {
        let address = try #require(SocketAddress(literal: literal, port: port))
        var storage = sockaddr_storage()
        address.withSocketAddress { pointer, length in
            withUnsafeMutableBytes(of: &storage) {
                $0.copyMemory(
                    from: UnsafeRawBufferPointer(start: pointer, count: Int(length)))
            }
        }
        #expect(SocketAddress(storage) == address)
    }

    @Test func `a scope is kept`() throws {
        let address = try #require(SocketAddress(literal: "fe80::1%7", port: 1))
        guard case .ipv6(_, _, _, let scope) = address else {
            Issue.record("not IPv6")
            return
        }
        #expect(scope == 7)
    }

    @Test func `a unix path that is too long is cut rather than written beyond its place`() {
        let address = SocketAddress.unix([UInt8](repeating: 0x61, count: 400))
        address.withSocketAddress { _, length in
            #expect(Int(length) <= MemoryLayout<sockaddr_un>.size)
        }
    }

    @Test func `an abstract name has no terminating zero`() {
        let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 0
        SocketAddress.unix([0, 0x61]).withSocketAddress { _, length in
            #expect(Int(length) == offset + 2)
        }
        SocketAddress.unix([0x61]).withSocketAddress { _, length in
            #expect(Int(length) == offset + 2)
        }
    }

    @Test func `limits count IPv4 by address, IPv6 by its network, unix sockets together`() throws {
        func source(_ literal: String, _ port: UInt16) throws -> SourceKey {
            try #require(SocketAddress(literal: literal, port: port)).source
        }
        #expect(try source("192.0.2.1", 1) == source("192.0.2.1", 2))
        #expect(try source("192.0.2.1", 1) != source("192.0.2.2", 1))
        #expect(try source("2001:db8:0:1::1", 1) == source("2001:db8:0:1:ffff::2", 9))
        #expect(try source("2001:db8:0:1::1", 1) != source("2001:db8:0:2::1", 1))
        #expect(SocketAddress.unix([]).source == SocketAddress.unix([0x61]).source)
        #expect(try source("::", 1) != source("0.0.0.0", 1))
    }

    @Test func `the peers of a socket pair are unix`() {
        var pair: [Int32] = [0, 0]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
        #expect(SocketAddress(peerOf: pair[0]) == .unix([]))
        close(pair[0])
        close(pair[1])
    }
}
