package import Authentication
package import PostgresProtocol

package enum VerifierAnswer: Sendable {
    case found(ScramVerifier)
    /// No such role, or it has no SCRAM password.
    case unknownRole
    /// The question failed; the text is for the log.
    case failed(String)
}

/// Reads the answers to `VerifierLookupQuery` from a stream in any pieces, in the order of the
/// questions.
///
/// - Bounds: a message of at most `messageMax` bytes.
package struct VerifierAnswerReader: Sendable {
    private static let messageMax = 64 * 1024
    private var input: [UInt8] = []
    private var row: [UInt8]?
    private var rows = 0
    private var failure: String?

    package init() {}

    package mutating func receive(
        _ bytes: [UInt8]
    ) throws(ProtocolViolation) -> [VerifierAnswer] {
        input += bytes
        var answers: [VerifierAnswer] = []
        var offset = 0
        while input.count - offset >= 5 {
            let type = input[offset]
            let length = input[(offset + 1)..<(offset + 5)].reduce(0) { $0 << 8 | Int($1) }
            guard length >= 4 else { throw .lengthTooShort(type: type, length: UInt32(length)) }
            guard length <= Self.messageMax else {
                throw .lengthTooLong(type: type, length: UInt32(length))
            }
            guard input.count - offset >= 1 + length else { break }
            let body = Array(input[(offset + 5)..<(offset + 1 + length)])
            offset += 1 + length
            if let answer = try message(type, body) { answers.append(answer) }
        }
        input.removeFirst(offset)
        return answers
    }

    private mutating func message(
        _ type: UInt8, _ body: [UInt8]
    ) throws(ProtocolViolation) -> VerifierAnswer? {
        switch try BackendMessage.decode(type: type, body: body.span.bytes) {
        case .dataRow(let values):
            rows += 1
            if values.values.count == 2 { row = values.values[1] }
        case .errorResponse(let fields): failure = "\(fields.sqlState): \(fields.message)"
        case .readyForQuery: return finish()
        default: break
        }
        return nil
    }

    private mutating func finish() -> VerifierAnswer {
        defer {
            row = nil
            rows = 0
            failure = nil
        }
        if let failure { return .failed(failure) }
        guard rows == 1, let row, let verifier = try? ScramVerifier(parsing: row) else {
            return .unknownRole
        }
        return .found(verifier)
    }
}
