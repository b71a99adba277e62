/// 32 bytes that must be neither compared with `==` nor printed: a SCRAM key, proof or signature.
///
/// It is deliberately not Equatable: the only comparison is `matches`, which takes the same time
/// wherever the two differ.
package struct SecretKey32: Sendable {
    var bytes: [32 of UInt8]

    /// nil unless there are exactly 32 bytes.
    package init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        var own = [32 of UInt8](repeating: 0)
        for (index, byte) in bytes.enumerated() { own[index] = byte }
        self.bytes = own
    }

    init() { bytes = [32 of UInt8](repeating: 0) }

    package var array: [UInt8] { bytes.indices.map { bytes[$0] } }

    package func matches(_ other: SecretKey32) -> Bool {
        var difference: UInt8 = 0
        for index in bytes.indices { difference |= bytes[index] ^ other.bytes[index] }
        return difference == 0
    }

    func xor(_ other: SecretKey32) -> SecretKey32 {
        var result = self
        for index in bytes.indices { result.bytes[index] ^= other.bytes[index] }
        return result
    }
}
