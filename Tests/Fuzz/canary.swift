import PostgresProtocol

/// Has a fault that must be found: a run in which it is not found says nothing about the others.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = FuzzInput.bytes(data, count)
    guard input.first == FrontendType.query,
        let header = try? MessageHeader.read(input.span.bytes, from: .client),
        header.totalCount == input.count
    else { return 0 }
    let body = input.span.bytes.extracting(MessageHeader.byteCount..<input.count)
    guard case .query(let message) = try? FrontendMessage.decode(type: header.type, body: body)
    else { return 0 }
    if message.query.first == 0x63 { fatalError("canary") }
    return 0
}
