#!/usr/bin/env python3
"""Writes a raw page as `ncu --csv --page raw --print-units base` prints it, for the speed of the ncu importer.

    scripts/benchmark/generate_ncu.py OUT.csv --columns 2000 --rows 16000

Columns, units and the mix of values are those of a real page of 2,462 columns (a GB200, `--set full`): 57 % zeros, 22 %
integers of 1 to 16 digits, 20 % numbers with two decimals, a quarter of them longer than 15 digits, some empty cells.
A cell takes 6.2 bytes on average, less than on pages of large kernels, so a megabyte holds more values than usual.
The same arguments give the same bytes.
"""

import argparse
import random

UNITS = ["byte", "byte/second", "inst", "sector", "%", "cycle", "cycle/second", "request", "warp", "", "inst/cycle"]
SUFFIXES = ["sum", "avg", "max", "sum.per_second", "avg.pct_of_peak_sustained_elapsed", "sum.peak_sustained"]
IDENTITY = ["ID", "Process ID", "Process Name", "Host Name", "Kernel Name", "Context", "Stream", "Block Size",
            "Grid Size", "Device", "CC"]
# Different rows; the page repeats them under other identifiers.
POOL = 64


def value(rng):
    kind = rng.random()
    if kind < 0.572:
        return "0"
    if kind < 0.79:
        digits = rng.choices([1, 2, 3, 4, 5, 6, 7, 8, 10, 16], [19, 17, 12, 18, 20, 3, 7, 1, 1, 2])[0]
        return str(rng.randrange(10 ** (digits - 1), 10**digits))
    if kind < 0.994:
        digits = rng.choices([1, 2, 3, 4, 6, 9, 13, 14], [51, 7, 2, 5, 2, 8, 11, 14])[0]
        return f"{rng.randrange(10 ** (digits - 1), 10**digits)}.{rng.randrange(100):02}"
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--columns", type=int, default=2000, help="metrics a launch")
    parser.add_argument("--rows", type=int, default=16000, help="launches")
    arguments = parser.parse_args()
    rng = random.Random(7)
    line = lambda cells: ",".join(f'"{cell}"' for cell in cells) + "\n"
    names = [f"smsp__inst_executed_pipe_op{column:05}.{SUFFIXES[column % len(SUFFIXES)]}" for column in
             range(arguments.columns)]
    units = [UNITS[column * 7 % len(UNITS)] for column in range(arguments.columns)]
    bodies = [line(value(rng) for _ in range(arguments.columns)) for _ in range(POOL)]
    with open(arguments.out, "w", encoding="utf-8", newline="") as out:
        out.write(line(IDENTITY + names))
        out.write(line([""] * len(IDENTITY) + units))
        for row in range(arguments.rows):
            kernel = f"void gemm_kernel_{row % 37}<float, 128>(const float *, float *, int)"
            identity = [row, 4733, "serve", "127.0.0.1", kernel, 1, 7, "(256, 1, 1)", f"({row % 5 + 1}, 1, 1)", 0, "9.0"]
            out.write(line(identity)[:-1] + "," + bodies[row % POOL])


if __name__ == "__main__":
    main()
