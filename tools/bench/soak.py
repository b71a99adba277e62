#!/usr/bin/env python3
"""Hours of production in minutes: one pgtee under mixed load, churn, broken clients and reloads.

Passes when no load saw an error, memory and descriptors do not grow after the warm-up, latency at the
end is that of the beginning, and the log has no line of level error.

    tools/bench/soak.py --minutes 10 --pgtee .build/release/pgtee
"""

import argparse
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import measure
from clusters import DATABASE, Certificates, Cluster, Trouble, Workshop
from peers import Peers, Target

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Bytes of resident memory per hour that allocator noise may look like.
GROWTH_PER_HOUR = 16 * 1024 * 1024


class Soak:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.workshop = Workshop()
        self.stopping = threading.Event()
        self.failures = []
        self.samples = []

    def run(self):
        certificates = Certificates(self.workshop)
        cluster = Cluster(self.workshop, certificates, scale=5)
        peers = Peers(self.workshop, certificates, ROOT / ".build/bench", self.options.pgtee)
        target = Target("127.0.0.1", cluster.port, tls=True)
        self.endpoint = peers.start("pgtee", target, cluster.verifier, sessions=250)
        self.log = peers.log
        self.tenants = next(self.log.parent.glob("tenants/*.yaml"))
        self.baseline = self.descriptors()
        end = time.monotonic() + self.options.minutes * 60
        threads = [threading.Thread(target=work, args=(end,)) for work in (
            self.steady, self.churn, self.copies, self.break_clients, self.reload, self.watch)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.judge()

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.endpoint.process.pid}/fd"))

    def expect(self, done, what):
        errors = [line for line in done.stderr.decode(errors="replace").splitlines()
                  if "error" in line.lower() or "FATAL" in line]
        if done.returncode != 0 or errors:
            self.failures.append(f"{what}: exit {done.returncode} {errors[:3]}")

    def pgbench(self, what, end, seconds, *options):
        seconds = int(min(seconds, end - time.monotonic()))
        if seconds < 1:
            return None
        done = subprocess.run(
            ["pgbench", "-n", "-j", "1", "-T", str(seconds), *options, DATABASE],
            env=self.endpoint.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            check=False)
        self.expect(done, what)
        return done.stdout.decode()

    def steady(self, end):
        self.latencies = []
        while time.monotonic() < end - 2:
            text = self.pgbench("steady", end, 20, "-c", "4", "-M", "prepared", "-R", "400")
            for line in (text or "").splitlines():
                if line.startswith("latency average"):
                    self.latencies.append(float(line.split()[3]))

    def churn(self, end):
        while time.monotonic() < end - 2:
            self.pgbench("churn", end, 20, "-c", "2", "-C", "-S", "-R", "40")

    def copies(self, end):
        statement = "COPY (SELECT * FROM pgbench_accounts) TO STDOUT"
        while time.monotonic() < end - 5:
            done = subprocess.run(
                ["psql", "-XAtq", "-d", DATABASE, "-c", statement],
                env=self.endpoint.environment(), stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, check=False)
            self.expect(done, "copy out")
            self.stopping.wait(min(10, max(0, end - time.monotonic())))

    def break_clients(self, end):
        """Clients that are killed in the middle, and peers that never speak the protocol."""
        while time.monotonic() < end - 5:
            query = "SELECT pg_sleep(0.5), * FROM pgbench_accounts"
            victim = subprocess.Popen(
                ["psql", "-XAtq", "-d", DATABASE, "-c", query],
                env=self.endpoint.environment(), stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
            stranger = socket.create_connection(("127.0.0.1", self.endpoint.port))
            stranger.sendall(self.random.randbytes(self.random.randrange(1, 200)))
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.stopping.wait(self.random.uniform(0.05, 1.5))
            stranger.close()
            victim.send_signal(signal.SIGKILL)
            victim.wait()

    def reload(self, end):
        text = self.tenants.read_text()
        turn = 0
        while time.monotonic() < end - 5:
            turn += 1
            # Every fourth document is broken: the last good one has to stay.
            new = text + (f"# {turn}\n" if turn % 4 else "limits: {sesions: 1}\n")
            self.workshop.write(self.tenants, new)
            self.stopping.wait(5)
        self.workshop.write(self.tenants, text)

    def watch(self, end):
        while time.monotonic() < end:
            self.samples.append((time.monotonic(), measure.resident_bytes(self.endpoint.process),
                                 self.descriptors()))
            self.stopping.wait(1)

    def judge(self):
        if self.endpoint.process.poll() is not None:
            self.failures.append(f"pgtee ended with {self.endpoint.process.returncode}")
            return
        deadline = time.monotonic() + 10
        while self.descriptors() > self.baseline + 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        if self.descriptors() > self.baseline + 2:
            self.failures.append(f"descriptors: {self.baseline} before, {self.descriptors()} after")
        growth = self.slope()
        if growth > GROWTH_PER_HOUR:
            self.failures.append(f"memory grows by {growth / 1e6:.1f} MB per hour")
        quarter = max(1, len(self.latencies) // 4)
        first = measure.median(self.latencies[:quarter])
        last = measure.median(self.latencies[-quarter:])
        if last > 2 * first + 2:
            self.failures.append(f"latency: {first:.2f} ms at first, {last:.2f} ms at last")
        errors = [line for line in self.log.read_text(errors="replace").splitlines()
                  if "level=error" in line and "a document has a problem" not in line]
        if errors:
            self.failures.append(f"{len(errors)} error lines in the log, first: {errors[0]}")
        print(f"memory {self.samples[-1][1] / 1e6:.1f} MB, {growth / 1e6:+.2f} MB/h; "
              f"descriptors {self.baseline} → {self.descriptors()}; "
              f"latency {first:.2f} → {last:.2f} ms")

    def slope(self):
        """Theil-Sen over a sample in five seconds, after the first third: bytes per hour."""
        rest = self.samples[len(self.samples) // 3::5]
        slopes = [(later[1] - early[1]) / (later[0] - early[0])
                  for index, early in enumerate(rest) for later in rest[index + 1:]]
        return 3600 * measure.median(slopes) if slopes else 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--pgtee", required=True, type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    soak = Soak(parser.parse_args())
    print(f"soak: {soak.options.minutes} min, seed {soak.options.seed}", flush=True)
    try:
        soak.run()
    except Trouble as trouble:
        soak.failures.append(str(trouble))
    finally:
        soak.workshop.clean()
    for failure in soak.failures:
        print(f"FAILED: {failure}")
    print(f"{0 if soak.failures else 1} passed, {len(soak.failures)} failed")
    return 1 if soak.failures else 0


if __name__ == "__main__":
    sys.exit(main())
