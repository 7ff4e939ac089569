#!/usr/bin/env python3
"""Compare `proftool ceilings` with likwid-bench (Debian package likwid) on the same machine in the same minute.

    scripts/compare_likwid.py [--rounds N] [--markdown] [PROFTOOL]

PROFTOOL is the binary (default: proftool), called as `PROFTOOL ceilings --format json` before and after the runs of
likwid-bench; the better value of the two counts. likwid-bench measures for some 10 to 200 ms at a time, and the fastest
of its runs counts; its own start takes another second, so the whole takes about two and a half minutes with three rounds
on two cores. Fails (1) when a row differs by more than 10 % (FMA, L1, L2) or 15 % (L3, DRAM).

Both run on the default pages: proftool asks for huge pages, likwid-bench does not, so huge pages are switched off for
both here, and proftool's cache of measured roofs is left alone.

Run it on an idle machine; where that cannot be had, a session of its own
with the highest weight (as root: setsid sh -c 'echo -20 > /proc/self/autogroup; exec nice -n -20 scripts/compare_likwid.py')
keeps most other processes of this machine, though not its neighbours on the same host, away from both tools. Not a real-time
priority: the threads of likwid-bench spin at a barrier and can then lock each other out.
"""

import argparse
import ctypes
import json
import os
import re
import subprocess
import sys
import tempfile
import time

CORE_LOCAL, SHARED = 0.10, 0.15
# Core-local runs short enough to fall between two interruptions; those of shared levels long enough to reach their pace.
RUN_SECONDS = {None: 0.01, "L1": 0.01, "L2": 0.01, "L3": 0.1, "DRAM": 0.2}
# Working sets in kB (likwid's are powers of ten): half of a 32 kB L1, of a 512 kB L2, a quarter of a 32 MB L3, and memory.
SIZES_KB = {"L1": 16, "L2": 256, "L3": 8_000, "DRAM": 1_000_000}
# likwid-bench shares a size out among its threads; these caches are each core's own.
PRIVATE = ("L1", "L2")
PR_SET_THP_DISABLE = 41


def tests(avx512):
    """(proftool's kind, name, precision, level) with the likwid-bench test that runs the same mix."""
    wide, sse = ("avx512", "avx512_fma") if avx512 else ("avx", "avx_fma")
    yield ("compute", "fma", "f32", None), f"peakflops_sp_{sse}"
    yield ("compute", "fma", "f64", None), f"peakflops_{sse}"
    for level in SIZES_KB:
        yield ("bandwidth", "read", None, level), f"load_{wide}"
        yield ("bandwidth", "copy", None, level), f"copy_{wide}"
        yield ("bandwidth", "triad", None, level), f"stream_{sse}"
    yield ("bandwidth", "copy_nt", None, "DRAM"), f"copy_mem_{wide}"
    # likwid 5.2 has no f64 stream test with AVX-512, FMA and non-temporal stores; the width does not matter in memory.
    yield ("bandwidth", "triad_nt", None, "DRAM"), "stream_mem_avx_fma"


def likwid_once(test, level, cores, expected):
    """FLOP/s or bytes/s of one run, RUN_SECONDS long where the rate is near `expected`."""
    size_kb = SIZES_KB[level or "L1"] * (cores if (level or "L1") in PRIVATE else 1)
    size_bytes = size_kb * 1e3
    # peakflops tests do 30 FLOP (with AVX-512 24) on each element of the 16 kB that each thread loads.
    work = size_bytes / (4 if "_sp_" in test else 8) * 30 if level is None else size_bytes
    iterations = max(2, int(expected * RUN_SECONDS[level] / work))
    # -W: each thread writes its own part first. S0: the first socket.
    command = ["likwid-bench", "-t", test, "-W", f"S0:{size_kb}kB:{cores}", "-i", str(iterations)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    unit = "MByte/s" if level else "MFlops/s"
    found = re.search(rf"^{unit}:\s+([0-9.]+)", done.stdout, re.MULTILINE)
    if not found:
        sys.exit(f"{' '.join(command)} printed no {unit} (exit {done.returncode}):\n{done.stdout}{done.stderr}")
    return float(found[1]) * 1e6


def default_pages_only():
    """Switches transparent huge pages off for this process and those that it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0:
        sys.exit(f"cannot switch huge pages off: {os.strerror(ctypes.get_errno())}")


def proftool_rows(binary):
    with tempfile.TemporaryDirectory() as cache:
        command, environment = [binary, "ceilings", "--format", "json"], {**os.environ, "XDG_CACHE_HOME": cache}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"{binary} ceilings --format json failed with {done.returncode}")
    rows = [row for row in json.loads(done.stdout) if row.get("source", "measured") == "measured"]
    return {(row["kind"], row["name"], row["precision"], row["level"], row["isa"], row["cores"]): row for row in rows}


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", nargs="?", default="proftool")
    parser.add_argument("--rounds", type=int, default=3, help="likwid-bench runs of each row")
    parser.add_argument("--markdown", action="store_true", help="print a table for docs/ceilings.md")
    return parser.parse_args()


def likwid_rows(rows, isa, all_cores, rounds):
    best = {}
    for _ in range(rounds):
        for key, test in tests(isa == "avx512"):
            for cores in sorted({1, all_cores}):
                row = rows.get((*key, isa, cores))
                if row is None and key[3] == "L3":
                    continue  # no L3, or one too small for the working sets of all cores
                if row is None:
                    sys.exit(f"proftool has no row for {key} {isa} on {cores} cores")
                value = likwid_once(test, key[3], cores, row["value"])
                best[(key, test, cores)] = max(value, best.get((key, test, cores), 0.0))
    return best


def main():
    options = parse()
    began = time.time()
    default_pages_only()
    first = proftool_rows(options.binary)
    isas = {key[4] for key in first}
    isa = next((name for name in ("avx512", "avx2") if name in isas), None)
    if isa is None:
        sys.exit("likwid-bench has AVX and AVX-512 kernels only: nothing to compare on this machine")
    best = likwid_rows(first, isa, max(key[5] for key in first), options.rounds)
    failed = report(first, proftool_rows(options.binary), isa, best, options.markdown)
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"\n{time.time() - began:.0f} s, load average {load}; {failed} of {len(best)} rows outside "
          f"{CORE_LOCAL:.0%} (FMA, L1, L2) or {SHARED:.0%} (L3, DRAM)")
    sys.exit(1 if failed else 0)


def report(first, second, isa, best, markdown):
    """Prints one line a row and counts those outside the limits; proftool's value is the better of its two runs."""
    head = ["row", "cores", "proftool", "likwid-bench", "ratio", "per cycle", "verdict", "likwid test"]
    line = "| {} |" if markdown else "{}"
    join = " | ".join if markdown else lambda cells: "".join(f"{cell:<16}" for cell in cells)
    print(line.format(join(head)))
    if markdown:
        print("|" + "---|" * len(head))
    failed = 0
    for (key, test, cores), other in best.items():
        row = max((rows[(*key, isa, cores)] for rows in (first, second)), key=lambda row: row["value"])
        ratio = row["value"] / other
        limit = SHARED if key[3] in ("L3", "DRAM") else CORE_LOCAL
        bad = abs(ratio - 1) > limit
        failed += bad
        verdict = ("outside" if bad else "ok") + (" (contended)" if row["contended"] else "")
        name = f"{key[3] or key[2]} {key[1]}"
        cells = [name, cores, f"{row['value'] / 1e9:.1f} G", f"{other / 1e9:.1f} G", f"{ratio:.3f}",
                 f"{row['per_cycle']:.2f}", verdict, test]
        print(line.format(join(str(cell) for cell in cells)))
    return failed


if __name__ == "__main__":
    main()
