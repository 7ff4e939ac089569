#!/usr/bin/env python3
"""Writes a SQLite database like those of `nsys export`, of a program that draws many ranges around its launches.

    generate_timeline.py OUT.sqlite [--launches 1000000] [--ranges 3800000]
    generate_timeline.py OUT.sqlite --check

Four host threads each run steps; a step is a tree of ranges five deep (step, 8 layers, 4 blocks, 5 operators, 2 parts) with
names that repeat, as programs have them. Launches are spread evenly over the innermost ranges, one queue a thread: a kernel
runs 1 us after its call or right after the kernel before. `--check` prints what metrics must find, computed by the same
rules without the database. The same numbers give the same file.
"""

import argparse
import sqlite3
from pathlib import Path

from generate_nsys import PROCESSES, TABLES, insert, jitter

THREADS = 4
PROCESS = PROCESSES[0]
# Names of each level below the step, and the ranges of one step.
LEVELS = [
    [f"layer {at}" for at in range(8)],
    ["norm", "attention", "mlp", "residual"],
    ["aten::linear", "aten::matmul", "aten::add_", "aten::softmax", "aten::copy_"],
    ["prepare", "enqueue"],
]
LEAVES = 8 * 4 * 5 * 2
OF_A_STEP = 1 + 8 + 8 * 4 + 8 * 4 * 5 + LEAVES
LEAF_NS, EDGE_NS, CALL_NS, LAUNCH_NS = 4_000, 100, 1_500, 1_000
FIRST_NAME, FIRST_KERNEL, LAUNCH, FIRST_STEP = 100, 1_000, 10, 100_000
KERNELS = 200
FROM_NS = 1_000_000_000


class Thread:
    """One host thread with its queue: yields the rows of a step at a time."""

    def __init__(self, number, launches, steps):
        self.tid = PROCESS + 1 + number
        self.queue = 7 + number
        self.now, self.free = FROM_NS + 37 * number, 0
        self.launches, self.leaves, self.leaf, self.launched = launches, steps * LEAVES, 0, 0
        self.number = number
        self.kernel_ns = 0

    def step(self, number):
        self.ranges, self.calls, self.kernels = [], [], []
        self.nest(0, FIRST_STEP + number)
        return self.ranges, self.calls, self.kernels

    def nest(self, level, name):
        place = len(self.ranges)
        begin = self.now
        self.ranges.append(None)
        self.now += EDGE_NS
        if level == len(LEVELS):
            self.call()
            self.now = begin + LEAF_NS
        else:
            first = FIRST_NAME + 10 * level
            for at in range(len(LEVELS[level])):
                self.nest(level + 1, first + at)
        self.now += EDGE_NS
        self.ranges[place] = (begin, self.now, 59, None, None, None, None, self.tid, None, name, 0) + (None,) * 9

    def call(self):
        """The launch of an innermost range, where it has one: so many that all are spread evenly."""
        self.leaf += 1
        if self.leaf * self.launches // self.leaves == self.launched:
            return
        self.launched += 1
        correlation = THREADS * self.launched + self.number
        start = self.now + jitter(correlation, 500)
        self.calls.append((start, start + CALL_NS, 0, self.tid, correlation, LAUNCH, 0, None))
        begin = max(start + CALL_NS + LAUNCH_NS, self.free)
        # Up to 17 us: a queue falls behind and the device catches up where nothing is launched.
        self.free = begin + 1_000 + jitter(correlation + 5, 16_000)
        self.kernel_ns += self.free - begin
        self.kernels.append(kernel(begin, self.free, self.queue, correlation))


def kernel(begin, end, queue, correlation):
    name = FIRST_KERNEL + jitter(correlation + 3, KERNELS)
    return (begin, end, 0, 1, 0, queue, correlation, PROCESS & ~0xFFFFFF, name, name, name, 1, 1, 64, 132, 1, 1, 128, 1, 1,
            0, 0, 0, 250871808, correlation, 32768, None, 0, None, None, None, None, 0, 0, 0, 1, 0, 0, None, "[]")


def rows(launches, ranges):
    """The threads, and the rows of each step of each."""
    steps = max(ranges // OF_A_STEP // THREADS, 1)
    threads = [Thread(at, launches * (at + 1) // THREADS - launches * at // THREADS, steps) for at in range(THREADS)]
    return steps, threads, (thread.step(number) for number in range(steps) for thread in threads)


def strings(steps):
    named = [(FIRST_NAME + 10 * level + at, name) for level, names in enumerate(LEVELS) for at, name in enumerate(names)]
    kernels = [(FIRST_KERNEL + at, f"void cutlass::kernel_{at}<cutlass::gemm::GemmShape<128, 128, 32>, float>") for at in range(KERNELS)]
    return [(LAUNCH, "cudaLaunchKernel_v7000"), *named, *kernels, *((FIRST_STEP + at, f"step {at}") for at in range(steps))]


def check(launches, ranges):
    """What metrics must find: ranges, steps, kernels and their time."""
    steps, threads, made = rows(launches, ranges)
    drawn = sum(len(ranges) for ranges, _, _ in made)
    for name, value in [("ranges", drawn), ("steps", steps * THREADS), ("kernels", sum(thread.launched for thread in threads)),
                        ("kernel_ns", sum(thread.kernel_ns for thread in threads))]:
        print(name, value)


def write(path, launches, ranges):
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN")
    for table, columns in TABLES.items():
        database.execute(f"CREATE TABLE {table} ({columns})")
    steps, _, made = rows(launches, ranges)
    insert(database, "StringIds", strings(steps))
    insert(database, "META_DATA_EXPORT", [("EXPORT_SCHEMA_VERSION", "3.25.0"), ("EXPORT_PRODUCT_VERSION", "2026.2.1.210")])
    insert(database, "TARGET_INFO_SESSION_START_TIME", [(1779787126655288414, None, None, 38133239887)])
    insert(database, "TARGET_INFO_GPU", [(281474976710656, 0, "NVIDIA H100 80GB HBM3", "0000:00:00.0", 85520809984, 1980000000,
                                          132, "00000000-0000-0000-0000-000000000000", 0, 9, 0)])
    for drawn, calls, kernels in made:
        insert(database, "NVTX_EVENTS", drawn)
        insert(database, "CUPTI_ACTIVITY_KIND_RUNTIME", calls)
        insert(database, "CUPTI_ACTIVITY_KIND_KERNEL", kernels)
    database.execute("COMMIT")
    database.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--launches", type=int, default=1_000_000)
    parser.add_argument("--ranges", type=int, default=3_800_000)
    parser.add_argument("--check", action="store_true", help="print what metrics must find; write nothing")
    given = parser.parse_args()
    if given.check:
        check(given.launches, given.ranges)
    else:
        write(given.out, given.launches, given.ranges)


if __name__ == "__main__":
    main()
