/// CopyData: a piece of a COPY, of either side; its borders mean nothing.
///
/// - Shape: bytes.
package struct CopyData: Equatable, Sendable {
    package var data: [UInt8]

    package init(data: [UInt8]) { self.data = data }

    init(_ body: RawSpan) { data = body.bytes(0..<body.byteCount) }

    package func encode(
        from side: Side, into writer: inout MessageWriter
    ) throws(EncodingError) {
        let lengthMax = MessageLimits.lengthMax(side, FrontendType.copyData) ?? 4
        try writer.message(FrontendType.copyData, lengthMax: lengthMax) {
            (writer) throws(EncodingError) in
            writer.append(bytes: data)
        }
    }
}
