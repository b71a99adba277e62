"""What is measured: one class for each kind of case, and the list of them."""

import dataclasses
import pathlib
import subprocess
import time

import measure
from clusters import DATABASE, PASSWORD, SERVER_NAME, USER, Trouble, free_port, scram_verifier
from clusters import wait_for_port
from peers import Target, compile_c

RELAYS = ("bare_relay", "bare_relay_twin")
PLAIN = (*RELAYS, "pgbouncer", "haproxy", "pgtee", "direct")
SECURE = (*RELAYS, "pgbouncer", "pgtee", "direct")
HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass
class Bench:
    """What all cases share: the cluster, the peers, how long things may take."""
    workshop: object
    certificates: object
    cluster: object
    peers: object
    build: pathlib.Path
    quick: bool
    seconds: int

    def target(self, kind):
        if kind == "unix":
            return Target(str(self.cluster.socket_directory), self.cluster.port)
        return Target("127.0.0.1", self.cluster.port, tls=kind == "tls")

    def start(self, name, kind, **options):
        return self.peers.start(name, self.target(kind), self.cluster.verifier, **options)


class Case:
    """A case that is measured in interleaved rounds; `contenders` maps names to kinds of route."""

    unit = "µs CPU per transaction"
    metric = "cpu_per_transaction"
    needs_direct = False  # else it is run for the record only

    def __init__(self, identifier, contenders, kind, title):
        self.identifier = identifier
        self.contenders = dict.fromkeys(contenders, kind)
        self.title = title
        self.endpoints = {}

    def start(self, bench, names):
        for name in names:
            program = name.partition("@")[0]
            self.endpoints[name] = bench.start(program, self.contenders[name], **self.options())

    def options(self):
        return {}

    def stop(self, bench):
        for endpoint in self.endpoints.values():
            bench.peers.stop(endpoint)
        self.endpoints = {}

    def measure(self, bench, name):
        raise NotImplementedError


class Steady(Case):
    """Sessions that stay; CPU between pgbench's first and last progress line."""

    def __init__(self, identifier, clients, workload, kind="plain", title=""):
        super().__init__(identifier, SECURE if kind == "tls" else PLAIN, kind, title)
        self.clients = clients
        self.workload = workload

    def measure(self, bench, name):
        options = self.workload(bench)
        return measure.steady(self.endpoints[name], self.clients, bench.seconds, options)


def select(_bench):
    return ["-S", "-M", "prepared"]


def tpcb(_bench):
    return ["-M", "prepared"]


def script(bench, name, text):
    path = bench.workshop.path / name
    path.write_text(text)
    return ["-M", "prepared", "-f", str(path)]


def pipeline(bench):
    one = (f"\\set aid random(1, {100000 * bench.cluster.scale})\n"
           "SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n")
    return script(bench, "pipeline.sql", "\\startpipeline\n" + 50 * one + "\\endpipeline\n")


def rows(bench):
    return script(bench, "rows.sql", "SELECT * FROM pgbench_accounts WHERE aid <= 20000;\n")


class CopyOut(Case):
    """COPY out to psql, which throws it away."""

    unit = "µs CPU per MB"
    metric = "cpu_per_megabyte"
    repeats = 5

    def __init__(self):
        super().__init__("copyout1g", PLAIN, "plain", "COPY out of 1 GB, one session")

    def measure(self, bench, name):
        times = 1 if bench.quick else self.repeats
        query = (f"select a.* from pgbench_accounts a, generate_series(1, {times}) "
                 "where abalance is not null")
        megabytes = times * bench.cluster.scale * MEGABYTES_PER_SCALE
        command = ["psql", "-Xq", "-d", DATABASE, "-c", f"copy ({query}) to stdout"]
        return measure.whole(
            self.endpoints[name], lambda _: megabytes, command, stdout=subprocess.DEVNULL)


# 100,000 rows of pgbench_accounts as text: at 98 bytes and a header of 5 each.
MEGABYTES_PER_SCALE = 10.3


class CopyIn(Case):
    """COPY in by psql from a file in memory into an unlogged table."""

    unit = "µs CPU per MB"
    metric = "cpu_per_megabyte"

    def __init__(self):
        super().__init__("copyin300m", PLAIN, "plain", "COPY in of 300 MB, one session")

    def start(self, bench, names):
        super().start(bench, names)
        self.file = bench.workshop.path / "copyin.txt"
        row = "\t".join(["1000000", "10", "0", "x" * 84]) + "\n"
        count = (60 if bench.quick else 300) * 1_000_000 // len(row)
        with open(self.file, "w", encoding="ascii") as file:
            for _ in range(count // 1000):
                file.write(row * 1000)
        self.megabytes = self.file.stat().st_size / 1e6

    def stop(self, bench):
        super().stop(bench)
        bench.cluster.psql("truncate copied")
        self.file.unlink(missing_ok=True)

    def measure(self, bench, name):
        bench.cluster.psql("truncate copied")
        command = ["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", DATABASE,
                   "-c", f"\\copy copied from '{self.file}'"]
        return measure.whole(
            self.endpoints[name], lambda _: self.megabytes, command, stdout=subprocess.DEVNULL)


class Logins(Case):
    """A new session for every transaction; then a few new ones beside sessions that stay."""

    unit = "µs CPU per login"
    metric = "cpu_per_login"
    needs_direct = True
    established = ["-S", "-M", "prepared", "-R", "400"]

    def __init__(self, identifier, kind, title):
        super().__init__(identifier, (*RELAYS, "pgbouncer", "pgtee", "direct"), kind, title)

    def options(self):
        return {"connection_per_client": True}

    def start(self, bench, names):
        super().start(bench, names)
        if "pgbouncer" in self.endpoints:
            self._check_connection_per_client(bench)

    def _check_connection_per_client(self, bench):
        """PgBouncer must not reuse server connections here, or it is measured at another task."""
        before, logins = bench.cluster.sessions_ever(), 80
        subprocess.run(
            ["pgbench", "-n", "-C", "-S", "-c", "4", "-t", str(logins // 4), DATABASE],
            env=self.endpoints["pgbouncer"].environment(), check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 5
        while bench.cluster.sessions_ever() - before < logins:
            if time.monotonic() > deadline:
                raise Trouble("PgBouncer reuses server connections in spite of server_lifetime=0")
            time.sleep(0.2)

    def measure(self, bench, name):
        endpoint = self.endpoints[name]
        sample = measure.steady(endpoint, 8, bench.seconds, ["-C", "-S"])
        if name not in RELAYS:
            sample.extra["quiet_p99"] = self._p99(bench, endpoint, None)
            rate = "50" if endpoint.tls else "100"
            storm = measure.pgbench_command(4, bench.seconds + 1, "-C", "-S", "-R", rate)
            sample.extra["storm_p99"] = self._p99(bench, endpoint, storm)
        return sample

    def _p99(self, bench, endpoint, storm):
        log = measure.LatencyLog(bench.workshop)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = endpoint.environment()
        other = storm and subprocess.Popen(storm, env=environment, **quiet)
        command = measure.pgbench_command(4, bench.seconds, *self.established, *log.options())
        code = subprocess.run(command, env=environment, check=False, **quiet).returncode
        if code != 0 or (other and other.wait() != 0):
            raise Trouble(f"pgbench through {endpoint.name} failed beside logins")
        return measure.percentile(log.latencies(skip_seconds=0.5), 0.99)


class Latency(Case):
    """One session that asks again and again; half of its answers took longer than p50."""

    unit = "µs added to p50"
    metric = "added_latency_p50"
    needs_direct = True

    def __init__(self):
        super().__init__("latency1", PLAIN, "plain", "one session, latency beyond a direct one")

    def measure(self, bench, name):
        log = measure.LatencyLog(bench.workshop)
        sample = measure.steady(
            self.endpoints[name], 1, bench.seconds, ["-S", "-M", "prepared", *log.options()])
        sample.extra["p50"] = measure.percentile(log.latencies(skip_seconds=0.5), 0.5)
        return sample


class Unix(Steady):
    """select32 with the server leg over the unix socket, and pgtee over TCP beside it."""

    def __init__(self):
        super().__init__("unix32", 32, select, "unix", "select32 over the cluster's unix socket")
        self.contenders["pgtee@tcp"] = "plain"
        self.contenders["bare_relay@tcp"] = "plain"


class Idle:
    """Memory and CPU of sessions that do nothing, in a fresh process before a stub of a cluster."""

    contenders = ("pgtee", "pgbouncer", "bare_relay")
    needs_direct = False

    def __init__(self, identifier, kind, title):
        self.identifier = identifier
        self.tls = kind == "tls"
        self.title = title

    def measure(self, bench, name):
        count = 1000 if bench.quick else 9000
        verifier = scram_verifier(PASSWORD, iterations=1)
        port = free_port()
        certificates = bench.certificates
        stub = [compile_c(bench.build, HERE / "stub.c", "-lssl", "-lcrypto"), port, verifier]
        if self.tls:
            stub += [certificates.certificate, certificates.key]
        cluster = bench.workshop.start(*stub, log=bench.workshop.path / "stub.log")
        wait_for_port(port, cluster)
        endpoint = bench.peers.start(
            name, Target("127.0.0.1", port, self.tls), verifier, sessions=9500)
        try:
            return self._hold(bench, endpoint, count)
        finally:
            bench.peers.stop(endpoint)
            bench.workshop.stop(cluster)

    def _hold(self, bench, endpoint, count):
        program = compile_c(bench.build, HERE / "idle.c", "-lpq")
        mode = "require" if self.tls else "disable"
        binding = "disable" if endpoint.name == "bare_relay" else "prefer"
        connection = (f"host=127.0.0.1 port={endpoint.port} user={USER} password={PASSWORD} "
                      f"dbname={DATABASE} sslmode={mode} gssencmode=disable "
                      f"channel_binding={binding} connect_timeout=20")
        before = measure.resident_bytes(endpoint.process)
        with subprocess.Popen([program, str(count), connection], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as holder:
            if holder.stdout.readline() != b"ready\n":
                holder.wait()
                raise Trouble(f"idle sessions through {endpoint.name}: "
                              + holder.stderr.read().decode(errors="replace"))
            time.sleep(1)
            start, seconds = measure.cpu_ns(endpoint.process), 3 if bench.quick else 10
            time.sleep(seconds)
            cpu = measure.cpu_ns(endpoint.process) - start
            after = measure.resident_bytes(endpoint.process)
            holder.stdin.close()
        return {"bytes": (after - before) / count, "cpu_percent": cpu / 1e7 / seconds,
                "sessions": count}


def all_cases():
    return [
        Steady("select16", 16, select, title="pgbench -S -M prepared, 16 clients, plain TCP"),
        Steady("select32", 32, select, title="the same, 32 clients"),
        Steady("select64", 64, select, title="the same, 64 clients"),
        Steady("tpcb16", 16, tpcb, title="pgbench's TPC-B, prepared, 16 clients"),
        Steady("pipeline50", 16, pipeline, title="pipelines of 50 selects, 16 clients"),
        Steady("rows20k", 8, rows, title="answers of 20,000 rows, 8 clients"),
        CopyOut(),
        CopyIn(),
        Steady("tls_select32", 32, select, "tls", "select32 with TLS on both legs"),
        Steady("tls_rows20k", 8, rows, "tls", "rows20k with TLS on both legs"),
        Logins("logins", "plain", "a session per transaction, SCRAM on both legs, 8 clients"),
        Logins("tls_logins", "tls", "the same with TLS on both legs"),
        Latency(),
        Unix(),
        Idle("idle_plain", "plain", "idle sessions, plain TCP on both legs"),
        Idle("idle_tls", "tls", "idle sessions, TLS on both legs"),
    ]
