#!/usr/bin/env python3
"""Writes input for the roofline benchmark: a raw Nsight Compute page, and a timeline of the same launches.

    generate_roofline.py FOLDER [--launches 1000000] [--page-only]

FOLDER/page.csv holds 50 metrics a launch (`ncu --csv --page raw --print-units base` of an H100): instruction counts,
tensor operations with their leaves, bytes of three levels, times, clocks, peaks and percentages. FOLDER/timeline.sqlite
is what `nsys export --type sqlite` writes (schema 3.25) for the same launches at other durations. The kernels are a
model's: 200 names, five grids each, and all values follow from them, so that the same arguments give the same files and
every total can be checked by hand (`--check` prints them).
"""

import argparse
import sqlite3
from pathlib import Path

TENSOR = "sm__ops_path_tensor_"
OPS = ["dadd", "dmul", "dfma", "fadd", "fmul", "ffma", "hadd", "hmul", "hfma"]
AGGREGATES = ["src_bf16_dst_fp32", "src_fp16", "src_fp64", "src_int8", "src_tf32_dst_fp32", "src_fp8_sparsity_off",
              "src_fp8_sparsity_on"]
LEAVES = ["op_hgmma_src_bf16_dst_fp32_sparsity_off", "op_hgmma_src_bf16_dst_fp32_sparsity_on",
          "op_hmma_src_bf16_dst_fp32_sparsity_off", "op_hmma_src_bf16_dst_fp32_sparsity_on"]
IDENTITY = ["ID", "Process ID", "Process Name", "Host Name", "Kernel Name", "Context", "Stream", "Block Size",
            "Grid Size", "Device", "CC"]
NAMES, GRIDS, BATCH = 200, 5, 100_000


def metrics(kernel, grid):
    """Name, unit and value of each metric of one launch of that kernel and grid."""
    blocks = 132 * (grid + 1)
    gemm = kernel % 4 == 0
    tensor = 1 << 21 if gemm else 0
    rows = [(f"smsp__sass_thread_inst_executed_op_{op}_pred_on.sum", "inst",
             blocks * 128 * (kernel % 7 + 1) if op in ("fadd", "ffma") and not gemm else 0) for op in OPS]
    rows += [(f"{TENSOR}{name}.sum", "", blocks * tensor if name == "src_bf16_dst_fp32" else 0) for name in AGGREGATES]
    rows += [(f"{TENSOR}{name}.sum", "", blocks * tensor if name == LEAVES[0] else 0) for name in LEAVES]
    nanoseconds = 4000 + 500 * (kernel % 11) + 900 * grid
    rows += [
        ("dram__bytes_read.sum", "byte", blocks * 32768), ("dram__bytes_write.sum", "byte", blocks * 8192),
        ("lts__t_bytes.sum", "byte", blocks * 65536), ("l1tex__t_bytes.sum", "byte", blocks * 98304),
        ("gpu__time_duration.sum", "ns", nanoseconds), ("smsp__inst_executed.sum", "inst", blocks * 4096),
        ("sm__cycles_elapsed.avg", "cycle", f"{nanoseconds * 1.6:.2f}"),
        ("sm__cycles_elapsed.avg.per_second", "cycle/second", "1600000000"),
        ("sm__sass_thread_inst_executed_op_ffma_pred_on.sum.peak_sustained", "inst/cycle", 16896),
        ("dram__bytes.sum.peak_sustained", "byte/cycle", 1280),
        ("dram__cycles_elapsed.avg.per_second", "cycle/second", "2619000000"),
        (f"{TENSOR}src_bf16_dst_fp32.sum.peak_sustained", "1/cycle", 540672),
    ]
    rows += [(f"sm__filler_{at:02}.avg.pct_of_peak_sustained_elapsed", "%", f"{(kernel * 7 + at) % 100}.25")
             for at in range(50 - len(rows))]
    return rows


def kernel_name(kernel):
    kind = "gemm" if kernel % 4 == 0 else "elementwise"
    return f"void model::{kind}_kernel<(int){kernel}, (bool)1, float>(const T3 *, T3 *, int)"


def launch(at):
    return at * 7919 % NAMES, at * 104729 % GRIDS


def write_page(path, launches):
    line = lambda cells: ",".join(f'"{cell}"' for cell in cells)
    first = metrics(0, 0)
    bodies = {(kernel, grid): line(value for _, _, value in metrics(kernel, grid))
              for kernel in range(NAMES) for grid in range(GRIDS)}
    with open(path, "w", encoding="utf-8", newline="") as out:
        out.write(line(IDENTITY + [name for name, _, _ in first]) + "\n")
        out.write(line([""] * len(IDENTITY) + [unit for _, unit, _ in first]) + "\n")
        for at in range(launches):
            kernel, grid = launch(at)
            identity = [at, 4733, "serve", "127.0.0.1", kernel_name(kernel), 1, 7, "(128, 1, 1)",
                        f"({132 * (grid + 1)}, 1, 1)", 0, "9.0"]
            out.write(line(identity) + "," + bodies[kernel, grid] + "\n")


def write_timeline(path, launches):
    # The tables of the importer benchmark, of which these are filled.
    from generate_nsys import TABLES

    path.unlink(missing_ok=True)
    database = sqlite3.connect(path)
    database.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")
    for name, columns in TABLES.items():
        database.execute(f"CREATE TABLE {name} ({columns})")
    names = [(1, "cudaLaunchKernel_v7000")]
    # Nsight Systems spells template arguments and parameters in another way than Nsight Compute does.
    names += [(100 + kernel, kernel_name(kernel).replace("(int)", "").replace("(bool)1", "true").replace(
        "const T3 *, T3 *", "const float *, float *")) for kernel in range(NAMES)]
    database.executemany("INSERT INTO StringIds VALUES (?,?)", names)
    database.executemany("INSERT INTO META_DATA_EXPORT VALUES (?,?)", [("EXPORT_SCHEMA_VERSION", "3.25.0")])
    database.execute("INSERT INTO TARGET_INFO_SESSION_START_TIME VALUES (1767225600000000000, '', '', 0)")
    database.execute("INSERT INTO TARGET_INFO_GPU VALUES (0, 0, 'NVIDIA H100 80GB HBM3', '0000:01:00.0', 85029158912, "
                     "1980000000, 132, '', 0, 9, 0)")
    process = (148 << 24) | 148

    def calls(first, last):
        for at in range(first, last):
            yield 1_000_000_000 + at * 12_000, 1_000_000_000 + at * 12_000 + 2_500, 0, process, at + 1, 1, 0, None

    def kernels(first, last):
        for at in range(first, last):
            kernel, grid = launch(at)
            begin = 1_000_005_000 + at * 12_000
            length = 3600 + 450 * (kernel % 11) + 810 * grid
            yield (begin, begin + length, 0, 1, 0, 7, at + 1, process & ~0xFFFFFF, 100 + kernel, 100 + kernel, 100 + kernel,
                   1, 1, 32, 132 * (grid + 1), 1, 1, 128, 1, 1, 0, 0, 0, 0, at, 32768, None, 0, None, None, None, None, 0, 0,
                   0, 1, 0, 0, None, "[]")

    for table, rows in [("CUPTI_ACTIVITY_KIND_RUNTIME", calls), ("CUPTI_ACTIVITY_KIND_KERNEL", kernels)]:
        count = len(TABLES[table].split(","))
        for first in range(0, launches, BATCH):
            marks = ",".join("?" * count)
            database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows(first, min(first + BATCH, launches)))
    database.commit()
    database.close()


def check(launches):
    """Totals that the roofline must show, computed from the same rules by hand."""
    flop = bytes_moved = replay = timeline = 0
    for at in range(launches):
        kernel, grid = launch(at)
        values = {name: value for name, _, value in metrics(kernel, grid)}
        sass = "smsp__sass_thread_inst_executed_op_"
        flop += values[f"{sass}fadd_pred_on.sum"] + 2 * values[f"{sass}ffma_pred_on.sum"]
        flop += values[f"{TENSOR}src_bf16_dst_fp32.sum"]
        bytes_moved += values["dram__bytes_read.sum"] + values["dram__bytes_write.sum"]
        replay += values["gpu__time_duration.sum"]
        timeline += 3600 + 450 * (kernel % 11) + 810 * grid
    print(f"flop {flop}\ndram_bytes {bytes_moved}\nreplay_ns {replay}\ntimeline_ns {timeline}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--launches", type=int, default=1_000_000)
    parser.add_argument("--page-only", action="store_true", help="no timeline")
    parser.add_argument("--check", action="store_true", help="print the totals, write nothing")
    arguments = parser.parse_args()
    if arguments.check:
        return check(arguments.launches)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write_page(arguments.folder / "page.csv", arguments.launches)
    if not arguments.page_only:
        write_timeline(arguments.folder / "timeline.sqlite", arguments.launches)


if __name__ == "__main__":
    main()
