"""A proxy that passes authentication through unchanged: what a TCP proxy that ends TLS would do.

    sasl_relay.py --listen PORT --to PORT [--certificate CRT --key KEY] [--server-tls] [--strip]

With a certificate the client's leg is TLS (if the client asks), with --server-tls the server's leg
is. --strip takes SCRAM-SHA-256-PLUS out of the server's offer. Prints `ready` once it listens.
"""
import argparse
import socket
import struct
import threading

import wire
from wire import Ended, Wire


def read_packet(peer):
    length = struct.unpack(">I", peer.take(4))[0]
    return struct.pack(">I", length) + peer.take(length - 4)


def pump(source, target):
    try:
        while True:
            target.send(source.buffer)
            source.buffer = b""
            source.more()
    except Ended:
        pass
    for peer in (source, target):
        try:
            peer.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(connection, options):
    client = Wire(connection, 60)
    try:
        packet = read_packet(client)
        while packet in (wire.SSL_REQUEST, wire.GSS_REQUEST):
            if packet == wire.SSL_REQUEST and options.certificate:
                client.send(b"S")
                client.secure(
                    wire.server_context(options.certificate, options.key), server_side=True)
            else:
                client.send(b"N")
            packet = read_packet(client)
        server = Wire.connect("127.0.0.1", options.to, 60)
        if options.server_tls:
            server.send(wire.SSL_REQUEST)
            if server.take(1) != b"S":
                raise Ended("no TLS at the server")
            server.secure(wire.client_context())
        server.send(packet)
        # Message by message until the server has made up its mind.
        while True:
            kind, body = server.read()
            if options.strip and kind == b"R" and body[:4] == struct.pack(">I", 10):
                body = body.replace(b"SCRAM-SHA-256-PLUS\0", b"")
            client.send(wire.message(kind, body))
            code = struct.unpack(">I", body[:4])[0] if kind == b"R" else None
            if kind == b"E" or code == 0:
                break
            if code in (10, 11):
                client_kind, client_body = client.read()
                server.send(wire.message(client_kind, client_body))
        threading.Thread(target=pump, args=(client, server), daemon=True).start()
        pump(server, client)
    except (Ended, OSError):
        pass
    finally:
        client.close()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", type=int, required=True)
    parser.add_argument("--to", type=int, required=True)
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--server-tls", action="store_true")
    parser.add_argument("--strip", action="store_true")
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", options.listen), backlog=64)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, options), daemon=True).start()


if __name__ == "__main__":
    main()
