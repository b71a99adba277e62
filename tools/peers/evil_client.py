"""Attacks by clients, by the row of the threat table that asks for them (S-nn).

    evil_client.py --port 6432 --tenant acme --user remi --password secret [--ca ca.crt] S-01 S-20 ...

One JSON line per case: row, case, ok, detail, seconds. A case is ok when what must happen happened.
`--direct` leaves out `@tenant` and aims at PostgreSQL itself, whose answers are the model for most
rows. Rows that hold resources (S-21, S-50, S-54) print {"holding": n} and wait until the file
`--release` exists, so that the caller can look at the proxy meanwhile.
"""
import argparse
import json
import os
import random
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import wire
from wire import Client, Ended, Refused, message, startup

ROWS = {}


def row(name):
    """Registers a generator of (case name, function of the target)."""
    def register(generator):
        ROWS.setdefault(name, []).append(generator)
        return generator
    return register


class Failure(Exception):
    pass


_output = threading.Lock()


def say(value):
    with _output:
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()


class Target:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)

    @property
    def user(self):
        return self.name(self.options.user)

    def name(self, user):
        return user if self.options.direct else f"{user}@{self.options.tenant}"

    def connect(self, timeout=None):
        return Client.connect(self.options.host, self.options.port,
                              timeout or self.options.timeout)

    def parameters(self):
        return [("user", self.user), ("database", self.options.database)]

    def login(self, secure=False, **extra):
        client = self.connect()
        if secure:
            client.negotiate(wire.client_context())
        client.login(self.user, self.options.database, self.options.password, **extra)
        return client

    def still_works(self):
        """The standard epilogue: a new honest client is served."""
        with_tls = self.options.tls
        client = self.login(secure=with_tls)
        if client.simple("select 42") != [[b"42"]]:
            raise Failure("an honest client got a wrong answer afterwards")
        client.close()

    def wait_for_caller(self, holding):
        say({"holding": holding})
        wire.wait_for_file(self.options.release)


def check(condition, text):
    if not condition:
        raise Failure(text)


def refused(client, states, silent=True, allowed=b""):
    """The peer ends the connection, with at most an ErrorResponse of one of `states`.

    `allowed`: single bytes that may come first (answers to negotiation requests)."""
    data, how = client.drain(10)
    check(how != "timeout", f"not ended; got {data[:80]!r}")
    while data[:1] and data[:1] in allowed:
        data = data[1:]
    found = []
    if data[:1] == b"E" and data[1:2] not in b"\0":
        # Protocol 2's form, for who asks in protocol 2: text up to a NUL.
        check("0A000" in states, f"{data[:80]!r}")
        return [{"C": "0A000", "M": data[1:].decode("utf8", "replace")}]
    for kind, body in wire.split_messages(data):
        check(kind == b"E" and body is not None, f"got {kind!r} before the end: {data[:80]!r}")
        found.append(wire.error_fields(body))
    check(found or silent, f"ended ({how}) without a word")
    for fields in found:
        check(fields.get("C") in states, f"SQLSTATE {fields.get('C')}: {fields.get('M')}")
    return found


VIOLATION = {"08P01", "0A000"}


# 3A. Negotiation and TLS

@row("S-01")
def bytes_behind_negotiation(target):
    start = startup(target.parameters())
    dialogue = start + message(b"p", b"SCRAM-SHA-256\0" + struct.pack(">I", 5) + b"n,,n=") \
        + wire.query("select 1")
    for case, request, extra in [
            ("one byte", wire.SSL_REQUEST, b"x"), ("a startup", wire.SSL_REQUEST, start),
            ("a dialogue", wire.SSL_REQUEST, dialogue), ("a query", wire.SSL_REQUEST,
                                                         wire.query("select 1")),
            ("a startup after GSSENCRequest", wire.GSS_REQUEST, start)]:
        def attack(target, request=request, extra=extra):
            client = target.connect()
            client.send(request + extra)
            refused(client, VIOLATION, allowed=b"SN")
        yield f"{case} in one segment", attack

    def late(target):
        client = target.connect()
        client.send(wire.SSL_REQUEST)
        check(client.take(1) == b"S", "no TLS offered")
        client.send(start)
        data, how = client.drain(10)
        # OpenSSL answers garbage with an alert record (0x15).
        check(how != "timeout" and b"\0\0\0" not in data[:1] and data[:1] in (b"", b"\x15", b"E"),
              f"{how} {data[:60]!r}")
    yield "plain bytes where ClientHello is due", late


@row("S-05")
def alternating_requests(target):
    def attack(target, order):
        client = target.connect()
        try:
            client.send(order * 50_000)
        except Ended:
            pass
        data, how = client.drain(10)
        check(how != "timeout", "not ended")
        check(data[:2] in (b"NN", b"") or data[:1] in (b"S", b"N", b"E", b"\x15"), f"{data[:40]!r}")
        check(len(data) < 2000, f"{len(data)} bytes of answers")
    yield "SSL, GSS, 100,000 times", lambda target: attack(target, wire.SSL_REQUEST
                                                          + wire.GSS_REQUEST)
    yield "GSS, SSL, 100,000 times", lambda target: attack(target, wire.GSS_REQUEST
                                                          + wire.SSL_REQUEST)

    def step_by_step(target):
        client = target.connect()
        client.send(wire.GSS_REQUEST)
        check(client.take(1) == b"N", "GSSENCRequest not answered N")
        client.send(wire.GSS_REQUEST)
        found = refused(client, {"0A000"}, silent=False)
        check("1234.5680" in found[0].get("M", ""), found[0].get("M"))
    yield "a second GSSENCRequest", step_by_step


@row("S-06")
def requests_inside_tls(target):
    for case, request in [("SSLRequest", wire.SSL_REQUEST), ("GSSENCRequest", wire.GSS_REQUEST)]:
        for direct in (False, True):
            if direct and target.options.no_direct_tls:
                continue

            def attack(target, request=request, direct=direct):
                client = target.connect()
                if not direct:
                    client.send(wire.SSL_REQUEST)
                    check(client.take(1) == b"S", "no TLS offered")
                client.secure(wire.client_context())
                client.send(request)
                try:
                    answer = client.take(1)
                except Ended:
                    return
                if answer == b"N":
                    client.send(request)
                    answer = client.take(1)
                check(answer == b"E", f"{answer!r} inside TLS")
            yield f"{case} inside {'direct ' if direct else ''}TLS", attack


@row("S-07")
def application_protocols(target):
    if target.options.no_direct_tls:
        return
    for names, good in [((), False), (("http/1.1",), False), (("postgresql",), True),
                        (("http/1.1", "postgresql"), True)]:
        def attack(target, names=names, good=good):
            client = target.connect()
            try:
                client.secure(wire.client_context(alpn=names))
                client.login(target.user, target.options.database, target.options.password)
                served = True
            except (ssl.SSLError, OSError, Ended):
                served = False
            check(served == good, f"served: {served}")
            if served:
                check(client.connection.selected_alpn_protocol() == "postgresql", "no ALPN back")
        yield f"direct TLS with ALPN {' '.join(names) or 'absent'}", attack

    def wrong_after_request(target):
        client = target.connect()
        client.send(wire.SSL_REQUEST)
        check(client.take(1) == b"S", "no TLS offered")
        try:
            client.secure(wire.client_context(alpn=("http/1.1",)))
        except ssl.SSLError as error:
            check("no application protocol" in str(error).lower(), str(error))
            return
        except OSError:
            return
        raise Failure("handshake went through")
    yield "wrong ALPN after SSLRequest", wrong_after_request


@row("S-08")
def requests_in_pieces(target):
    for case, sizes in [("1-byte segments", [1] * 8), ("4 and 4", [4, 4]), ("7 and 1", [7, 1])]:
        def attack(target, sizes=sizes):
            client = target.connect()
            at = 0
            for size in sizes:
                client.send(wire.SSL_REQUEST[at:at + size])
                at += size
                time.sleep(0.3 if len(sizes) < 3 else 0.05)
            check(client.take(1) == b"S", "no TLS offered")
            client.secure(wire.client_context())
            client.login(target.user, target.options.database, target.options.password)
        yield case, attack

    def startup_in_bytes(target):
        client = target.login(secure=target.options.tls) if target.options.tls else None
        if client:
            client.close()
            client = target.connect()
            client.negotiate(wire.client_context())
        else:
            client = target.connect()
        for byte in startup(target.parameters()):
            client.send(bytes([byte]))
        client.authenticate(target.options.password)
    yield "a startup byte by byte", startup_in_bytes

    def resets(target):
        for size in range(9):
            client = target.connect()
            client.send(wire.SSL_REQUEST[:size])
            client.reset()
        start = startup(target.parameters())
        for size in range(1, len(start)):
            client = target.connect()
            client.send(start[:size])
            client.reset()
        target.still_works()
    yield "RST after each prefix", resets


@row("S-09")
def resumption(target):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        def attack(target, version=version):
            context = wire.client_context(lowest=version, highest=version)
            first = target.connect()
            first.negotiate(context, name="first.example.org")
            first.login(target.user, target.options.database, target.options.password)
            session = first.connection.session
            check(session is None or not session.has_ticket, "a ticket was given")
            first.close()
            if session is None or not session.id:
                return
            second = target.connect()
            second.send(wire.SSL_REQUEST)
            check(second.take(1) == b"S", "no TLS offered")
            second.connection = context.wrap_socket(
                second.connection, server_hostname="second.example.org", session=session)
            check(not second.connection.session_reused, "resumed")
        yield f"{version.name}: a session of one name offered to another", attack


def record(kind, data, version=0x0301):
    return struct.pack(">BHH", kind, version, len(data)) + data


def client_hello(size):
    """A ClientHello of about `size` bytes: unknown extensions fill it."""
    extensions = b""
    number = 0xFA00
    while len(extensions) + 4 < size:
        chunk = min(size - len(extensions) - 4, 16000)
        extensions += struct.pack(">HH", number, chunk) + bytes(chunk)
        number += 1
    extensions = extensions[:65000]
    body = (b"\3\3" + os.urandom(32) + b"\0" + b"\0\2\x13\x01" + b"\1\0"
            + struct.pack(">H", len(extensions)) + extensions)
    return b"\1" + struct.pack(">I", len(body))[1:] + body


@row("S-18")
def tls_traps(target):
    def after_request(target, data, seconds=10):
        client = target.connect()
        client.send(wire.SSL_REQUEST)
        check(client.take(1) == b"S", "no TLS offered")
        try:
            client.send(data)
        except Ended:
            return
        answer, how = client.drain(seconds)
        check(how != "timeout", f"not ended: {answer[:40]!r}")

    def at_once(target, data):
        client = target.connect()
        try:
            client.send(data)
        except Ended:
            return
        answer, how = client.drain(10)
        check(how != "timeout", f"not ended: {answer[:40]!r}")
        check(len(answer) < 1000, "long answer")

    huge = client_hello(64_000)
    fragments = b"".join(record(22, huge[at:at + 1000]) for at in range(0, len(huge), 1000))
    for case, attack in [
            ("a record of 16,641 bytes", lambda t: after_request(t, record(22, bytes(16_641)))),
            ("a heartbeat", lambda t: after_request(t, record(24, b"\1\xff\xff"))),
            ("an SSLv2 hello", lambda t: after_request(
                t, b"\x80\x2e\1\0\2\0\x15\0\0\0\x10" + bytes(40))),
            ("a ClientHello of 64 KB in fragments", lambda t: after_request(t, fragments)),
            ("a ClientHello that claims 16 MB", lambda t: after_request(
                t, record(22, b"\1\xff\xff\xff" + bytes(1000)) * 20)),
            ("HTTP on the port", lambda t: at_once(
                t, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")),
            ("TLS garbage at once", lambda t: at_once(t, b"\x16\x03\x01\x40\x01" + bytes(20_000)))]:
        yield case, attack

    def old_versions(target):
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            context = wire.client_context(lowest=version, highest=version)
            context.set_ciphers("ALL:@SECLEVEL=0")
            client = target.connect()
            client.send(wire.SSL_REQUEST)
            check(client.take(1) == b"S", "no TLS offered")
            try:
                client.secure(context)
            except (ssl.SSLError, OSError):
                continue
            raise Failure(f"{version.name} was accepted")
    yield "TLS 1.0 and 1.1", old_versions

    def no_close_notify(target):
        for _ in range(20):
            client = target.login(secure=True)
            os.close(client.connection.detach())
        target.still_works()
    yield "close without close_notify", no_close_notify

    def commands(target, letter, count, version):
        process = subprocess.Popen(
            ["openssl", "s_client", "-brief", "-starttls", "postgres", "-connect",
             f"{target.options.host}:{target.options.port}", version],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        begin = time.monotonic()
        try:
            for _ in range(count):
                process.stdin.write(letter.encode() + b"\n")
                process.stdin.flush()
            process.wait(10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            pass
        finally:
            process.kill()
            process.wait()
        check(time.monotonic() - begin < 40, "took too long")
        target.still_works()
    yield "10,000 KeyUpdates", lambda target: commands(target, "K", 10_000, "-tls1_3")
    yield "renegotiation", lambda target: commands(target, "R", 20, "-tls1_2")


# 3B. Framing and parsing

LENGTHS = [0, 1, 3, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def lie(target, before, kind, length):
    """A session in the state that `before` makes, then a header with an impossible length."""
    client = target.login(secure=target.options.tls)
    before(client)
    client.send(message(kind, b"", length) + b"\0" * 8)
    data, how = client.drain(6)
    believable = 4 <= length <= 0x3FFFFFFE and kind in b"QPBFd"
    check(how != "timeout" or believable, f"not ended: {data[-40:]!r}")


def in_copy(client):
    client.send(wire.query("create temp table t (a text); copy t from stdin"))
    client.read_until(b"G")


def in_pipeline(client):
    client.send(message(b"P", b"\0select 1\0\0\0") + message(b"B", b"\0\0\0\0\0\0\0\0")
                + message(b"E", b"\0\0\0\0\0") + message(b"H"))
    client.read_until(b"C")


@row("S-20")
def impossible_lengths(target):
    states = [("idle", lambda client: None), ("in COPY", in_copy), ("in a pipeline", in_pipeline)]
    choice = [(kind, length) for kind in range(256) for length in LENGTHS]
    for name, before in states:
        known = [(kind, length) for kind in wire.FRONTEND_TYPES for length in LENGTHS]
        sample = known + target.random.sample(choice, target.options.samples)
        for kind, length in sample:
            yield (f"{name}: type {bytes([kind])!r} length {length:#x}",
                   lambda target, before=before, kind=kind, length=length:
                   lie(target, before, bytes([kind]), length))

    def first_packet(target, length):
        client = target.connect()
        client.send(struct.pack(">I", length) + struct.pack(">I", 196608) + b"user\0")
        client.connection.shutdown(socket.SHUT_WR)
        refused(client, VIOLATION | {"28000"})
    for length in [0, 1, 3, 4, 7, 10_005, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]:
        yield f"first packet: length {length:#x}", lambda t, length=length: first_packet(t, length)


@row("S-21")
def memory_by_claim(target):
    def attack(target):
        held = []
        for number in range(target.options.count or 200):
            client = target.login(secure=target.options.tls)
            client.send(message(b"Q", b"select 'xx", 0x3FFFFFFE))
            held.append(client)
        target.wait_for_caller(len(held))
        for client in held:
            client.close()
    yield "sessions that claim 1 GiB and send 10 bytes", attack


@row("S-25")
def wrong_order(target):
    first = [(bytes([kind]), message(bytes([kind]), b"\0" * 8)) for kind in wire.FRONTEND_TYPES]
    for kind, data in first:
        def attack(target, data=data):
            client = target.connect()
            client.send(data)
            client.connection.shutdown(socket.SHUT_WR)
            refused(client, VIOLATION)
        yield f"{kind!r} as the first message", attack

        def inside(target, data=data):
            client = target.connect()
            if target.options.tls:
                client.negotiate(wire.client_context())
            client.send(startup(target.parameters()))
            kinds = client.read_until(b"R")
            check(kinds[-1][0] == b"R", "no authentication request")
            client.send(data)
            # p with zeros is a SASLInitialResponse of mechanism "".
            refused(client, VIOLATION | {"28P01", "28000"})
        if kind != b"X":
            yield f"{kind!r} between SASL steps", inside

        def challenge(target, data=data):
            client = target.connect()
            if target.options.tls:
                client.negotiate(wire.client_context())
            client.send(startup(target.parameters()))
            client.read_until(b"R")
            client.send(wire.ScramClient(target.options.password).first())
            client.read_until(b"R")
            client.send(data)
            refused(client, VIOLATION | {"28P01", "28000"})
        if kind != b"X":
            yield f"{kind!r} in place of the proof", challenge

    def second_startup(target):
        client = target.connect()
        if target.options.tls:
            client.negotiate(wire.client_context())
        client.send(startup(target.parameters()) * 2)
        client.read_until(b"R")
        refused(client, VIOLATION | {"28P01"})
    yield "two startups", second_startup

    def after_login(target, data):
        client = target.login(secure=target.options.tls)
        client.send(data)
        data, how = client.drain(6)
        check(how != "timeout", f"not ended: {data[:60]!r}")
    yield "a startup after the login", lambda t: after_login(t, startup(t.parameters()))
    yield "a password after the login", lambda t: after_login(t, message(b"p", b"secret\0"))
    yield "an SSLRequest after the login", lambda t: after_login(t, wire.SSL_REQUEST)


@row("S-26")
def sasl_lengths(target):
    def attack(target, body, length=None):
        client = target.connect()
        if target.options.tls:
            client.negotiate(wire.client_context())
        client.send(startup(target.parameters()))
        client.read_until(b"R")
        client.send(message(b"p", body, length))
        refused(client, VIOLATION | {"28000", "28P01"})
    name = b"SCRAM-SHA-256\0"
    for case, body, length in [
            ("inner length 0x7FFFFFFF", name + b"\x7f\xff\xff\xff" + b"n,,n=,r=a", None),
            ("inner length beyond the message", name + struct.pack(">I", 100) + b"n,,n=,r=a", None),
            ("inner length shorter than the rest", name + struct.pack(">I", 3) + b"n,,n=,r=a", None),
            ("inner length -2", name + b"\xff\xff\xff\xfe", None),
            ("mechanism without NUL", b"SCRAM-SHA-256", None),
            ("mechanism of 64 KB", b"S" * 65_000 + b"\0" + struct.pack(">I", 3) + b"n,,", None),
            ("unknown mechanism", b"SCRAM-MD5\0" + struct.pack(">I", 3) + b"n,,", None),
            ("message of 1 MB claimed", name, 1 << 20),
            ("message of 2 GB claimed", name, 0x7FFFFFFF)]:
        yield case, lambda t, body=body, length=length: attack(t, body, length)

    def minus_one(target):
        client = target.connect()
        if target.options.tls:
            client.negotiate(wire.client_context())
        client.send(startup(target.parameters()))
        client.read_until(b"R")
        client.send(message(b"p", name + b"\xff\xff\xff\xff"))
        kind, body = client.read()
        check(kind == b"R" and body == struct.pack(">I", 11), f"{kind!r} {body!r}")
    yield "inner length -1 is legal", minus_one


@row("S-27")
def scram_strings(target):
    def attack(target, first, final=None):
        client = target.connect()
        if target.options.tls:
            client.negotiate(wire.client_context())
        client.send(startup(target.parameters()))
        client.read_until(b"R")
        client.send(message(b"p", b"SCRAM-SHA-256\0" + struct.pack(">I", len(first)) + first))
        if final is not None:
            kind, body = client.read_until(b"R")[-1]
            if kind == b"R":
                nonce = body[4:].split(b",")[0][2:]
                client.send(message(b"p", final.replace(b"NONCE", nonce)))
        found = refused(client, VIOLATION | {"28P01", "28000"})
        for fields in found:
            check(len(fields.get("M", "")) < 300, "the nonce is echoed")
    proof = wire.base64.b64encode(bytes(32))
    for case, first, final in [
            ("flag x", b"x,,n=,r=abc", None), ("empty", b"", None), ("NUL inside", b"n,,n=\0,r=a", None),
            ("no nonce", b"n,,n=", None), ("authzid", b"n,a=root,n=,r=abc", None),
            ("mandatory extension", b"n,,m=x,n=,r=abc", None), ("one comma", b"n,n=,r=abc", None),
            ("nonce of 64 KB", b"n,,n=,r=" + b"a" * 64_000, None),
            ("nonce with a space", b"n,,n=,r=a b", None),
            ("p flag without PLUS", b"p=tls-server-end-point,,n=,r=abc", None),
            ("no proof", b"n,,n=,r=abc", b"c=biws,r=NONCE"),
            ("proof of 31 bytes", b"n,,n=,r=abc", b"c=biws,r=NONCE,p="
             + wire.base64.b64encode(bytes(31))),
            ("bad base64", b"n,,n=,r=abc", b"c=biws,r=NONCE,p=!!!!"),
            ("another nonce", b"n,,n=,r=abc", b"c=biws,r=zzz,p=" + proof),
            ("another binding", b"n,,n=,r=abc", b"c=eSws,r=NONCE,p=" + proof),
            ("bytes after the proof", b"n,,n=,r=abc", b"c=biws,r=NONCE,p=" + proof + b",x=y"),
            ("wrong proof", b"n,,n=,r=abc", b"c=biws,r=NONCE,p=" + proof)]:
        yield case, lambda t, first=first, final=final: attack(t, first, final)


@row("S-28")
def duplicate_names(target):
    def attack(target, parameters, states):
        client = target.connect()
        if target.options.tls:
            client.negotiate(wire.client_context())
        client.send(startup(parameters))
        refused(client, states, silent=False)
    options = target.options
    if not options.direct:
        mine, other = target.user, f"{options.user}@{options.other}"
        for case, parameters in [
                ("user twice, other tenant first", [("user", other), ("user", mine)]),
                ("user twice, other tenant last", [("user", mine), ("user", other)]),
                ("user twice, the same", [("user", mine), ("user", mine)]),
                ("database twice", [("user", mine), ("database", "a"), ("database", "b")]),
                ("options twice", [("user", mine), ("options", f"-c pgtee.tenant={options.other}"),
                                   ("options", "-c geqo=off")]),
                ("replication twice", [("user", mine), ("replication", "true"),
                                       ("replication", "false")])]:
            yield case, lambda t, parameters=parameters: attack(t, parameters, {"08P01"})
        for size in (64, 200):
            yield (f"user of {size} bytes", lambda t, size=size: attack(
                t, [("user", "u" * size + f"@{options.tenant}")], {"28000", "22023", "42622"}))
            yield (f"database of {size} bytes", lambda t, size=size: attack(
                t, [("user", mine), ("database", "d" * size)], {"28000", "3D000", "22023", "42622"}))
    yield "no user", lambda t: attack(t, [("database", "postgres")], {"28000"})
    yield "an empty user", lambda t: attack(t, [("user", "")], {"28000"})


@row("S-29")
def startup_packets(target):
    def attack(target, data, states, silent=False):
        client = target.connect()
        if target.options.tls:
            client.negotiate(wire.client_context())
        client.send(data)
        try:
            (client.connection if not isinstance(client.connection, ssl.SSLSocket)
             else socket.socket(fileno=os.dup(client.connection.fileno()))).shutdown(socket.SHUT_WR)
        except OSError:
            pass
        refused(client, states, silent)
    good = target.parameters()
    plain = [
        ("no terminator", startup(good, terminator=b""), {"08P01"}),
        ("bytes after the terminator", startup(good, terminator=b"\0x"), {"08P01"}),
        ("a name without a value", startup(good, terminator=b"a\0"), {"08P01"}),
        ("no NUL at all", struct.pack(">II", 12, 196608) + b"user", {"08P01"}),
        ("3,000 parameters", startup(good + [(f"a{n}", "b") for n in range(3000)]), {"08P01"}),
    ] + [(f"protocol {major}.{minor}", startup(good, major << 16 | minor), {"0A000"})
         for major, minor in [(2, 0), (4, 0), (1, 0), (0, 0), (1234, 1), (65535, 65535)]]
    for case, data, states in plain:
        yield case, lambda t, data=data, states=states: attack(t, data, states, silent=True)

    def negotiated(target, code, names, answer):
        client = target.connect()
        if target.options.tls:
            client.negotiate(wire.client_context())
        client.send(startup(target.parameters() + [(name, "") for name in names], code))
        kinds = client.read_until(b"R")
        versions = [body for kind, body in kinds if kind == b"v"]
        if answer is None:
            check(not versions, f"unasked NegotiateProtocolVersion {versions}")
            return
        check(len(versions) == 1 and kinds[0][0] == b"v", "not exactly one v before R")
        version, count = struct.unpack(">II", versions[0][:8])
        listed = versions[0][8:].split(b"\0")[:-1]
        check(version == answer, f"version {version:#x}")
        check(listed == [name.encode() for name in names] and count == len(names), f"{listed}")
    if not target.options.direct:
        for case, code, names, answer in [
                ("3.0", 0x30000, [], None), ("3.2", 0x30002, [], None),
                ("3.1", 0x30001, [], 0x30000), ("3.3", 0x30003, [], 0x30002),
                ("3.9999", 0x30000 | 9999, [], 0x30002),
                ("3.9999 with libpq's test name", 0x30000 | 9999,
                 ["_pq_.test_protocol_negotiation"], 0x30002),
                ("3.0 with one name", 0x30000, ["_pq_.x"], 0x30000),
                ("3.2 with three names", 0x30002, ["_pq_.x", "_pq_.y", "_pq_.z"], 0x30002)]:
            yield (f"negotiation of {case}", lambda t, code=code, names=names, answer=answer:
                   negotiated(t, code, names, answer))


# 3D. Cancel

@row("S-40")
def guessed_keys(target):
    def attack(target):
        honest = target.login(secure=target.options.tls)
        honest.send(wire.query("select pg_sleep(3), 'whole'"))
        count = target.options.count or 3000

        def guess(number):
            client = target.connect()
            pid = honest.process_id if number % 2 else target.random.randrange(1 << 22)
            client.send(wire.cancel(pid, os.urandom(len(honest.secret))))
            try:
                client.more()
                return "answered"
            except Ended as end:
                return end.how
            finally:
                client.close()
        with ThreadPoolExecutor(16) as pool:
            ends = set(pool.map(guess, range(count)))
        check("answered" not in ends and "timeout" not in ends, f"{ends}")
        rows = [body for kind, body in honest.read_all() if kind in b"DE"]
        check(len(rows) == 1 and b"whole" in rows[0], f"the query was hit: {rows}")
    yield "guesses", attack


@row("S-44")
def cancel_formats(target):
    for size in (0, 3, 4, 5, 28, 32, 256, 257, 9_989, 9_990):
        for secure in ((False, True) if target.options.tls_offered else (False,)):
            def attack(target, size=size, secure=secure):
                client = target.connect()
                if secure:
                    client.negotiate(wire.client_context())
                client.send(wire.cancel(4711, os.urandom(size)))
                data, how = client.drain(6)
                check(how != "timeout", "not closed")
                check(data[:1] in (b"", b"E"), f"{data[:20]!r}")
            yield f"a key of {size} bytes{' over TLS' if secure else ''}", attack


# 3E. Exhaustion

@row("S-50")
def slow_logins(target):
    def attack(target):
        count = target.options.count or 1000
        held, closed = [], 0
        stop = threading.Event()
        begin = time.monotonic()
        hello = wire.client_context()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        half = hello.wrap_bio(incoming, outgoing)
        try:
            half.do_handshake()
        except ssl.SSLWantReadError:
            pass
        begin_tls = wire.SSL_REQUEST
        client_hello_half = outgoing.read()[:60]
        for number in range(count):
            try:
                client = target.connect()
                client.connection.setblocking(False)
                held.append([client.connection, number % 2, 0])
            except OSError:
                closed += 1

        def drip():
            start = startup(target.parameters())
            while not stop.wait(1):
                for entry in list(held):
                    connection, with_tls, at = entry
                    script = begin_tls + client_hello_half if with_tls else start
                    try:
                        if at < len(script):
                            connection.send(script[at:at + 1])
                            entry[2] += 1
                        while (data := connection.recv(100)):
                            pass
                        held.remove(entry)
                        connection.close()
                    except BlockingIOError:
                        pass
                    except OSError:
                        held.remove(entry)
                        connection.close()
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        target.wait_for_caller(count)
        deadline = begin + target.options.deadline
        while held and time.monotonic() < deadline:
            time.sleep(0.2)
        stop.set()
        check(not held, f"{len(held)} still open after {target.options.deadline} s")
    yield "sockets that send a byte a second", attack


@row("S-54")
def many_connections(target):
    def attack(target):
        held = []
        for _ in range(target.options.count or 500):
            try:
                held.append(target.connect(2))
            except OSError:
                pass
        target.wait_for_caller(len(held))
        for client in held:
            client.close()
        deadline = time.monotonic() + 15
        while True:
            try:
                target.still_works()
                return
            except (Ended, OSError) as error:
                check(time.monotonic() < deadline, f"no recovery: {error}")
                time.sleep(0.2)
    yield "more connections than descriptors", attack


@row("S-57")
def unknown_names(target):
    def attack(target):
        def one(number):
            tag = target.random.randrange(1 << 60)
            client = target.connect()
            user = f"u{tag}@t{tag}" if number % 2 else f"u{tag}@{target.options.tenant}"
            if target.options.tls_offered and number % 8 == 0:
                client.negotiate(wire.client_context(), name=f"t{tag}.example.org")
            client.send(startup([("user", user)]))
            kind, body = client.read()
            client.close()
            return kind + (wire.error_fields(body).get("C", "").encode() if kind == b"E" else b"")
        with ThreadPoolExecutor(16) as pool:
            kinds = set(pool.map(one, range(target.options.count or 3000)))
        check(kinds <= {b"R", b"E28000", b"E53300", b"E3D000"}, f"{kinds}")
    yield "random tenants, users and SNI names", attack


@row("S-58")
def noisy_messages(target):
    def attack(target):
        deadline = time.monotonic() + (target.options.count or 5)
        client = target.login(secure=target.options.tls)

        def swallow():
            try:
                while True:
                    client.connection.recv(65536)
            except OSError:
                pass
        threading.Thread(target=swallow, daemon=True).start()
        block = message(b"H") * 4000
        while time.monotonic() < deadline:
            client.send(block)
        client.close()
    yield "Flush messages without end", attack


# 3G. Logs

NASTY = [b"a\nb level=error forged=1", b"a\r\n\x1b[31mred\x1b[0m", bytes(range(1, 32)),
         b"\xff\xfe\xc0\x80", "‮right to left".encode(), b'quote" back\\slash {x="y"}',
         b"L" * 9000]


@row("S-70")
def names_for_the_log(target):
    for number, nasty in enumerate(NASTY):
        def attack(target, nasty=nasty, where="application_name"):
            client = target.connect()
            if target.options.tls:
                client.negotiate(wire.client_context())
            values = dict(target.parameters())
            values[where] = nasty + (f"@{target.options.tenant}".encode() if where == "user"
                                     and not target.options.direct else b"")
            client.send(startup(list(values.items())))
            try:
                client.authenticate(target.options.password)
            except (Refused, Ended, OSError):
                pass
            client.close()
        for where in ("application_name", "user", "database"):
            yield (f"{where} {number}", lambda t, attack=attack, where=where:
                   attack(t, where=where))

        def unrouted(target, nasty=nasty):
            client = target.connect()
            client.send(startup([("user", b"x@" + nasty)]))
            client.drain(6)
        yield f"tenant {number}", unrouted


def run(target, name, case, attack):
    begin = time.monotonic()
    try:
        attack(target)
        ok, detail = True, ""
    except Failure as failure:
        ok, detail = False, str(failure)
    except Ended as end:
        ok, detail = False, f"stream ended: {end.how}"
    except Refused as refusal:
        ok, detail = False, f"refused: {refusal}"
    except Exception as error:
        ok, detail = False, f"{type(error).__name__}: {error}"
    say({"row": name, "case": case, "ok": ok, "detail": detail,
         "seconds": round(time.monotonic() - begin, 3)})


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="+")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tenant", default="acme")
    parser.add_argument("--other", default="globex", help="another tenant")
    parser.add_argument("--user", default="postgres")
    parser.add_argument("--password", default="secret")
    parser.add_argument("--database", default="postgres")
    parser.add_argument("--direct", action="store_true", help="PostgreSQL itself is the target")
    parser.add_argument("--no-direct-tls", action="store_true")
    parser.add_argument("--tls", action="store_true", help="log in over TLS")
    parser.add_argument("--no-tls-offered", dest="tls_offered", action="store_false")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samples", type=int, default=100, help="of random headers in S-20")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--deadline", type=float, default=20)
    parser.add_argument("--timeout", type=float, default=10)
    parser.add_argument("--threads", type=int, default=6)
    parser.add_argument("--release", default="")
    options = parser.parse_args()
    target = Target(options)
    with ThreadPoolExecutor(options.threads) as pool:
        for name in options.rows:
            if name not in ROWS:
                sys.exit(f"evil_client: no row {name}; there are {' '.join(sorted(ROWS))}")
            for generator in ROWS[name]:
                for case, attack in generator(target):
                    pool.submit(run, target, name, case, attack)


if __name__ == "__main__":
    main()
