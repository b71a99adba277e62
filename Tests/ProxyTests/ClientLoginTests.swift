internal import PostgresProtocol
internal import Testing

@testable import Proxy

/// What the first bytes of a client lead to, as scripts: bytes in, step out.
struct ClientLoginTests {
    private static let ssl: [UInt8] = [0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x2F]
    private static let gss: [UInt8] = [0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x30]
    private static let startup = StartupMessage(
        version: .v3_0, parameters: [StartupParameter("user", "remi@acme")])

    @Test func `an SSLRequest begins TLS and a second one is another version`() {
        var login = ClientLogin()
        var input = Self.ssl
        #expect(login.next(&input, offersTLS: true) == .beginTLS(isDirect: false))
        login.tlsEstablished()
        input = Self.ssl
        #expect(
            login.next(&input, offersTLS: true) == .unsupportedVersion(major: 1234, minor: 5679))
    }

    @Test func `without TLS an SSLRequest is answered N once and startup may follow`() throws {
        var login = ClientLogin()
        var input = Self.ssl + (try Self.startup.encoded())
        #expect(login.next(&input, offersTLS: false) == .answer(UInt8(ascii: "N")))
        #expect(login.next(&input, offersTLS: false) == .startup(Self.startup))
        #expect(input.isEmpty)
    }

    @Test func `plain bytes after an SSLRequest end the login`() throws {
        var login = ClientLogin()
        var input = Self.ssl + (try Self.startup.encoded())
        #expect(login.next(&input, offersTLS: true) == .bytesBeforeTLS)
    }

    @Test func `a ClientHello may follow an SSLRequest at once`() {
        var login = ClientLogin()
        var input = Self.ssl + [0x16, 3, 1]
        #expect(login.next(&input, offersTLS: true) == .beginTLS(isDirect: false))
        #expect(input == [0x16, 3, 1])
    }

    @Test func `a GSSENCRequest is answered N, then TLS may be asked for`() {
        var login = ClientLogin()
        var input = Self.gss
        #expect(login.next(&input, offersTLS: true) == .answer(UInt8(ascii: "N")))
        input = Self.ssl
        #expect(login.next(&input, offersTLS: true) == .beginTLS(isDirect: false))
    }

    @Test func `a second GSSENCRequest is another version`() {
        var login = ClientLogin()
        var input = Self.gss
        _ = login.next(&input, offersTLS: true)
        input = Self.gss
        #expect(
            login.next(&input, offersTLS: true) == .unsupportedVersion(major: 1234, minor: 5680))
    }

    @Test func `direct TLS is known by its first byte`() {
        var login = ClientLogin()
        var input: [UInt8] = [0x16]
        #expect(login.next(&input, offersTLS: true) == .beginTLS(isDirect: true))
        var other = ClientLogin()
        #expect(other.next(&input, offersTLS: false) == .unexpectedMessage)
    }

    @Test func `every piece of a startup packet but the whole asks for more`() throws {
        let bytes = try Self.startup.encoded()
        for count in 0..<bytes.count {
            var login = ClientLogin()
            var input = Array(bytes[..<count])
            #expect(login.next(&input, offersTLS: true) == .needsInput)
            #expect(input.count == count)
        }
    }

    @Test(arguments: [0, 3, 65_536, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
    func `an authentication message of an impossible length is refused`(length: UInt32) throws {
        var login = ClientLogin()
        var input = try Self.startup.encoded()
        _ = login.next(&input, offersTLS: true)
        input = [UInt8(ascii: "p")] + [24, 16, 8, 0].map { UInt8(length >> $0 & 0xFF) }
        #expect(login.next(&input, offersTLS: true) == .unexpectedMessage)
    }

    @Test func `only p messages are authentication`() throws {
        for type in UInt8.min...UInt8.max where type != UInt8(ascii: "p") {
            var login = ClientLogin()
            var input = try Self.startup.encoded()
            _ = login.next(&input, offersTLS: true)
            input = [type, 0, 0, 0, 4]
            #expect(login.next(&input, offersTLS: true) == .unexpectedMessage)
        }
    }
}
