"""A TCP relay that misbehaves on command: the network between two honest peers.

    fault_proxy.py --listen 127.0.0.1:7000 --to 127.0.0.1:5432 [toxics]

Toxics (each for `--direction` to-server, to-client or both):
    --delay MS --jitter MS      each piece waits, in order
    --rate BYTES                bytes per second
    --slice N                   pieces of 1...N bytes, one send each
    --cut KIND@BYTE             at byte BYTE of the direction: rst, fin, half (only that direction
                                ends), hole (nothing passes any more), stall (nothing is read any more)
    --cut KIND@TYPE:K           at the K-th message of that type (plain legs only)
    --flip BYTE                 the lowest bit of that byte
Seeded (`--seed`); the schedule goes to standard error, so that a failure can be repeated. `ready`
is printed on standard output once the port listens; `--sessions N` ends the program after N.
"""
import argparse
import random
import selectors
import socket
import struct
import sys
import threading
import time


def note(text):
    print(f"fault: {text}", file=sys.stderr, flush=True)


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def reset(connection):
    """Closes with RST: the peer sees ECONNRESET."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    except OSError:
        pass


class MessageCounter:
    """Finds the offset of the K-th message of a type in a plain stream."""

    def __init__(self, wanted, count, typed):
        self.wanted, self.count, self.typed = wanted, count, typed
        self.offset, self.header, self.remaining = 0, b"", 0

    def feed(self, data):
        """The offset in `data` where the message begins, or None."""
        position = 0
        while position < len(data):
            if self.remaining:
                step = min(self.remaining, len(data) - position)
                self.remaining -= step
                position += step
                continue
            size = 5 if self.typed else 4
            begin = position - len(self.header)
            take = min(size - len(self.header), len(data) - position)
            self.header += data[position:position + take]
            position += take
            if len(self.header) < size:
                return None
            kind = self.header[:1] if self.typed else b"\0"
            self.remaining = max(struct.unpack(">I", self.header[-4:])[0] - 4, 0)
            self.header = b""
            if kind == self.wanted:
                self.count -= 1
                if self.count == 0:
                    return max(begin, 0)
            if not self.typed and self.remaining != 4:
                self.typed = True
        return None


class Cut:
    def __init__(self, text, to_server):
        self.kind, where = text.split("@", 1)
        self.byte, self.counter = None, None
        if ":" in where:
            letter, count = where.split(":")
            self.counter = MessageCounter(letter.encode(), int(count), typed=not to_server)
        else:
            self.byte = int(where)

    def find(self, passed, data):
        """Where in `data` the cut is due, or None."""
        if self.counter:
            return self.counter.feed(data)
        if passed <= self.byte < passed + len(data):
            return self.byte - passed
        return None


class Direction(threading.Thread):
    def __init__(self, session, source, target, to_server, options):
        super().__init__(daemon=True)
        self.session, self.source, self.target = session, source, target
        mine = options.direction in ("both", "to-server" if to_server else "to-client")
        self.options = options if mine else None
        self.name = "to-server" if to_server else "to-client"
        self.random = random.Random(f"{options.seed}/{session.number}/{self.name}")
        self.cut = Cut(options.cut, to_server) if mine and options.cut else None
        self.passed = 0

    def run(self):
        try:
            while data := self.source.recv(65536):
                if not self.forward(data):
                    return
            self.target.shutdown(socket.SHUT_WR)
        except OSError:
            # A reset travels on as a reset.
            reset(self.source)
            reset(self.target)

    def forward(self, data):
        due = self.cut.find(self.passed, data) if self.cut else None
        if self.options and self.options.flip is not None:
            at = self.options.flip - self.passed
            if 0 <= at < len(data):
                data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
                note(f"session {self.session.number} {self.name}: bit of byte {at} flipped")
        self.send(data if due is None else data[:due])
        self.passed += len(data)
        return due is None or self.perform()

    def send(self, data):
        options = self.options
        if not options:
            self.target.sendall(data)
            return
        while data:
            size = self.random.randint(1, options.slice) if options.slice else len(data)
            piece, data = data[:size], data[size:]
            pause = options.delay / 1000
            if options.jitter:
                pause += self.random.uniform(0, options.jitter / 1000)
            if options.rate:
                pause += len(piece) / options.rate
            if pause:
                time.sleep(pause)
            self.target.sendall(piece)

    def perform(self):
        kind = self.cut.kind
        note(f"session {self.session.number} {self.name}: {kind} after about {self.passed} bytes")
        if kind == "rst":
            reset(self.source)
            reset(self.target)
        elif kind == "fin":
            for connection in (self.source, self.target):
                connection.shutdown(socket.SHUT_RDWR)
                connection.close()
        elif kind == "half":
            self.target.shutdown(socket.SHUT_WR)
        elif kind == "hole":
            while self.source.recv(65536):
                pass
        elif kind == "stall":
            self.session.ended.wait()
        return False


class Session:
    def __init__(self, number, client, server, options):
        self.number, self.ended = number, threading.Event()
        for connection in (client, server):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.directions = [Direction(self, client, server, True, options),
                           Direction(self, server, client, False, options)]
        for direction in self.directions:
            direction.start()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", type=address, required=True)
    parser.add_argument("--to", type=address, required=True)
    parser.add_argument("--direction", choices=["both", "to-server", "to-client"], default="both")
    parser.add_argument("--delay", type=float, default=0)
    parser.add_argument("--jitter", type=float, default=0)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--slice", type=int, default=0)
    parser.add_argument("--cut")
    parser.add_argument("--flip", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sessions", type=int, default=0)
    options = parser.parse_args()
    listener = socket.create_server(options.listen, backlog=512)
    print("ready", listener.getsockname()[1], flush=True)
    note(f"seed {options.seed}")
    number, started = 0, []
    while not options.sessions or number < options.sessions:
        client, _ = listener.accept()
        try:
            server = socket.create_connection(options.to, 10)
            server.settimeout(None)
        except OSError as error:
            note(f"server: {error}")
            reset(client)
            continue
        session = Session(number, client, server, options)
        number += 1
        if options.sessions:
            started += session.directions
    for direction in started:
        direction.join()


if __name__ == "__main__":
    main()
