#!/usr/bin/env python3
"""Writes a SQLite database like those of `nsys export --type=sqlite` (schema 3.25), for benchmarks.

    generate_nsys.py OUT.sqlite [--rows 10000000]

The rows are of a training loop on two GPUs, a process each: runtime calls (35 %), kernels (27 %), copies (5 %), sets
(2 %), synchronisation (1 %) and NVTX ranges (30 %, nested four deep; two thirds with their text in the row, the others
by number), with all columns that nsys writes. Kernel names are 40 to 600 characters long, as those of templates are.
The same number of rows gives the same file.
"""

import argparse
import os
import random
import sqlite3

PAGE_BYTES = 4096
BATCH = 200_000

TABLES = {
    "StringIds": "id INTEGER NOT NULL PRIMARY KEY, value TEXT NOT NULL",
    "META_DATA_EXPORT": "name TEXT, value TEXT",
    "TARGET_INFO_SESSION_START_TIME": "utcEpochNs INTEGER, utcTime TEXT, localTime TEXT, systemClockNs INTEGER",
    "TARGET_INFO_GPU": "vmId INTEGER NOT NULL, id INTEGER NOT NULL, name TEXT, busLocation TEXT, totalMemory INTEGER, "
    "clockRate INTEGER, smCount INTEGER, uuid TEXT, cuDevice INTEGER, computeMajor INTEGER, computeMinor INTEGER",
    "CUPTI_ACTIVITY_KIND_RUNTIME": "start INTEGER NOT NULL, end INTEGER NOT NULL, eventClass INTEGER NOT NULL, "
    "globalTid INTEGER, correlationId INTEGER, nameId INTEGER NOT NULL, returnValue INTEGER NOT NULL, "
    "callchainId INTEGER",
    "CUPTI_ACTIVITY_KIND_KERNEL": "start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL, "
    "contextId INTEGER NOT NULL, greenContextId INTEGER, streamId INTEGER NOT NULL, correlationId INTEGER, "
    "globalPid INTEGER, demangledName INTEGER NOT NULL, shortName INTEGER NOT NULL, mangledName INTEGER, "
    "launchType INTEGER, cacheConfig INTEGER, registersPerThread INTEGER NOT NULL, gridX INTEGER NOT NULL, "
    "gridY INTEGER NOT NULL, gridZ INTEGER NOT NULL, blockX INTEGER NOT NULL, blockY INTEGER NOT NULL, "
    "blockZ INTEGER NOT NULL, staticSharedMemory INTEGER NOT NULL, dynamicSharedMemory INTEGER NOT NULL, "
    "localMemoryPerThread INTEGER NOT NULL, localMemoryTotal INTEGER NOT NULL, gridId INTEGER NOT NULL, "
    "sharedMemoryExecuted INTEGER, graphNodeId INTEGER, sharedMemoryLimitConfig INTEGER, "
    "qmdBulkReleaseDone INTEGER, qmdPreexitDone INTEGER, qmdLastCtaDone INTEGER, graphId INTEGER, clusterX INTEGER, "
    "clusterY INTEGER, clusterZ INTEGER, clusterSchedulingPolicy INTEGER, maxPotentialClusterSize INTEGER, "
    "maxActiveClusters INTEGER, sharedMemoryRequestedPercentage INTEGER, tensorSizeMinusOneElements TEXT",
    "CUPTI_ACTIVITY_KIND_MEMCPY": "start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL, "
    "contextId INTEGER NOT NULL, greenContextId INTEGER, streamId INTEGER NOT NULL, correlationId INTEGER, "
    "globalPid INTEGER, bytes INTEGER NOT NULL, copyKind INTEGER NOT NULL, deprecatedSrcId INTEGER, srcKind INTEGER, "
    "dstKind INTEGER, srcDeviceId INTEGER, srcContextId INTEGER, dstDeviceId INTEGER, dstContextId INTEGER, "
    "migrationCause INTEGER, graphNodeId INTEGER, virtualAddress INTEGER, copyCount INTEGER",
    "CUPTI_ACTIVITY_KIND_MEMSET": "start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL, "
    "contextId INTEGER NOT NULL, greenContextId INTEGER, streamId INTEGER NOT NULL, correlationId INTEGER, "
    "globalPid INTEGER, value INTEGER NOT NULL, bytes INTEGER NOT NULL, graphNodeId INTEGER, memKind INTEGER",
    "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION": "start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL, "
    "contextId INTEGER NOT NULL, greenContextId INTEGER, streamId INTEGER NOT NULL, correlationId INTEGER, "
    "globalPid INTEGER, deprecatedSyncType INTEGER, syncType INTEGER NOT NULL, eventId INTEGER NOT NULL, "
    "eventSyncId INTEGER",
    "NVTX_EVENTS": "start INTEGER NOT NULL, end INTEGER, eventType INTEGER NOT NULL, rangeId INTEGER, "
    "category INTEGER, color INTEGER, text TEXT, globalTid INTEGER, endGlobalTid INTEGER, textId INTEGER, "
    "domainId INTEGER, uint64Value INTEGER, int64Value INTEGER, doubleValue REAL, uint32Value INTEGER, "
    "int32Value INTEGER, floatValue REAL, jsonTextId INTEGER, jsonText TEXT, binaryData TEXT",
}

SHARES = {
    "CUPTI_ACTIVITY_KIND_RUNTIME": 0.35,
    "CUPTI_ACTIVITY_KIND_KERNEL": 0.27,
    "CUPTI_ACTIVITY_KIND_MEMCPY": 0.05,
    "CUPTI_ACTIVITY_KIND_MEMSET": 0.02,
    "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION": 0.01,
    "NVTX_EVENTS": 0.30,
}

CALLS = ["cudaLaunchKernel_v7000"] * 12 + [
    "cudaMemcpyAsync_v3020", "cudaMemcpyAsync_v3020", "cudaMemsetAsync_v3020", "cudaStreamSynchronize_v3020",
    "cuLaunchKernelEx", "cudaEventRecord_v3020", "cudaStreamIsCapturing_v10000",
]
OPERATORS = ["aten::linear", "aten::matmul", "aten::mm", "aten::add_", "aten::copy_", "aten::_to_copy", "c10d::send"]
FIRST_CALL, FIRST_KERNEL, FIRST_RANGE, KERNELS = 10, 1000, 10_000, 2000
PROCESSES = [(148 << 24) | 148, (149 << 24) | 149]


# Random numbers of 22 bits, drawn once: drawing one a row would take most of the time.
DRAWN = random.Random(1).choices(range(1 << 22), k=1_000_003)


def jitter(at, span):
    """A number below span that looks random and is the same each time."""
    return DRAWN[at % 1_000_003] * span >> 22


def strings(rng):
    """Rows of StringIds: calls, kernels of 40 to 600 characters, names of ranges."""
    rows = [(FIRST_CALL + at, name) for at, name in enumerate(dict.fromkeys(CALLS))]
    for at in range(KERNELS):
        part = "void at::native::elementwise_kernel<(int)128, (int)4, cutlass::bfloat16_t, Flash_kernel_traits<(int)64>>"
        rows.append((FIRST_KERNEL + at, f"kernel_{at}_" + (part * 6)[: rng.randrange(30, 590)]))
    rows += [(FIRST_RANGE + at, f"{name} #{at}") for at, name in enumerate(OPERATORS * 20)]
    return rows


def runtime(first, last):
    number = {name: FIRST_CALL + at for at, name in enumerate(dict.fromkeys(CALLS))}
    names = [number[name] for name in CALLS]
    for at in range(first, last):
        start = 1_000_000_000 + at * 2_000 + jitter(at, 900)
        name = names[jitter(at + 7, len(names))]
        yield start, start + 400 + jitter(at + 1, 690), int(name == number["cuLaunchKernelEx"]), PROCESSES[at & 1], at + 1, name, 0, None


def device(at, step):
    """Start, device, context, stream, correlation and process of the activity with that number."""
    call = int(at * step)
    side = call & 1
    return 1_000_100_000 + call * 2_000 + jitter(at, 1_900), side, 1 + side, 7 + 8 * side, call + 1, PROCESSES[side] & ~0xFFFFFF


def kernels(first, last):
    for at in range(first, last):
        start, gpu, context, stream, correlation, process = device(at, 35 / 27)
        name = FIRST_KERNEL + jitter(at + 3, KERNELS)
        yield (start, start + 1_000 + jitter(at + 5, 1_900), gpu, context, 0, stream, correlation, process, name, name, name, 1, 1,
               32 + name % 64, 1 + name * 37 % 4000, 1, 1, 128, 1, 1, 0, name % 3 * 16384, 0, 250871808, at, 32768, None, 0, None,
               None, None, None, 0, 0, 0, 1, 0, 0, None, "[]")


def copies(first, last):
    for at in range(first, last):
        start, gpu, context, stream, correlation, process = device(at, 7)
        kind, src, dst = ((8, 2, 2), (1, 1, 2), (2, 2, 1), (8, 2, 2))[jitter(at, 4)]
        yield (start, start + 1_000 + jitter(at + 5, 60_000), gpu, context, 0, stream, correlation, process, 4096 * (1 + jitter(at + 9, 9_999)), kind, None, src,
               dst, None, None, None, None, None, None, None, 1)


def sets(first, last):
    for at in range(first, last):
        start, gpu, context, stream, correlation, process = device(at, 17)
        yield start, start + 700 + jitter(at + 5, 300), gpu, context, 0, stream, correlation, process, 0, 4 * (1 + at % 99), None, 2


def syncs(first, last):
    for at in range(first, last):
        start, _, context, stream, correlation, process = device(at, 35)
        yield start, start + 10_000 + jitter(at + 5, 90_000), 0, context, None, stream, correlation, process, None, 3, 4294967295, 0


def ranges(first, last):
    """Ranges four deep, by start."""
    for at in range(first, last):
        level = at & 3
        first_start = 1_000_000_000 + (at >> 2) * 9_200
        start = first_start + level * 600 + jitter(at, 500)
        end = first_start + 9_100 - level * 600 - jitter(at + 1, 500)
        by_number = jitter(at, 3) == 0
        text = None if by_number else f"{OPERATORS[jitter(at + 2, 7)]}, seq = {at // 4}, op_id = {at}"
        number = FIRST_RANGE + jitter(at, 140) if by_number else None
        yield (start, end, 59, None, None, None, text, PROCESSES[at >> 2 & 1], None, number, 0, None, None, None, None,
               None, None, None, None, None)


MAKERS = {
    "CUPTI_ACTIVITY_KIND_RUNTIME": runtime,
    "CUPTI_ACTIVITY_KIND_KERNEL": kernels,
    "CUPTI_ACTIVITY_KIND_MEMCPY": copies,
    "CUPTI_ACTIVITY_KIND_MEMSET": sets,
    "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION": syncs,
    "NVTX_EVENTS": ranges,
}


def insert(database, table, rows):
    rows = iter(rows)
    first = next(rows, None)
    if first is not None:
        places = ", ".join("?" * len(first))
        database.execute(f"INSERT INTO {table} VALUES ({places})", first)
        database.executemany(f"INSERT INTO {table} VALUES ({places})", rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--rows", type=int, default=10_000_000)
    arguments = parser.parse_args()
    if os.path.exists(arguments.out):
        os.remove(arguments.out)
    database = sqlite3.connect(arguments.out, isolation_level=None)
    database.executescript(f"PRAGMA page_size = {PAGE_BYTES}; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN")
    for table, columns in TABLES.items():
        database.execute(f"CREATE TABLE {table} ({columns})")
    insert(database, "StringIds", strings(random.Random(1)))
    versions = {"EXPORT_SCHEMA_VERSION": "3.25.0", "EXPORT_PRODUCT_VERSION": "2026.2.1.210"}
    insert(database, "META_DATA_EXPORT", versions.items())
    insert(database, "TARGET_INFO_SESSION_START_TIME", [(1779787126655288414, None, None, 38133239887)])
    gpus = [(281474976710656, at, "NVIDIA H100 80GB HBM3", f"0000:0{at}:00.0", 85520809984, 1980000000, 132,
             f"00000000-0000-0000-0000-00000000000{at}", at, 9, 0) for at in range(2)]
    insert(database, "TARGET_INFO_GPU", gpus)
    for table, share in SHARES.items():
        count = int(arguments.rows * share)
        for first in range(0, count, BATCH):
            insert(database, table, MAKERS[table](first, min(first + BATCH, count)))
    database.execute("COMMIT")
    database.close()


if __name__ == "__main__":
    main()
