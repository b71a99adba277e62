"""PostgreSQL's protocol 3 for test peers: builders that can lie, a reader that judges nothing, SCRAM
and TLS in both roles. Standard library only, and written apart from pgtee's own protocol code, so
that the two can't share a misreading.
"""
import base64
import hashlib
import hmac
import os
import socket
import ssl
import struct
import threading
import time

SSL_REQUEST = struct.pack(">II", 8, 80877103)
GSS_REQUEST = struct.pack(">II", 8, 80877104)
FRONTEND_TYPES = b"QPBFdDCEHSXcfp"


def message(kind, body=b"", length=None):
    """A typed message; `length` overrides the length word with a lie."""
    return kind + struct.pack(">I", len(body) + 4 if length is None else length) + body


def startup(parameters, code=196608, terminator=b"\0", length=None):
    """`parameters`: (name, value) pairs of str or bytes, in order, duplicates allowed."""
    body = struct.pack(">I", code)
    for name, value in parameters:
        body += to_bytes(name) + b"\0" + to_bytes(value) + b"\0"
    body += terminator
    return struct.pack(">I", len(body) + 4 if length is None else length) + body


def cancel(pid, secret, length=None):
    body = struct.pack(">Ii", 80877102, pid) + secret
    return struct.pack(">I", len(body) + 4 if length is None else length) + body


def query(text):
    return message(b"Q", to_bytes(text) + b"\0")


def error_response(severity, state, text):
    fields = b"S" + to_bytes(severity) + b"\0V" + to_bytes(severity) + b"\0C" + to_bytes(state)
    return message(b"E", fields + b"\0M" + to_bytes(text) + b"\0\0")


def to_bytes(value):
    return value if isinstance(value, bytes) else value.encode()


def error_fields(body):
    """{'C': '08P01', 'M': '...'}; never fails on malformed bodies."""
    return {part[:1].decode("latin1"): part[1:].decode("utf8", "replace")
            for part in body.split(b"\0") if part}


def wait_for_file(path, seconds=60):
    """Until the caller has made this file; at once when there is no path."""
    deadline = time.monotonic() + seconds
    while path and not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.02)


class Ended(Exception):
    """The stream ended where a message was wanted; `how`: closed, reset, timeout."""

    def __init__(self, how):
        super().__init__(how)
        self.how = how


class Wire:
    """One connection, plain or (after `secure`) TLS, as bytes and messages."""

    def __init__(self, connection, timeout=10):
        self.connection = connection
        self.connection.settimeout(timeout)
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.received = b""

    @classmethod
    def connect(cls, host, port, timeout=10):
        if host.startswith("/"):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(timeout)
            connection.connect(f"{host}/.s.PGSQL.{port}")
            return cls(connection, timeout)
        return cls(socket.create_connection((host, port), timeout), timeout)

    def send(self, data):
        try:
            self.connection.sendall(data)
        except TimeoutError:
            raise Ended("timeout") from None
        except OSError:
            raise Ended("reset") from None

    def more(self):
        """Reads what is there; raises Ended."""
        try:
            data = self.connection.recv(65536)
        except TimeoutError:
            raise Ended("timeout") from None
        except ssl.SSLEOFError:
            raise Ended("closed") from None
        except ssl.SSLError as error:
            raise Ended(f"tls: {error.reason}") from None
        except OSError:
            raise Ended("reset") from None
        if not data:
            raise Ended("closed")
        self.received += data[:65536 - min(len(self.received), 65536)]
        self.buffer += data

    def take(self, size):
        while len(self.buffer) < size:
            self.more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def read(self):
        """(type, body) of the next message."""
        while len(self.buffer) < 5:
            self.more()
        length = struct.unpack(">I", self.buffer[1:5])[0]
        if length < 4:
            raise Ended(f"impossible length {length}")
        data = self.take(length + 1)
        return data[:1], data[5:]

    def read_until(self, *kinds):
        """All messages up to one of these types, or an ErrorResponse."""
        messages = []
        while True:
            messages.append(self.read())
            if messages[-1][0] in kinds or (messages[-1][0] == b"E" and b"E" not in kinds):
                return messages

    def drain(self, timeout=10, limit=1 << 24):
        """(everything that still comes, how it ended)."""
        deadline = time.monotonic() + timeout
        data = bytearray(self.buffer)
        self.buffer = b""
        while True:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or len(data) > limit:
                return bytes(data), "timeout"
            self.connection.settimeout(remaining)
            try:
                self.more()
            except Ended as end:
                return bytes(data), end.how
            data += self.buffer
            self.buffer = b""

    def secure(self, context, server_side=False, name=None):
        self.connection = context.wrap_socket(
            self.connection, server_side=server_side, server_hostname=name)

    def close(self):
        try:
            self.connection.close()
        except OSError:
            pass

    def reset(self):
        try:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.close()


def split_messages(data):
    """Whole messages of `data`; the last may be (type, None) when it is cut or impossible."""
    messages, at = [], 0
    while at < len(data):
        kind, header = data[at:at + 1], data[at + 1:at + 5]
        length = struct.unpack(">I", header)[0] if len(header) == 4 else 0
        if length < 4 or at + 1 + length > len(data):
            messages.append((kind, None))
            break
        messages.append((kind, data[at + 5:at + 1 + length]))
        at += 1 + length
    return messages


def client_context(ca=None, alpn=("postgresql",), lowest=None, highest=None, certificate=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if ca:
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if lowest:
        context.minimum_version = lowest
    if highest:
        context.maximum_version = highest
    if certificate:
        context.load_cert_chain(*certificate)
    return context


def server_context(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["postgresql"])
    return context


# SCRAM-SHA-256 (RFC 5802, RFC 7677)

def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def xor(left, right):
    return bytes(a ^ b for a, b in zip(left, right))


class Verifier:
    def __init__(self, password, salt=b"0123456789abcdef", iterations=4096):
        self.salt, self.iterations = salt, iterations
        salted = hashlib.pbkdf2_hmac("sha256", to_bytes(password), salt, iterations)
        self.client_key = mac(salted, b"Client Key")
        self.server_key = mac(salted, b"Server Key")
        self.stored_key = hashlib.sha256(self.client_key).digest()

    def text(self):
        salt, stored, server = (base64.b64encode(part).decode()
                                for part in (self.salt, self.stored_key, self.server_key))
        return f"SCRAM-SHA-256${self.iterations}:{salt}${stored}:{server}"


_keys = {}
_keys_lock = threading.Lock()


def keys_of(password, salt, iterations):
    """PBKDF2 once per (password, salt, iterations)."""
    with _keys_lock:
        if (password, salt, iterations) not in _keys:
            _keys[password, salt, iterations] = Verifier(password, salt, iterations)
        return _keys[password, salt, iterations]


class ScramClient:
    def __init__(self, password, flag="n", binding=b""):
        """`flag`: n, y, or p=tls-server-end-point with `binding`."""
        self.password, self.flag, self.binding = password, flag, binding
        self.nonce = base64.b64encode(os.urandom(18)).decode()
        self.bare = f"n=,r={self.nonce}"

    @property
    def mechanism(self):
        return b"SCRAM-SHA-256-PLUS" if self.flag.startswith("p") else b"SCRAM-SHA-256"

    def first(self):
        data = f"{self.flag},,{self.bare}".encode()
        return message(b"p", self.mechanism + b"\0" + struct.pack(">I", len(data)) + data)

    def final(self, server_first):
        parts = dict(part.split("=", 1) for part in server_first.decode().split(","))
        verifier = keys_of(self.password, base64.b64decode(parts["s"]), int(parts["i"]))
        binding = base64.b64encode(f"{self.flag},,".encode() + self.binding).decode()
        unproved = f"c={binding},r={parts['r']}"
        auth = f"{self.bare},{server_first.decode()},{unproved}".encode()
        proof = xor(verifier.client_key, mac(verifier.stored_key, auth))
        self.expected = b"v=" + base64.b64encode(mac(verifier.server_key, auth))
        return message(b"p", f"{unproved},p={base64.b64encode(proof).decode()}".encode())


class ScramServer:
    def __init__(self, verifier):
        self.verifier = verifier

    def challenge(self, initial):
        """R(11) for a SASLInitialResponse's body; `self.flag` tells the client's binding flag."""
        mechanism, rest = initial.split(b"\0", 1)
        first = rest[4:].decode()
        self.mechanism = mechanism
        self.header, self.bare = ",".join(first.split(",")[:2]) + ",", first.split(",", 2)[2]
        nonce = dict(part.split("=", 1) for part in self.bare.split(","))["r"]
        nonce += base64.b64encode(os.urandom(18)).decode()
        salt = base64.b64encode(self.verifier.salt).decode()
        self.first = f"r={nonce},s={salt},i={self.verifier.iterations}"
        return message(b"R", struct.pack(">I", 11) + self.first.encode())

    def final(self, body):
        """(whether the proof is right, R(12))."""
        unproved, proof = body.decode().rsplit(",p=", 1)
        auth = f"{self.bare},{self.first},{unproved}".encode()
        key = xor(base64.b64decode(proof), mac(self.verifier.stored_key, auth))
        signature = base64.b64encode(mac(self.verifier.server_key, auth))
        return (hashlib.sha256(key).digest() == self.verifier.stored_key,
                message(b"R", struct.pack(">I", 12) + b"v=" + signature))


class Refused(Exception):
    """An ErrorResponse where the login should have gone on."""

    def __init__(self, fields):
        super().__init__(f"{fields.get('C')} {fields.get('M')}")
        self.fields = fields


class Client(Wire):
    """An honest client, to be led astray."""

    process_id, secret = 0, b""

    def negotiate(self, context, name=None):
        self.send(SSL_REQUEST)
        answer = self.take(1)
        if answer != b"S":
            raise Ended(f"{answer!r} to SSLRequest")
        self.secure(context, name=name)

    def login(self, user, database, password, code=196608, extra=()):
        """Until ReadyForQuery; returns the ParameterStatus values."""
        self.send(startup([("user", user), ("database", database), *extra], code))
        return self.authenticate(password)

    def authenticate(self, password):
        scram, settings = None, {}
        while True:
            kind, body = self.read()
            if kind == b"E":
                raise Refused(error_fields(body))
            if kind == b"R":
                code = struct.unpack(">I", body[:4])[0]
                if code == 10:
                    scram = ScramClient(password, self.flag(body), self.binding(body))
                    self.send(scram.first())
                elif code == 11:
                    self.send(scram.final(body[4:]))
                elif code == 12 and body[4:] != scram.expected:
                    raise Ended("wrong server signature")
                elif code == 3:
                    self.send(message(b"p", to_bytes(password) + b"\0"))
            elif kind == b"S":
                name, value, _ = body.split(b"\0")
                settings[name.decode()] = value.decode("utf8", "replace")
            elif kind == b"K":
                self.process_id, self.secret = struct.unpack(">i", body[:4])[0], body[4:]
            elif kind == b"Z":
                return settings

    def has_plus(self, offer):
        return isinstance(self.connection, ssl.SSLSocket) and b"SCRAM-SHA-256-PLUS\0" in offer

    def flag(self, offer):
        if self.has_plus(offer):
            return "p=tls-server-end-point"
        return "y" if isinstance(self.connection, ssl.SSLSocket) else "n"

    def binding(self, offer):
        """The certificate's hash; test certificates are signed with SHA-256."""
        if not self.has_plus(offer):
            return b""
        return hashlib.sha256(self.connection.getpeercert(binary_form=True)).digest()

    def simple(self, text):
        """Rows of a simple query as lists of bytes; raises Refused."""
        self.send(query(text))
        rows, error = [], None
        for kind, body in self.read_all():
            if kind == b"D":
                rows.append(row_values(body))
            elif kind == b"E":
                error = Refused(error_fields(body))
        if error:
            raise error
        return rows

    def read_all(self):
        """Messages up to ReadyForQuery."""
        while True:
            kind, body = self.read()
            yield kind, body
            if kind == b"Z":
                return


def row_values(body):
    values, at = [], 2
    for _ in range(struct.unpack(">H", body[:2])[0]):
        size = struct.unpack(">i", body[at:at + 4])[0]
        at += 4
        values.append(None if size < 0 else body[at:at + size])
        at += max(size, 0)
    return values


def data_row(*values):
    body = struct.pack(">H", len(values))
    for value in values:
        body += struct.pack(">i", len(value)) + value
    return message(b"D", body)


def row_description(*names):
    body = struct.pack(">H", len(names))
    for name in names:
        body += to_bytes(name) + b"\0" + struct.pack(">IhIhih", 0, 0, 25, -1, -1, 0)
    return message(b"T", body)
