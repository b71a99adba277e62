internal import COpenSSL
internal import Glibc

/// Reading and checking of X.509 certificates beyond what the handshake does.
package enum Certificate {
    package static func serial(_ certificate: OpaquePointer) -> String {
        guard let serial = X509_get0_serialNumber(certificate),
            let number = ASN1_INTEGER_to_BN(serial, nil)
        else { return "" }
        defer { BN_free(number) }
        guard let text = BN_bn2hex(number) else { return "" }
        defer { pgtee_OPENSSL_free(text) }
        return String(cString: text)
    }

    package static func secondsLeft(_ certificate: OpaquePointer) -> Int? {
        var days: Int32 = 0
        var seconds: Int32 = 0
        guard let end = X509_get0_notAfter(certificate),
            ASN1_TIME_diff(&days, &seconds, nil, end) == 1
        else { return nil }
        return Int(days) * 86_400 + Int(seconds)
    }

    /// The subject's first common name; nil when there is none or it contains a NUL.
    package static func commonName(_ certificate: OpaquePointer) -> [UInt8]? {
        guard let subject = X509_get_subject_name(certificate) else { return nil }
        let index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
        guard index >= 0, let entry = X509_NAME_get_entry(subject, index),
            let data = X509_NAME_ENTRY_get_data(entry)
        else { return nil }
        return text(data)
    }

    /// Whether the certificate is for `host`, by libpq's rules (manual: libpq-ssl, verify-full):
    /// subject alternative names of the host's kind decide; only without any does the common name.
    /// A wildcard is `*.` at the front and stands for one label. No certificate is for an empty
    /// name.
    package static func isFor(host: String, _ certificate: OpaquePointer) -> Bool {
        guard !host.isEmpty else { return false }
        let address = addressBytes(host)
        var hasNameOfKind = false
        if let opaque = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) {
            let names = OpaquePointer(opaque)
            defer { pgtee_GENERAL_NAMES_free(names) }
            for index in 0..<pgtee_GENERAL_NAMES_count(names) {
                var kind: Int32 = 0
                guard let data = pgtee_GENERAL_NAMES_value(names, index, &kind) else { continue }
                if kind == GEN_DNS {
                    if address == nil { hasNameOfKind = true }
                    if let name = text(data), matches(name, host) { return true }
                } else if kind == GEN_IPADD {
                    if address != nil { hasNameOfKind = true }
                    if let address, bytes(data) == address { return true }
                }
            }
        }
        guard !hasNameOfKind, let name = commonName(certificate) else { return false }
        return matches(name, host)
    }

    static func matches(_ pattern: [UInt8], _ host: String) -> Bool {
        let pattern = lowercased(pattern)
        let host = lowercased(Array(host.utf8))
        if pattern == host { return true }
        guard pattern.count > 2, pattern[0] == UInt8(ascii: "*"), pattern[1] == UInt8(ascii: "."),
            host.count >= pattern.count
        else { return false }
        let suffix = pattern.dropFirst()
        guard host.suffix(suffix.count) == suffix else { return false }
        return !host.dropLast(suffix.count).contains(UInt8(ascii: "."))
    }

    private static func lowercased(_ bytes: [UInt8]) -> [UInt8] {
        bytes.map { $0 >= 0x41 && $0 <= 0x5A ? $0 + 0x20 : $0 }
    }

    private static func addressBytes(_ host: String) -> [UInt8]? {
        var v4 = in_addr()
        // libpq reads the historic forms of IPv4 addresses, too.
        if inet_aton(host, &v4) != 0 { return withUnsafeBytes(of: v4.s_addr) { Array($0) } }
        var v6 = in6_addr()
        if inet_pton(AF_INET6, host, &v6) == 1 { return withUnsafeBytes(of: v6) { Array($0) } }
        return nil
    }

    private static func bytes(_ data: UnsafePointer<ASN1_STRING>) -> [UInt8] {
        guard let start = ASN1_STRING_get0_data(data) else { return [] }
        return Array(
            UnsafeBufferPointer(start: start, count: max(0, Int(ASN1_STRING_length(data)))))
    }

    private static func text(_ data: UnsafePointer<ASN1_STRING>) -> [UInt8]? {
        let bytes = bytes(data)
        return bytes.contains(0) ? nil : bytes
    }
}
