import COpenSSL
import Foundation

@testable import TestSupport

/// What SCRAM derives from the house's password, worked out once: clients that log in by the
/// hundred would otherwise measure their own PBKDF2.
struct ReadyKeys: Sendable {
    let iterations: Int32
    let clientKey: [UInt8]
    let storedKey: [UInt8]
    let serverKey: [UInt8]

    init(iterations: Int32 = EvilLogin.iterations) {
        self.iterations = iterations
        var salted = [UInt8](repeating: 0, count: 32)
        PKCS5_PBKDF2_HMAC(
            LiveHouse.password, Int32(LiveHouse.password.utf8.count), EvilLogin.salt,
            Int32(EvilLogin.salt.count), iterations, EVP_sha256(), 32, &salted)
        clientKey = EvilLogin.hmac(salted, Array("Client Key".utf8))
        serverKey = EvilLogin.hmac(salted, Array("Server Key".utf8))
        var digest = [UInt8](repeating: 0, count: 32)
        SHA256(clientKey, clientKey.count, &digest)
        storedKey = digest
    }

    /// The verifier that belongs to the keys, as pg_authid holds it.
    var verifierText: String {
        let salt = EvilLogin.base64(EvilLogin.salt)
        let keys = "\(EvilLogin.base64(storedKey)):\(EvilLogin.base64(serverKey))"
        return "SCRAM-SHA-256$\(iterations):\(salt)$\(keys)"
    }
}

extension WireClient {
    /// A login up to ReadyForQuery without deriving any key.
    ///
    /// - Errors: `WireRefusal` with the server's ErrorResponse.
    func quickLogin(user: String, _ keys: ReadyKeys) throws {
        try channel.send(WirePacket.startup([("user", user), ("database", "postgres")]))
        _ = try authentication(10)
        let bare = "n=,r=\(EvilLogin.base64((0..<18).map { _ in .random(in: 0...255) }))"
        let first = Array("n,,\(bare)".utf8)
        try send(WireMessage("p", cString("SCRAM-SHA-256") + int32(first.count) + first))
        let challenge = try authentication(11)
        let nonce = challenge.prefix { $0 != "," }.dropFirst(2)
        let unproved = "c=biws,r=\(nonce)"
        let signature = EvilLogin.hmac(
            keys.storedKey, Array("\(bare),\(challenge),\(unproved)".utf8))
        let proof = EvilLogin.base64(zip(keys.clientKey, signature).map { $0 ^ $1 })
        try send(WireMessage("p", Array("\(unproved),p=\(proof)".utf8)))
        while true {
            let message = try readMessage()
            if message.letter == "E" { throw WireRefusal(message: message) }
            if message.letter == "Z" { return }
        }
    }

    /// The rest of the authentication message with this code.
    private func authentication(_ code: Int32) throws -> String {
        let message = try readMessage()
        if message.letter == "E" { throw WireRefusal(message: message) }
        guard message.letter == "R", message.code == code else {
            throw LiveFailure("\(message), not authentication \(code)")
        }
        return String(decoding: message.body.dropFirst(4), as: UTF8.self)
    }
}
