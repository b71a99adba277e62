#!/usr/bin/env python3
"""The gate on what one burst costs in user space: instructions, allocations, reference counts.

Wall time on a shared machine can't tell 5 %; instruction counts can. `pgtee serve` runs under callgrind with
N and with 2N transactions; the difference, divided by N, has neither start-up nor logins in it. Calls of the
Swift runtime are counted in the same way. Allocations are counted at full speed by a preloaded library
(mallocs.c), between two moments at which no session begins or ends.

Limits stand in thresholds.json. At last a planted slow case (a malloc and 2,000 instructions per recv, which
the preloaded library adds from outside) must be found by the same gate, or the gate itself has failed.

    tools/bench/instructions.py --pgtee PATH                  the gate: exit code 1 when a limit is exceeded
    tools/bench/instructions.py --pgtee PATH --show           figures only
    tools/bench/instructions.py --contender bare_relay --show those of the bare relay, to compare
"""

import argparse
import json
import mmap
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys

import measure
from cases import Bench, script, select
from clusters import Certificates, Cluster, Trouble, Workshop, run
from peers import Peers, compile_c

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COUNTERS = ("bursts", "mallocs", "frees", "openssl_mallocs", "sends")
RUNTIME = {
    "retains": {"swift_retain", "swift_retain_n", "swift_bridgeObjectRetain",
                "swift_unknownObjectRetain"},
    "releases": {"swift_release", "swift_release_n", "swift_bridgeObjectRelease",
                 "swift_unknownObjectRelease"},
    "objects": {"swift_allocObject", "swift_slowAlloc", "swift_allocBox"},
    "exclusivity_checks": {"swift_beginAccess"},
    "recvs": {"recv"}, "sends": {"send"}, "waits": {"epoll_wait", "epoll_pwait"},
}


def rows(bench):
    return script(bench, "rows2k.sql", "SELECT * FROM pgbench_accounts WHERE aid <= 2000;\n")


# name: workload, transactions per client and run, clients, what a transaction is divided by
CALLGRIND = {
    "select": (select, 250, 4, 1, "transaction"),
    "rows": (rows, 60, 4, 2000, "row"),
}
MALLOCS = {"select": (select, "plain"), "rows": (rows, "plain"),
           "tls_select": (select, "tls"), "tls_rows": (rows, "tls")}


class Callgrind:
    """Totals of one callgrind.out file: instructions, and calls by the name of the called."""

    name = re.compile(r"c?fn=\((\d+)\)(?: (.*))?")

    def __init__(self, path):
        self.instructions = 0
        self.calls = {}
        names, called = {}, None
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith(("fn=", "cfn=")):
                    number, name = self.name.match(line).groups()
                    if name is not None:
                        names[number] = name.strip().partition("'")[0]
                    if line[0] == "c":
                        called = names[number]
                elif line.startswith("calls="):
                    count = int(line[6:].split()[0])
                    self.calls[called] = self.calls.get(called, 0) + count
                elif line.startswith(("summary:", "totals:")):
                    self.instructions = int(line.split()[1])

    def calls_of(self, names):
        return sum(self.calls.get(name, 0) for name in names)


class Gate:
    def __init__(self, workshop, options):
        self.workshop = workshop
        self.options = options
        self.certificates = Certificates(workshop)
        self.cluster = Cluster(workshop, self.certificates, scale=1)
        self.shared_object = compile_c(options.output, HERE / "mallocs.c", "-shared", "-fPIC", "-ldl")
        if options.pgtee:
            # Debian 12's valgrind can't read the debug information; it needs only the symbols.
            bare = workshop.path / "pgtee-symbols"
            run("strip", "--strip-debug", "-o", bare, options.pgtee)
            options.pgtee = bare
        # The server's user may not be able to reach the build's folder.
        self.preload = workshop.path / "mallocs.so"
        self.preload.write_bytes(self.shared_object.read_bytes())
        self.preload.chmod(0o755)

    def bench(self, **peers):
        made = Peers(self.workshop, self.certificates, self.options.output, self.options.pgtee,
                     **peers)
        return Bench(self.workshop, self.certificates, self.cluster, made, self.options.output,
                     True, 3)

    def instructions(self, name, canary=False):
        """Figures per unit of work of one workload, from two runs under callgrind."""
        workload, count, clients, divisor, _ = CALLGRIND[name]
        few, many = (self._under_callgrind(workload, times * count, clients, canary)
                     for times in (1, 2))
        if not few.instructions or not many.instructions:
            raise Trouble("callgrind wrote no totals, so the program did not end as it should")
        units = count * clients * divisor
        figures = {"instructions": (many.instructions - few.instructions) / units}
        for key, names in RUNTIME.items():
            figures[key] = (many.calls_of(names) - few.calls_of(names)) / units
        if self.options.contender == "pgtee" and not few.calls_of(RUNTIME["retains"]):
            raise Trouble("callgrind sees no call of swift_retain even at start: "
                          "is the binary stripped? Then zero would mean nothing")
        return figures

    def _under_callgrind(self, workload, count, clients, canary):
        directory = self.workshop.numbered_directory("callgrind")
        under = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/out",
                 "--error-limit=no", "--separate-threads=yes"]
        environment = self._environment(None, True) if canary else None
        bench = self.bench(under=under, environment=environment)
        endpoint = bench.start(self.options.contender, "plain")
        command = ["pgbench", "-n", "-c", str(clients), "-j", "1", "-t", str(count),
                   *workload(bench), "bench"]
        done = subprocess.run(command, env=endpoint.environment(), check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        bench.peers.stop(endpoint)
        if done.returncode != 0 or measure.transactions_of(done) != count * clients:
            raise Trouble(f"pgbench under callgrind: {done.stderr.decode()[-2000:]}")
        if self.options.keep:
            self.options.keep.mkdir(parents=True, exist_ok=True)
            for file in directory.glob("out-*"):
                shutil.copy(file, self.options.keep / f"{directory.name}.{file.name}")
        # The thread that relays; what others do (reading documents, writing logs) is not per burst.
        threads = [Callgrind(file) for file in directory.glob("out-*")]
        return max(threads, key=lambda thread: thread.calls_of(RUNTIME["recvs"]))

    def _environment(self, counters, canary):
        environment = {"LD_PRELOAD": str(self.preload)}
        if counters:
            environment["MALLOCS_FILE"] = str(counters)
        if canary:
            environment["MALLOCS_CANARY"] = "1"
        return environment

    def mallocs(self, name, canary=False):
        """Allocations of the relaying threads per 1,000 bursts while sessions neither begin nor end."""
        workload, kind = MALLOCS[name]
        counters = self.workshop.write(self.workshop.path / "counters", "\0" * 4096)
        bench = self.bench(environment=self._environment(counters, canary))
        endpoint = bench.start(self.options.contender, kind)
        command = measure.pgbench_command(4, 4, "-P", "1", *workload(bench))
        marks = []
        with open(counters, "r+b") as file, mmap.mmap(file.fileno(), 4096) as shared:
            with subprocess.Popen(command, env=endpoint.environment(), stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE) as process:
                for line in process.stderr:
                    if line.startswith(b"progress:"):
                        marks.append(struct.unpack_from(f"{len(COUNTERS)}Q", shared))
        bench.peers.stop(endpoint)
        if process.returncode != 0 or len(marks) < 3:
            raise Trouble(f"pgbench with counted allocations failed ({name})")
        # From the end of the first second to that of the third; in the fourth, sessions may end.
        passed = {key: last - first for key, first, last in zip(COUNTERS, marks[0], marks[2])}
        if passed["bursts"] < 1000:
            raise Trouble(f"only {passed['bursts']} bursts were counted: is recv still called?")
        return {key + "_per_1000_bursts": 1000 * passed[key] / passed["bursts"]
                for key in ("mallocs", "frees", "openssl_mallocs", "sends")}


def check(title, figures, limits):
    """Prints every figure with its limit; true if none is exceeded."""
    good = True
    for key, value in figures.items():
        limit = limits.get(key)
        exceeded = limit is not None and value > limit
        good = good and not exceeded
        verdict = "" if limit is None else f"  limit {limit:g}  {'MISS' if exceeded else 'PASS'}"
        print(f"{title:28} {key:32} {value:12.3f}{verdict}", flush=True)
    missing = [key for key in limits if key not in figures]
    if missing:
        raise Trouble(f"{title}: thresholds.json limits what is not measured: {missing}")
    return good


def gate(gate_, thresholds, show):
    good = True
    for name in CALLGRIND:
        limits = {} if show else thresholds["callgrind"][name]
        unit = CALLGRIND[name][4]
        good &= check(f"{name}, per {unit}", gate_.instructions(name), limits)
    for name in MALLOCS:
        limits = {} if show else thresholds["mallocs"][name]
        good &= check(f"{name}, allocations", gate_.mallocs(name), limits)
    if show:
        return True
    print("the planted slow case, which must be found:")
    found = (not check("canary select", gate_.instructions("select", canary=True),
                       thresholds["callgrind"]["select"]))
    found &= not check("canary select, allocations", gate_.mallocs("select", canary=True),
                       thresholds["mallocs"]["select"])
    if not found:
        print("the planted slow case was not found: this gate is blind")
    return good and found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pgtee", default=os.environ.get("PGTEE"))
    parser.add_argument("--contender", default="pgtee")
    parser.add_argument("--show", action="store_true", help="figures without limits")
    parser.add_argument("--keep", type=pathlib.Path,
                        help="a folder for callgrind's files, to look at with callgrind_annotate")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / ".build/bench")
    options = parser.parse_args()
    if options.contender == "pgtee" and not options.pgtee:
        parser.error("--pgtee PATH is needed: a release build with symbols")
    os.environ["PATH"] = f"{Cluster.binaries}:{os.environ['PATH']}"
    thresholds = json.loads((HERE / "thresholds.json").read_text(encoding="utf-8"))
    workshop = Workshop()
    try:
        good = gate(Gate(workshop, options), thresholds, options.show)
    finally:
        workshop.clean()
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Trouble as trouble:
        sys.exit(f"instructions.py: {trouble}")
