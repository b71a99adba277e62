import TestSupport
import Testing

@testable import EventLoop

/// One session under test with its pipe, used as the worker uses it.
private final class Subject {
    let pipe = TLSPipe()
    let session: TLSSession
    private let scratch = UnsafeMutableRawPointer.allocate(byteCount: 70_000, alignment: 16)
    private(set) var plain: [UInt8] = []
    private(set) var result = TLSResult.needsInput

    init(_ make: (TLSPipe) -> TLSSession?) throws { session = try #require(make(pipe)) }

    deinit { scratch.deallocate() }

    /// Feeds the bytes of one recv; returns what is to be sent.
    func feed(_ bytes: some Collection<UInt8>) -> [UInt8] {
        let bytes = Array(bytes)
        bytes.withUnsafeBytes { bytes in
            pipe.setInput(bytes)
            if !session.isEstablished { result = session.handshake() }
            while session.isEstablished {
                result = session.read(scratch, 70_000)
                guard case .done(let count) = result else { break }
                plain += UnsafeRawBufferPointer(start: scratch, count: count)
            }
            pipe.dropInput()
        }
        return take()
    }

    func write(_ bytes: [UInt8], recordMax: Int = 16_384) -> [UInt8] {
        result = bytes.withUnsafeBytes { session.write($0, recordMax: recordMax) }
        return take()
    }

    func take() -> [UInt8] {
        defer { pipe.clearOutput() }
        return Array(pipe.output)
    }
}

/// How a network cuts a stream into recvs.
private enum Cutting: CaseIterable {
    case whole, bytes, random

    func pieces(_ bytes: [UInt8], _ random: inout SeededRandom) -> [[UInt8]] {
        if bytes.isEmpty { return [] }
        switch self {
        case .whole: return [bytes]
        case .bytes: return DripFeed.byteByByte(bytes)
        case .random: return DripFeed.randomPieces(bytes, largest: 700, using: &random)
        }
    }
}

private struct Identity {
    static let shared = Result { try Identity() }
    let authority: TestCertificateAuthority
    let certificate: TestCertificate

    init() throws {
        authority = try TestCertificateAuthority()
        certificate = try authority.server("localhost", "db.test")
    }

    func server(maximum: Int32 = 0x0304) throws -> ClientTLSContexts {
        ClientTLSContexts(
            fallback: try TLSContext(
                serverCertificatePath: certificate.certificatePath, keyPath: certificate.keyPath,
                minimumVersion: 0x0303, maximumVersion: maximum, asksForCertificate: false),
            named: [])
    }

    func client(verifies: Bool = true, ca: String? = nil) throws -> TLSContext {
        try TLSContext(
            caPath: ca ?? certificate.caPath, crlPath: nil, verifiesChain: verifies,
            certificatePath: nil, keyPath: nil, minimumVersion: 0x0303)
    }
}

@Suite struct TLSSessionTests {
    private var identity: Identity { get throws { try Identity.shared.get() } }
    private static let text = [UInt8]((0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) })

    /// A session as a server, established with a raw client.
    private func established(
        version: Int32 = 0x0304, _ cutting: Cutting = .whole
    ) throws -> (Subject, RawTLSPeer) {
        let contexts = try identity.server()
        let subject = try Subject { TLSSession(accepting: contexts, pipe: $0) }
        let peer = try #require(RawTLSPeer(version: version))
        var random = SeededRandom(seed: 1)
        for _ in 0..<6 where !(subject.session.isEstablished && peer.handshake()) {
            peer.handshake()
            for piece in cutting.pieces(peer.take(), &random) { peer.feed(subject.feed(piece)) }
        }
        try #require(subject.session.isEstablished)
        return (subject, peer)
    }

    @Test(arguments: Cutting.allCases, [Int32(0x0303), 0x0304])
    fileprivate func `a handshake and bytes pass in any pieces as a server`(
        cutting: Cutting, version: Int32
    ) throws {
        let (subject, peer) = try established(version: version, cutting)
        #expect(subject.session.version == (version == 0x0304 ? "TLSv1.3" : "TLSv1.2"))
        var random = SeededRandom(seed: 2)
        peer.write(Array(Self.text.prefix(40_000)))
        for piece in cutting.pieces(peer.take(), &random) { #expect(subject.feed(piece).isEmpty) }
        #expect(subject.plain.elementsEqual(Self.text.prefix(40_000)))
        #expect(subject.result == .needsInput)
        let sent = subject.write(Array(Self.text.prefix(30_000)), recordMax: 8_192)
        for piece in cutting.pieces(sent, &random) { peer.feed(piece) }
        #expect(peer.read().elementsEqual(Self.text.prefix(30_000)))
    }

    @Test(arguments: Cutting.allCases, [Int32(0x0303), 0x0304])
    fileprivate func `a handshake and bytes pass in any pieces as a client`(
        cutting: Cutting, version: Int32
    ) throws {
        let context = try identity.client()
        let subject = try Subject { TLSSession(connecting: context, name: "localhost", pipe: $0) }
        let certificate = try identity.certificate
        let peer = try #require(
            RawTLSPeer(
                certificatePath: certificate.certificatePath, keyPath: certificate.keyPath,
                version: version))
        var random = SeededRandom(seed: 3)
        peer.feed(subject.feed([UInt8]()))
        for _ in 0..<6 where !(subject.session.isEstablished && peer.handshake()) {
            peer.handshake()
            for piece in cutting.pieces(peer.take(), &random) { peer.feed(subject.feed(piece)) }
        }
        peer.write(Self.text)
        for piece in cutting.pieces(peer.take(), &random) { _ = subject.feed(piece) }
        #expect(subject.plain == Self.text)
        peer.feed(subject.write(Self.text))
        #expect(peer.read() == Self.text)
    }

    @Test func `a record passes when it is cut at each of its bytes`() throws {
        let (subject, peer) = try established()
        var expected: [UInt8] = []
        for cut in 0...40 {
            let message = Array("message \(cut)".utf8)
            peer.write(message)
            let record = peer.take()
            _ = subject.feed(record.prefix(cut))
            #expect(cut >= record.count || subject.plain == expected)
            _ = subject.feed(record.dropFirst(cut))
            expected += message
            #expect(subject.plain == expected)
        }
    }

    @Test func `fifty records in one recv are all read`() throws {
        let (subject, peer) = try established()
        for number in 0..<50 { peer.write([UInt8](repeating: UInt8(number), count: 500)) }
        _ = subject.feed(peer.take())
        #expect(subject.plain.count == 25_000)
        #expect(subject.pipe.inputCount == 0)
    }

    @Test(arguments: [16_383, 16_384, 16_385, 65_536])
    func `records of the largest size pass`(size: Int) throws {
        let (subject, peer) = try established()
        peer.write(Array(Self.text.prefix(size)))
        _ = subject.feed(peer.take())
        #expect(subject.plain.elementsEqual(Self.text.prefix(size)))
    }

    @Test func `no record is larger than asked`() throws {
        let (subject, _) = try established()
        let sent = subject.write(Array(Self.text.prefix(50_000)), recordMax: 8_192)
        var offset = 0
        while offset + 5 <= sent.count {
            let length = Int(sent[offset + 3]) << 8 | Int(sent[offset + 4])
            #expect(length <= 8_192 + 17)
            offset += 5 + length
        }
        #expect(offset == sent.count)
    }

    @Test func `a key update is answered at the next write and loses nothing`() throws {
        let (subject, peer) = try established()
        for round in 0..<5 {
            peer.updateKeys()
            peer.write(Array("before \(round)".utf8))
            peer.feed(subject.feed(peer.take()))
            peer.feed(subject.write(Array("after \(round)".utf8)))
            #expect(peer.read() == Array("after \(round)".utf8))
        }
        #expect(subject.plain.elementsEqual((0..<5).flatMap { Array("before \($0)".utf8) }))
    }

    @Test func `an orderly end is told apart from more input`() throws {
        let (subject, peer) = try established()
        peer.write(Array("last".utf8))
        peer.close()
        _ = subject.feed(peer.take())
        #expect(subject.plain == Array("last".utf8))
        #expect(subject.result == .closed)
    }

    @Test func `a stream that ends without close_notify only stops to give bytes`() throws {
        let (subject, peer) = try established()
        peer.write(Array("last".utf8))
        let bytes = peer.take()
        _ = subject.feed(bytes.dropLast())
        #expect(subject.result == .needsInput)
        #expect(subject.plain.isEmpty)
    }

    @Test func `closing sends a close_notify that the peer reads`() throws {
        let (subject, peer) = try established()
        subject.session.close()
        let notify = subject.take()
        #expect(!notify.isEmpty)
        peer.feed(notify)
        #expect(peer.read().isEmpty)
    }

    @Test func `closing before the handshake sends nothing`() throws {
        let contexts = try identity.server()
        let subject = try Subject { TLSSession(accepting: contexts, pipe: $0) }
        subject.session.close()
        #expect(subject.take().isEmpty)
    }

    @Test func `a changed record fails the session with an alert`() throws {
        let (subject, peer) = try established()
        peer.write(Array("message".utf8))
        var record = peer.take()
        record[record.count - 1] ^= 1
        let alert = subject.feed(record)
        #expect(subject.result == .failed)
        #expect(!subject.session.failure.isEmpty)
        #expect(!alert.isEmpty)
        #expect(subject.plain.isEmpty)
    }

    @Test func `a plain alert in the handshake fails the session`() throws {
        let context = try identity.client()
        let subject = try Subject { TLSSession(connecting: context, name: nil, pipe: $0) }
        _ = subject.feed([UInt8]())
        _ = subject.feed([0x15, 3, 3, 0, 2, 2, 40])
        #expect(subject.result == .failed)
        #expect(subject.session.failure.contains("alert"))
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n\r\n", "E\0\0\0\u{10}error\0", "\u{16}\u{3}\u{1}\0\u{4}abcd",
    ])
    func `what is no TLS fails the session`(text: String) throws {
        let contexts = try identity.server()
        let subject = try Subject { TLSSession(accepting: contexts, pipe: $0) }
        _ = subject.feed(Array(text.utf8))
        #expect(subject.result == .failed)
    }

    @Test func `a renegotiation is refused and the session goes on`() throws {
        let (subject, peer) = try established(version: 0x0303)
        peer.renegotiate()
        let answer = subject.feed(peer.take())
        #expect(subject.result == .needsInput)
        #expect(!answer.isEmpty)
        peer.write(Array("still here".utf8))
        _ = subject.feed(peer.take())
    }

    @Test func `a chain of another authority fails the handshake with the reason`() throws {
        let other = try TestCertificateAuthority("another CA")
        let context = try identity.client(ca: other.caPath)
        let subject = try Subject { TLSSession(connecting: context, name: "localhost", pipe: $0) }
        let certificate = try identity.certificate
        let peer = try #require(
            RawTLSPeer(
                certificatePath: certificate.certificatePath, keyPath: certificate.keyPath))
        peer.feed(subject.feed([UInt8]()))
        peer.handshake()
        _ = subject.feed(peer.take())
        #expect(subject.result == .failed)
        #expect(subject.session.failure.contains("certificate"))
    }

    @Test func `input that a dead session left is not read by the next`() throws {
        let contexts = try identity.server()
        let context = try identity.client()
        let pipe = TLSPipe()
        let dead = try #require(TLSSession(accepting: contexts, pipe: pipe))
        let junk = Array("not TLS at all, and a lot of it".utf8)
        junk.withUnsafeBytes {
            pipe.setInput($0)
            #expect(dead.handshake() == .failed)
            pipe.dropInput()
        }
        pipe.clearOutput()
        let next = try #require(TLSSession(connecting: context, name: nil, pipe: pipe))
        #expect(next.handshake() == .needsInput)
    }

    @Test func `the names of the listener choose the certificate`() throws {
        let other = try identity.authority.server("other.test")
        let wild = try identity.authority.server("*.wild.test")
        func context(_ certificate: TestCertificate) throws -> TLSContext {
            try TLSContext(
                serverCertificatePath: certificate.certificatePath, keyPath: certificate.keyPath,
                minimumVersion: 0x0303, maximumVersion: 0x0304, asksForCertificate: false)
        }
        let contexts = ClientTLSContexts(
            fallback: try context(try identity.certificate),
            named: [(["other.test"], try context(other)), (["*.wild.test"], try context(wild))])
        let cases = [
            ("other.test", "other.test"), ("OTHER.test.", "other.test"),
            ("a.wild.test", "*.wild.test"),
            ("a.b.wild.test", "localhost"), ("wild.test", "localhost"), ("unknown", "localhost"),
        ]
        let client = try identity.client()
        for (name, expected) in cases {
            let server = try Subject { TLSSession(accepting: contexts, pipe: $0) }
            let subject = try Subject { TLSSession(connecting: client, name: name, pipe: $0) }
            var bytes = subject.feed([UInt8]())
            for _ in 0..<4 { bytes = subject.feed(server.feed(bytes)) }
            #expect(server.session.isEstablished)
            #expect(server.session.hasSelectedALPN && subject.session.hasSelectedALPN)
            let shown = subject.session.withPeerCertificate { leaf, _ in
                Certificate.commonName(leaf)
            }
            #expect(shown == Array(expected.utf8), "\(name)")
        }
    }
}
