import Foundation
import PostgresProtocol
import Testing

/// The kept corpora of the fuzz targets are made from the samples, so that fuzzing begins with
/// every message. `FUZZ_CORPUS_UPDATE=1` writes what is missing.
@Suite struct FuzzCorpusTests {
    static let corpus = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fuzz/corpus")

    @Test(arguments: ["canary", "startup", "client", "server", "scanner"])
    func `every sample is in its corpus`(_ target: String) throws {
        let folder = Self.corpus.appendingPathComponent(target)
        for (name, bytes) in Self.inputs(target) {
            let file = folder.appendingPathComponent(name)
            if ProcessInfo.processInfo.environment["FUZZ_CORPUS_UPDATE"] != nil {
                try FileManager.default.createDirectory(
                    at: folder, withIntermediateDirectories: true)
                try Data(bytes).write(to: file)
            }
            #expect((try? Data(contentsOf: file)) == Data(bytes), "\(file.path)")
        }
    }

    private static func inputs(_ target: String) -> [(String, [UInt8])] {
        switch target {
        case "canary": [("query", Conversation.clientMessage("Q"))]
        case "client": samples(Sample.frontend)
        case "server": samples(Sample.backend)
        case "scanner": conversations
        default:
            InitialPacketTests.samples.enumerated().map { ("packet-\($0)", $1.1) } + [
                (
                    "negotiation",
                    InitialPacketTests.packet(
                        [0, 3, 39, 15],
                        ascii("user\0remi@acme\0_pq_.test_protocol_negotiation\0\0\0"))
                ),
                ("long-secret", InitialPacketTests.packet([4, 210, 22, 46], [1, 2, 3, 4, 5, 6])),
            ]
        }
    }

    private static func samples(_ samples: [Sample]) -> [(String, [UInt8])] {
        samples.map { sample in
            let name = sample.description.lowercased().map { character in
                character.isLetter || character.isNumber ? character : "-"
            }
            return (String(name), sample.bytes)
        }
    }

    /// As the scanner's target reads them: a byte of count and side before each message.
    private static let conversations: [(String, [UInt8])] = [
        ("simple", ">Q <T <D <D <C <ZI"),
        ("extended", ">P >B >D >E >S <1 <2 <T <D <C <ZI"),
        ("failure", ">P >B >E >S >Q <E <ZI <C <ZI"),
        ("copy-in", ">Q <G >d >d >c <C <ZI"),
        ("copy-in-sync", ">P >B >E >S <1 <2 <G >d >S >c >S <C <ZI"),
        ("copy-in-failure", ">P >B >E >S >d >c >S <1 <2 <G <E <ZI"),
        ("copy-out", ">Q <H <d <c <C <ZT"),
        ("replication", ">Q <W <d >d >c <c <C <ZI"),
        ("function", ">F <V <ZI >X"),
        ("reports", "<N <A <S <E <ZE >H >C <3"),
    ].map { name, script in
        (
            name,
            script.split(separator: " ").flatMap { token -> [UInt8] in
                let isClient = token.first == ">"
                let message = String(token.dropFirst())
                let bytes =
                    isClient
                    ? Conversation.clientMessage(Character(message))
                    : Conversation.serverMessage(message)
                return [UInt8(bytes.count << 1) | (isClient ? 0 : 1)] + bytes
            }
        )
    }
}
