/// The SQL that makes the look-up role and its function in a tenant's cluster, for a superuser to
/// read and to run. It may be run again.
///
/// The role can log in and call one function; the function shows the SCRAM verifiers of roles that
/// may log in, and nothing else: no md5 hash (it is as good as the password), no expired password.
package enum LookupRoleScript {
    package static func text(_ lookup: VerifierLookup, tenant: String) -> String {
        let role = identifier(lookup.user)
        let function = lookup.function
        let schema = lookup.function.prefix { $0 != "." }
        return """
            -- Look-up of SCRAM verifiers by pgtee, tenant \(tenant).
            -- Run as a superuser with psql, then set the password that password_file holds:
            --   \\password \(lookup.user)
            -- pg_hba.conf must let the role in from pgtee's address with scram-sha-256.
            \\set ON_ERROR_STOP on
            \\connect \(identifier(lookup.database))
            BEGIN;
            DO $do$
            BEGIN
                IF NOT EXISTS (
                    SELECT FROM pg_catalog.pg_roles WHERE rolname = \(literal(lookup.user))
                ) THEN
                    CREATE ROLE \(role);
                END IF;
            END
            $do$;
            ALTER ROLE \(role) LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
            CREATE SCHEMA IF NOT EXISTS \(schema);
            REVOKE ALL ON SCHEMA \(schema) FROM PUBLIC;
            GRANT USAGE ON SCHEMA \(schema) TO \(role);
            CREATE OR REPLACE FUNCTION \(function)(
                role_name text,
                OUT rolname name, OUT rolpassword text, OUT rolvaliduntil timestamptz
            )
            RETURNS SETOF record
            LANGUAGE sql STABLE STRICT SECURITY DEFINER
            SET search_path = pg_catalog, pg_temp
            AS $function$
                SELECT a.rolname, a.rolpassword, a.rolvaliduntil
                FROM pg_catalog.pg_authid AS a
                WHERE a.rolname = role_name
                    AND a.rolcanlogin
                    AND a.rolpassword LIKE 'SCRAM-SHA-256$%'
                    AND (a.rolvaliduntil IS NULL OR a.rolvaliduntil > pg_catalog.now())
            $function$;
            REVOKE ALL ON FUNCTION \(function)(text) FROM PUBLIC;
            GRANT EXECUTE ON FUNCTION \(function)(text) TO \(role);
            COMMIT;

            """
    }

    static func identifier(_ name: String) -> String {
        "\""
            + name.split(separator: "\"", omittingEmptySubsequences: false).joined(
                separator: "\"\"")
            + "\""
    }

    /// As standard_conforming_strings or not: a backslash makes it an escape string.
    static func literal(_ text: String) -> String {
        let quoted = text.split(separator: "'", omittingEmptySubsequences: false).joined(
            separator: "''")
        guard quoted.utf8.contains(backslash) else { return "'\(quoted)'" }
        let escaped = quoted.split(separator: "\\", omittingEmptySubsequences: false)
            .joined(separator: "\\\\")
        return "E'\(escaped)'"
    }
}
