"""Clusters that lie: one tenant, one port and one behaviour each, by row of the threat table.

    evil_backend.py --tenants DIR --proxy-port 6432 [--only S-61] [--fuzz 200 --seed 1]

Writes a tenant document per behaviour into DIR, prints {"ready": n}, waits until the file
`--release` exists (the proxy has read the documents by then), then sends an honest client through
the proxy to each behaviour. One JSON line per case: row, case, ok, detail, seconds.
"""
import argparse
import json
import os
import pathlib
import random
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import wire
from wire import Client, Ended, Refused, ScramServer, Verifier, Wire, message

USER, PASSWORD = "remi", "secret"
VERIFIER = Verifier(PASSWORD)
MARK = b"TEXT-OF-THE-BACKEND"
BEHAVIOURS = []
ROW = wire.row_description("a") + wire.data_row(MARK) + message(b"C", b"SELECT 1\0")
READY = message(b"Z", b"I")


def auth(code, data=b""):
    return message(b"R", struct.pack(">I", code) + data)


AUTH_OK = auth(0)
SASL = auth(10, b"SCRAM-SHA-256\0\0")
SASL_PLUS = auth(10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
KEY = message(b"K", struct.pack(">ii", 4711, 1234567))
STATUS = b"".join(message(b"S", name + b"\0" + value + b"\0") for name, value in [
    (b"server_version", b"15.1"), (b"client_encoding", b"UTF8"), (b"server_encoding", b"UTF8")])


class Behaviour:
    """`expect` judges what the client saw; it returns a complaint or None."""

    def __init__(self, row, case, serve, expect, tls="disable", binding="prefer"):
        self.row, self.case, self.serve, self.expect = row, case, serve, expect
        self.tls, self.binding = tls, binding
        self.tenant = f"eb{len(BEHAVIOURS)}"
        self.received = []


def behaviour(row, case, expect, **options):
    def register(serve):
        BEHAVIOURS.append(Behaviour(row, case, serve, expect, **options))
        return serve
    return register


class Seen:
    """What the honest client saw."""

    def __init__(self):
        self.refusal, self.ended, self.settings, self.rows = None, None, None, None
        self.received = b""


# Expectations

def any_end(seen, behaviour):
    if seen.ended == "timeout":
        return "the client was left hanging"


def refused(seen, behaviour):
    """An error of our wording, and none of the cluster's bytes."""
    if MARK in seen.received:
        return f"the cluster's bytes reached the client: {seen.received[-200:]!r}"
    if not behaviour.received:
        return "the cluster was never reached"
    if seen.refusal is None:
        return f"no ErrorResponse ({seen.ended or 'served'})"
    state = seen.refusal.get("C", "")
    if not (state.startswith("08") or state in ("28000", "28P01", "53300")):
        return f"SQLSTATE {state}: {seen.refusal.get('M')}"


def relayed(state):
    def judge(seen, behaviour):
        if seen.refusal is None or seen.refusal.get("C") != state:
            return f"{seen.refusal or seen.ended} in place of {state}"
    return judge


def served(seen, behaviour):
    if not seen.rows:
        return f"not served: {seen.refusal or seen.ended}"


def only_request_received(seen, behaviour):
    extra = [data for data in behaviour.received if data not in (wire.SSL_REQUEST, b"")]
    return f"the cluster received {extra[0][:60]!r}" if extra else refused(seen, behaviour)


# Scripts

def read_packet(peer):
    length = struct.unpack(">I", peer.take(4))[0]
    return struct.pack(">I", length) + peer.take(min(length, 10_000) - 4)


def read_startup(peer):
    while (packet := read_packet(peer)) in (wire.SSL_REQUEST, wire.GSS_REQUEST):
        peer.send(b"N")
    return packet


def take_in(peer, offer=SASL):
    """Startup and a true SCRAM exchange, until just before AuthenticationOk."""
    read_startup(peer)
    peer.send(offer)
    scram = ScramServer(VERIFIER)
    peer.send(scram.challenge(peer.read()[1]))
    right, final = scram.final(peer.read()[1])
    if not right:
        peer.send(wire.error_response("FATAL", "28P01", "wrong"))
        raise Ended("wrong proof")
    return final


def welcome(peer, status=STATUS, key=KEY):
    peer.send(take_in(peer) + AUTH_OK + status + key + READY)


def answer_queries(peer):
    while True:
        kind, _ = peer.read()
        if kind == b"X":
            return
        if kind == b"Q":
            peer.send(ROW + READY)


def secure(peer, files):
    if read_packet(peer) != wire.SSL_REQUEST:
        raise Ended("no SSLRequest")
    peer.send(b"S")
    peer.secure(wire.server_context(*files), server_side=True)


def linger(peer, seconds=30):
    """Until the other side has had enough."""
    peer.drain(seconds)


def raw_answer(row, case, data, expect=refused, tls="require"):
    """Answers the first packet with these bytes."""
    @behaviour(row, case, expect, tls=tls)
    def serve(peer, files):
        read_packet(peer)
        peer.send(data)
        linger(peer)


raw_answer("S-02", "AuthenticationOk behind S", b"S" + AUTH_OK + STATUS + KEY + READY + ROW)
raw_answer("S-02", "a row behind S", b"S" + ROW + READY)
raw_answer("S-02", "one byte behind S", b"S\0")
raw_answer("S-03", "E and a text without an end", b"E" + MARK * 100)
raw_answer("S-03", "E and 30,001 bytes", b"E" + MARK * 1579)
raw_answer("S-03", "E and binary", b"E" + bytes(range(1, 256)) * 4 + MARK)
raw_answer("S-03", "a whole ErrorResponse", wire.error_response("FATAL", "XX000", MARK))
raw_answer("S-03", "R", AUTH_OK + MARK)
raw_answer("S-04", "N where TLS is required", b"N", only_request_received)
raw_answer("S-04", "N where verify-full is asked for", b"N", only_request_received, "verify-full")
raw_answer("S-04", "N and AuthenticationOk", b"N" + AUTH_OK + READY, only_request_received)


def scripted(row, case, expect, *steps, tls="disable", binding="prefer"):
    """After the startup: sends each of `steps`, reading a message between them."""
    @behaviour(row, case, expect, tls=tls, binding=binding)
    def serve(peer, files):
        if tls != "disable":
            secure(peer, files)
        read_startup(peer)
        for number, step in enumerate(steps):
            if number:
                peer.read()
            peer.send(step)
        linger(peer)


for _tls in ("disable", "require"):
    scripted("S-17", f"asks for the password in clear ({_tls})", refused, auth(3), tls=_tls)
    scripted("S-17", f"asks for md5 ({_tls})", refused, auth(5, b"salt"), tls=_tls)
    scripted("S-17", f"asks for GSS ({_tls})", refused, auth(7), tls=_tls)
scripted("S-17", "offers an unknown mechanism", refused, auth(10, b"SCRAM-MD5\0\0"))
scripted("S-17", "offers nothing", refused, auth(10, b"\0"))
scripted("S-17", "an unknown authentication code", refused, auth(99))
scripted("S-15", "no PLUS where binding is required", refused, SASL, tls="require",
         binding="require")
scripted("S-15", "clear text where binding is required", refused, auth(3), tls="require",
         binding="require")
scripted("S-62", "AuthenticationOk for anybody", refused, AUTH_OK + STATUS + KEY + READY)
scripted("S-62", "AuthenticationOk after the first message", refused, SASL,
         AUTH_OK + STATUS + KEY + READY)
for _case, _text in [
        ("a nonce that is not ours", b"r=abc,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096"),
        ("no salt", b"r=NONCE,i=4096"), ("an empty salt", b"r=NONCEx,s=,i=4096"),
        ("bad base64", b"r=NONCEx,s=!!!!,i=4096"), ("no iterations", b"r=NONCEx,s=MDEy"),
        ("0 iterations", b"r=NONCEx,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=0"),
        ("-1 iterations", b"r=NONCEx,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=-1"),
        ("2147483647 iterations", b"r=NONCEx,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=2147483647"),
        ("99999999999999999999 iterations", b"r=NONCEx,s=MDEy,i=99999999999999999999"),
        ("another salt", b"r=NONCEx,s=YW5vdGhlcnNhbHQ5OTk5OQ==,i=4096"),
        ("e=", b"e=other-error"), ("nothing", b""), ("NUL bytes", b"\0\0\0"),
        ("a nonce of 64 KB", b"r=NONCE" + b"x" * 64_000 + b",s=MDEy,i=4096")]:
    @behaviour("S-27", f"server-first with {_case}", refused)
    def serve(peer, files, text=_text):
        read_startup(peer)
        peer.send(SASL)
        first = peer.read()[1]
        nonce = first.split(b",r=")[1]
        peer.send(auth(11, text.replace(b"NONCE", nonce)))
        linger(peer)

scripted("S-27", "final before first", refused, SASL, auth(12, b"v=AAAA"))


@behaviour("S-62", "a wrong server signature", refused)
def serve(peer, files):
    take_in(peer)
    peer.send(auth(12, b"v=" + wire.base64.b64encode(bytes(32))) + AUTH_OK + STATUS + KEY + READY)
    linger(peer)


@behaviour("S-62", "no server signature", refused)
def serve(peer, files):
    take_in(peer)
    peer.send(AUTH_OK + STATUS + KEY + READY)
    linger(peer)


@behaviour("S-62", "an honest cluster", served)
def serve(peer, files):
    welcome(peer)
    answer_queries(peer)


@behaviour("S-62", "an honest cluster over TLS", served, tls="require")
def serve(peer, files):
    secure(peer, files)
    welcome(peer)
    answer_queries(peer)


for _state, _text in [("57P03", "the database system is starting up"),
                      ("53300", "sorry, too many clients already"),
                      ("3D000", 'database "x" does not exist')]:
    scripted("S-61", f"refuses the startup with {_state}", relayed(_state),
             wire.error_response("FATAL", _state, _text))
    @behaviour("S-61", f"refuses with {_state} after authentication", relayed(_state))
    def serve(peer, files, state=_state, text=_text):
        peer.send(take_in(peer) + AUTH_OK + wire.error_response("FATAL", state, text))


def login_tail(row, case, expect, data, then=answer_queries):
    """A true exchange, then these bytes in place of the usual block."""
    @behaviour(row, case, expect)
    def serve(peer, files):
        peer.send(take_in(peer) + data)
        then(peer)


_many = b"".join(message(b"S", b"name%d\0" % n + b"v" * 100 + b"\0") for n in range(2000))
login_tail("S-24", "ParameterStatus without NUL", any_end,
           AUTH_OK + message(b"S", b"abc") + KEY + READY)
login_tail("S-24", "NegotiateProtocolVersion of 2^31 names", any_end,
           message(b"v", struct.pack(">II", 196608, 1 << 31)) + AUTH_OK + KEY + READY)
login_tail("S-24", "NegotiateProtocolVersion twice", any_end,
           message(b"v", struct.pack(">II", 196608, 0)) * 2 + AUTH_OK + KEY + READY)
for _size in (0, 3, 4, 7, 36, 260, 261, 29_000):
    login_tail("S-24", f"BackendKeyData of {_size} bytes", any_end,
               AUTH_OK + STATUS + message(b"K", bytes(_size)) + READY)
login_tail("S-24", "two BackendKeyData", any_end, AUTH_OK + STATUS + KEY + KEY + READY)
login_tail("S-24", "no BackendKeyData", any_end, AUTH_OK + STATUS + READY)
login_tail("S-24", "a row during the login", any_end, AUTH_OK + ROW + KEY + READY)
login_tail("S-24", "ParameterStatus of 1 MB", any_end,
           AUTH_OK + message(b"S", b"a\0" + b"x" * (1 << 20) + b"\0") + KEY + READY)
login_tail("S-61", "end of stream after the exchange", any_end, b"", lambda peer: None)
login_tail("S-61", "end of stream after AuthenticationOk", any_end, AUTH_OK, lambda peer: None)
login_tail("S-61", "half a message, then the end", any_end, AUTH_OK + STATUS[:7], lambda peer: None)
login_tail("S-61", "silence after AuthenticationOk", any_end, AUTH_OK, linger)
login_tail("S-56", "2,000 settings of 100 bytes", any_end, AUTH_OK + _many + KEY + READY)
login_tail("S-63", "a version that no integer holds", served, AUTH_OK + message(
    b"S", b"server_version\09" + b"9" * 20 + b"\0") + message(
    b"S", b"in_hot_standby\0maybe\0") + message(b"S", b"client_encoding\0\xff\xfe\0") + KEY + READY)
login_tail("S-63", "settings with empty and odd names", served, AUTH_OK + message(
    b"S", b"\0\0") + message(b"S", b"a b\n\0\x1b[31m\0") + KEY + READY)


@behaviour("S-56", "notices without end before the login", any_end)
def serve(peer, files):
    read_startup(peer)
    notice = message(b"N", b"SWARNING\0C01000\0M" + b"n" * 900 + b"\0\0") * 16
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        peer.send(notice)


@behaviour("S-56", "notices without end after AuthenticationOk", any_end)
def serve(peer, files):
    peer.send(take_in(peer) + AUTH_OK)
    notice = message(b"N", b"SWARNING\0C01000\0M" + b"n" * 900 + b"\0\0") * 16
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        peer.send(notice)


@behaviour("S-56", "50,000 notices, settings and notifications after the login", served)
def serve(peer, files):
    welcome(peer)
    peer.read()
    block = (message(b"N", b"SNOTICE\0C00000\0Mn\0\0") + message(b"S", b"a\0b\0")
             + message(b"A", struct.pack(">i", 1) + b"channel\0payload\0")) * 500
    for _ in range(100):
        peer.send(block)
    peer.send(ROW + READY)
    answer_queries(peer)


def reply(row, case, data, expect=any_end, then=None):
    """Answers the first query with these bytes."""
    @behaviour(row, case, expect)
    def serve(peer, files):
        welcome(peer)
        peer.read()
        peer.send(data)
        (then or (lambda peer: linger(peer, 1)))(peer)


def ended_by_proxy(seen, behaviour):
    if MARK in seen.received:
        return "what followed the impossible header was forwarded"
    return any_end(seen, behaviour)


for _length in (0, 1, 3, 0x80000000, 0xFFFFFFFF):
    for _kind in b"DCEZNSATI123ntsGHWVdcRKv":
        reply("S-20", f"type {bytes([_kind])!r} of length {_length:#x}",
              message(bytes([_kind]), b"", _length) + MARK * 10, ended_by_proxy, linger)
for _kind in (0, 1, 0x7F, 0x80, 0xFF, ord("Q"), ord("P"), ord("X"), ord("f")):
    reply("S-20", f"type {bytes([_kind])!r}, which no server sends",
          message(bytes([_kind]), b"12345678"))
reply("S-20", "ReadyForQuery of 30,000 bytes", message(b"Z", bytes(30_000)))
reply("S-20", "ReadyForQuery of 4 bytes", message(b"Z"))
for _case, _data in [
        ("RowDescription of 1,665 columns", wire.row_description(*["c"] * 1665)),
        ("RowDescription that claims 65,535 columns", message(b"T", b"\xff\xff")),
        ("DataRow with fewer bytes than it says", message(b"D", b"\0\1\0\0\1\0ab")),
        ("DataRow with a value of -2", message(b"D", b"\0\1\xff\xff\xff\xfe")),
        ("ErrorResponse without SQLSTATE", message(b"E", b"SERROR\0Mno code\0\0")),
        ("ErrorResponse without an end", message(b"E", b"SERROR\0C42601\0Mabc")),
        ("ErrorResponse with a field twice", message(b"E", b"SERROR\0C42601\0C00000\0Ma\0Mb\0\0")),
        ("ErrorResponse with a field of 1 MB", message(
            b"E", b"SERROR\0C42601\0M" + b"m" * (1 << 20) + b"\0\0")),
        ("an empty ErrorResponse", message(b"E")),
        ("CommandComplete without NUL", message(b"C", b"SELECT 1")),
        ("NotificationResponse of 2 bytes", message(b"A", b"ab")),
        ("CopyInResponse of 1 byte", message(b"G", b"\0")),
        ("ParameterDescription of -1", message(b"t", b"\xff\xff"))]:
    reply("S-24", _case, _data + READY)
for _case, _data in [
        ("CopyInResponse unasked", message(b"G", b"\0\0\0")),
        ("CopyOutResponse unasked", message(b"H", b"\0\0\0") + message(b"d", b"x") * 10),
        ("CopyBothResponse unasked", message(b"W", b"\0\0\0")),
        ("10,000 ReadyForQuery", READY * 10_000),
        ("ReadyForQuery with status X", message(b"Z", b"X")),
        ("CommandComplete 10,000 times", message(b"C", b"SELECT 1\0") * 10_000 + READY),
        ("ParseComplete unasked", message(b"1") * 100 + READY),
        ("half a row, then the end", ROW[:-10]),
        ("rows after FATAL", wire.error_response("FATAL", "57P01", "gone") + ROW + READY)]:
    reply("S-61", _case, _data)
for _case, _data in [("AuthenticationOk again", AUTH_OK), ("a password request", auth(3)),
                     ("BackendKeyData again", KEY),
                     ("NegotiateProtocolVersion late", message(b"v", struct.pack(">II", 196608, 0)))]:
    reply("S-61", f"{_case} after the login", _data + MARK, ended_by_proxy, linger)
reply("S-61", "the end in place of an answer", b"", any_end, lambda peer: None)
reply("S-61", "a reset in place of an answer", b"", any_end, lambda peer: peer.reset())


def add_fuzz(count, seed):
    """Structure-aware: true answers with a few bytes, lengths or whole messages gone wrong."""
    source = [AUTH_OK, KEY, READY, ROW, STATUS, SASL, message(b"G", b"\0\0\1\0\0"),
              message(b"H", b"\0\0\0"), message(b"d", b"data"), message(b"c"), message(b"1"),
              message(b"2"), message(b"3"), message(b"n"), message(b"s"), message(b"I"),
              message(b"t", b"\0\1\0\0\0\x17"), message(b"V", b"\xff\xff\xff\xff"),
              message(b"A", b"\0\0\0\1a\0b\0"), message(b"N", b"SNOTICE\0C00000\0Mx\0\0"),
              wire.error_response("ERROR", "42601", "x")]
    for number in range(count):
        def serve(peer, files, number=number):
            generator = random.Random(f"{seed}/{number}")
            data = bytearray(b"".join(generator.choices(source, k=generator.randint(1, 12))))
            for _ in range(generator.randint(0, 4)):
                at = generator.randrange(len(data))
                change = generator.randrange(3)
                if change == 0:
                    data[at] = generator.randrange(256)
                elif change == 1:
                    del data[at:at + generator.randint(1, 6)]
                    data = data or bytearray(b"Z")
                else:
                    data[at:at] = generator.randbytes(generator.randint(1, 6))
            stage = generator.randrange(3)
            if stage == 0:
                read_startup(peer)
            elif stage == 1:
                take_in(peer)
            else:
                welcome(peer)
                peer.read()
            peer.send(bytes(data))
            linger(peer, 0.2)
        BEHAVIOURS.append(Behaviour("S-60", f"fuzz {seed}/{number}", serve, any_end))


# The run

def listen(behaviour, files):
    behaviour.listener = socket.create_server(("127.0.0.1", 0), backlog=32)
    behaviour.port = behaviour.listener.getsockname()[1]

    def serve(connection):
        peer = Wire(connection, 30)
        try:
            behaviour.serve(peer, files)
        except (Ended, OSError, ValueError, IndexError, KeyError):
            pass
        behaviour.received.append(peer.received)
        peer.close()

    def accept():
        try:
            while True:
                connection, _ = behaviour.listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()
        except OSError:
            pass
    threading.Thread(target=accept, daemon=True).start()


def document(behaviour, folder):
    return (f"tenant: {behaviour.tenant}\n"
            f"backends: [{{name: main, host: 127.0.0.1, port: {behaviour.port}, "
            f"tls: {{mode: {behaviour.tls}, name: evil.test, ca: {folder}/cert.pem, "
            f"channel_binding: {behaviour.binding}}}}}]\n"
            f"authentication: {{mode: scram, verifiers: {{{USER}: \"{VERIFIER.text()}\"}}}}\n")


def certificate(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-subj", "/CN=evil.test", "-addext", "subjectAltName=DNS:evil.test", "-keyout",
         f"{folder}/key.pem", "-out", f"{folder}/cert.pem"], check=True, capture_output=True)
    return f"{folder}/cert.pem", f"{folder}/key.pem"


def visit(behaviour, options):
    seen = Seen()
    client = None
    try:
        client = Client.connect("127.0.0.1", options.proxy_port, options.timeout)
        user = USER if options.direct else f"{USER}@{behaviour.tenant}"
        seen.settings = client.login(user, "postgres", PASSWORD)
        client.send(wire.query("select 'a'"))
        for kind, body in client.read_all():
            if kind == b"D":
                seen.rows = wire.row_values(body) if len(body) > 6 else [body]
            elif kind == b"E":
                seen.refusal = wire.error_fields(body)
    except Refused as refusal:
        seen.refusal = refusal.fields
    except Ended as end:
        seen.ended = end.how
    except (OSError, ValueError, IndexError, KeyError, struct.error) as error:
        seen.ended = f"{type(error).__name__}: {error}"
    if client:
        seen.received = client.received
        client.close()
    return seen


_output = threading.Lock()


def say(value):
    with _output:
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()


def judge(behaviour, options):
    begin = time.monotonic()
    seen = visit(behaviour, options)
    # The cluster's side has seen the end too.
    deadline = time.monotonic() + 2
    while not behaviour.received and time.monotonic() < deadline:
        time.sleep(0.01)
    complaint = behaviour.expect(seen, behaviour)
    say({"row": behaviour.row, "case": behaviour.case, "ok": complaint is None,
         "detail": complaint or "", "seconds": round(time.monotonic() - begin, 3)})


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=pathlib.Path, required=True)
    parser.add_argument("--proxy-port", type=int, required=True)
    parser.add_argument("--only", help="rows, comma-separated")
    parser.add_argument("--fuzz", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=15)
    parser.add_argument("--threads", type=int, default=6)
    parser.add_argument("--release", default="")
    options = parser.parse_args()
    options.direct = False
    add_fuzz(options.fuzz, options.seed)
    chosen = [entry for entry in BEHAVIOURS
              if not options.only or entry.row in options.only.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        files = certificate(folder)
        documents = ""
        for entry in chosen:
            listen(entry, files)
            documents += "---\n" + document(entry, folder)
        (options.tenants / "evil.tmp").write_text(documents)
        os.rename(options.tenants / "evil.tmp", options.tenants / "evil.yaml")
        say({"ready": len(chosen)})
        wire.wait_for_file(options.release)
        with ThreadPoolExecutor(options.threads) as pool:
            list(pool.map(lambda entry: judge(entry, options), chosen))


if __name__ == "__main__":
    main()
