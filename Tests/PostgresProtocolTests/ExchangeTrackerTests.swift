import PostgresProtocol
import Testing

@Suite struct ExchangeTrackerTests {
    private func run(_ script: String, _ location: SourceLocation = #_sourceLocation) {
        Conversation().run(script, location)
    }

    @Test func `a session is idle after its login`() {
        run("=0 idle sure none")
    }

    @Test func `a simple query is outstanding until ReadyForQuery`() {
        run(">Q =1 busy <T =1 <D <D <C =1 busy <ZI =0 idle")
        run(">Q <I =1 <ZI idle")
        run(">Q <E =1 busy <ZI idle")
    }

    @Test func `an open or failed transaction is not idle`() {
        run(">Q <C <ZT =0 busy >Q <E <ZE =0 busy >Q <C <ZI idle")
    }

    @Test func `answers of an extended exchange take their messages away`() {
        run(">P >B >D >E >C >S =6 <1 =5 <2 =4 <T =3 <D <C =2 <3 =1 busy <ZI =0 idle")
        run(">P >D >S =3 <1 <t =2 <n =1 <ZI =0 idle")
        run(">B >E >S <2 <I =1 <ZI idle")
    }

    @Test func `an error drops everything up to the Sync`() {
        run(">P >B >D >E >S =5 <E =1 busy sure <ZI =0 idle")
        run(">P >B >E >S >P >B >E >S <1 <2 <E =5 <ZI =4 busy <1 <2 <C <ZI idle sure")
    }

    @Test func `a Query that the server skips gets no answer`() {
        run(">P >Q >S =3 <E =1 <ZI =0 idle sure")
        run(">P <E =0 busy >Q =0 busy >F =0 >P =0 >S =1 <ZI =0 idle sure")
    }

    @Test func `what follows a Sync counts even while the server still skips to it`() {
        run(">P <E >B >S >Q =2 <ZI =1 busy <C <ZI =0 idle sure")
    }

    @Test func `a session that skips to a Sync is not idle, whatever was dropped`() {
        run(">P >B >Q <E =0 busy sure >S =1 <ZI =0 idle sure")
    }

    @Test func `the commit can fail at Sync`() {
        run(">P >B >E >S <1 <2 <C =1 <E =1 sure <ZI =0 idle")
    }

    @Test func `an error and ReadyForQuery can come while nothing is outstanding`() {
        run("<E =0 idle sure <ZI =0 idle sure")
        run(">Q <C <ZT <E <ZE =0 busy sure >Q <C <ZI idle")
    }

    @Test func `an error while idle that crosses a query leaves no lasting doubt`() {
        run("<E >Q <ZI =0 <T <D <C unsure busy <ZI =0 idle sure >Q =1 <C <ZI idle sure")
    }

    @Test func `extended messages without a Sync are never idle`() {
        run(">P >D >H <1 <t <T =0 busy sure none")
        run(">P >D >H <1 <t <n =0 busy >S =1 <ZI =0 idle")
        run(">B >E >H <2 <C =0 busy >Q =1 busy <C <ZI idle")
    }

    @Test func `a Flush alone changes nothing`() {
        run(">H idle =0 >Q >H =1 <C <ZI idle")
    }

    @Test func `a portal that is suspended again and again stays balanced`() {
        let conversation = Conversation()
        conversation.run(">P >B >S <1 <2 <ZT")
        for _ in 0..<10 { conversation.run(">E >S =2 <D <s =1 busy <ZT =0") }
        conversation.run(">E >S <C <ZI idle sure")
    }

    @Test func `one query of many statements has one ReadyForQuery`() {
        run(">Q <C <C <T <D <C <E =1 <ZI =0 idle sure")
        run(">Q <C <C <T <D <C <E =1 <ZE =0 busy sure")
    }

    @Test func `a function call ends with ReadyForQuery`() {
        run(">F =1 <V =1 busy <ZI =0 idle sure")
        run(">F <E =1 <ZI =0 idle sure")
        run("<V unsure <ZI sure idle")
    }

    @Test func `asynchronous messages change nothing`() {
        run("<N <S <A =0 idle sure >Q <N <S =1 <C <A <S <ZI idle sure")
    }

    @Test func `ten thousand Syncs in flight bring ten thousand answers`() {
        let conversation = Conversation()
        for _ in 0..<10_000 { conversation.run(">S") }
        conversation.run("=10000 busy sure")
        for _ in 0..<9_999 { conversation.run("<ZI") }
        conversation.run("=1 busy <ZI =0 idle sure")
    }

    @Test func `a deep pipeline keeps its order`() {
        let conversation = Conversation()
        for _ in 0..<40 { conversation.run(">P >B >D >E >C >S") }
        conversation.run("=240")
        for round in 0..<40 {
            conversation.run(round % 3 == 0 ? "<1 <2 <E" : "<1 <2 <n <C <3")
            conversation.run("=\((39 - round) * 6 + 1) sure <ZI sure")
        }
        conversation.run("=0 idle")
    }

    @Test(arguments: [65_535, 65_536, 65_537])
    func `more than 65,536 outstanding messages are only counted`(_ count: Int) {
        let conversation = Conversation()
        for _ in 0..<count { conversation.run(">S") }
        conversation.run(count > 65_536 ? "unsure =0 busy" : "sure =\(count) busy")
        for _ in 0..<(count - 1) { conversation.run("<ZI") }
        conversation.run(count > 65_536 ? "unsure busy" : "sure =1 busy")
        conversation.run("<ZI =0 idle sure >Q =1 busy <C <ZI =0 idle sure")
    }

    @Test func `an overflow in the middle of an exchange ends with its last ReadyForQuery`() {
        let conversation = Conversation()
        for _ in 0..<65_535 { conversation.run(">B") }
        conversation.run(">S sure >B unsure >E >S busy")
        for _ in 0..<65_535 { conversation.run("<2") }
        conversation.run("<ZI busy unsure <2 <C <ZI idle sure")
    }
}
