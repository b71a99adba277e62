internal import Glibc

/// An IPv4 or IPv6 literal as 16 bytes (IPv4 in its mapped form), to compare and to classify.
struct NetworkAddress: Equatable {
    private let bytes: [UInt8]

    /// nil: not a literal that inet_pton takes.
    init?(_ text: String) {
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            bytes =
                Array(repeating: 0, count: 10) + [0xFF, 0xFF]
                + withUnsafeBytes(of: &four) { Array($0) }
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            bytes = withUnsafeBytes(of: &six) { Array($0) }
        } else {
            return nil
        }
    }

    private var v4: ArraySlice<UInt8>? {
        bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
            ? bytes[12...] : nil
    }

    var isLoopback: Bool {
        if let v4 { return v4.first == 127 }
        return bytes[..<15].allSatisfy { $0 == 0 } && bytes[15] == 1
    }

    var isUnspecified: Bool {
        if let v4 { return v4.allSatisfy { $0 == 0 } }
        return bytes.allSatisfy { $0 == 0 }
    }

    /// Why no cluster can be at this address; nil: one can. Link-local addresses are where clouds
    /// keep their metadata services, which hand out credentials.
    var whyForbidden: String? {
        if isUnspecified { return "it is the unspecified address" }
        if let v4 {
            let v = Array(v4)
            if v[0] == 169, v[1] == 254 { return "it is link-local, as metadata services are" }
            if v == [100, 100, 100, 200] { return "it is a metadata service" }
            if v[0] == 0 { return "it means this network" }
            if v[0] >= 224 { return "it is multicast, reserved or broadcast" }
            return nil
        }
        if bytes[0] == 0xFE, bytes[1] & 0xC0 == 0x80 { return "it is link-local" }
        if bytes[0] == 0xFF { return "it is multicast" }
        let metadata: [UInt8] = [0xFD, 0, 0x0E, 0xC2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x54]
        return bytes == metadata ? "it is a metadata service" : nil
    }
}

/// The rules for the host of a backend.
enum BackendHost {
    private static let metadataNames: Set<String> = [
        "metadata", "metadata.google.internal", "metadata.goog", "instance-data",
        "instance-data.ec2.internal",
    ]

    /// What is wrong with it, and what to do; nil: nothing.
    static func problem(_ host: String) -> (message: String, hint: String?)? {
        if let address = NetworkAddress(host) {
            return address.whyForbidden.map { ("no backend can be at \(host): \($0)", nil) }
        }
        let name = ServerName.normalized(Array(host.utf8)) ?? []
        guard ServerName.isHostName(name) else {
            // 0xa9fea9fe, 2852039166 and 169.254.43518 are addresses to inet_aton(3).
            return (
                "\"\(host)\" is neither a host name nor an IPv4 or IPv6 address",
                "Write addresses in the usual form, such as 10.0.0.5 or fd00::5."
            )
        }
        if metadataNames.contains(String(decoding: name, as: UTF8.self)) {
            return ("no backend can be at \(host): it is a metadata service", nil)
        }
        return nil
    }

    static func isLocalhost(_ host: String) -> Bool {
        let name = ServerName.normalized(Array(host.utf8)) ?? []
        return name.elementsEqual("localhost".utf8)
            || name.suffix(10).elementsEqual(".localhost".utf8)
            || NetworkAddress(host)?.isLoopback ?? false
    }
}
