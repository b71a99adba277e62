import TestSupport
import Testing

/// The rules find what they are for: each is shown an offender and an innocent.
@Suite struct RuleTests {
    private func file(_ text: String) -> SourceFile {
        SourceFile(path: "Example.swift", text: text)
    }

    @Test func `comments and strings are no code, interpolations are`() {
        let code = CodeOnly.of(
            ##"""
            let a = "public \(value!) \" public" // public
            /* public /* nested */ public */ let b = #"raw \#(x) public"#
            """##)
        #expect(code == "let a = \"(value!)\" \n let b = \"(x)\"")
    }

    @Test(arguments: ["try! f()", "x as! Int", "f()!", "a[0]!.b", "var x: Int!", "x?.y!.z"])
    func `forced unwrapping is found`(code: String) {
        #expect(file(code).places(ForcedUnwrapping.pattern).count == 1)
    }

    @Test(arguments: ["a != b", "!a", "if !a.b {", "f(!x)", "~Copyable", "a! = b // x!"])
    func `what looks like forced unwrapping is told apart`(code: String) {
        let isForced = code.hasPrefix("a! =")
        #expect(file(code).places(ForcedUnwrapping.pattern).isEmpty == !isForced)
    }

    @Test func `a long function is found, also one whose signature takes several lines`() {
        let body = String(repeating: "    work()\n", count: 70)
        let long = "func a(\n    b: Int\n) -> Int {\n\(body)}\n"
        #expect(FunctionLengths.longer(than: 70, in: file(long)).count == 1)
        let short = "func a() {\n    work()\n}\n\(body)"
        #expect(FunctionLengths.longer(than: 70, in: file(short)) == [])
    }

    @Test(arguments: [
        "if proof == expected {", "guard clientKey != other else", "a.storedKey == b.storedKey",
        "return secret == request.secret",
    ])
    func `a comparison of secrets is found`(code: String) {
        #expect(SecretTests.comparisons(in: file(code)).count == 1)
    }

    @Test(arguments: [
        "if secret.count == 4 {", "password != nil", "passwordPath == other", "a == b",
        "refusal.sqlState == WrongPassword.sqlState",
        "constantTimeEquals(proof, expected)",
    ])
    func `what is no secret may be compared`(code: String) {
        #expect(SecretTests.comparisons(in: file(code)) == [])
    }

    @Test func `a secret type with equality is found`() {
        let bad = file("package struct ScramVerifier: Equatable, Sendable {")
        #expect(SecretTests.comparableTypes(in: bad).count == 1)
        let good = file("package struct ScramVerifier: Sendable {")
        #expect(SecretTests.comparableTypes(in: good) == [])
    }

    @Test func `the manifest's lines are understood`() {
        let manifest = Manifest(
            text: """
                room("Wire", "Authentication", ["PostgresProtocol", "COpenSSL"]),
                room(
                    "Services", "Registry",
                    ["Tenancy", yaml]),
                """)
        #expect(manifest.room("Authentication")?.uses == ["PostgresProtocol", "COpenSSL"])
        #expect(manifest.room("Registry")?.floor == "Services")
        #expect(manifest.room("Registry")?.uses == ["Tenancy", "Yams"])
    }

    @Test(arguments: [
        "import Yams", "package import Yams", "@testable import Yams",
        "internal import struct Yams.Node", "@preconcurrency package import Yams",
    ])
    func `an import is read in every form`(code: String) {
        #expect(FloorTests.imports(file(code)).map(\.module) == ["Yams"])
    }
}
