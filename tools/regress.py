"""Runs PostgreSQL's regression suite and libpq_pipeline direct and through pgtee, and compares.

tools/regress.sh (`make regress`) fetches and compiles what this needs, then calls it. Each leg gets
a freshly made cluster, the same parameters and the same superuser; only the address and the user
name (postgres, postgres@t1) differ. A test differs when its verdict does, or when it fails on both
sides but with another output. Exit code 1 when any test differs.
"""
import argparse
import difflib
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PASSWORD = "regress-only"
VERDICT = re.compile(
    r"^(?:(?:test )?\s*(?P<old>\w+)\s+\.\.\. (?P<word>ok|FAILED)"
    r"|(?P<tap>ok|not ok)\s+\d+\s+[-+]\s+(?P<new>\w+))")


def say(text):
    print(f"regress: {text}", file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def as_postgres(arguments):
    """PostgreSQL's programs refuse to run as root."""
    arguments = [str(argument) for argument in arguments]
    return arguments if os.geteuid() else ["runuser", "-u", "postgres", "--", *arguments]


class Major:
    """The programs, the suite and the compiled module of one major version."""

    def __init__(self, cache, number, work):
        self.number = number
        home = pathlib.Path("/usr/lib/postgresql/15") if number == 15 else work / "postgresql-18"
        if number != 15:
            # Where the user postgres can reach it, too.
            shutil.copytree(ROOT / f".build/postgresql/{number}", home, symlinks=True)
        self.bin = home / "bin"
        pgxs = "pgxs/src/test/regress/pg_regress"
        self.driver = home / "lib" / pgxs
        self.suite = work / f"suite-{number}"
        shutil.copytree(cache / f"source-{number}/src/test/regress", self.suite)
        self.traces = cache / f"source-{number}/src/test/modules/libpq_pipeline/traces"
        self.compiled = work / f"compiled-{number}"
        shutil.copytree(cache / f"compiled-{number}", self.compiled)
        self.libraries = str(home / "lib") if number != 15 else ""


class Cluster:
    def __init__(self, major, work, certificates):
        self.major, self.port = major, free_port()
        self.data = work / f"data-{major.number}"
        shutil.rmtree(self.data, ignore_errors=True)
        password_file = work / "password"
        password_file.write_text(PASSWORD + "\n")
        self.sockets = work
        run(as_postgres([
            major.bin / "initdb", "-D", self.data, "-U", "postgres", "--no-sync", "--locale=C",
            "--encoding=UTF8", "--auth=scram-sha-256", f"--pwfile={password_file}"]), major)
        for name in ("server.crt", "server.key"):
            copy = self.data / name
            shutil.copy(certificates / name, copy)
            own(copy)
            copy.chmod(0o600)
        with open(self.data / "postgresql.conf", "a") as settings:
            settings.write(
                f"port={self.port}\nlisten_addresses='127.0.0.1'\nunix_socket_directories='{work}'\n"
                "ssl=on\nfsync=off\nmax_prepared_transactions=2\nmax_connections=60\n"
                "shared_buffers=128MB\nlog_min_messages=fatal\n")
        run(as_postgres([major.bin / "pg_ctl", "-D", self.data, "-w", "-l", work / "server.log",
                         "start"]), major)

    def verifier(self):
        environment = environment_of(self.major) | {"PGPASSWORD": PASSWORD}
        return subprocess.run(
            as_postgres([self.major.bin / "psql", "-XAt", "-h", self.sockets, "-p", self.port,
                         "-U", "postgres", "-c",
                         "select rolpassword from pg_authid where rolname='postgres'"]),
            env=environment, check=True, capture_output=True, text=True).stdout.strip()

    def stop(self):
        subprocess.run(
            as_postgres([self.major.bin / "pg_ctl", "-D", self.data, "-m", "immediate", "stop"]),
            env=environment_of(self.major), capture_output=True)
        shutil.rmtree(self.data, ignore_errors=True)


def own(path):
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(path, user.pw_uid, user.pw_gid)


def environment_of(major):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment.pop("LANG", None)
    environment["LC_ALL"] = "C"
    if major.libraries:
        environment["LD_LIBRARY_PATH"] = major.libraries
    return environment


def run(command, major):
    done = subprocess.run(command, env=environment_of(major), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"regress: {' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")


def make_certificates(work):
    folder = work / "certificates"
    folder.mkdir()
    (folder / "extensions").write_text(
        "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    commands = [["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "30",
                 "-subj", "/CN=regress CA"]]
    for name in ("server", "proxy"):
        commands += [
            ["req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"],
            ["x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
             "-CAcreateserial", "-out", f"{name}.crt", "-days", "30", "-extfile", "extensions"]]
    for command in commands:
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    for file in folder.iterdir():
        # pgtee, like PostgreSQL, wants its key to be its own.
        file.chmod(0o600 if file.suffix == ".key" else 0o644)
    return folder


class Proxy:
    """pgtee in front of a cluster, or (stand-in) a relay that knows nothing of PostgreSQL."""

    def __init__(self, program, leg, cluster, work, certificates):
        self.port = free_port()
        self.folder = work / f"proxy-{leg}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.log = open(self.folder / "log", "w")
        if program is None:
            command = [sys.executable, ROOT / "tools/peers/fault_proxy.py", "--listen",
                       f"127.0.0.1:{self.port}", "--to", f"127.0.0.1:{cluster.port}"]
        else:
            command = [program, "serve", "--config", self.configure(leg, cluster, certificates)]
        self.process = subprocess.Popen(
            [str(word) for word in command], stdout=self.log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"regress: the proxy did not start:\n"
                             f"{(self.folder / 'log').read_text()}")
                time.sleep(0.05)

    def configure(self, leg, cluster, certificates):
        if leg == "unix":
            address = f"socket: {cluster.sockets}, port: {cluster.port}"
        else:
            address = (f"host: 127.0.0.1, port: {cluster.port}, tls: {{mode: verify-full, "
                       f"ca: {certificates}/ca.crt, name: localhost}}")
        (self.folder / "tenants.yaml").write_text(
            "tenant: t1\n"
            f"backends: [{{name: main, {address}}}]\n"
            f"authentication: {{mode: scram, verifiers: {{postgres: "
            f"\"{cluster.verifier()}\"}}}}\n")
        path = self.folder / "pgtee.yaml"
        path.write_text(
            f"listen: [127.0.0.1:{self.port}]\n"
            f"tls: {{mode: require, certificate: {certificates}/proxy.crt, "
            f"key: {certificates}/proxy.key}}\n"
            "tenants: tenants.yaml\n"
            "admin: off\n")
        return path

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            died = ""
        else:
            died = f"the proxy died with {self.process.returncode}: see {self.folder}/log"
        self.log.close()
        return died


class Leg:
    """Verdicts and outputs of one way to the server."""

    def __init__(self, name):
        self.name, self.verdicts, self.outputs, self.pipeline = name, {}, {}, {}
        self.died = ""


def run_leg(name, major, options, work, certificates):
    leg = Leg(name)
    cluster = Cluster(major, work, certificates)
    proxy = None
    try:
        port, user = cluster.port, "postgres"
        if name != "direct":
            program = None if options.stand_in else options.proxy
            proxy = Proxy(program, name, cluster, work, certificates)
            port = proxy.port
            user = "postgres" if options.stand_in else "postgres@t1"
        environment = environment_of(major) | {
            "PGPASSWORD": PASSWORD, "PGHOST": "localhost", "PGHOSTADDR": "127.0.0.1",
            "PGPORT": str(port), "PGUSER": user, "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(certificates / "ca.crt")}
        say(f"PostgreSQL {major.number}, {name}: the regression suite")
        run_suite(leg, major, options, work, environment)
        say(f"PostgreSQL {major.number}, {name}: libpq_pipeline")
        run_pipeline(leg, major, work, environment)
    finally:
        if proxy:
            leg.died = proxy.stop()
        cluster.stop()
    return leg


def run_suite(leg, major, options, work, environment):
    # The same place for every leg: paths get into the outputs.
    output = work / "output"
    shutil.rmtree(output, ignore_errors=True)
    for folder in (output, output / "results", output / "testtablespace"):
        folder.mkdir()
        own(folder)
    schedule = major.suite / "parallel_schedule"
    tests = ["--schedule", schedule] if not options.tests else options.tests.split(",")
    done = subprocess.run(
        as_postgres([
            major.driver, f"--bindir={major.bin}", f"--inputdir={major.suite}",
            f"--outputdir={output}", f"--dlpath={major.compiled}", "--max-concurrent-tests=20",
            *tests]),
        env=environment, cwd=output, capture_output=True, text=True)
    for line in done.stdout.splitlines():
        found = VERDICT.match(line)
        if found:
            passed = (found["word"] or found["tap"]) == "ok"
            leg.verdicts[found["old"] or found["new"]] = "ok" if passed else "FAILED"
    if not leg.verdicts:
        sys.exit(f"regress: {leg.name}: no test ran:\n{done.stdout}{done.stderr}")
    for result in (output / "results").glob("*.out"):
        leg.outputs[result.stem] = result.read_text(errors="surrogateescape").splitlines()
    keep = options.cache / f"results-{major.number}-{leg.name}"
    shutil.rmtree(keep, ignore_errors=True)
    shutil.copytree(output, keep, ignore=shutil.ignore_patterns("testtablespace"))


def run_pipeline(leg, major, work, environment):
    program = major.compiled / "libpq_pipeline"
    names = subprocess.run([program, "tests"], env=environment, check=True, capture_output=True,
                           text=True).stdout.split()
    for name in names:
        trace = work / "trace"
        trace.write_text("")
        own(trace)
        try:
            done = subprocess.run(
                as_postgres([program, "-r", "700", "-t", trace, name,
                             "dbname=postgres max_protocol_version=latest"
                             if name == "protocol_version" else "dbname=postgres"]),
                env=environment, capture_output=True, text=True, timeout=120)
            failure = done.stderr.splitlines() if done.returncode else []
            leg.pipeline[name] = (done.returncode, failure, [])
        except subprocess.TimeoutExpired:
            leg.pipeline[name] = (None, ["no end within 120 s"], [])
            continue
        # Traces without a reference (pipelined_insert, uniqviol) depend on timing.
        expected = major.traces / f"{name}.trace"
        if expected.exists():
            lines = trace.read_text().splitlines()
            verdict = [] if lines == expected.read_text().splitlines() else ["not as expected"]
            leg.pipeline[name] = (done.returncode, failure, verdict + lines)


def steady(lines):
    """Without what differs between two direct runs too: addresses of failed backends, OIDs."""
    return [re.sub(r"\b\d{5,}\b", "N", line) for line in lines]


def compare(direct, other):
    """(test, direct, other, lines that differ) for each test that is not the same."""
    rows = []
    for test, verdict in direct.verdicts.items():
        theirs = other.verdicts.get(test, "not run")
        if verdict == theirs == "ok":
            continue
        delta = [line for line in difflib.unified_diff(
            steady(direct.outputs.get(test, [])), steady(other.outputs.get(test, [])), n=0,
            lineterm="") if not line.startswith(("---", "+++", "@@"))]
        if verdict != theirs or delta:
            rows.append((test, verdict, theirs, delta))
    for test, mine in direct.pipeline.items():
        theirs = other.pipeline.get(test, (None, [], []))
        if mine != theirs:
            delta = [line for line in difflib.unified_diff(
                mine[1] + mine[2], theirs[1] + theirs[2], n=0, lineterm="")
                if not line.startswith(("---", "+++", "@@"))]
            rows.append((f"pipeline {test}", f"exit {mine[0]}", f"exit {theirs[0]}", delta))
    return rows


def report(major, legs):
    direct, others = legs[0], legs[1:]
    ok = sum(verdict == "ok" for verdict in direct.verdicts.values())
    print(f"\nPostgreSQL {major.number}: {len(direct.verdicts)} tests, {ok} ok direct; "
          f"libpq_pipeline: {len(direct.pipeline)} tests, "
          f"{sum(entry[0] == 0 for entry in direct.pipeline.values())} ok direct")
    failed = [test for test, verdict in direct.verdicts.items() if verdict != "ok"]
    if failed:
        print(f"  fail direct, so only their outputs are compared: {', '.join(failed)}")
    table = {}
    for leg in others:
        for test, mine, theirs, delta in compare(direct, leg):
            table.setdefault(test, {"direct": mine})[leg.name] = (theirs, delta)
        if leg.died:
            print(f"  {leg.name}: {leg.died}")
    header = f"  {'test':32}{'direct':12}" + "".join(f"{leg.name:24}" for leg in others)
    print(header if table else "  no difference")
    for test, row in table.items():
        cells = []
        for leg in others:
            theirs, delta = row.get(leg.name, ("same", []))
            cells.append(f"{theirs}{f', {len(delta)} lines' if delta else ''}")
        print(f"  {test:32}{row['direct']:12}" + "".join(f"{cell:24}" for cell in cells))
        for leg in others:
            for line in row.get(leg.name, ("", []))[1][:4]:
                print(f"      {leg.name}: {line[:110]}")
    return bool(table) or any(leg.died for leg in others)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=pathlib.Path, default=ROOT / ".build/regress")
    parser.add_argument("--majors", default="15,18")
    parser.add_argument("--legs", default="tls,unix", help="tls: both legs; unix: server leg")
    parser.add_argument("--tests", help="a comma-separated few of the suite's tests")
    parser.add_argument("--proxy", type=pathlib.Path, help="pgtee's program")
    parser.add_argument("--stand-in", action="store_true",
                        help="a blind relay in pgtee's place: tries this tool itself")
    options = parser.parse_args()
    options.cache = options.cache.resolve()
    if not options.proxy and not options.stand_in:
        built = [ROOT / ".build" / build / "pgtee" for build in ("release", "debug")]
        built = [program for program in built if program.exists()]
        if not built:
            sys.exit("regress: pgtee is not built: run `swift build` first")
        options.proxy = max(built, key=lambda program: program.stat().st_mtime)
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    work = pathlib.Path(tempfile.mkdtemp(prefix="pgtee-regress-", dir=base))
    work.chmod(0o755)
    own(work)
    different = False
    try:
        certificates = make_certificates(work)
        for number in map(int, options.majors.split(",")):
            major = Major(options.cache, number, work)
            legs = [run_leg(name, major, options, work, certificates)
                    for name in ["direct", *options.legs.split(",")]]
            different |= report(major, legs)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"\nresults: {options.cache}/results-*")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
