#!/usr/bin/env python3
"""Measures the timeline metrics against their limits, one by one, and how they grow from 10^4 to 10^7 rows.

    cargo build --release -p proftool && cargo build --release -p proftool-timeline --examples
    python3 scripts/benchmark/timeline.py --build target/release --work /tmp/bench --python VENV/bin/python --nsys nsys \\
        --report docs/timeline-performance.md

Inputs (about 1.7 GB) are generated once into --work and imported; what is measured is `proftool analyze` on the artifacts.
CPU seconds are user and system time of the process, the peak is its largest resident set; medians of --runs, with the range.
What a metric costs alone is its command less the cheapest one's, which reads the same tables and finds little to do. Peers run once: nsys where
--nsys names it, HTA where --python has HolisticTraceAnalysis; the floor is pyarrow decoding the same tables.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from importers import DATA, HERE, generated, machine, measured

SIZES = [10_000, 100_000, 1_000_000, 10_000_000]
INTERVALS = 10_000_000
# What a metric must cost before its growth is told: below it, the noise of the two runs is larger.
TOLD_S = 0.05

FLOOR = """
import sys, glob, pyarrow.parquet as parquet
for path in glob.glob(sys.argv[1] + "/tables/*.parquet"):
    for batch in parquet.ParquetFile(path).iter_batches(use_threads=False):
        pass
"""

HTA = """
import json, os, sys
from hta.trace_analysis import TraceAnalysis
def clock():
    used = os.times()
    return used.user + used.system
def since(begun):
    return round(clock() - begun, 2)
found, begun = {}, clock()
trace = TraceAnalysis(trace_files={0: sys.argv[1]}, trace_dir="/")
found["parse"] = since(begun)
calls = {
    "temporal breakdown": lambda: trace.get_temporal_breakdown(visualize=False),
    "idle time": lambda: trace.get_idle_time_breakdown(ranks=[0], visualize=False),
    "overlap": lambda: trace.get_comm_comp_overlap(visualize=False),
    "kernel breakdown": lambda: trace.get_gpu_kernel_breakdown(visualize=False),
    "launch statistics": lambda: trace.get_cuda_kernel_launch_stats(visualize=False),
    "critical path of one step": lambda: trace.critical_path_analysis(rank=0, annotation="ProfilerStep", instance_id=1),
}
for name, call in calls.items():
    begun = clock()
    try:
        call()
        found[name] = since(begun)
    except Exception as error:
        found[name] = type(error).__name__
print(json.dumps(found))
"""


def spread(values, digits=2):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def cpu(found):
    return [run[0] for run in found]


def peak(found):
    return f"{max(run[1] for run in found):.0f}"


def output(command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


class Bench:
    def __init__(self, given):
        self.given, self.binary = given, given.build / "proftool"
        self.lines = []

    def note(self, line):
        self.lines.append(line)
        print(line, file=sys.stderr)

    def artifact(self, path):
        folder = self.given.work / f"artifacts-{path.stem}"
        if not folder.exists():
            subprocess.run([str(self.binary), "import", str(path), "--artifacts", str(folder)], check=True, stdout=subprocess.DEVNULL)
        return next(folder.glob("*/manifest.json")).parent

    def analyze(self, run, metric=None, runs=None):
        chosen = ["--metric", metric] if metric else []
        return measured([self.binary, "analyze", "--artifacts", run, *chosen], runs or self.given.runs)

    def metrics(self):
        rows = json.loads(output([self.binary, "list", "metrics", "--format", "json"]))
        return list(dict.fromkeys(row["table"] for row in rows))

    def each(self, run, runs, names=None):
        """Least CPU seconds of reading (the cheapest command) and of each metric beyond it: a neighbour only adds to them."""
        found = {name: min(cpu(self.analyze(run, name, runs))) for name in names or self.metrics()}
        reading = min(found.values())
        return reading, {name: seconds - reading for name, seconds in found.items()}

    def row(self, what, limit, seconds, memory=""):
        self.note(f"| {what} | {limit} | {seconds} | {memory} |")


def operators(bench):
    program = bench.given.build / "examples" / "operators"
    for order in ("sorted", "shuffled"):
        for mode, limit in (("generate", ""), ("union", "1"), ("gaps", "1")):
            found = measured([program, mode, INTERVALS, order], bench.given.runs)
            what = "generating alone" if mode == "generate" else f"{mode}, generating included"
            bench.row(f"10 M intervals, {order}: {what}", limit, spread(cpu(found)), peak(found))


def projection(bench):
    given = bench.given
    program = given.build / "examples" / "nesting"
    seconds = [float(output([program, 3_800_000, 1_000_000]).split("seconds=")[1].split()[0]) for _ in range(given.runs)]
    bench.row("3.8 M ranges over 1 M launches: the sweep alone", "", spread(seconds))
    command = [HERE / "generate_timeline.py", given.work / "projection.sqlite"]
    path = generated(given.work, "projection.sqlite", command)
    rules = dict(line.split() for line in output([sys.executable, *command, "--check"]).splitlines())
    run = bench.artifact(path)
    hold(bench, run, {name: int(value) for name, value in rules.items()})
    found = bench.analyze(run, "ranges")
    bench.row(f"`analyze --metric ranges` of {int(rules['ranges']):,} ranges over {int(rules['kernels']):,} launches, reading included",
              "4 (2,048 MiB)", spread(cpu(found)), peak(found))
    found = bench.analyze(run, "critical_path")
    bench.row("`analyze --metric critical_path` of the same file: 2 M operations, reading included", "", spread(cpu(found)), peak(found))


def hold(bench, run, rules):
    """Holds the totals of the rows against those that the generator computes by its own rules."""
    tables = {name: json.loads(output([bench.binary, "analyze", "--artifacts", run, "--metric", name, "--format", "json"]))
              for name in ("ranges", "kernels")}
    top = [row for row in tables["ranges"] if row["level"] == 0]
    total = lambda rows, name: sum(row[name] for row in rows)
    found = {"ranges": total(tables["ranges"], "instances"), "steps": total(top, "instances"), "kernels": total(top, "operations"),
             "kernel_ns": total(top, "busy_ns")}
    kernels = {"kernels": total(tables["kernels"], "launches"), "kernel_ns": total(tables["kernels"], "total_ns")}
    if found != rules or any(rules[name] != value for name, value in kernels.items()):
        raise SystemExit(f"{run}: {found} and {kernels}, but the rules give {rules}")


def peer_nsys(bench):
    source = bench.given.data / "nsys" / "h100x2_train_before.schema3.25.sqlite"
    path = bench.given.work / source.name
    if not path.exists():
        path.write_bytes(source.read_bytes())
    found = bench.analyze(bench.artifact(path), "ranges")
    bench.row("`analyze --metric ranges` of a real file: 19,118 ranges, 4,010 kernels", "", spread(cpu(found)), peak(found))
    if bench.given.nsys:
        found = measured([bench.given.nsys, "stats", "--report", "nvtxgpuproj", "--quiet", path], 1)
        version = output([bench.given.nsys, "--version"]).split("version")[1].split("-")[0].strip()
        bench.row(f"peer: `nsys stats --report nvtxgpuproj` ({version}) of the same file", "", f"{cpu(found)[0]:.1f}", peak(found))


def path_of_a_million(bench):
    """The line of 1,000,000 operations: building, path, slack, and 20 answers about free kernels."""
    program = bench.given.build / "examples" / "graph"
    runs = [next(line.split() for line in output([program]).splitlines() if line.split()[0] == "1000000") for _ in range(bench.given.runs)]
    bench.row("critical path of 1 M operations: graph, path, slack, 20 answers about free kernels", "3",
              spread([sum(map(float, run[2:])) for run in runs]))


def trace(bench):
    """The rows of the trace of 1.73 M events; returns what each metric costs."""
    given = bench.given
    source = given.data / "kineto" / "v100_train_216k_events.json.gz"
    path = generated(given.work, "kineto_x8.json", [HERE / "generate_kineto.py", source, given.work / "kineto_x8.json", "--copies", 8])
    run = bench.artifact(path)
    found = bench.analyze(run)
    reading, each = bench.each(run, given.runs)
    bench.row("all metrics of the trace of 1.73 M events, reading and printing included", "2", spread(cpu(found)), peak(found))
    bench.row("of which reading the tables (least)", "", f"{reading:.2f}")
    if given.python:
        floor = measured([given.python, "-c", FLOOR, run], given.runs)
        bench.row("floor: pyarrow decodes the same tables", "", spread(cpu(floor)), peak(floor))
        seconds = json.loads(output([given.python, "-c", HTA, path]).splitlines()[-1])
        parts = {name: value for name, value in seconds.items() if name != "parse"}
        known = [value for value in parts.values() if isinstance(value, float)]
        bench.row(f"peer: HTA, after parsing ({', '.join(f'{name} {value}' for name, value in parts.items())})", "", f"{sum(known):.1f}")
        bench.row("peer: HTA, parsing", "", f"{seconds['parse']:.1f}")
    return each


def growth(bench):
    """A row a metric: CPU seconds beyond reading at each size, and how they grow with the rows."""
    table, names = {}, None
    for size in SIZES:
        path = generated(bench.given.work, f"nsys_{size}.sqlite",
                         [HERE / "generate_nsys.py", bench.given.work / f"nsys_{size}.sqlite", "--rows", size])
        run, runs = bench.artifact(path), bench.given.runs if size < SIZES[-1] else 1
        if size == SIZES[-1] and bench.given.largest:
            order = sorted(each, key=each.get)
            names = [order[0], *order[-bench.given.largest:]]
        whole = min(cpu(bench.analyze(run, None, runs)))
        reading, each = bench.each(run, runs, names)
        table[size] = {"all metrics": whole, "reading": reading, **each}
        print(size, table[size], file=sys.stderr)
    last, before = table[SIZES[-1]], table[SIZES[-2]]
    return [grown(name, table) for name in sorted(before, key=lambda name: (-last.get(name, 0), -before[name]))]


def grown(name, table):
    """The row of a metric; where the largest input was left out, without what is said of it."""
    seconds = [table[size].get(name) for size in SIZES]
    power, million = "", ""
    if seconds[-1] is not None:
        million = f"{seconds[-1] * 1e6 / SIZES[-1]:.2f}"
        if min(seconds[-2:]) >= TOLD_S:
            power = f"{math.log10(seconds[-1] / seconds[-2]):.2f}"
    cells = " | ".join("" if value is None else f"{value:.2f}" for value in seconds)
    return f"| {name if ' ' in name or name == 'reading' else f'`{name}`'} | {cells} | {million} | {power} |"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--build", type=Path, required=True, help="folder with proftool and examples/")
    arguments.add_argument("--work", type=Path, required=True, help="folder for generated inputs and their artifacts")
    arguments.add_argument("--report", type=Path, required=True)
    arguments.add_argument("--data", type=Path, default=DATA)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--largest", type=int, default=0, help="run only so many metrics on the largest input, those that cost most before")
    arguments.add_argument("--python", help="a Python with pyarrow and HolisticTraceAnalysis")
    arguments.add_argument("--nsys", help="nsys, for the peer")
    arguments.add_argument("--commit", help="what the binary was built from; of this checkout without")
    given = arguments.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    commit = given.commit or output(["git", "-C", HERE, "describe", "--always", "--dirty"]).strip()
    load = os.getloadavg()[0]
    bench = Bench(given)
    operators(bench)
    projection(bench)
    peer_nsys(bench)
    each = trace(bench)
    path_of_a_million(bench)
    costs = sorted(each.items(), key=lambda cost: -cost[1])
    values = {
        "machine": machine(), "date": time.strftime("%Y-%m-%d"), "runs": str(given.runs), "commit": commit, "load": f"{load:.1f}",
        "limits": "\n".join(bench.lines), "growth": "\n".join(growth(bench)),
        "metrics": ", ".join(f"`{name}` {seconds:.2f}" for name, seconds in costs if seconds >= 0.005),
    }
    text = (HERE / "timeline.md").read_text()
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    given.report.write_text(text)


if __name__ == "__main__":
    main()
