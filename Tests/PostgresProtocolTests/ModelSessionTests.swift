import PostgresProtocol
import Testing

@Suite struct ModelSessionTests {
    @Test(arguments: UInt64(1)...2_000)
    func `the tracker calls a session idle when the server is, and only then`(_ seed: UInt64) {
        var model = ModelSession(seed: seed)
        var random = SeededRandom(seed: seed &+ 1_000_000)
        let conversation = Conversation()
        var wasUnsure = false
        for step in 0..<400 {
            // Answers may wait: the server runs behind the client by any number of messages.
            if random.chance(2) {
                conversation.send(model.clientSends(), from: .client)
            } else {
                conversation.send(model.serverReads(), from: .server)
            }
            wasUnsure = wasUnsure || conversation.isIndeterminate
            // A Sync that may have been swallowed makes one early ReadyForQuery look like the last.
            if wasUnsure { continue }
            if conversation.isIdle { #expect(model.isAtRest, "seed \(seed), step \(step)") }
            if model.isAtRest { #expect(conversation.isIdle, "seed \(seed), step \(step)") }
        }
        while !model.isBetweenExchanges { conversation.send(model.clientSends(), from: .client) }
        while model.hasWork { conversation.send(model.serverReads(), from: .server) }
        #expect(wasUnsure || conversation.isIdle == model.isAtRest, "seed \(seed)")
        #expect(wasUnsure || conversation.outstanding == 0, "seed \(seed)")
    }

    @Test(arguments: UInt64(1)...500)
    func `doubt does not outlast a quiet moment and one more query`(_ seed: UInt64) {
        var model = ModelSession(seed: seed)
        let conversation = Conversation()
        for _ in 0..<300 { conversation.send(model.clientSends(), from: .client) }
        while !model.isBetweenExchanges { conversation.send(model.clientSends(), from: .client) }
        while model.hasWork { conversation.send(model.serverReads(), from: .server) }
        conversation.run(">Q <C <ZI =0 sure none idle")
    }
}
