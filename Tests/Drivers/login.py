"""Logs in with one driver and prints `current_user|port` of the server.

    login.py DRIVER HOST PORT USER PASSWORD DATABASE plain|tls CA

Exit code 1 with the driver's error when the login fails.
"""
import asyncio
import ssl
import sys

QUESTION = "select current_user || '|' || current_setting('port')"
PREPARED = "select n from generate_series(1, 500) n where n > "


def context(ca):
    verified = ssl.create_default_context(cafile=ca)
    verified.check_hostname = False
    return verified


def use_asyncpg(host, port, user, password, database, tls, ca):
    import asyncpg

    async def session():
        connection = await asyncpg.connect(
            host=host, port=port, user=user, password=password, database=database,
            ssl=context(ca) if tls else False)
        answer = await connection.fetchval(QUESTION)
        assert len(await connection.fetch(PREPARED + "$1::int", 100)) == 400
        async with connection.transaction():
            assert [row[0] async for row in connection.cursor(PREPARED + "490")] == list(
                range(491, 501))
        await connection.close()
        return answer
    return asyncio.run(session())


def use_psycopg(host, port, user, password, database, tls, ca):
    import psycopg
    with psycopg.connect(
            host=host, port=port, user=user, password=password, dbname=database,
            sslmode="verify-ca" if tls else "disable", sslrootcert=ca) as connection:
        answer = connection.execute(QUESTION).fetchone()[0]
        assert len(connection.execute(PREPARED + "%s", (100,)).fetchall()) == 400
        with connection.pipeline():
            cursors = [connection.execute("select %s::int", (n,)) for n in range(50)]
        assert [cursor.fetchone()[0] for cursor in cursors] == list(range(50))
        return answer


def use_pg8000(host, port, user, password, database, tls, ca):
    import pg8000.native
    connection = pg8000.native.Connection(
        user, host=host, port=port, password=password, database=database,
        ssl_context=context(ca) if tls else None)
    answer = connection.run(QUESTION)[0][0]
    assert len(connection.run(PREPARED + ":low", low=100)) == 400
    connection.close()
    return answer


def main():
    driver, host, port, user, password, database, leg, ca = sys.argv[1:]
    try:
        print(globals()[f"use_{driver}"](
            host, int(port), user, password, database, leg == "tls", ca))
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
