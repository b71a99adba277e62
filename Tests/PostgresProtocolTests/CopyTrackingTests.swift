import PostgresProtocol
import Testing

@Suite struct CopyTrackingTests {
    private func run(_ script: String, _ location: SourceLocation = #_sourceLocation) {
        Conversation().run(script, location)
    }

    @Test func `a simple COPY IN ends with its ReadyForQuery`() {
        run(">Q <G copyIn =1 busy >d >d >c copyInEnded =1 <C none =1 busy <ZI =0 idle sure")
        run(">Q <G >d >f =1 <E none =1 sure <ZI =0 idle")
    }

    @Test func `Syncs during COPY IN are swallowed`() {
        run(">Q <G >S =1 >H >d >S =1 >c <C <ZI =0 idle sure")
        run(">P >B >E >S =4 <1 <2 =2 <G =1 copyIn >d >c >S =2 <C =1 none <ZI =0 idle sure")
        run(">P >B >E <1 <2 <G >S =1 >d >c >S =2 <C =1 <ZI =0 idle sure")
    }

    @Test func `a COPY IN that was sent in one piece counts the Sync behind its end only`() {
        run(">P >B >E >S >d >c >S <1 <2 <G =2 copyInEnded sure <C =1 none <ZI =0 idle sure")
        run(">P >B >E >d >c >S <1 <2 <G =2 copyInEnded <C =1 <ZI =0 idle sure")
        run(">Q >d >f >Q <G copyInEnded <E none sure <ZI busy <C <ZI =0 idle sure")
    }

    @Test func `a transaction whose only Sync was swallowed stays open`() {
        run(">P >B >E >S >d >c <1 <2 <G <C =0 busy sure >S <ZI =0 idle sure")
    }

    @Test func `an error in an extended COPY IN skips to the Sync behind it`() {
        run(">P >B >E <1 <2 <G >d <E none =0 busy sure >d >c >S =1 <ZI =0 idle sure")
        run(">P >B >E <1 <2 <G >f <E =0 busy >S <ZI =0 idle sure")
    }

    @Test func `a Sync that may or may not have been swallowed leaves doubt until ReadyForQuery`() {
        run(">P >B >E >S <1 <2 <G =1 <E unsure busy =0 <ZI =0 idle sure")
        run(">P >B >E >S <1 <2 <G >d <E unsure >c >S =1 busy <ZI =0 idle sure")
        run(">P >B >E >S <1 <2 <G >d <E unsure <ZI sure >c >S =1 busy sure <ZI =0 idle sure")
        run(">Q <G >S <E unsure =1 <ZI =0 sure idle")
    }

    @Test func `left over COPY data of a failed COPY is ignored`() {
        run(">Q <E >d >c =1 <ZI =0 idle sure >d >c idle sure")
        run(">Q >d >d >c <E =1 <ZI =0 idle sure")
        run(">Q >d >c >Q <E <ZI busy sure <G copyIn >d >c <C <ZI =0 idle sure")
    }

    @Test func `one query can copy twice`() {
        run(">Q <G >d >c <C =1 none <G copyIn >d >c copyInEnded <C <ZI =0 idle sure")
        run(">Q >d >c >d >c <G copyInEnded <C <G copyInEnded <C <ZI =0 idle sure")
    }

    @Test func `two COPYs that were sent ahead keep their own ends`() {
        run(
            """
            >P >B >E >d >c >S >P >B >E >S >d >c >S
            <1 <2 <G copyInEnded <C <ZI sure <1 <2 <G copyInEnded =2 <C =1 <ZI =0 idle sure
            """)
    }

    @Test func `COPY OUT ends with its CommandComplete`() {
        run(">Q <H copyOut =1 <d <N <S <d <c copyOut <C none =1 busy <ZI =0 idle sure")
        run(">Q <H <d <E none =1 <ZI =0 idle sure")
        run(">P >B >E >S <1 <2 <H =2 <d <c =2 <C =1 <ZI =0 idle sure")
    }

    @Test func `replication sends both ways until both have ended`() {
        let conversation = Conversation()
        conversation.run(">Q <W copyBoth =1 busy <d >d <d >d >c =1 <d <c =1 copyBoth")
        #expect(conversation.isReplication)
        conversation.run("<C none =1 <ZI =0 idle sure")
        #expect(conversation.isReplication)
        run(">Q <W <d <E none =1 <ZI =0 >d >c idle sure")
        run(">Q <W <d <c >c <T <D <C <C =1 <ZI =0 idle sure")
    }

    @Test func `a replication connection refuses extended messages like any error`() {
        run(">P >S <E =1 <ZI =0 idle sure")
    }

    @Test func `a COPY that nobody asked for leaves doubt until ReadyForQuery`() {
        run("<G unsure copyIn busy >S =0 <ZI sure none idle")
        run(">P <H unsure copyOut <ZI unsure =1")
    }
}
