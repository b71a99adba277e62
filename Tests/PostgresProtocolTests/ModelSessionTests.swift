import PostgresProtocol
import Testing

@Suite struct ModelSessionTests {
    @Test(arguments: UInt64(1)...2_000)
    func `the tracker calls a session idle when the server is, and only then`(_ seed: UInt64) {
        var model = ModelSession(seed: seed)
        var random = SeededRandom(seed: seed &+ 1_000_000)
        let conversation = Conversation()
        var rests = 0
        var wasUnsure = false
        for step in 0..<400 {
            // Answers may wait: the server runs behind the client by any number of messages.
            if random.chance(2) {
                conversation.send(model.clientSends(), from: .client)
            } else {
                let answer = model.serverReads()
                if !answer.isEmpty { conversation.send(answer, from: .server) }
            }
            wasUnsure = wasUnsure || conversation.isIndeterminate
            // A Sync that may have been swallowed makes one early ReadyForQuery look like the last.
            if wasUnsure { continue }
            if conversation.isIdle { #expect(model.isAtRest, "seed \(seed), step \(step)") }
            if model.isAtRest {
                rests += 1
                #expect(conversation.isIdle, "seed \(seed), step \(step)")
            }
        }
        #expect(rests > 0 || wasUnsure, "seed \(seed)")
    }

    @Test(arguments: UInt64(1)...500)
    func `doubt does not outlast a quiet moment and one more query`(_ seed: UInt64) {
        var model = ModelSession(seed: seed)
        let conversation = Conversation()
        for _ in 0..<300 { conversation.send(model.clientSends(), from: .client) }
        while !model.isBetweenExchanges { conversation.send(model.clientSends(), from: .client) }
        func settle() {
            while model.hasWork {
                let answer = model.serverReads()
                if !answer.isEmpty { conversation.send(answer, from: .server) }
            }
        }
        settle()
        conversation.run(">Q <C <ZI =0 sure none idle")
    }
}
