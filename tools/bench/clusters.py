"""The cluster that is measured on: throw-away, in memory, PostgreSQL 15; its certificates and verifiers."""

import base64
import hashlib
import hmac
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

USER = "bench"
PASSWORD = "bench"
DATABASE = "bench"
SERVER_NAME = "db.bench.test"


class Trouble(Exception):
    """What stops a run; its text says what to do."""


def run(*command, **options):
    options.setdefault("check", True)
    options.setdefault("stdout", subprocess.DEVNULL)
    return subprocess.run([str(word) for word in command], **options)


def as_server_user():
    """initdb, postgres and pgbouncer refuse to run as root: they run as postgres then."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError as missing:
        raise Trouble("there is no user postgres: install postgresql-15") from missing
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def free_port():
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process, seconds=20.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Trouble(f"{process.args[0]} ended with code {process.returncode}: see its log")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise Trouble(f"{process.args[0]} does not listen on {port} after {seconds} s")


def scram_verifier(password, iterations=4096):
    """What pg_authid.rolpassword holds for this password, with a salt of its own."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")

    def text(data):
        return base64.b64encode(data).decode()

    stored_key = hashlib.sha256(client_key).digest()
    return f"SCRAM-SHA-256${iterations}:{text(salt)}${text(stored_key)}:{text(server_key)}"


class Workshop:
    """A directory in memory for everything of one run; ends what was started in it."""

    def __init__(self):
        parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="pgtee-bench-", dir=parent))
        self.path.chmod(0o755)
        self.processes = []
        self.count = 0

    def numbered_directory(self, name):
        self.count += 1
        return self.directory(f"{self.count}-{name}")

    def directory(self, name):
        made = self.path / name
        made.mkdir()
        self.give_away(made)
        return made

    def write(self, path, text):
        path.write_text(text)
        path.chmod(0o600)
        self.give_away(path)
        return path

    def give_away(self, path):
        owner = as_server_user()
        if owner:
            os.chown(path, owner["user"], owner["group"])

    def start(self, *command, log, **options):
        """A process whose pid is that of the program itself; output goes to the log."""
        with open(log, "ab") as output:
            process = subprocess.Popen(
                [str(word) for word in command], stdout=output, stderr=output,
                stdin=subprocess.DEVNULL, **options)
        self.processes.append(process)
        return process

    def stop(self, process, how=signal.SIGTERM):
        if process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process in self.processes:
            self.processes.remove(process)

    def clean(self):
        for process in reversed(list(self.processes)):
            self.stop(process, signal.SIGINT)
        shutil.rmtree(self.path, ignore_errors=True)


class Certificates:
    """A CA and one leaf for every server; EC keys, which both PgBouncer and libpq take."""

    def __init__(self, workshop):
        self.directory = workshop.directory("certificates")
        self.ca = self.directory / "ca.crt"
        self.certificate = self.directory / "server.crt"
        self.key = self.directory / "server.key"
        ca_key = self.directory / "ca.key"
        request = self.directory / "server.csr"
        extension = self.directory / "server.ext"
        quiet = {"stderr": subprocess.DEVNULL}
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        run("openssl", "req", "-x509", *curve, "-keyout", ca_key, "-out", self.ca, "-days", "30",
            "-subj", "/CN=bench CA", **quiet)
        run("openssl", "req", *curve, "-keyout", self.key, "-out", request,
            "-subj", f"/CN={SERVER_NAME}", **quiet)
        extension.write_text(f"subjectAltName=DNS:{SERVER_NAME},DNS:localhost,IP:127.0.0.1\n")
        run("openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key,
            "-CAcreateserial", "-days", "30", "-extfile", extension, "-out", self.certificate,
            **quiet)
        for path in self.directory.iterdir():
            path.chmod(0o600 if path.suffix == ".key" else 0o644)
            workshop.give_away(path)


class Cluster:
    """One cluster that takes plain TCP, TLS and its unix socket; SCRAM everywhere."""

    binaries = pathlib.Path("/usr/lib/postgresql/15/bin")

    def __init__(self, workshop, certificates, scale):
        self.workshop = workshop
        self.port = free_port()
        self.scale = scale
        self.socket_directory = workshop.directory("socket")
        self.verifier = scram_verifier(PASSWORD)
        self.version = ""
        self._make(certificates)
        self._fill()

    def _make(self, certificates):
        data = self.workshop.directory("data")
        data.chmod(0o700)
        password = self.workshop.write(self.workshop.path / "superuser", "postgres\n")
        run(self.binaries / "initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256",
            "--pwfile", password, "--no-sync", "-E", "UTF8", "--locale=C", cwd="/",
            **as_server_user())
        settings = f"""
listen_addresses = '127.0.0.1'
port = {self.port}
unix_socket_directories = '{self.socket_directory}'
max_connections = 300
shared_buffers = 1GB
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
max_wal_size = 4GB
checkpoint_timeout = 1h
ssl = on
ssl_cert_file = '{certificates.certificate}'
ssl_key_file = '{certificates.key}'
"""
        with open(data / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write(settings)
        self.process = self.workshop.start(
            self.binaries / "postgres", "-D", data, log=self.workshop.path / "postgres.log",
            cwd="/", **as_server_user())
        wait_for_port(self.port, self.process)

    def _fill(self):
        superuser = {"user": "postgres", "password": "postgres"}
        deadline = time.monotonic() + 20
        while self.psql("select 1", database="postgres", check=False, **superuser) != "1":
            if time.monotonic() > deadline:
                raise Trouble("the cluster does not take sessions: see postgres.log")
            time.sleep(0.1)
        self.psql(f"create role {USER} login password '{self.verifier}'",
                  database="postgres", **superuser)
        self.psql(f"create database {DATABASE} owner {USER}", database="postgres", **superuser)
        run("pgbench", "-i", "-q", "-s", self.scale, DATABASE, env=self.environment(),
            stderr=subprocess.DEVNULL)
        self.psql("create unlogged table copied (aid int, bid int, abalance int, filler text)")
        self.psql("vacuum analyze pgbench_accounts")
        self.version = self.psql("show server_version")

    def environment(self, user=USER, password=PASSWORD):
        return client_environment(self.port, user=user, password=password)

    def psql(self, sql, database=DATABASE, user=USER, password=PASSWORD, check=True):
        done = run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql,
                   env=self.environment(user, password), stdout=subprocess.PIPE,
                   stderr=None if check else subprocess.DEVNULL, check=check, text=True)
        return done.stdout.strip()

    def sessions_ever(self):
        """Sessions that this database has seen; PostgreSQL counts them as they end."""
        return int(self.psql(
            f"select sessions from pg_stat_database where datname = '{DATABASE}'"))


def client_environment(port, host="127.0.0.1", tls=False, user=USER, password=PASSWORD):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {
        "PGHOST": str(host), "PGPORT": str(port), "PGUSER": user, "PGPASSWORD": password,
        "PGSSLMODE": "require" if tls else "disable", "PGGSSENCMODE": "disable",
        "PGCONNECT_TIMEOUT": "20",
    }
