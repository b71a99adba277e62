/// The body of the client's answer to an authentication request. The four messages with this type
/// byte can only be told apart by what the server asked for.
///
/// - Bounds: up to 65,531 bytes; who expects a SCRAM message accepts 1,020.
package struct AuthenticationData: Equatable, Sendable {
    package var data: [UInt8]

    /// A SASLResponse or GSSResponse is its data.
    package init(data: [UInt8]) { self.data = data }

    init(_ body: RawSpan) { data = body.bytes(0..<body.byteCount) }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(frontend: FrontendType.authenticationData) {
            (writer) throws(EncodingError) in
            writer.append(bytes: data)
        }
    }
}

/// PasswordMessage: a password, or the digest that md5 authentication asks for.
///
/// - Shape: string; nothing may follow.
package struct PasswordMessage: Equatable, Sendable {
    package var password: [UInt8]

    package init(password: [UInt8]) { self.password = password }

    package init(_ message: AuthenticationData) throws(ProtocolViolation) {
        let body = message.data.span.bytes
        var reader = WireReader(type: FrontendType.authenticationData)
        password = try reader.string(body)
        try reader.finish(body)
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(frontend: FrontendType.authenticationData) {
            (writer) throws(EncodingError) in
            try writer.append(string: password)
        }
    }
}

/// SASLInitialResponse: which mechanism the client chose, and its first message, if it has one.
///
/// - Shape: mechanism, string; 4-byte length and so many bytes, or -1.
package struct SASLInitialResponse: Equatable, Sendable {
    package var mechanism: [UInt8]
    package var data: [UInt8]?

    package init(mechanism: [UInt8], data: [UInt8]?) {
        self.mechanism = mechanism
        self.data = data
    }

    package init(_ message: AuthenticationData) throws(ProtocolViolation) {
        let body = message.data.span.bytes
        var reader = WireReader(type: FrontendType.authenticationData)
        mechanism = try reader.string(body)
        data = try reader.value(body)
        try reader.finish(body)
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(frontend: FrontendType.authenticationData) {
            (writer) throws(EncodingError) in
            try writer.append(string: mechanism)
            try writer.append(value: data)
        }
    }
}
