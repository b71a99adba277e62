"""From rounds to rows: thresholds, ratios, verdicts, the table, the JSON and the document."""

import datetime
import json

import measure

TWINS_MAX = 0.03  # where the twins differ by more, a round says nothing about 10 %

# (id, anchor): the ratio of pgtee's value to the anchor's that must not be exceeded.
RATIOS = {
    ("select16", "pgbouncer"): 0.95, ("select16", "bare_relay"): 1.10,
    ("select32", "pgbouncer"): 0.95, ("select32", "bare_relay"): 1.10,
    ("select64", "pgbouncer"): 0.95, ("select64", "bare_relay"): 1.10,
    ("tpcb16", "pgbouncer"): 0.95,
    ("pipeline50", "pgbouncer"): 0.85,
    ("rows20k", "pgbouncer"): 0.35, ("rows20k", "bare_relay"): 1.10,
    ("copyout1g", "pgbouncer"): 0.45, ("copyout1g", "bare_relay"): 1.10,
    ("copyin300m", "pgbouncer"): 0.50, ("copyin300m", "bare_relay"): 1.10,
    ("tls_select32", "pgbouncer"): 0.75, ("tls_select32", "bare_relay"): 1.10,
    ("tls_rows20k", "pgbouncer"): 0.45, ("tls_rows20k", "bare_relay"): 1.10,
    ("logins", "pgbouncer"): 0.90, ("tls_logins", "pgbouncer"): 0.90,
    ("logins_p99", "pgbouncer"): 1.50, ("logins_p99", "quiet"): 1.50,
    ("tls_logins_p99", "pgbouncer"): 1.50, ("tls_logins_p99", "quiet"): 1.50,
    ("latency1", "pgbouncer"): 1.00,
    ("unix32", "select32"): 0.90,
}
# (id, "absolute"): the value itself that must not be exceeded.
VALUES = {
    ("idle_plain", "absolute"): 1024, ("idle_tls", "absolute"): 40 * 1024,
    ("idle_plain_cpu", "absolute"): 0.1, ("idle_tls_cpu", "absolute"): 0.1,
}


def twin_difference(one_round):
    """How far the two copies of the bare relay are apart, as a share; None without them."""
    first, second = (one_round.get(name) for name in ("bare_relay", "bare_relay_twin"))
    if not first or not second:
        return None
    return abs(first.cpu_us - second.cpu_us) / ((first.cpu_us + second.cpu_us) / 2)


def is_quiet(one_round):
    difference = twin_difference(one_round)
    return difference is not None and difference <= TWINS_MAX


def cpu_of(one_round, name):
    """Of a round; the bare relay's figure is the mean of its twins."""
    names = ("bare_relay", "bare_relay_twin") if name == "bare_relay" else (name,)
    values = [one_round[each].cpu_us for each in names if each in one_round]
    return sum(values) / len(values) if values and None not in values else None


def extra_of(key):
    def value(one_round, name):
        return one_round[name].extra.get(key) if name in one_round else None
    return value


def added_latency(one_round, name):
    if name not in one_round or "direct" not in one_round:
        return None
    return one_round[name].extra["p50"] - one_round["direct"].extra["p50"]


def row(identifier, metric, unit, anchor, pairs, quiet, total):
    """`pairs` of (pgtee's value, the anchor's), one for each round that counts."""
    values = [value for value, _ in pairs if value is not None]
    anchors = [value for _, value in pairs if value is not None]
    ratios = [value / other for value, other in pairs
              if value is not None and other is not None and other > 0]
    ratio = measure.median(ratios)
    made = {
        "id": identifier, "metric": metric, "value": measure.median(values), "anchor": anchor,
        "ratio": ratio, "unit": unit, "rounds": len(pairs), "quiet_rounds": quiet,
        "rounds_run": total, "anchor_value": measure.median(anchors),
        "limit": RATIOS.get((identifier, anchor)),
    }
    made["verdict"] = verdict(ratio, made["limit"])
    if made["verdict"] and quiet == 0:
        made["verdict"] += "?"
    return made


def verdict(value, limit):
    if limit is None:
        return ""
    if value is None:
        return "-"
    return "PASS" if value <= limit else "MISS"


def rows_of(case, rounds):
    """All rows of a case that ran in rounds; quiet rounds count, or all when there are none."""
    quiet = [each for each in rounds if is_quiet(each)]
    used = quiet or rounds
    count = len(quiet), len(rounds)
    identifier = case.identifier
    made = []

    def add(name, metric, unit, anchor, value, other=None):
        pairs = [(value(each, "pgtee"), (other or value)(each, anchor)) for each in used]
        if any(pair != (None, None) for pair in pairs):
            made.append(row(name, metric, unit, anchor, pairs, *count))

    if identifier == "latency1":
        for anchor in ("pgbouncer", "bare_relay", "haproxy"):
            add(identifier, case.metric, case.unit, anchor, added_latency)
        add("latency1_p50", "latency_p50", "µs", "direct", extra_of("p50"))
        return made
    if identifier == "unix32":
        add(identifier, case.metric, case.unit, "select32", cpu_of,
            lambda each, _: cpu_of(each, "pgtee@tcp"))
    for anchor in ("pgbouncer", "bare_relay", "haproxy"):
        if anchor in case.contenders:
            add(identifier, case.metric, case.unit, anchor, cpu_of)
    if identifier.endswith("logins"):
        name = f"{identifier}_p99"
        storm = extra_of("storm_p99")
        add(name, "established_p99", "µs", "pgbouncer", storm)
        add(name, "established_p99", "µs", "quiet", storm,
            lambda each, _: extra_of("quiet_p99")(each, "pgtee"))
        add(name, "established_p99", "µs", "direct", storm)
    return made


def idle_rows(case, results):
    """Absolute limits; the other contenders' figures stand beside them without one."""
    def one(suffix, metric, unit, key):
        identifier = case.identifier + suffix
        value = results["pgtee"][key] if "pgtee" in results else None
        limit = VALUES[identifier, "absolute"]
        base = {"metric": metric, "value": value, "unit": unit, "rounds": 1, "quiet_rounds": 1,
                "rounds_run": 1, "id": identifier}
        yield base | {"anchor": "absolute", "ratio": None, "anchor_value": None, "limit": limit,
                      "verdict": verdict(value, limit)}
        for anchor in ("pgbouncer", "bare_relay"):
            if anchor in results:
                other = results[anchor][key]
                ratio = value / other if value is not None and other else None
                yield base | {"anchor": anchor, "ratio": ratio, "anchor_value": other,
                              "limit": None, "verdict": ""}

    return [*one("", "memory_per_session", "bytes", "bytes"),
            *one("_cpu", "idle_cpu", "% of a core", "cpu_percent")]


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}"


COLUMNS = ("id", "unit", "pgtee", "anchor", "its value", "ratio", "limit", "rounds", "verdict")


def cells(made):
    if made["limit"] is None:
        limit = ""
    elif made["anchor"] == "absolute":
        limit = f"≤ {number(made['limit'])}"
    else:
        limit = f"≤ {made['limit']:.2f}×"
    ratio = "-" if made["ratio"] is None else f"{made['ratio']:.3f}"
    return (made["id"], made["unit"], number(made["value"]), made["anchor"],
            number(made["anchor_value"]), ratio, limit,
            f"{made['quiet_rounds']}/{made['rounds_run']}", made["verdict"])


def table(rows):
    lines = [COLUMNS, *map(cells, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip()
        for line in lines)


def write_json(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def raw(rounds_of):
    """Every round as it was, for whoever doubts a median."""
    return {identifier: [{name: sample.__dict__ for name, sample in each.items()}
                         | {"twins": twin_difference(each)} for each in rounds]
            for identifier, rounds in rounds_of.items()}


def markdown_table(rows):
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *map(cells, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def contender_table(cases, rounds_of):
    """Medians of every contender: CPU, and what was carried per second meanwhile."""
    names = ("bare_relay", "bare_relay_twin", "pgbouncer", "haproxy", "pgtee", "direct")
    lines = ["| case | unit | " + " | ".join(names) + " |", "| --- " * (len(names) + 2) + "|"]
    for case in cases:
        rounds = rounds_of.get(case.identifier)
        if not rounds:
            continue
        texts = []
        for name in names:
            samples = [each[name] for each in rounds if name in each]
            cpu = measure.median([one.cpu_us for one in samples if one.cpu_us is not None])
            rate = measure.median([one.rate for one in samples])
            texts.append("" if rate is None else f"{number(cpu)} ({number(rate)}/s)")
        unit = case.unit if "CPU" in case.unit else "µs CPU per transaction"
        lines.append(f"| `{case.identifier}` | {unit} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


HEAD = """# Benchmarks

What pgtee costs beside PgBouncer (session pooling, one thread), HAProxy (TCP mode, one thread) and bare
relays in C that parse nothing ([tools/relay](../tools/relay)); pgtee has one worker. All run before the
same cluster with the same kind of route, one after the other in each round, in an order that rotates.

This text is written by `tools/bench/relay.py --write-docs`; what must be reached stands in
[tools/bench/report.py](../tools/bench/report.py). To repeat it: `make bench-relay`.

- A figure is the CPU time of the proxy's process (user and system, all threads, from the kernel's clock
  of the process) divided by the transactions that pgbench reports in the same span; the first second,
  with its logins, is left out. Ratios are taken within a round; the median of the rounds is shown.
- A second copy of the bare relay runs in every round. Where the twins differ by more than 3 %, the round
  says nothing about 10 % and does not count. `rounds` is "counted/run"; a verdict with `?` had no round
  to count and rests on all of them.
- The bare relay with TLS writes records of at most 8 KiB towards clients, as pgtee does.
- For logins PgBouncer runs with `server_lifetime=0`, so that each client gets a server connection of its
  own, as with pgtee; the run checks that. p99 is that of sessions that stay (400 transactions/s), while
  100 others per second log in (50 with TLS); `quiet` is pgtee's own p99 without them.
- Idle sessions are held before a stub that lets sessions in and never touches them again, since 9,000
  backends would not fit in memory; only the proxy's memory is measured.
"""


def write_document(path, *, cases, rows, rounds_of, facts, notes):
    today = datetime.date.today().isoformat()
    about = "\n".join(f"- {key}: {value}" for key, value in facts.items())
    parts = [HEAD, f"## Run of {today}\n\n{about}", markdown_table(rows),
             "### All contenders\n\nMedians of all rounds, and units of work per second meanwhile.\n\n"
             + contender_table(cases, rounds_of)]
    missed = [made for made in rows if made["verdict"].startswith("MISS")]
    if missed:
        lines = [f"- `{made['id']}` against {made['anchor']}: {cells(made)[5]} where "
                 f"{cells(made)[6]} is wanted ({number(made['value'])} {made['unit']})"
                 for made in missed]
        parts.append("### Not reached\n\n" + "\n".join(lines))
    if notes:
        parts.append(notes)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(part.strip("\n") for part in parts) + "\n", encoding="utf-8")
