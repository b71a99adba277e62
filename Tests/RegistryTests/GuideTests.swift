import Glibc
import Testing

@testable import Registry

/// What is made from the tables of keys.
@Suite struct GuideTests {
    /// `GUIDE_UPDATE=1` writes the file anew.
    @Test func `docs/configuration.md is what the tables of keys say`() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let path = "/\(root)/docs/configuration.md"
        if getenv("GUIDE_UPDATE") != nil {
            let bytes = Array(ConfigurationGuide.text.utf8)
            let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
            try #require(file >= 0)
            #expect(write(file, bytes, bytes.count) == bytes.count)
            close(file)
        }
        let text = String(decoding: try DocumentFile.read(path), as: UTF8.self)
        #expect(
            text == ConfigurationGuide.text,
            "run the tests with GUIDE_UPDATE=1 after a change to the tables of keys")
    }

    @Test(arguments: DocumentKind.allCases)
    func `each key has a help text that is a sentence, and appears in guide and schema`(
        kind: DocumentKind
    ) {
        func check(_ keys: [KeyDescription]) {
            for key in keys {
                #expect(key.help.hasSuffix("."), "\(key.name)")
                #expect(ConfigurationGuide.text.contains("| `\(key.name)` |"), "\(key.name)")
                #expect(kind.schema.contains("\"\(key.name)\": {"), "\(key.name)")
                #expect(key.name.allSatisfy { $0.isLowercase || $0 == "_" }, "\(key.name)")
                check(key.children)
            }
        }
        check(kind.keys)
    }

    @Test(arguments: DocumentKind.allCases)
    func `the schema is JSON that a YAML reader takes, and closes every section`(
        kind: DocumentKind
    ) throws {
        let document = DocumentFile.Document(text: kind.schema, lineOffset: 0)
        var context = DocumentContext(file: "schema", lineOffset: 0)
        let root = ConfigurationReader.parse(document, &context)
        #expect(context.problems == [])
        #expect(root != nil)
        let objects = kind.schema.components(of: "\"properties\": {")
        #expect(objects == kind.schema.components(of: "\"additionalProperties\": false"))
        #expect(objects > 3)
    }
}

extension String {
    fileprivate func components(of text: String) -> Int { ranges(of: text).count }
}
