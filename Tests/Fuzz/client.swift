import PostgresProtocol

/// Messages of a client: decoding never traps, encoding gives the same bytes back, printing
/// copes with every body.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput.bytes(data, count)[...]
    var trace = TraceText(.showsSecrets)
    while !input.isEmpty {
        let rest = [UInt8](input)
        guard let header = try? MessageHeader.read(rest.span.bytes, from: .client),
            header.totalCount <= rest.count
        else { return 0 }
        let bytes = [UInt8](rest[..<header.totalCount])
        let text = trace.line(bytes.span.bytes, from: .client)
        FuzzInput.require(text.last == 0x0A, "a message has a line")
        let body = bytes.span.bytes.extracting(MessageHeader.byteCount..<bytes.count)
        if let message = try? FrontendMessage.decode(type: header.type, body: body) {
            var writer = MessageWriter()
            let isEncoded: Void? = try? message.encode(into: &writer)
            FuzzInput.require(isEncoded != nil, "a message that decodes encodes")
            FuzzInput.require(writer.bytes == bytes, "a message encodes to its bytes")
        }
        input = input.dropFirst(header.totalCount)
    }
    return 0
}
