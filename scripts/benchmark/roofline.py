#!/usr/bin/env python3
"""Measures `proftool roofline` on a million launches with 50 metrics each, and checks its totals.

    cargo build --release -p proftool
    python3 scripts/benchmark/roofline.py --binary target/release/proftool --work /tmp/bench --report docs/roofline-performance.md

The input (about 650 MB) is generated once into --work and imported; what is measured is the command on the artifact:
points, lists and chart. CPU seconds are user and system time, the peak is the largest resident set; the median of --runs,
with the range. The floor is pyarrow decoding the three columns of the counter table and summing them, the peer pandas
reading the page and summing the same FLOP, bytes and times by kernel; both need --python, one that has pandas and pyarrow.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path

HERE = Path(__file__).resolve().parent
LAUNCHES = 1_000_000

FLOOR = """
import sys, pyarrow.parquet as parquet, pyarrow.compute as compute
total = 0.0
for batch in parquet.ParquetFile(sys.argv[1]).iter_batches(batch_size=131072, columns=["launch", "def", "value"], use_threads=False):
    for name in ("launch", "def", "value"):
        total += compute.sum(batch.column(name)).as_py()
"""

PEER = """
import sys, pandas
page = pandas.read_csv(sys.argv[1], header=0, skiprows=[1], low_memory=False)
sass = "smsp__sass_thread_inst_executed_op_"
page["flop"] = page[sass + "fadd_pred_on.sum"] + page[sass + "fmul_pred_on.sum"] + 2 * page[sass + "ffma_pred_on.sum"] \\
    + page["sm__ops_path_tensor_src_bf16_dst_fp32.sum"]
page["bytes"] = page["dram__bytes_read.sum"] + page["dram__bytes_write.sum"]
page.groupby("Kernel Name")[["flop", "bytes", "gpu__time_duration.sum"]].sum()
"""


def measured(command, runs):
    """CPU seconds and peak MiB of each run."""
    found = []
    for _ in range(runs):
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{command} failed with {process.returncode}")
        found.append((usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024))
    return found


def line(what, runs):
    seconds = [run[0] for run in runs]
    spread = f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"
    return f"| {what} | {spread} | {max(run[1] for run in runs):.0f} |"


def artifact(binary, path, folder):
    found = sorted(folder.glob("*/manifest.json"))
    if not found:
        subprocess.run([str(binary), "import", str(path), "--artifacts", str(folder)], check=True)
        found = sorted(folder.glob("*/manifest.json"))
    return found[-1].parent


def totals(binary, run, rules):
    """Holds the totals of the rows against those that the generator computes by its own rules."""
    rows = json.loads(subprocess.run([str(binary), "roofline", "--artifacts", str(run), "--format", "json"], check=True,
                                     capture_output=True, text=True).stdout)
    flop, moved, time = (sum(row[name] for row in rows) for name in ("flop", "dram_bytes", "time_ns"))
    if (flop, moved) != (rules["flop"], rules["dram_bytes"]) or time not in (rules["replay_ns"], rules["timeline_ns"]):
        raise SystemExit(f"{run}: {flop} FLOP, {moved} bytes, {time} ns, but the rules give {rules}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--python", default=None, help="a Python with pandas and pyarrow, for peer and floor")
    arguments = parser.parse_args()
    source = arguments.work / "million"
    generator = [sys.executable, str(HERE / "generate_roofline.py"), str(source), "--launches", str(LAUNCHES)]
    if not (source / "timeline.sqlite").exists():
        subprocess.run(generator, check=True)
    check = subprocess.run([*generator, "--check"], check=True, capture_output=True, text=True).stdout
    rules = {name: int(value) for name, value in (row.split() for row in check.splitlines())}
    page = artifact(arguments.binary, source / "page.csv", arguments.work / "art-page")
    joined = artifact(arguments.binary, source, arguments.work / "art-joined")
    rows = []
    for what, run in [("page alone: 1 M launches, 50 M counter values", page),
                      ("the same joined to a timeline of 1 M kernels and 1 M calls", joined)]:
        totals(arguments.binary, run, rules)
        rows.append(line(what, measured([arguments.binary, "roofline", "--artifacts", run], arguments.runs)))
    if arguments.python:
        counters = page / "tables" / "counters.parquet"
        rows.append(line("floor: pyarrow decodes the counter table",
                         measured([arguments.python, "-c", FLOOR, counters], arguments.runs)))
        rows.append(line("peer: pandas sums the page by kernel",
                         measured([arguments.python, "-c", PEER, source / "page.csv"], 1)))
    cpu = next((row.split(":")[1].strip() for row in Path("/proc/cpuinfo").read_text().splitlines()
                if row.startswith("model name")), platform.processor())
    text = (HERE / "roofline.md").read_text()
    text = text.replace("{date}", date.today().isoformat()).replace("{machine}", f"{os.cpu_count()} CPUs, {cpu}")
    arguments.report.write_text(text.replace("{runs}", str(arguments.runs)).replace("{rows}", "\n".join(rows)))


if __name__ == "__main__":
    main()
