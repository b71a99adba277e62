/// ReadyForQuery: a cycle has ended; the server waits for the next request.
///
/// - Shape: `I`, `T` or `E`.
package struct ReadyForQuery: Equatable, Sendable {
    package var status: TransactionStatus

    package init(status: TransactionStatus) { self.status = status }

    init(_ body: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: BackendType.readyForQuery)
        let byte = try reader.uint8(body)
        guard let status = TransactionStatus(rawValue: byte) else { throw .transactionStatus(byte) }
        self.status = status
        try reader.finish(body)
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(backend: BackendType.readyForQuery) { (writer) throws(EncodingError) in
            writer.append(status.rawValue)
        }
    }
}
