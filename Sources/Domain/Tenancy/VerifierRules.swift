/// The rules for verifiers in documents and for the role that looks them up.
enum VerifierRules {
    static func problems(_ lookup: VerifierLookup, _ tenant: Tenant, _ path: [String])
        -> [TenancyProblem]
    {
        var problems: [TenancyProblem] = []
        for (key, name) in [("user", lookup.user), ("database", lookup.database)]
        where name.isEmpty || name.utf8.count > 63 {
            problems.append(TenancyProblem(path + [key], "a name has 1 to 63 bytes"))
        }
        let parts = lookup.function.split(separator: ".", omittingEmptySubsequences: false)
        if parts.count != 2 || !parts.allSatisfy(isPlainIdentifier) {
            problems.append(
                TenancyProblem(
                    path + ["function"], "\"\(lookup.function)\" is not schema.function",
                    hint: "Both are plain names: a-z, 0-9 and _, not a digit first."))
        }
        let usesSocket = tenant.activeBackend.map { backend in
            if case .unix = backend.endpoint { return true }
            return backend.tls.clientCertificate != nil
        }
        if lookup.passwordPath == nil, usesSocket == false {
            problems.append(
                TenancyProblem(
                    path, "the look-up role has no password and no certificate",
                    hint: "Give password_file, unless the cluster trusts this machine.",
                    isWarning: true))
        }
        return problems
    }

    static func problems(_ verifier: String, role: String, _ path: [String]) -> [TenancyProblem] {
        if role.isEmpty || role.utf8.count > 63 {
            return [TenancyProblem(path, "a role's name has 1 to 63 bytes")]
        }
        if verifier.hasPrefix("md5") {
            return [
                TenancyProblem(
                    path, "an md5 hash is as good as the password and is not kept here",
                    hint: "Set the password again with password_encryption = scram-sha-256.")
            ]
        }
        return isScram(verifier)
            ? []
            : [
                TenancyProblem(
                    path, "this is no SCRAM verifier",
                    hint: "Copy rolpassword from pg_authid: SCRAM-SHA-256$iterations:salt$keys.")
            ]
    }

    /// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, keys of 32 bytes in base64.
    private static func isScram(_ verifier: String) -> Bool {
        let parts = verifier.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "SCRAM-SHA-256" else { return false }
        let first = parts[1].split(separator: ":", omittingEmptySubsequences: false)
        let keys = parts[2].split(separator: ":", omittingEmptySubsequences: false)
        guard first.count == 2, keys.count == 2, let iterations = Int(first[0]),
            (1...1_000_000).contains(iterations), isBase64(first[1]), !first[1].isEmpty
        else { return false }
        return keys.allSatisfy { $0.utf8.count == 44 && $0.hasSuffix("=") && isBase64($0) }
    }

    private static func isBase64(_ text: Substring) -> Bool {
        guard text.utf8.count % 4 == 0 else { return false }
        let body =
            text.hasSuffix("==") ? text.dropLast(2) : text.hasSuffix("=") ? text.dropLast() : text
        return body.utf8.allSatisfy {
            isLower(lowered($0)) || isDigit($0) || $0 == UInt8(ascii: "+")
                || $0 == UInt8(ascii: "/")
        }
    }

    private static func isPlainIdentifier(_ name: Substring) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= 63, !isDigit(first) else {
            return false
        }
        return name.utf8.allSatisfy { isLower($0) || isDigit($0) || $0 == underscore }
    }
}
