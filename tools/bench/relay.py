#!/usr/bin/env python3
"""make bench-relay: what pgtee costs beside PgBouncer, HAProxy and bare relays.

Prints a table, writes .build/bench/relay.json (one row for each case and anchor) and
.build/bench/relay-rounds.json (every round). A missed threshold is printed, not an error; the exit code is
1 only where something could not be measured.

    QUICK=1 tools/bench/relay.py                 shorter, smaller, under 8 minutes
    tools/bench/relay.py --only select32,unix32  some cases
    tools/bench/relay.py --pgtee PATH            another binary; --no-pgtee: the anchors alone
    tools/bench/relay.py --write-docs            docs/benchmarks.md from a full run
"""

import argparse
import datetime
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import time

import measure
import report
from cases import Bench, Idle, all_cases
from clusters import Certificates, Cluster, Trouble, Workshop, run
from peers import Peers

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOTES = pathlib.Path(__file__).resolve().parent / "notes.md"
PACKAGES = {
    "pgbouncer": "pgbouncer", "haproxy": "haproxy", "valgrind": "valgrind",
    "/usr/lib/postgresql/15/bin/postgres": "postgresql-15",
    "/usr/include/postgresql/libpq-fe.h": "libpq-dev", "/usr/include/openssl/ssl.h": "libssl-dev",
    "cc": "gcc", "openssl": "openssl",
}


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    quick = os.environ.get("QUICK", "") not in ("", "0")
    parser.add_argument("--quick", action="store_true", default=quick)
    parser.add_argument("--only", help="identifiers with commas between them")
    parser.add_argument("--pgtee", default=os.environ.get("PGTEE"))
    parser.add_argument("--no-pgtee", action="store_true")
    parser.add_argument("--rounds", type=int, help="rounds that must count, per case")
    parser.add_argument("--seconds", type=int, help="of one contender in one round")
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / ".build/bench")
    return parser.parse_args()


def install_missing():
    """Says what and why first; a cluster of Debian's own would take port 5432 and is not wanted."""
    missing = sorted({package for need, package in PACKAGES.items()
                      if not (os.path.exists(need) if need[0] == "/" else shutil.which(need))})
    if not missing:
        return
    print(f"installing {', '.join(missing)}: the peers and tools of the benchmark", flush=True)
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    if "postgresql-15" in missing:
        run(*sudo, "apt-get", "install", "-y", "-q", "postgresql-common")
        run(*sudo, "sh", "-c", "sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' "
            "/etc/postgresql-common/createcluster.conf")
    run(*sudo, "apt-get", "install", "-y", "-q", *missing)


def built_pgtee(options):
    if options.no_pgtee:
        return None
    if options.pgtee:
        if not os.access(options.pgtee, os.X_OK):
            raise Trouble(f"{options.pgtee}: no program there")
        return options.pgtee
    build = ["swift", "build", "-c", "release", "--static-swift-stdlib", "--product", "pgtee"]
    print(" ".join(build), flush=True)
    subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    where = subprocess.run([*build, "--show-bin-path"], cwd=ROOT, check=True, text=True,
                           stdout=subprocess.PIPE).stdout.strip()
    return pathlib.Path(where) / "pgtee"


def facts(bench, pgtee):
    def first_line(*command):
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.STDOUT)
        return (done.stdout.splitlines() or ["unknown"])[0]

    machine = measure.machine()
    commit = first_line("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD")
    found = {
        "machine": f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}",
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
        "versions": ", ".join([
            f"PostgreSQL {bench.cluster.version.split()[0]}", first_line("pgbouncer", "--version"),
            " ".join(first_line("haproxy", "-v").split()[:3]),
            first_line("openssl", "version").partition(" (")[0]]),
        "pgtee": f"commit {commit}" if pgtee else "not measured",
        "span": f"{bench.seconds} s per contender and round" + (", QUICK" if bench.quick else ""),
        "command": "tools/bench/relay.py " + " ".join(sys.argv[1:]),
    }
    return found


class Run:
    """One run over the cases; collects rows and what went wrong."""

    def __init__(self, bench, pgtee, options):
        self.bench = bench
        self.left_out = set() if pgtee else {"pgtee"}
        self.wanted = options.rounds or (2 if bench.quick else 5)
        self.most = self.wanted if bench.quick else 2 * self.wanted
        self.rows, self.rounds_of, self.failures = [], {}, []

    def measure(self, case):
        started = time.monotonic()
        print(f"\n{case.identifier}: {case.title}", flush=True)
        if isinstance(case, Idle):
            made = report.idle_rows(case, self._idle(case))
        else:
            self.rounds_of[case.identifier] = rounds = self._rounds(case)
            made = report.rows_of(case, rounds)
        self.rows += made
        print(report.table(made))
        print(f"({time.monotonic() - started:.0f} s)", flush=True)

    def _names(self, case):
        left_out = set(self.left_out)
        if self.bench.quick and not case.needs_direct:
            left_out.add("direct")
        return [name for name in case.contenders if name.partition("@")[0] not in left_out]

    def _idle(self, case):
        results = {}
        for name in self._names(case):
            with_trouble = self._try(case, name, lambda: case.measure(self.bench, name))
            if with_trouble is not None:
                results[name] = with_trouble
        return results

    def _rounds(self, case):
        """Until enough rounds were quiet; twice as many at most, and no more than asked for in QUICK."""
        names, rounds = self._names(case), []
        try:
            names = [name for name in names
                     if self._try(case, name, lambda: case.start(self.bench, [name]) or True)]
            while len(rounds) < self.most:
                shift = len(rounds) % max(len(names), 1)
                one_round = {}
                for name in names[shift:] + names[:shift]:
                    sample = self._try(case, name, lambda: case.measure(self.bench, name))
                    if sample is None:
                        names = [other for other in names if other != name]
                    else:
                        one_round[name] = sample
                rounds.append(one_round)
                self._print_round(len(rounds), one_round)
                if sum(map(report.is_quiet, rounds)) >= self.wanted:
                    break
        finally:
            case.stop(self.bench)
        return rounds

    def _try(self, case, name, action):
        """None, and a note, when a contender can't do a case: the others go on."""
        try:
            return action()
        except (Trouble, subprocess.SubprocessError, OSError) as trouble:
            self.failures.append(f"{case.identifier}, {name}: {trouble}")
            print(f"FAILED {self.failures[-1]}", flush=True)
            return None

    def _print_round(self, count, one_round):
        twins = report.twin_difference(one_round)
        texts = [f"{name} {report.number(sample.cpu_us)}" for name, sample in
                 sorted(one_round.items()) if sample.cpu_us is not None]
        shown = "" if twins is None else f"twins {100 * twins:.1f} %: "
        says = "" if report.is_quiet(one_round) else "  [says nothing about 10 %]"
        print(f"  round {count}: {shown}{', '.join(texts)}{says}", flush=True)


def main():
    options = arguments()
    os.environ["PATH"] = f"{Cluster.binaries}:{os.environ['PATH']}"
    cases = all_cases()
    if options.only:
        wanted = options.only.split(",")
        unknown = set(wanted) - {case.identifier for case in cases}
        if unknown:
            raise Trouble(f"no such case: {', '.join(sorted(unknown))}")
        cases = [case for case in cases if case.identifier in wanted]
    install_missing()
    pgtee = built_pgtee(options)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    workshop = Workshop()
    try:
        certificates = Certificates(workshop)
        cluster = Cluster(workshop, certificates, scale=20)
        peers = Peers(workshop, certificates, options.output, pgtee)
        seconds = options.seconds or (2 if options.quick else 4)
        bench = Bench(workshop, certificates, cluster, peers, options.output, options.quick, seconds)
        whole = Run(bench, pgtee, options)
        known = facts(bench, pgtee)
        print(f"{datetime.datetime.now():%Y-%m-%d %H:%M}")
        print("\n".join(f"{key}: {value}" for key, value in known.items()))
        for case in cases:
            whole.measure(case)
    finally:
        workshop.clean()
    finish(options, cases, whole, known)
    return 1 if whole.failures else 0


def finish(options, cases, whole, known):
    print("\n" + report.table(whole.rows))
    verdicts = [row["verdict"].rstrip("?") for row in whole.rows]
    print(f"\nPASS {verdicts.count('PASS')}, MISS {verdicts.count('MISS')}, "
          f"not measured {verdicts.count('-')}")
    for failure in whole.failures:
        print(f"FAILED {failure}")
    report.write_json(options.output / "relay.json", whole.rows)
    report.write_json(options.output / "relay-rounds.json", report.raw(whole.rounds_of))
    if options.write_docs:
        notes = NOTES.read_text(encoding="utf-8") if NOTES.exists() else ""
        report.write_document(ROOT / "docs/benchmarks.md", cases=cases, rows=whole.rows,
                              rounds_of=whole.rounds_of, facts=known, notes=notes)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Trouble as trouble:
        sys.exit(f"relay.py: {trouble}")
    except KeyboardInterrupt:
        sys.exit(130)
