package import Tenancy

/// The SQL that an administrator runs once per cluster so that pgtee can look verifiers up.
///
/// It makes a role that may call one function and nothing else, and the function, which runs with the
/// rights of whoever made it (a superuser: only those read pg_authid). Its search path is fixed, so no
/// object of the database can stand in for what it names. Only SCRAM verifiers are returned: an md5
/// hash would be as good as the password.
///
/// - Source: manual, sql-createfunction ("Writing SECURITY DEFINER Functions Safely").
package enum LookupRoleSQL {
    /// To be run in `lookup.database`; running it again changes nothing but the function.
    package static func text(_ lookup: VerifierLookup) -> String {
        let parts = lookup.function.split(separator: ".", omittingEmptySubsequences: false)
        let schema = identifier(String(parts.first ?? "pgtee"))
        let function = schema + "." + identifier(String(parts.last ?? "lookup_verifier"))
        let role = identifier(lookup.user)
        let login =
            lookup.passwordPath == nil && lookup.password == nil
            ? "-- The role has no password: let it in by peer or by certificate in pg_hba.conf."
            : "-- Then give the role the password that pgtee's password_file has: "
                + "\\password \(comment(lookup.user))"
        let quote = dollarQuote(absentFrom: lookup.user)
        return """
            -- Run this as a superuser in database \(comment(lookup.database)).
            BEGIN;
            DO \(quote)
            BEGIN
                IF NOT EXISTS (
                    SELECT FROM pg_catalog.pg_roles WHERE rolname = \(literal(lookup.user))) THEN
                    CREATE ROLE \(role) LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT
                        NOREPLICATION NOBYPASSRLS;
                END IF;
            END
            \(quote);
            CREATE SCHEMA IF NOT EXISTS \(schema);
            REVOKE ALL ON SCHEMA \(schema) FROM PUBLIC;
            CREATE OR REPLACE FUNCTION \(function)(
                name pg_catalog.text,
                OUT rolname pg_catalog.text, OUT rolpassword pg_catalog.text,
                OUT rolvaliduntil pg_catalog.timestamptz)
            RETURNS SETOF pg_catalog.record
            LANGUAGE sql STABLE STRICT SECURITY DEFINER
            SET search_path = pg_catalog, pg_temp
            AS \(quote)
                SELECT a.rolname::pg_catalog.text, a.rolpassword, a.rolvaliduntil
                FROM pg_catalog.pg_authid AS a
                WHERE a.rolname::pg_catalog.text OPERATOR(pg_catalog.=) name
                  AND a.rolcanlogin
                  AND a.rolpassword OPERATOR(pg_catalog.~) '^SCRAM-SHA-256[$]'
                  -- To keep superusers out of pgtee: AND NOT a.rolsuper
            \(quote);
            REVOKE ALL ON FUNCTION \(function)(pg_catalog.text) FROM PUBLIC;
            GRANT USAGE ON SCHEMA \(schema) TO \(role);
            GRANT EXECUTE ON FUNCTION \(function)(pg_catalog.text) TO \(role);
            COMMIT;
            \(login)

            """
    }

    private static func identifier(_ name: String) -> String {
        "\"" + doubled("\"", name) + "\""
    }

    /// Also where a backslash would be taken for an escape.
    private static func literal(_ text: String) -> String {
        "E'" + doubled("\\", doubled("'", text)) + "'"
    }

    /// A comment ends with its line, and so must a name in it.
    private static func comment(_ name: String) -> String {
        identifier(String(name.map { $0.isNewline ? "?" : $0 }))
    }

    private static func dollarQuote(absentFrom text: String) -> String {
        var number = 0
        while text.contains("$pgtee\(number)$") { number += 1 }
        return "$pgtee\(number)$"
    }

    private static func doubled(_ character: Character, _ text: String) -> String {
        String(text.flatMap { $0 == character ? [$0, $0] : [$0] })
    }
}
