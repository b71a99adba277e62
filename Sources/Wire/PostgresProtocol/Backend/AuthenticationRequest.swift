/// Authentication: what the server wants next from a client that logs in, or that it is content.
///
/// - Shape: code, 4 bytes; what follows depends on it.
/// - Bounds: libpq accepts a length word of 8...2,000.
package enum AuthenticationRequest: Equatable, Sendable {
    case ok
    case kerberosV5
    case cleartextPassword
    /// - Bounds: `salt.count == 4`.
    case md5Password(salt: [UInt8])
    case gss
    case gssContinue([UInt8])
    case sspi
    /// The mechanisms that the server accepts, in its order of preference.
    case sasl(mechanisms: [[UInt8]])
    case saslContinue([UInt8])
    case saslFinal([UInt8])
    /// A code that is none of these.
    case other(code: UInt32, data: [UInt8])

    init(_ body: RawSpan) throws(ProtocolViolation) {
        var reader = WireReader(type: BackendType.authentication)
        let code = try reader.uint32(body)
        switch code {
        case 0: self = .ok
        case 2: self = .kerberosV5
        case 3: self = .cleartextPassword
        case 5: self = .md5Password(salt: try reader.bytes(4, body))
        case 7: self = .gss
        case 8: self = .gssContinue(reader.rest(body))
        case 9: self = .sspi
        case 10:
            var mechanisms: [[UInt8]] = []
            while true {
                let name = try reader.string(body)
                if name.isEmpty { break }
                mechanisms.append(name)
            }
            self = .sasl(mechanisms: mechanisms)
        case 11: self = .saslContinue(reader.rest(body))
        case 12: self = .saslFinal(reader.rest(body))
        default: self = .other(code: code, data: reader.rest(body))
        }
        try reader.finish(body)
    }

    package var code: UInt32 {
        switch self {
        case .ok: 0
        case .kerberosV5: 2
        case .cleartextPassword: 3
        case .md5Password: 5
        case .gss: 7
        case .gssContinue: 8
        case .sspi: 9
        case .sasl: 10
        case .saslContinue: 11
        case .saslFinal: 12
        case .other(let code, _): code
        }
    }

    package func encode(into writer: inout MessageWriter) throws(EncodingError) {
        try writer.message(backend: BackendType.authentication) { (writer) throws(EncodingError) in
            writer.append(code)
            switch self {
            case .ok, .kerberosV5, .cleartextPassword, .gss, .sspi: break
            case .md5Password(let salt):
                if salt.count != 4 { throw .invalidField(type: BackendType.authentication) }
                writer.append(bytes: salt)
            case .sasl(let mechanisms):
                for name in mechanisms {
                    if name.isEmpty { throw .emptyName }
                    try writer.append(string: name)
                }
                writer.append(UInt8(0))
            case .gssContinue(let data), .saslContinue(let data), .saslFinal(let data),
                .other(_, let data):
                writer.append(bytes: data)
            }
        }
    }
}
