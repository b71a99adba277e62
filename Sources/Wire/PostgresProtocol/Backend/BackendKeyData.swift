/// BackendKeyData: what a CancelRequest for this session must name.
///
/// - Shape: process ID, 4 bytes; secret, the rest.
/// - Bounds: `4 <= secret.count <= 256`; exactly 4 in protocol 3.0, which the caller checks.
package struct BackendKeyData: Equatable, Sendable {
    package var processID: Int32
    package var secret: [UInt8]

    package init(processID: Int32, secret: [UInt8]) {
        self.processID = processID
        self.secret = secret
    }

    init(_ body: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: BackendType.backendKeyData)
        processID = try reader.int32(body)
        secret = reader.rest(body)
        if secret.count < 4 { throw .bodyTooShort(type: reader.type) }
        if secret.count > MessageLimits.cancelKey { throw .bodyTooLong(type: reader.type) }
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        guard (4...MessageLimits.cancelKey).contains(secret.count) else {
            throw .invalidField(type: BackendType.backendKeyData)
        }
        try writer.message(backend: BackendType.backendKeyData) { (writer) throws(EncodingError) in
            writer.append(processID)
            writer.append(bytes: secret)
        }
    }
}
