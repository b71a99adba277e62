import TestSupport
import Testing

/// Secrets are compared by one constant-time function (timing told passwords apart in other
/// proxies): their types have no `==`, and no code compares what is named like one.
@Suite struct SecretTests {
    /// Parts of names of secrets, in lower case.
    private static let words = [
        "secret", "password", "proof", "storedkey", "serverkey", "clientkey", "signature", "salted",
    ]

    private static func isSecret(_ operand: Substring) -> Bool {
        let last = operand.split(separator: ".").last ?? ""
        let harmless = ["count", "isEmpty", "mode", "sqlState", "Path", "Count", "Length", "File"]
        if harmless.contains(where: { last.hasSuffix($0) }) { return false }
        let name = operand.lowercased()
        return words.contains { name.contains($0) }
    }

    /// Comparisons of two values on one line, one of which is named like a secret.
    static func comparisons(in file: SourceFile) -> [String] {
        file.code.indices.filter { index in
            let line = file.code[index]
            guard line.contains("==") || line.contains("!=") else { return false }
            let pattern = /([\w.?\[\]()]*\w[\w.?\[\]()]*)\s*(?:==|!=)\s*([\w.?\[\]()]+)/
            // `nil` says whether there is one, not which.
            return line.matches(of: pattern).contains {
                $0.2 != "nil" && (isSecret($0.1) || isSecret($0.2))
            }
        }.map { file.place($0) }
    }

    /// Types named like secrets that say they are Equatable or Hashable.
    static func comparableTypes(in file: SourceFile) -> [String] {
        file.code.indices.filter { index in
            let declaration = /(?:struct|class|enum|extension)\s+(\w+)[^{]*:\s*([^{]*)/
            guard let match = file.code[index].firstMatch(of: declaration) else { return false }
            let name = /^(?:Secret\w*|\w*(?:Secret|Verifier|Credential|Proof|Key32))$/
            return match.1.contains(name) && match.2.contains(/Equatable|Hashable/)
        }.map { file.place($0) }
    }

    @Test func `no comparison touches what is named like a secret`() {
        #expect(SourceFile.sources.flatMap(Self.comparisons) == [])
    }

    @Test func `types of secrets are not Equatable`() {
        #expect(SourceFile.sources.flatMap(Self.comparableTypes) == [])
    }
}
