/// A certificate, its key, and the chain that goes with it, as PEM files.
package struct TestCertificate: Sendable {
    /// The leaf first, then intermediates.
    package let certificatePath: String
    package let keyPath: String
    package let caPath: String
}

/// What a certificate says. The default is a sound server certificate for `localhost`.
package struct CertificateRequest: Sendable {
    package enum Key: String, Sendable, CaseIterable {
        case p256, p384, rsa2048, ed25519
        /// An RSA key whose certificate is signed by RSA-PSS (the issuer's key must be RSA, too).
        case rsaPSS
    }

    package enum Usage: Sendable { case server, client, both, codeSigning, none }

    package enum Digest: String, Sendable { case sha1, sha256, sha384, sha512 }

    package var commonName: String
    package var dnsNames: [String] = []
    package var ipAddresses: [String] = []
    package var usage = Usage.server
    package var key = Key.p256
    /// What the issuer signs with; an Ed25519 issuer has no choice.
    package var digest = Digest.sha256
    /// Seconds from now.
    package var validFrom = -3_600
    package var validUntil = 30 * 86_400
    package var isCA = false

    package init(
        _ commonName: String, dnsNames: [String] = [], ipAddresses: [String] = [],
        usage: Usage = .server, key: Key = .p256
    ) {
        self.commonName = commonName
        self.dnsNames = dnsNames
        self.ipAddresses = ipAddresses
        self.usage = usage
        self.key = key
    }

    /// The same, but valid until an hour ago.
    package var expired: CertificateRequest {
        var copy = self
        copy.validFrom = -7_200
        copy.validUntil = -3_600
        return copy
    }

    /// The same, but valid from tomorrow on.
    package var notYetValid: CertificateRequest {
        var copy = self
        copy.validFrom = 86_400
        return copy
    }
}
