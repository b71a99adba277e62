internal import Authentication
package import PostgresProtocol

/// The question for one role's verifier, in the extended protocol: the role's name is a parameter,
/// never part of the statement (S-33).
package struct VerifierLookupQuery: Sendable {
    private let function: String
    private let user: [UInt8]

    /// - Parameter function: schema-qualified, validated with the document (`Tenancy`).
    package init(function: String, user: [UInt8]) {
        self.function = function
        self.user = user
    }

    /// Parse, Bind, Execute, Sync.
    package func encoded() throws(EncodingError) -> [UInt8] {
        let statement = "SELECT rolname, rolpassword FROM \(function)($1)"
        var writer = MessageWriter()
        try Parse(statement: [], query: Array(statement.utf8), parameterTypes: [25])
            .encode(into: &writer)
        try Bind(
            portal: [], statement: [], parameterFormats: [], parameters: [user], resultFormats: []
        ).encode(into: &writer)
        try Execute(portal: [], rowsMax: 2).encode(into: &writer)
        try FrontendMessage.sync.encode(into: &writer)
        return writer.bytes
    }
}
