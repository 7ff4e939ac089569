#!/usr/bin/env python3
"""Measures the simulator of router policies: requests a CPU second, growth, and memory, on one thread.

    cargo build --release -p proftool-serving --example replay --example decide
    python3 scripts/benchmark/serving.py --build target/release

Writes scripts/benchmark/serving.md (--report names another file). Each figure is the median of --runs processes, the range
stands beside it. CPU seconds are those of the thread while it simulates: reading a trace or making requests up is apart.
The policies look at prefixes. The machine should do nothing else: a load average above 0.5 before it begins is told as
`contended`, and then nothing is claimed. Takes about ten minutes; --most 1000000 leaves the longest row out.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

from importers import DATA, HERE, machine

POLICIES = ["cache_aware", "kv_overlap", "least_delay"]
TRACES = [
    ("Azure conversation", "azure2023_conv.csv", 200_000),
    ("Mooncake conversation", "mooncake_fast25_conversation_trace.jsonl.gz", 50_000),
    ("Mooncake synthetic", "mooncake_fast25_synthetic_trace.jsonl.gz", None),
]
GROWTH = [10_000, 100_000, 1_000_000, 10_000_000]
TOGETHER = [100_000, 1_000_000]
MOST_LIVE_BYTES = 200
QUIET = 0.5
PEERS = """
Other simulators, as they were measured elsewhere or are published, on other machines and with other models of an engine: they say
in which range the field is, not how much faster this one is.

| simulator | requests a CPU second | what was run |
|---|--:|---|
| Dynamo 1.6.1 replay, round robin | about 10,000 | 10,000 made-up requests of 1024/128 tokens, 8 workers; measured for this project on two shared cores |
| Dynamo 1.6.1 replay, KV router | 1,610 | Mooncake conversation, 12,031 requests, 8 workers; likewise |
| Vidur | about 270 | 10,000 requests with Azure's lengths, 4 replicas; likewise, with a made-up profile |
| the course's driver (Python) | 141 | its own 1,944 requests, "optimized" router; likewise |
"""


def load():
    return float(Path("/proc/loadavg").read_text().split()[0])


def commit():
    said = subprocess.run(["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    dirty = subprocess.run(["git", "-C", str(HERE), "status", "--porcelain"], capture_output=True, text=True).stdout
    return (said.stdout.strip() or "an unknown commit") + (", with changes" if dirty.strip() else "")


def replayed(given, words, policy, runs):
    """What `replay` says in each of so many processes; the same every time, or something is wrong."""
    found = []
    for _ in range(runs):
        command = [str(given.build / "examples" / "replay"), *map(str, words), "--policy", policy]
        said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=given.limit).stdout
        found.append(json.loads(said))
    if len({run["digest"] for run in found}) != 1:
        raise SystemExit(f"{' '.join(map(str, words))}, {policy}: runs differ")
    print(f"{' '.join(map(str, words))}, {policy}: {rates(found)}", file=sys.stderr)
    return found


def per_cpu_s(run):
    return run["requests"] / (run["cpu_ns"] / 1e9)


def rates(found):
    values = [per_cpu_s(run) for run in found]
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def mib(found, key):
    return f"{statistics.median(run[key] for run in found) / 2**20:,.0f}"


def grown(found):
    return f"{statistics.median(run['peak_bytes'] - run['before_bytes'] for run in found) / 2**20:,.1f}"


def verdict(holds, loads):
    if loads > QUIET:
        return "no claim, the machine was contended"
    return "holds" if holds else "**does not hold**"


def row(what, policy, found):
    first = found[0]
    return (f"| {what} | `{policy}` | {first['requests']:,} | {rates(found)} | {first['alive']:,} | {mib(found, 'workload_bytes')} "
            f"| {grown(found)} | {mib(found, 'peak_bytes')} |")


def traces_part(given, loads):
    lines, told = [], []
    for name, file, promised in TRACES:
        for factor in given.loads:
            slowest = None
            for policy in POLICIES:
                found = replayed(given, [given.data / "serving" / file, "--load", factor], policy, given.runs)
                lines.append(row(f"{name} x {factor:g}", policy, found))
                rate = statistics.median(map(per_cpu_s, found))
                slowest = rate if slowest is None else min(slowest, rate)
            if promised:
                told.append(f"- {name} x {factor:g}: at least {promised:,} a CPU second with each policy: {verdict(slowest >= promised, loads)}.")
    return "\n".join(lines), "\n".join(told)


def growth_part(given):
    sizes = [size for size in GROWTH if size <= given.most]
    lines, told = [], []
    for policy in POLICIES:
        each = {}
        for size in sizes:
            found = replayed(given, ["synthetic", size], policy, given.runs)
            lines.append(row("synthetic", policy, found))
            each[size] = statistics.median(run["cpu_ns"] / run["requests"] for run in found)
        costs = ", ".join(f"{ns:,.0f} at {size:,}" for size, ns in each.items())
        told.append(f"- `{policy}`: {costs}; the last is {each[sizes[-1]] / each[sizes[-2]]:.2f} times the one before it.")
    return "\n".join(lines), "\n".join(told)


def live_part(given):
    """Bytes that one more live request takes: the slope, as what is there without any is the same."""
    few, many = (replayed(given, ["at-once", size], "least_delay", given.runs) for size in TOGETHER)
    grew = [statistics.median(run["peak_bytes"] - run["before_bytes"] for run in found) for found in (few, many)]
    each = (grew[1] - grew[0]) / (TOGETHER[1] - TOGETHER[0])
    holds = "holds" if each <= MOST_LIVE_BYTES else "**does not hold**"
    return (f"{TOGETHER[0]:,} requests that arrive together take {grew[0] / 2**20:,.1f} MiB more while they are simulated, "
            f"{TOGETHER[1]:,} take {grew[1] / 2**20:,.1f}: {each:.0f} bytes a live request (resident pages, so that what growing lists "
            f"reserve counts once it is touched). At most {MOST_LIVE_BYTES}: {holds}.")


def decisions_part(given):
    said = subprocess.run([str(given.build / "examples" / "decide")], check=True, capture_output=True, text=True, timeout=300).stdout
    found = re.findall(r"^(\w+): ([\d.]+) ns", said, re.MULTILINE)
    return ", ".join(f"{name} {ns} ns" for name, ns in found)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True, help="folder with examples/replay and examples/decide")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with serving/, where the traces are")
    parser.add_argument("--report", type=Path, default=HERE / "serving.md")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--loads", type=float, nargs="+", default=[1.0, 4.0], help="how many times as fast traces come")
    parser.add_argument("--most", type=int, default=GROWTH[-1], help="requests of the longest row")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds that one run may take")
    return parser.parse_args()


def main():
    given = arguments()
    loads, began = load(), time.monotonic()
    traces, traces_told = traces_part(given, loads)
    growth, growth_told = growth_part(given)
    live, decisions = live_part(given), decisions_part(given)
    state = f"load average {loads:.2f} before it began" + (", **contended**" if loads > QUIET else "")
    given.report.write_text(f"""# How fast router policies are simulated

Written by `scripts/benchmark/serving.py` on {date.today().isoformat()}: {machine()}; build of {commit()}; {state};
{given.runs} processes a row, {(time.monotonic() - began) / 60:.0f} minutes in all. One thread, a release build, eight replicas of a 70B model.

Requests a CPU second: median and range, only while simulating; a process repeats short replays for 0.4 s. `alive`: the most requests in the system at one moment. Memory in MiB:
the requests themselves with their block numbers, what simulating added at most, and the peak of the process. Every run of a row gave
the same outcomes, by their digest.

## Recorded traces

| trace | policy | requests | requests / CPU s | alive | requests MiB | added MiB | peak MiB |
|---|---|--:|--:|--:|--:|--:|--:|
{traces}

{traces_told}

## Growth

Made-up requests of 64 tenants with shared prompts of 512 tokens, 100 a second. All requests are held in memory, some 40 bytes each.

| workload | policy | requests | requests / CPU s | alive | requests MiB | added MiB | peak MiB |
|---|---|--:|--:|--:|--:|--:|--:|
{growth}

CPU nanoseconds a request (10,000 requests fit into the core's own caches):

{growth_told}

## A live request

{live}

## The decision kernel

`decide`, best of 2,000 batches of 1,024 requests: {decisions} a decision.

## Beside others
{PEERS}""")
    print(given.report)


if __name__ == "__main__":
    main()
