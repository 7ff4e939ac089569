#!/usr/bin/env python3
"""Measures the importers: CPU seconds, peak memory, MB and rows a CPU second, beside the floor and the peers.

    cargo build --release -p proftool && cargo build --release -p proftool-import --example floor
    python3 scripts/benchmark/importers.py --build target/release --work /tmp/bench --report docs/importers/performance.md

Inputs are generated once into --work (about 4 GB). CPU seconds are user and system time of the process and its
children; peak memory is the largest resident set, pages of mapped files included. Each figure is the median of --runs,
the range stands beside it. Peers: Python's json.loads, and HTA where --hta names a Python that has it installed.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RANKS = """
import gzip, pathlib, sys
trace = gzip.decompress(pathlib.Path(sys.argv[1]).read_bytes())
for rank in range(8):
    text = trace.replace(b'"rank": 1,', b'"rank": %d,' % rank)
    (pathlib.Path(sys.argv[2]) / f"rank_{rank}.json.gz").write_bytes(gzip.compress(text, 6))
"""

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent.parent / "shared" / "data"


def measured(command, runs):
    """CPU seconds, peak MiB and wall seconds of each run."""
    found = []
    for _ in range(runs):
        began = time.monotonic()
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{command} failed with {process.returncode}")
        found.append((usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, time.monotonic() - began))
    return found


def generated(work, name, command):
    path = work / name
    if not path.exists():
        print(f"generating {name}", file=sys.stderr)
        subprocess.run([sys.executable, *map(str, command)], check=True)
    return path


def size_of(path):
    if path.is_dir():
        return sum(part.stat().st_size for part in path.rglob("*") if part.is_file())
    return path.stat().st_size


def imported(binary, path, runs, extra=()):
    """Runs of an import, and the rows of each table that it wrote."""
    with tempfile.TemporaryDirectory(dir=path.parent) as place:
        found = []
        for run in range(runs):
            folder = Path(place) / str(run)
            found += measured([binary, "import", path, "--artifacts", folder, *extra], 1)
            manifest = json.loads(next(folder.glob("*/manifest.json")).read_text())
            tables = {table["name"]: table["rows"] for table in manifest["tables"]}
            shutil.rmtree(folder)
        return found, tables


def cell(values, digits):
    low, high = min(values), max(values)
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


class Table:
    def __init__(self):
        self.lines = [
            "| what | input | CPU s | peak MiB | MB / CPU s | M rows / CPU s | wall s |",
            "|---|---|--:|--:|--:|--:|--:|",
        ]

    def add(self, what, path, found, rows=None):
        cpu = [run[0] for run in found]
        rate = size_of(path) / 1e6 / max(statistics.median(cpu), 1e-9)
        rows_rate = f"{rows / 1e6 / max(statistics.median(cpu), 1e-9):.2f}" if rows else ""
        peak = max(run[1] for run in found)
        self.lines.append(
            f"| {what} | {path.name}, {size_of(path) / 1e6:.0f} MB | {cell(cpu, 2)} | {peak:.0f} | {rate:.0f} | {rows_rate} "
            f"| {statistics.median(run[2] for run in found):.2f} |"
        )
        print(self.lines[-1], file=sys.stderr)

    def text(self):
        return "\n".join(self.lines)


def columns(tables):
    return ", ".join(f"`{name}` {rows:,}" for name, rows in tables.items() if rows > 100)


def machine():
    model = next(line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release().split('-')[0]}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--build", type=Path, required=True, help="folder with proftool and examples/floor")
    arguments.add_argument("--work", type=Path, required=True, help="folder for generated inputs")
    arguments.add_argument("--data", type=Path, default=DATA)
    arguments.add_argument("--report", type=Path, help="markdown file; standard output otherwise")
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--hta", help="a Python with HolisticTraceAnalysis")
    given = arguments.parse_args()
    work, binary, floor = given.work, given.build / "proftool", given.build / "examples" / "floor"
    work.mkdir(parents=True, exist_ok=True)
    source = given.data / "kineto" / "v100_train_216k_events.json.gz"

    trace = generated(work, "kineto_x8.json", [HERE / "generate_kineto.py", source, work / "kineto_x8.json", "--copies", 8])
    nsys = generated(work, "nsys_10m.sqlite", [HERE / "generate_nsys.py", work / "nsys_10m.sqlite", "--rows", 10_000_000])
    page = generated(work, "ncu_2000.csv", [HERE / "generate_ncu.py", work / "ncu_2000.csv", "--columns", 2000, "--rows", 20_000])
    ranks = work / "ranks"
    if not ranks.exists():
        ranks.mkdir()
        # In a process of its own: a child's peak memory begins at that of its parent.
        subprocess.run([sys.executable, "-c", RANKS, source, ranks], check=True)

    sections, table, written = [], Table(), []
    for kind, path, title in [
        ("json", trace, "Kineto, the x8 replica of v100_train_216k_events"),
        ("sqlite", nsys, "nsys SQLite, 10 M rows"),
        ("csv", page, "ncu raw page of 2,000 columns"),
    ]:
        found, tables = imported(binary, path, given.runs)
        rows = sum(tables.values())
        table.add(f"**import**: {title}", path, found, rows)
        written.append(f"* {title}: {columns(tables)}.")
        table.add("floor: read the bytes", path, measured([floor, "read", path], given.runs))
        table.add(f"floor: tokenise ({ {'json': 'serde_json, ignoring all', 'csv': 'csv crate', 'sqlite': 'SQLite, every cell touched'}[kind] })",
                  path, measured([floor, kind, path], given.runs))
        if kind == "json":
            load = "import json,sys; json.loads(open(sys.argv[1],'rb').read())"
            table.add("peer: Python json.loads", path, measured([sys.executable, "-c", load, path], 1))
            if given.hta:
                parse = ("import sys; from hta.trace_analysis import TraceAnalysis; "
                         "TraceAnalysis(trace_files={0: sys.argv[1]}, trace_dir='/')")
                table.add("peer: HTA, parse only", path, measured([given.hta, "-c", parse, path], 1))
    sections.append(table.text())

    table = Table()
    for workers in (1, 2):
        found, tables = imported(binary, ranks, given.runs, ["--workers", workers])
        table.add(f"import, {workers} worker{'s' if workers > 1 else ''}", ranks, found, sum(tables.values()))
    sections.append("## A directory of eight ranks (packed with gzip)\n\n" + table.text())

    text = (HERE / "importers.md").read_text()
    text = text.replace("{machine}", machine()).replace("{date}", time.strftime("%Y-%m-%d")).replace("{runs}", str(given.runs))
    text = text.replace("{results}", "\n\n".join(sections)).replace("{written}", "\n".join(written))
    if given.report:
        given.report.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
