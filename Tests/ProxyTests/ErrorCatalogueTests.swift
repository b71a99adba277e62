internal import Foundation
internal import PostgresProtocol
internal import TestSupport
internal import Testing

@testable import Proxy

/// docs/errors.md is made from the catalogue of the errors that the proxy itself reports.
struct ErrorCatalogueTests {
    @Test func `docs-errors lists every error of the proxy`() throws {
        var text = """
            # Errors that pgtee reports

            Everything else that a client reads comes from its cluster, unchanged. Each of these is
            FATAL, ends the connection, and carries a reference in its detail that the log line of the
            session has too (`error.reference`), with what only the operator should read. Routing adds
            its own texts under 28000: which keys were looked at, and what to do.

            <!-- Made from ClientError.catalogue; SNAP_UPDATE=1 swift test --filter ErrorCatalogue writes it. -->

            | SQLSTATE | message | hint |
            | --- | --- | --- |

            """
        for error in ClientError.catalogue {
            text += "| \(error.sqlState) | \(error.message) | \(error.hint ?? "") |\n"
        }
        let isUpdate = ProcessInfo.processInfo.environment["SNAP_UPDATE"] == "1"
        let difference = try Golden.difference(
            text, path: "\(Repository.root)/docs/errors.md", updates: isUpdate)
        #expect(difference == nil, Comment(rawValue: difference ?? ""))
    }

    @Test(arguments: ClientError.catalogue.indices)
    func `an error is in PostgreSQL's style and decodes as a FATAL message`(index: Int) throws {
        let error = ClientError.catalogue[index]
        #expect(error.sqlState.utf8.count == 5)
        #expect(!error.message.hasSuffix("."))
        #expect(error.hint?.hasSuffix(".") ?? true)
        #expect(!error.message.contains("127.0.0.1"))
        let bytes = error.encoded(reference: "pgtee-1")
        #expect(bytes.first == UInt8(ascii: "E"))
        let message = try BackendMessage.decode(
            type: bytes[0], body: Array(bytes[5...]).span.bytes)
        guard case .errorResponse(let fields) = message else {
            Issue.record("not an ErrorResponse")
            return
        }
        #expect(fields.isFatal)
        #expect(fields.sqlState == error.sqlState)
        #expect(fields.message == error.message)
        let detail = String(decoding: fields[ErrorFields.Code.detail] ?? [], as: UTF8.self)
        #expect(detail.contains("pgtee-1"))
    }

    @Test func `names from the network are shown without control characters`() {
        let hostile = Array("a\u{1B}[31m\u{202E}\nb\u{7F}".utf8) + [0xFF]
        let shown = ClientError.printable(hostile)
        #expect(!shown.unicodeScalars.contains { $0.value < 32 || $0.value == 127 })
        #expect(!shown.unicodeScalars.contains { $0.properties.isBidiControl })
    }
}
