"""Clocks, pgbench and what can be read from both."""

import collections
import dataclasses
import os
import re
import statistics
import subprocess
import time

from clusters import DATABASE, Trouble

PROGRESS = re.compile(rb"^progress: ([\d.]+) s, ([\d.]+) tps, lat ([\d.na]+) ms")


def cpu_ns(process):
    """User and system time of all threads of a process so far, dead ones too, in nanoseconds.

    This is the kernel's own clock of another process (clock_getcpuclockid), which is exact, where the
    ticks of /proc/PID/stat are 10 ms and /proc/PID/task/*/schedstat lags by up to one tick.
    """
    return time.clock_gettime_ns((~process.pid << 3) | 2)


def user_and_system_ticks(process):
    with open(f"/proc/{process.pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return int(fields[11]), int(fields[12])


def resident_bytes(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise Trouble(f"process {process.pid} has no VmRSS")


@dataclasses.dataclass
class Sample:
    """One contender in one round: CPU of what stands in front of the cluster per unit of work."""
    cpu_us: float | None      # per transaction, login or MB; None where nothing stands in front
    rate: float               # transactions, logins or MB per second
    user_share: float | None  # of the CPU
    extra: dict = dataclasses.field(default_factory=dict)


def pgbench_command(clients, seconds, *options):
    return ["pgbench", "-n", "-c", str(clients), "-j", str(min(clients, 2)), "-T", str(seconds),
            *options, DATABASE]


def steady(endpoint, clients, seconds, options):
    """CPU per transaction between pgbench's first and last progress line: no logins, no warm-up."""
    for attempt in range(3):
        # A machine that is busy with something else may not get to two progress lines at once.
        marks = progress_marks(endpoint, clients, seconds + 2 * attempt, options)
        if len(marks) >= 2:
            break
    else:
        raise Trouble(f"pgbench through {endpoint.name} shows no progress")
    transactions = sum(tps * (now - before)
                       for (before, *_), (now, tps, *_) in zip(marks, marks[1:]))
    elapsed = marks[-1][0] - marks[0][0]
    return sample(endpoint, transactions, elapsed, marks[0][2:], marks[-1][2:])


def progress_marks(endpoint, clients, seconds, options):
    """(time, transactions per second since the last mark, CPU so far, ticks so far) of one pgbench."""
    command = pgbench_command(clients, seconds, "-P", "1", "--progress-timestamp", *options)
    process = subprocess.Popen(command, env=endpoint.environment(), stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    marks, other = [], []
    for line in process.stderr:
        found = PROGRESS.match(line)
        if not found:
            other.append(line.decode(errors="replace"))
            continue
        cpu = cpu_ns(endpoint.process) if endpoint.process else 0
        ticks = user_and_system_ticks(endpoint.process) if endpoint.process else (0, 0)
        marks.append((float(found[1]), float(found[2]), cpu, ticks))
    if process.wait() != 0:
        raise Trouble(f"pgbench through {endpoint.name} failed: {' '.join(command)}\n"
                      + "".join(other[-10:]))
    return marks


def sample(endpoint, work, elapsed, before, after):
    if not endpoint.process:
        return Sample(None, work / elapsed, None)
    user, system = (now - then for then, now in zip(before[1], after[1]))
    share = user / (user + system) if user + system else None
    return Sample((after[0] - before[0]) / 1000 / work, work / elapsed, share)


def whole(endpoint, work, command, **options):
    """CPU per unit of work of one command from its start to its end; `work` gets its output."""
    def reading():
        if not endpoint.process:
            return 0, (0, 0)
        return cpu_ns(endpoint.process), user_and_system_ticks(endpoint.process)

    before, start = reading(), time.monotonic()
    done = subprocess.run(command, env=endpoint.environment(), stderr=subprocess.PIPE, **options)
    elapsed, after = time.monotonic() - start, reading()
    if done.returncode != 0:
        raise Trouble(f"{' '.join(command)} through {endpoint.name} failed:\n"
                      f"{done.stderr.decode(errors='replace')[-2000:]}")
    return sample(endpoint, work(done), elapsed, before, after)


def transactions_of(done):
    found = re.search(rb"transactions actually processed: (\d+)", done.stdout)
    if not found or int(found[1]) == 0:
        raise Trouble("pgbench reports no transactions")
    return int(found[1])


class LatencyLog:
    """A directory for pgbench's -l files; every transaction's latency in whole microseconds."""

    def __init__(self, workshop):
        self.directory = workshop.path / "latency"
        self.directory.mkdir(exist_ok=True)

    def options(self):
        for old in self.directory.iterdir():
            old.unlink()
        return ["-l", f"--log-prefix={self.directory}/log"]

    def latencies(self, skip_seconds=0.0):
        """Without the first `skip_seconds`; sorted."""
        found, start = [], None
        for path in self.directory.iterdir():
            with open(path, encoding="ascii") as file:
                for line in file:
                    fields = line.split()
                    at = int(fields[4]) + int(fields[5]) / 1e6
                    start = at if start is None else min(start, at)
                    found.append((at, int(fields[2])))
        kept = sorted(latency for at, latency in found if at >= start + skip_seconds)
        if len(kept) < 100:
            raise Trouble(f"only {len(kept)} latencies were logged")
        return kept


def percentile(ordered, share):
    """Of whole microseconds, interpolated inside the microsecond in which it falls."""
    rank = share * len(ordered)
    value = ordered[min(int(rank), len(ordered) - 1)]
    counts = collections.Counter(ordered)
    below = sum(count for key, count in counts.items() if key < value)
    return value + (rank - below) / counts[value]


def median(values):
    return statistics.median(values) if values else None


def machine():
    """What a figure depends on."""
    model = "unknown"
    with open("/proc/cpuinfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {"cpu": model, "cores": os.cpu_count(), "kernel": os.uname().release}
