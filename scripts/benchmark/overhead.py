#!/usr/bin/env python3
"""Measures what the recorder costs the optimized pipeline on the cpu backend, and what an attached Nsight Systems adds.

    cargo build -p proftool && cargo build -p proftool-tracer -p proftool-workloads --examples
    python3 scripts/benchmark/overhead.py --build target/debug --work /tmp/overhead

Writes scripts/benchmark/overhead.md (--report names another file). Two sides are run in turn, A B B A, so that a slow drift
of the machine falls on both alike; the interval of their ratio is a bootstrap over these groups of four. What the recorder
costs is a small part of what one process differs from the next, so both sides are blocks of one process there (`recording`);
with Nsight Systems a side is a run, its time the median of its blocks. The machine should do nothing else: a load average
above 0.5 before it begins is told as `contended`.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from importers import HERE, machine

TARGET = "optimized_pipeline_parallelism"
ORDER = "ABBA"
QUIET = 0.5
# What is promised: at most 1 % of throughput and at most 100 ns an operation.
LIMIT_RATIO, LIMIT_NS = 0.01, 100.0
KINDS = {"activities": "operation", "calls": "call", "dependencies": "dependency"}


def load():
    return float(Path("/proc/loadavg").read_text().split()[0])


def ended(process, limit_s):
    """Waits for a process in a session of its own; past the limit its whole group is ended."""
    try:
        return process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise SystemExit(f"{process.args[0]} did not end within {limit_s} s") from None
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def command(given, profile, folder):
    return [str(given.build / "proftool"), "capture", "--target", TARGET, "--backend", "cpu", "--profile", profile,
            "--blocks", str(given.blocks), "--iterations", str(given.iterations), "--artifacts", str(folder)]


def captured(words, folder, limit_s):
    """The manifest of one capture, with the CPU seconds of the whole process tree."""
    folder.mkdir(parents=True)
    before = os.times()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    _, said = ended(process, limit_s)
    after = os.times()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}:\n{said[-2000:]}")
    manifests = list(folder.glob("*/manifest.json"))
    if len(manifests) != 1:
        raise SystemExit(f"{folder} holds {len(manifests)} artifacts, not one")
    manifest = json.loads(manifests[0].read_text())
    manifest["process_cpu_s"] = after.children_user + after.children_system - before.children_user - before.children_system
    shutil.rmtree(folder)
    return manifest


def blocks_ns(manifest):
    """Wall time of each measured block: its fill and the times between completions."""
    results, blocks = manifest["results"], manifest["blocks"]
    each = len(results["iteration_ns"]) // blocks
    steps = results["iteration_ns"]
    return [results["fill_ns"][at] + sum(steps[at * each:(at + 1) * each]) for at in range(blocks)]


def summary(manifest):
    results = manifest["results"]
    return {
        "wall_ns": statistics.median(blocks_ns(manifest)),
        "cpu_ns": statistics.median(results["cpu_ns"]),
        "process_cpu_s": manifest["process_cpu_s"],
        "contention": statistics.median(results["contention_ratio"] or [1.0]),
        "rows": {table["name"]: table["rows"] for table in manifest["tables"]},
        "blocks": manifest["blocks"],
    }


def alternate(given, sides):
    """Runs both sides in groups of four; the summaries of each group as {"A": [..], "B": [..]}."""
    groups = []
    for number in range(given.groups):
        group = {"A": [], "B": []}
        for at, side in enumerate(ORDER):
            place = given.work / f"run-{number}-{at}"
            shutil.rmtree(place, ignore_errors=True)
            group[side].append(sides[side](place))
            print(f"group {number + 1} of {given.groups}: {side}", file=sys.stderr)
        groups.append(group)
    return groups


def ratio(groups, key):
    """Geometric mean of B / A over the groups."""
    return statistics.geometric_mean(
        statistics.fmean(run[key] for run in group["B"]) / statistics.fmean(run[key] for run in group["A"])
        for group in groups)


def interval(groups, key, draws=4000, seed=17):
    """95 % bootstrap interval of that ratio, groups drawn with replacement; None for fewer than five groups."""
    if len(groups) < 5:
        return None
    chance = random.Random(seed)
    found = sorted(ratio([chance.choice(groups) for _ in groups], key) for _ in range(draws))
    return found[int(0.025 * draws)], found[int(0.975 * draws) - 1]


def costs(*words):
    """The lines that an example prints, as {what: (best, median)}."""
    said = subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True, timeout=300).stdout
    pattern = re.compile(r"^(?:ns per )?(.+?): best (-?[\d.]+), median (-?[\d.]+)", re.MULTILINE)
    return {what: (float(best), float(median)) for what, best, median in pattern.findall(said)}


def recorded_share(run, cost):
    """Time of a block's records, as if one thread made them all while nothing else ran, over the block's time."""
    counts = {name: run["rows"].get(table, 0) / run["blocks"] for table, name in KINDS.items()}
    spent_ns = sum(count * cost[name][1] for name, count in counts.items())
    return counts, spent_ns, spent_ns / run["wall_ns"]


def percent(value):
    return f"{100 * (value - 1):+.2f} %"


def verdict(groups, key, limit, loads):
    """What may be said of "costs at most `limit`": the whole interval has to lie on one side, on a machine that did nothing else."""
    found = interval(groups, key)
    if loads > QUIET:
        return "no claim, the machine was contended"
    if found is None:
        return "too few groups to say"
    if found[1] - 1 <= limit:
        return "holds"
    return "does not hold" if found[0] - 1 > limit else "undecided: the interval holds the limit"


def row(what, groups, key):
    found = interval(groups, key)
    spread = f"{percent(found[0])} to {percent(found[1])}" if found else "too few groups"
    return f"| {what} | {percent(ratio(groups, key))} | {spread} |"


def block_ms(groups, side):
    walls = [run["wall_ns"] / 1e6 for group in groups for run in group[side]]
    return f"{statistics.median(walls):.1f} ms ({min(walls):.1f} to {max(walls):.1f})"


def told(loads):
    return f"load average {loads:.2f} before it began" + (", **contended**" if loads > QUIET else "")


def state(loads, groups):
    ratios = [run["contention"] for group in groups for side in "AB" for run in group[side]]
    seconds = sum(run["process_cpu_s"] for group in groups for side in "AB" for run in group[side])
    return (f"{told(loads)}; time in operations over their CPU time {statistics.median(ratios):.3f} (largest {max(ratios):.3f}; "
            f"1 = undisturbed); {seconds:.0f} CPU seconds")


def recorded_and_not(given):
    """Blocks of one process, recorded (B) and not (A), in turn."""
    words = [str(given.build / "examples" / "recording"), str(given.pairs)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True)
    said, _ = ended(process, given.limit + given.pairs)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
    groups = []
    for line in said.splitlines():
        group = {"A": [], "B": []}
        for recorded, wall_ns, cpu_ns in json.loads(line):
            group["B" if recorded else "A"].append({"wall_ns": wall_ns, "cpu_ns": cpu_ns})
        groups.append(group)
    return groups


def nsys_words(nsys, report):
    # Without the two flags nsys 2022 hangs where the machine has no hardware counters.
    return [nsys, "profile", "--trace=nvtx", "--sample=none", "--cpuctxsw=none", "-o", str(report)]


def under_nsys(given, nsys):
    """`minimal` alone against `minimal` with Nsight Systems attached."""
    def attached(place):
        report = Path(tempfile.mkdtemp(dir=given.work)) / "report"
        found = summary(captured([*nsys_words(nsys, report), *command(given, "minimal", place)], place, given.limit))
        shutil.rmtree(report.parent)
        return found
    return alternate(given, {"A": lambda place: summary(captured(command(given, "minimal", place), place, given.limit)),
                             "B": attached})


def commit():
    said = subprocess.run(["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    dirty = subprocess.run(["git", "-C", str(HERE), "status", "--porcelain"], capture_output=True, text=True).stdout
    return (said.stdout.strip() or "an unknown commit") + (", with changes" if dirty.strip() else "")


def recorder_part(groups, run, loads, cost):
    counts, spent_ns, share = recorded_share(run, cost)
    each = ", ".join(f"{count:.0f} x {name} at {cost[name][1]:.1f} ns" for name, count in counts.items())
    operation = cost["operation"][1]
    holds = "holds" if operation <= LIMIT_NS else "does not hold"
    return f"""## The recorder

`--profile none` records nothing; what it shares with `minimal` are the clock reads at both ends of an operation and of a
call, from which completions are computed. The comparison therefore shows what making and keeping records costs, and the
microbenchmark (`record_cost`) what they cost with those reads. {len(groups)} groups of four blocks of one iteration, recorded and
not, in turn in one process (`recording`).

| recorded beyond not recorded | measured | 95 % interval |
|---|--:|--:|
{row("time of a block", groups, "wall_ns")}
{row("CPU time of the compute queues in a block", groups, "cpu_ns")}

A block: {block_ms(groups, "A")} without, {block_ms(groups, "B")} with.
State: {told(loads)}.
At most {LIMIT_RATIO:.0%} of throughput: {verdict(groups, "wall_ns", LIMIT_RATIO, loads)}.

From the microbenchmark: a block has {each}. Made by one thread while nothing else runs they would take
{spent_ns / 1e3:.1f} us, {share:.4%} of the block. Two clock reads are {cost["two clock reads"][1]:.1f} ns of an operation's
{operation:.1f} (best {cost["operation"][0]:.1f}). At most {LIMIT_NS:.0f} ns an operation: {holds}.
"""


def nvtx_part(cost, attached):
    def rows(found, where):
        return [f"| {what.removeprefix('range, ')}{where} | {best:.1f} | {median:.1f} |" for what, (best, median) in found.items()]
    beyond = {what: both for what, both in attached.items() if "beyond" in what}
    lines = "\n".join(rows(cost, "") + rows(beyond, ", Nsight Systems attached"))
    return f"""## NVTX

`nvtx_cost`, ns a range with both clock reads; `beyond` is the difference between a range that is also given to NVTX and the same
range recorded at its end: at most 20 ns with no tool attached, at most 1000 ns with one. A block has one range: this is not
measurable in its time.

| range | best | median |
|---|--:|--:|
{lines}
"""


def nsys_part(groups, loads, version):
    return f"""## Nsight Systems attached

`nsys profile --trace=nvtx --sample=none --cpuctxsw=none` around the same capture, {version}.

| with it beyond without | measured | 95 % interval |
|---|--:|--:|
{row("time of a block", groups, "wall_ns")}
{row("CPU time of the compute queues in a block", groups, "cpu_ns")}

A block: {block_ms(groups, "A")} without, {block_ms(groups, "B")} with.
State: {state(loads, groups)}.
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True, help="folder with proftool and examples/{recording,record_cost,nvtx_cost}")
    parser.add_argument("--work", type=Path, required=True, help="folder for artifacts, which are removed again")
    parser.add_argument("--report", type=Path, default=HERE / "overhead.md")
    parser.add_argument("--pairs", type=int, default=600, help="groups of four blocks, recorded and not, in one process")
    parser.add_argument("--groups", type=int, default=12, help="groups of four runs a comparison; at least 5 for an interval")
    parser.add_argument("--blocks", type=int, default=8, help="measured blocks a run")
    parser.add_argument("--iterations", type=int, default=4, help="iterations a block")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds that one run may take")
    parser.add_argument("--nsys", default=shutil.which("nsys"), help="nsys; left out where there is none")
    return parser.parse_args()


def main():
    given = arguments()
    given.work.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    examples = given.build / "examples"
    record, nvtx = costs(examples / "record_cost"), costs(examples / "nvtx_cost")
    before = load()
    groups = recorded_and_not(given)
    # How many records a block of that many iterations has, and how long it takes.
    run = summary(captured(command(given, "minimal", given.work / "run"), given.work / "run", given.limit))
    attached = costs(*nsys_words(given.nsys, given.work / "nvtx"), examples / "nvtx_cost") if given.nsys else {}
    parts = [recorder_part(groups, run, before, record), nvtx_part(nvtx, attached)]
    if given.nsys:
        version = subprocess.run([given.nsys, "--version"], capture_output=True, text=True).stdout.strip()
        # The load average still holds what this script did itself: what counts is the load before it began.
        parts.append(nsys_part(under_nsys(given, given.nsys), before, version))
    else:
        parts.append("## Nsight Systems attached\n\nNot measured: nsys was not found.\n")
    head = f"""# What recording costs

Written by `scripts/benchmark/overhead.py` on {date.today().isoformat()}: {machine()}; build of {commit()}; target `{TARGET}` on the
cpu backend with its default parameters; runs: {given.groups} groups of {ORDER}, {given.blocks} blocks each, {given.iterations} iterations a block;
{(time.monotonic() - began) / 60:.0f} minutes in all. Ratios are geometric means over the groups, the intervals a bootstrap over them.

"""
    given.report.write_text(head + "\n".join(parts))
    print(given.report)


if __name__ == "__main__":
    main()
