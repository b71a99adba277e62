import PostgresProtocol
import Testing

/// Every message of the server with every kind of message at the head of the queue: what happens to
/// the head. A kind that is forgotten anywhere shows in the table.
@Suite struct TransitionTableTests {
    /// `-` stays, `pop` head taken, `skip` dropped up to a Sync that is still to come, `?`
    /// indeterminate, and the COPY state that was entered.
    static let expected = """
             1     2     3     T     n     t     C     I     s     V     G     H     W     E     Z     D     d     c     N     S     A
        none ?     ?     ?     ?     ?     -     ?     ?     ?     ?     ?in   ?out  ?both -     -     -     -     -     -     -     -
        Q    ?     ?     ?     -     -     -     -     -     -     ?     in    out   both  -     pop   -     -     -     -     -     -
        F    ?     ?     ?     ?     ?     -     ?     ?     ?     -     ?in   ?out  ?both -     pop   -     -     -     -     -     -
        S    ?     ?     ?     ?     ?     -     ?     ?     ?     ?     ?in   ?out  ?both -     pop   -     -     -     -     -     -
        P    pop   ?     ?     ?     ?     -     ?     ?     ?     ?     ?in   ?out  ?both skip  ?     -     -     -     -     -     -
        B    ?     pop   ?     ?     ?     -     ?     ?     ?     ?     ?in   ?out  ?both skip  ?     -     -     -     -     -     -
        D    ?     ?     ?     pop   pop   -     ?     ?     ?     ?     ?in   ?out  ?both skip  ?     -     -     -     -     -     -
        E    ?     ?     ?     ?     ?     -     pop   pop   pop   ?     in    out   both  skip  ?     -     -     -     -     -     -
        C    ?     ?     pop   ?     ?     -     ?     ?     ?     ?     ?in   ?out  ?both skip  ?     -     -     -     -     -     -
        """

    @Test func `each answer does to each head what the table says`() {
        let events = [
            "1", "2", "3", "T", "n", "t", "C", "I", "s", "V", "G", "H", "W", "E", "Z", "D", "d",
            "c", "N", "S", "A",
        ]
        func row(_ cells: [String]) -> String {
            let padded = cells.enumerated().map { index, cell in
                cell + String(repeating: " ", count: max(0, (index == 0 ? 5 : 6) - cell.count))
            }
            var line = padded.joined()
            while line.last == " " { line.removeLast() }
            return line
        }
        var lines = [row([""] + events)]
        for head in ["none", "Q", "F", "S", "P", "B", "D", "E", "C"] {
            lines.append(row([head] + events.map { Self.cell(head, $0) }))
        }
        let table = lines.joined(separator: "\n")
        #expect(table == Self.expected, "\(table)")
    }

    private static func cell(_ head: String, _ event: String) -> String {
        let conversation = Conversation()
        if head != "none" { conversation.run(">" + head) }
        let before = conversation.outstanding
        conversation.run(event == "Z" ? "<ZI" : "<" + event)
        let popped = conversation.outstanding < before
        var cell = conversation.isIndeterminate ? "?" : ""
        switch conversation.copy {
        case .none: break
        case .copyIn: cell += "in"
        case .copyInEnded: cell += "ended"
        case .copyOut: cell += "out"
        case .copyBoth: cell += "both"
        }
        if popped {
            // While the server skips, a Query is not counted.
            conversation.run(">Q")
            cell += conversation.outstanding == 0 ? "skip" : "pop"
        }
        return cell.isEmpty ? "-" : cell
    }
}
