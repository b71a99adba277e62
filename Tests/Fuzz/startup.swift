import PostgresProtocol

/// Packets without a type byte: decoding never traps, and encoding gives the same bytes back.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = FuzzInput.bytes(data, count)
    let trace = TraceText(.showsSecrets)
    _ = trace.line(initialPacket: input.span.bytes)
    guard let length = try? InitialPacketFraming.packetLength(input.span.bytes) else { return 0 }
    FuzzInput.require((8...10_004).contains(length), "a length is within its bounds")
    if length > input.count { return 0 }
    let bytes = [UInt8](input[..<length])
    guard let packet = try? InitialPacketFraming.decode(bytes.span.bytes) else { return 0 }
    FuzzInput.require((try? packet.encoded()) == bytes, "a packet encodes to its bytes")
    guard case .startup(let message) = packet else { return 0 }
    for name in StartupMessage.Routed.allCases {
        let values = message.parameters.filter { $0.name == [UInt8](name.rawValue.utf8) }
        FuzzInput.require(values.count <= 1, "what decides the route is there once")
    }
    let answer = try? Negotiation.answer(to: message)
    FuzzInput.require(answer != nil, "a version that decodes has an answer")
    let options = answer?.negotiate?.unrecognized ?? []
    FuzzInput.require(options == message.protocolOptions, "an answer lists all options")
    return 0
}
