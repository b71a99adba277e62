/// NotificationResponse: a NOTIFY on a channel that the session listens to.
///
/// - Shape: the notifier's process ID, 4 bytes; channel, string; payload, string.
package struct NotificationResponse: Equatable, Sendable {
    package var processID: Int32
    package var channel: [UInt8]
    package var payload: [UInt8]

    package init(processID: Int32, channel: [UInt8], payload: [UInt8]) {
        self.processID = processID
        self.channel = channel
        self.payload = payload
    }

    init(_ body: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: BackendType.notificationResponse)
        processID = try reader.int32(body)
        channel = try reader.string(body)
        payload = try reader.string(body)
        try reader.finish(body)
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(backend: BackendType.notificationResponse) {
            (writer) throws(EncodingError) in
            writer.append(processID)
            try writer.append(string: channel)
            try writer.append(string: payload)
        }
    }
}
