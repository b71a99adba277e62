"""What stands between pgbench and the cluster: pgtee, PgBouncer, HAProxy, the bare relays.

Every endpoint is a process of its own for one kind of route, so that nothing is shared between cases.
"""

import dataclasses
import os
import pathlib
import shutil
import subprocess

from clusters import (DATABASE, SERVER_NAME, USER, Trouble, as_server_user, client_environment,
                      free_port, run, wait_for_port)

TOOLS = pathlib.Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class Target:
    """Where a server leg goes; `address` is an IPv4 address or the directory of a unix socket."""
    address: str
    port: int
    tls: bool = False


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where pgbench connects to; `process` is None for the cluster itself."""
    name: str
    port: int
    tls: bool
    process: subprocess.Popen | None = None
    host: str = "127.0.0.1"

    def environment(self):
        environment = client_environment(self.port, host=self.host, tls=self.tls)
        if self.name.startswith("bare_relay") and self.tls:
            # SCRAM passes through it, so the binding to the relay's certificate would not hold.
            environment["PGCHANNELBINDING"] = "disable"
        return environment


class Peers:
    """Starts endpoints; `route` in their names is only for logs and configuration files."""

    def __init__(self, workshop, certificates, build, pgtee, under=(), environment=None):
        """`under`: words put before every program (valgrind); `environment`: added to its own."""
        self.under = [str(word) for word in under]
        self.environment = environment
        self.workshop = workshop
        self.certificates = certificates
        # A copy that the server's user can run, and that a build meanwhile can't change.
        self.pgtee_path = pgtee and shutil.copy(pgtee, workshop.path / "pgtee")
        self.relay = compile_c(build, TOOLS / "relay/relay.c")
        self.relay_tls = compile_c(build, TOOLS / "relay/relay_tls.c", "-lssl", "-lcrypto")

    def start(self, name, target, verifier, **options):
        """`options`: connection_per_client for PgBouncer, sessions for all that have limits."""
        if name == "direct":
            return Endpoint(name, target.port, target.tls, host=target.address)
        directory = self.workshop.numbered_directory(name)
        port = free_port()
        starters = {
            "bare_relay": self._bare_relay, "bare_relay_twin": self._bare_relay,
            "haproxy": self._haproxy, "pgbouncer": self._pgbouncer, "pgtee": self._pgtee,
        }
        self.log = directory / "log"
        process = starters[name](directory, port, target, verifier, **options)
        try:
            wait_for_port(port, process, seconds=60 if self.under else 20)
        except Trouble as trouble:
            raise Trouble(f"{trouble}\n{self.log.read_text()[-2000:]}") from None
        return Endpoint(name, port, target.tls, process)

    def _run(self, *command, **options):
        environment = os.environ | self.environment if self.environment else None
        return self.workshop.start(
            *self.under, *command, log=self.log, env=environment, **options)

    def stop(self, endpoint):
        if endpoint.process:
            self.workshop.stop(endpoint.process)

    def _bare_relay(self, directory, port, target, _verifier, **_options):
        command = [self.relay, port, target.address, target.port]
        if target.tls:
            certificates = self.certificates
            command[0] = self.relay_tls
            command += [certificates.certificate, certificates.key, certificates.ca, SERVER_NAME]
        return self._run(*command)

    def _haproxy(self, directory, port, target, _verifier, **_options):
        server = (f"unix@{target.address}/.s.PGSQL.{target.port}" if target.address[0] == "/"
                  else f"{target.address}:{target.port}")
        configuration = self.workshop.write(directory / "haproxy.cfg", f"""
global
    nbthread 1
    maxconn 9800
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen bench
    bind 127.0.0.1:{port}
    server cluster {server}
""")
        configuration.chmod(0o644)
        return self._run("haproxy", "-db", "-f", configuration)

    def _pgbouncer(self, directory, port, target, verifier, connection_per_client=False,
                   sessions=400):
        users = self.workshop.write(directory / "users.txt", f'"{USER}" "{verifier}"\n')
        certificates = self.certificates
        tls = f"""
client_tls_sslmode = require
client_tls_key_file = {certificates.key}
client_tls_cert_file = {certificates.certificate}
server_tls_sslmode = verify-full
server_tls_ca_file = {certificates.ca}
""" if target.tls else ""
        configuration = self.workshop.write(directory / "pgbouncer.ini", f"""
[databases]
{DATABASE} = host={target.address} port={target.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = session
max_client_conn = {sessions}
default_pool_size = {sessions}
{"server_lifetime = 0" if connection_per_client else "server_lifetime = 36000"}
server_idle_timeout = 36000
listen_backlog = 4096
ignore_startup_parameters = extra_float_digits
{tls}
""")
        return self._run("pgbouncer", configuration, **as_server_user())

    def _pgtee(self, directory, port, target, verifier, sessions=400, **_options):
        tenants = self.workshop.directory(f"{directory.name}/tenants")
        certificates = self.certificates
        if target.address[0] == "/":
            backend = f"socket: {target.address}, port: {target.port}"
        elif target.tls:
            backend = (f"host: {target.address}, port: {target.port}, tls: {{mode: verify-full, "
                       f"ca: {certificates.ca}, name: {SERVER_NAME}}}")
        else:
            backend = f"host: {target.address}, port: {target.port}, tls: {{mode: disable}}"
        client_tls = "require" if target.tls else "prefer"
        self.workshop.write(tenants / "bench.yaml", f"""
tenant: bench
backends: [{{name: blue, {backend}}}]
authentication: {{mode: scram, verifiers: {{{USER}: "{verifier}"}}}}
client_tls: {{mode: {client_tls}}}
""")
        configuration = self.workshop.write(directory / "pgtee.yaml", f"""
listen: [127.0.0.1:{port}]
tls: {{mode: prefer, certificate: {certificates.certificate}, key: {certificates.key}}}
tenants: tenants/
routing: {{keys: [user, listener], default_tenant: bench}}
limits: {{sessions: {sessions}, logins_in_flight: {sessions}, logins_in_flight_per_source: {sessions}}}
admin: off
workers: 1
runtime_directory: {directory}
""")
        return self._run(self.pgtee_path, "serve", "--config", configuration, cwd=directory,
                         **as_server_user())


def compile_c(build, source, *flags):
    """The program, compiled again when its sources are newer; warnings are errors."""
    build.mkdir(parents=True, exist_ok=True)
    shared = "-shared" in flags
    program = build / (source.stem + (".so" if shared else ""))
    newest = max(path.stat().st_mtime
                 for path in [source, *source.parent.glob("*.h"), *(TOOLS / "relay").glob("*.h")])
    if program.exists() and program.stat().st_mtime > newest:
        return program
    compiler = os.environ.get("CC", "cc")
    run(compiler, "-O2", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-Wno-deprecated-declarations",
        "-I/usr/include/postgresql", "-o", program, source, *flags)
    return program
