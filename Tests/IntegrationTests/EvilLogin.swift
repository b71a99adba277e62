import COpenSSL
import Foundation
import Synchronization
import TestSupport

/// The cluster's side of SCRAM for evil backends that must get past the login: one verifier, for
/// the house's password.
enum EvilLogin {
    static let salt = Array("0123456789abcdef".utf8)
    static let iterations: Int32 = 4_096

    private static let salted: [UInt8] = {
        var key = [UInt8](repeating: 0, count: 32)
        PKCS5_PBKDF2_HMAC(
            LiveHouse.password, Int32(LiveHouse.password.utf8.count), salt, Int32(salt.count),
            iterations, EVP_sha256(), 32, &key)
        return key
    }()
    static let serverKey = hmac(salted, Array("Server Key".utf8))
    static let storedKey: [UInt8] = {
        var digest = [UInt8](repeating: 0, count: 32)
        let clientKey = hmac(salted, Array("Client Key".utf8))
        SHA256(clientKey, clientKey.count, &digest)
        return digest
    }()

    static let verifierText =
        "SCRAM-SHA-256$\(iterations):\(base64(salt))$\(base64(storedKey)):\(base64(serverKey))"

    static func hmac(_ key: [UInt8], _ data: [UInt8]) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: 32)
        HMAC(EVP_sha256(), key, Int32(key.count), data, data.count, &result, nil)
        return result
    }

    static func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }
}

extension EvilConnection {
    /// Answers the startup packet that was read: SCRAM, then the usual block up to ReadyForQuery.
    /// The client's proof is not looked at.
    func finishScramLogin(
        processID: Int = 4_711, secret: [UInt8] = [1, 2, 3, 4]
    ) throws {
        try send(WireMessage("R", int32(10) + cString("SCRAM-SHA-256") + [0]))
        let initial = String(decoding: try readMessage().body, as: UTF8.self)
        guard let start = initial.range(of: "n=") else { throw LiveFailure("no SCRAM: \(initial)") }
        let bare = String(initial[start.lowerBound...])
        let nonce = bare.split(separator: ",").last { $0.hasPrefix("r=") }?.dropFirst(2) ?? ""
        let salt = EvilLogin.base64(EvilLogin.salt)
        let first = "r=\(nonce)server,s=\(salt),i=\(EvilLogin.iterations)"
        try send(WireMessage("R", int32(11) + Array(first.utf8)))
        let final = String(decoding: try readMessage().body, as: UTF8.self)
        let unproved = final.components(separatedBy: ",p=")[0]
        let signature = EvilLogin.hmac(
            EvilLogin.serverKey, Array("\(bare),\(first),\(unproved)".utf8))
        try send(
            WireMessage("R", int32(12) + Array("v=\(EvilLogin.base64(signature))".utf8)),
            WireMessage("R", int32(0)),
            WireMessage("S", cString("server_version") + cString("15.0")),
            WireMessage("S", cString("client_encoding") + cString("UTF8")),
            WireMessage("K", int32(processID) + secret),
            WireMessage("Z", [UInt8(ascii: "I")]))
    }
}

extension EvilBackend {
    /// A tenant whose cluster this is.
    func tenant(_ name: String, extra: [String] = []) -> TenantDocument {
        TenantDocument(
            name,
            backends: ["{name: main, host: 127.0.0.1, port: \(port), tls: {mode: disable}}"],
            authentication: [
                "mode: scram", "verifiers: {remi: \"\(EvilLogin.verifierText)\"}",
            ], extra: extra)
    }
}

/// A number that scripts on other threads count up.
final class ScriptCount: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }
    func add(_ amount: Int = 1) { count.withLock { $0 += amount } }
}
