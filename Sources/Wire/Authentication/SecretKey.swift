internal import COpenSSL

/// 32 bytes that must be neither compared with `==` nor printed: a SCRAM key, proof or signature.
///
/// It is deliberately not Equatable: the only comparison is `matches`, which takes the same time
/// wherever the two differ.
package struct SecretKey32: Sendable {
    private var bytes: [32 of UInt8]

    /// nil unless there are exactly 32 bytes.
    package init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        var own = [32 of UInt8](repeating: 0)
        for (index, byte) in bytes.enumerated() { own[index] = byte }
        self.bytes = own
    }

    static var zero: SecretKey32 { SecretKey32() }

    private init() { bytes = [32 of UInt8](repeating: 0) }

    /// Lends the 32 bytes to be filled.
    mutating func withMutableBytes<Result>(
        _ body: (UnsafeMutablePointer<UInt8>) -> Result
    ) -> Result {
        withUnsafeMutablePointer(to: &bytes) {
            $0.withMemoryRebound(to: UInt8.self, capacity: 32) { body($0) }
        }
    }

    package var array: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
            for index in bytes.indices { buffer[index] = bytes[index] }
            count = 32
        }
    }

    package func matches(_ other: SecretKey32) -> Bool {
        withUnsafeBytes(of: bytes) { own in
            withUnsafeBytes(of: other.bytes) { other in
                CRYPTO_memcmp(own.baseAddress, other.baseAddress, 32) == 0
            }
        }
    }

    func xor(_ other: SecretKey32) -> SecretKey32 {
        var result = self
        for index in bytes.indices { result.bytes[index] ^= other.bytes[index] }
        return result
    }
}

// What is logged or dumped by mistake must not show the key.
extension SecretKey32: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "SecretKey32(hidden)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
