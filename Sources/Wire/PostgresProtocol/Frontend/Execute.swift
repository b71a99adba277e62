/// Execute: run a portal.
///
/// - Shape: portal, string; the most rows to return, 4 bytes, all of them when it is 0 or negative.
package struct Execute: Equatable, Sendable {
    package var portal: [UInt8]
    package var rowsMax: Int32

    package init(portal: [UInt8], rowsMax: Int32 = 0) {
        self.portal = portal
        self.rowsMax = rowsMax
    }

    init(_ body: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: FrontendType.execute)
        portal = try reader.string(body)
        rowsMax = try reader.int32(body)
        try reader.finish(body)
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(frontend: FrontendType.execute) { (writer) throws(EncodingError) in
            try writer.append(string: portal)
            writer.append(rowsMax)
        }
    }
}
