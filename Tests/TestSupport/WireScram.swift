internal import COpenSSL
internal import Foundation
internal import Synchronization

/// SCRAM-SHA-256 as a client (RFC 5802, RFC 7677), written apart from the code under test.
final class WireScram {
    let mechanism: String
    private let password: String
    private let header: String
    private let binding: [UInt8]
    private let bare: String
    private var serverSignature: [UInt8] = []

    /// Takes -PLUS when it is offered and there is a certificate to bind to.
    init(password: String, binding: [UInt8]?, isTLS: Bool, offered: [String]) {
        self.password = password
        let plus = offered.contains("SCRAM-SHA-256-PLUS") && binding != nil
        mechanism = plus ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256"
        header = plus ? "p=tls-server-end-point,," : (isTLS && binding != nil ? "y,," : "n,,")
        self.binding = plus ? binding ?? [] : []
        let nonce = (0..<18).map { _ in UInt8.random(in: 0...255) }
        bare = "n=,r=\(Data(nonce).base64EncodedString())"
    }

    var first: String { header + bare }

    func final(challenge: String) throws -> String {
        let parts = attributes(challenge)
        guard let nonce = parts["r"], let salt = parts["s"].flatMap({ Data(base64Encoded: $0) }),
            let iterations = parts["i"].flatMap({ Int32($0) })
        else { throw WireFailure("server-first-message \(challenge)") }
        var salted = [UInt8](repeating: 0, count: 32)
        PKCS5_PBKDF2_HMAC(
            password, Int32(password.utf8.count), Array(salt), Int32(salt.count), iterations,
            EVP_sha256(), 32, &salted)
        let bound = Data(Array(header.utf8) + binding).base64EncodedString()
        let withoutProof = "c=\(bound),r=\(nonce)"
        let text = "\(bare),\(challenge),\(withoutProof)"
        let clientKey = hmac(salted, "Client Key")
        let signature = hmac(sha256(clientKey), text)
        serverSignature = hmac(hmac(salted, "Server Key"), text)
        let proof = zip(clientKey, signature).map { $0 ^ $1 }
        return "\(withoutProof),p=\(Data(proof).base64EncodedString())"
    }

    func isGenuine(_ serverFinal: String) -> Bool {
        attributes(serverFinal)["v"] == Data(serverSignature).base64EncodedString()
    }

    private func attributes(_ text: String) -> [String: String] {
        var found: [String: String] = [:]
        for part in text.split(separator: ",") where part.dropFirst().first == "=" {
            found[String(part.prefix(1))] = String(part.dropFirst(2))
        }
        return found
    }
}

private func hmac(_ key: [UInt8], _ text: String) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: 32)
    let bytes = Array(text.utf8)
    HMAC(EVP_sha256(), key, Int32(key.count), bytes, bytes.count, &result, nil)
    return result
}

private func sha256(_ bytes: [UInt8]) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: 32)
    SHA256(bytes, bytes.count, &result)
    return result
}

/// AuthenticationMD5Password's answer: `md5` and md5(md5(password + user) + salt) in hexadecimal.
func md5Answer(_ user: String, _ password: String, salt: [UInt8]) -> String {
    func digest(_ bytes: [UInt8]) -> String {
        var result = [UInt8](repeating: 0, count: 16)
        EVP_Digest(bytes, bytes.count, &result, nil, EVP_md5(), nil)
        return result.map { String(format: "%02x", $0) }.joined()
    }
    return "md5" + digest(Array(digest(Array((password + user).utf8)).utf8) + salt)
}
