#!/usr/bin/env python3
"""Recomputes an artifact's metrics from its tables, by other means than proftool, and compares.

    pip install pyarrow
    scripts/recompute.py ARTIFACT...

Every ns value must be equal; ratios and rates must agree to 1e-9. The method is deliberately plain: all times at which
anything starts or ends cut a window into pieces, and each piece is looked at on its own. Exit code 1 on a difference.
"""
import json
import math
import statistics
import sys
from bisect import bisect_left
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq

WORK = {"kernel", "copy", "set", "graph"}


def rows(folder, name):
    path = folder / f"{name}.parquet"
    return pq.read_table(path).to_pylist() if path.exists() else []


class Run:
    def __init__(self, path):
        self.path = Path(path)
        tables = self.path / "tables"
        self.activities = rows(tables, "activities")
        self.role = {(q["device"], q["queue"]): q["role"] for q in rows(tables, "queues")}
        self.by_id = {a["id"]: a for a in self.activities}
        self.calls = {c["id"]: c for c in rows(tables, "calls")}
        self.work = {w["activity"]: w for w in rows(tables, "work")}
        self.dependencies = defaultdict(list)
        self.data = defaultdict(list)
        for d in rows(tables, "dependencies"):
            self.dependencies[d["activity"]].append(self.by_id[d["depends_on"]])
            if d["kind"] == "data":
                self.data[d["activity"]].append(self.by_id[d["depends_on"]])
        self.syncs = [c for c in self.calls.values() if "synchronize" in c["name"].lower()]
        self.blocks = sorted((r["start_ns"], r["end_ns"]) for r in rows(tables, "ranges")
                             if r["name"] == "block" and r["domain"] == "proftool")
        self.ceilings = rows(tables, "ceilings")
        self.links = rows(tables, "links")
        for a in self.activities:
            a["class"] = self.classify(a)

    def classify(self, a):
        role = self.role.get((a["device"], a["queue"]))
        if a["kind"] in ("copy",):
            return "kv" if role == "kv" else "copy"
        if a["kind"] in ("kernel", "graph"):
            return "comm" if role == "comm" else "compute"
        return a["kind"]

    def metric(self, name):
        return rows(self.path / "metrics", name)


def cuts(window, activities, extra=()):
    """The pieces of a window between which nothing changes."""
    w0, w1 = window
    points = {w0, w1}
    for a in activities:
        points.update((a["start_ns"], a["end_ns"]))
    points.update(extra)
    points = sorted(p for p in points if w0 <= p <= w1)
    return list(zip(points, points[1:]))


def active(pieces, activities):
    """For each piece the activities that run in it."""
    starts = [p[0] for p in pieces]
    running = [[] for _ in pieces]
    for a in activities:
        at = bisect_left(starts, a["start_ns"])
        while at < len(pieces) and pieces[at][1] <= a["end_ns"]:
            running[at].append(a)
            at += 1
    return running


def runs_at(a, piece):
    return a["start_ns"] <= piece[0] and piece[1] <= a["end_ns"]


def idle(run, device):
    """Busy time and the causes of the idle time of one device, summed over the blocks."""
    mine = sorted((a for a in run.activities if a["device"] == device and a["kind"] in WORK),
                  key=lambda a: (a["start_ns"], a["id"]))
    starts = [a["start_ns"] for a in mine]
    parts = defaultdict(int)
    extra = [t for c in run.calls.values() for t in (c["start_ns"], c["end_ns"])]
    for window in run.blocks:
        pieces = cuts(window, run.activities, extra)
        for piece, running in zip(pieces, active(pieces, mine)):
            size = piece[1] - piece[0]
            parts["span_ns"] += size
            if running:
                parts["busy_ns"] += size
                continue
            parts["idle_ns"] += size
            at = bisect_left(starts, piece[1])
            parts[cause(run, mine[at] if at < len(mine) else None, piece) + "_ns"] += size
    return parts


def cause(run, following, piece):
    if following is None:
        return "other"
    waiting = {d["class"] for d in run.dependencies[following["id"]]
               if runs_at(d, piece) and (d["device"], d["queue"]) != (following["device"], following["queue"])}
    for kind in ("kv", "comm"):
        if kind in waiting:
            return f"{kind}_wait"
    if waiting:
        return "dependency_wait"
    if any(runs_at(c, piece) for c in run.syncs):
        return "sync"
    call = run.calls.get(following["call"])
    if call is None:
        return "other"
    return "host_wait" if piece[1] <= call["start_ns"] else "launch"


def overlap(run, device):
    mine = [a for a in run.activities if a["device"] == device]
    out = {k: defaultdict(int) for k in ("compute", "comm", "kv", "copy", "set", "idle")}
    for window in run.blocks:
        pieces = cuts(window, mine)
        for piece, running in zip(pieces, active(pieces, mine)):
            size = piece[1] - piece[0]
            classes = {a["class"] for a in running}
            for kind in ("compute", "comm", "kv", "copy", "set"):
                if kind in classes:
                    out[kind]["total_ns"] += size
                    out[kind]["hidden_ns"] += size if "compute" in classes and kind != "compute" else 0
            first = next((k for k in ("compute", "comm", "kv", "copy", "set") if k in classes), "idle")
            out[first]["exclusive_ns"] += size
    return out


def hosts_of(run):
    compute = sorted({(a["device"], a["queue"]) for a in run.activities if a["class"] == "compute"})
    return compute


def bubble(run):
    hosts = hosts_of(run)
    p = len(hosts)
    parts = defaultdict(int)
    for window in run.blocks:
        w0, w1 = window
        computing = {h: [a for a in run.activities if a["class"] == "compute" and (a["device"], a["queue"]) == h
                         and a["start_ns"] < w1 and a["end_ns"] > w0] for h in hosts}
        pieces = cuts(window, run.activities)
        running = {h: active(pieces, computing[h]) for h in hosts}
        c = {h: sum(b - a for (a, b), r in zip(pieces, running[h]) if r) for h in hosts}
        j = max(hosts, key=lambda h: (c[h], [-x for x in h]))
        s = min(a["start_ns"] for a in computing[j])
        e = max(a["end_ns"] for a in computing[j])
        parts["span_ns"] += w1 - w0
        parts["imbalance_ns"] += sum(c[j] - c[h] for h in hosts)
        parts["fill_drain_ns"] += p * (max(s, w0) - w0 + w1 - min(e, w1))
        parts["bubble_ns"] += p * (w1 - w0) - sum(c.values())
        ordered = sorted(computing[j], key=lambda a: (a["start_ns"], a["id"]))
        starts = [a["start_ns"] for a in ordered]
        for piece, r in zip(pieces, running[j]):
            if r or piece[0] < s or piece[1] > e:
                continue
            following = ordered[bisect_left(starts, piece[1])]
            parts[gap_part(run, following, piece) + "_ns"] += p * (piece[1] - piece[0])
    return p, parts


def producers(run, activity):
    """Kernels whose results an activity reads, looking through copies."""
    found, queue = [], list(run.data[activity["id"]])
    while queue:
        a = queue.pop()
        if a["kind"] == "copy":
            queue += run.data[a["id"]]
        else:
            found.append(a)
    return found


def gap_part(run, following, piece):
    inputs = run.data[following["id"]]
    if any(a["kind"] == "copy" and runs_at(a, piece) for a in inputs):
        return "transfer"
    if all(a["end_ns"] <= piece[0] for a in inputs):
        return "host"
    if any(runs_at(a, piece) for a in producers(run, following)):
        return "dependency"
    return "other"


def kind_of(run, a):
    w = run.work[a["id"]]
    return (a["name"], w["stage"], w["phase"], w["rows"])


def operations(run, window):
    return [a for a in run.activities if a["kind"] == "kernel" and a["id"] in run.work
            and window[0] <= a["start_ns"] and a["end_ns"] <= window[1]]


def medians(run):
    """The median duration of each kind of operation, over all blocks."""
    lengths = defaultdict(list)
    for window in run.blocks:
        for a in operations(run, window):
            lengths[kind_of(run, a)].append(a["end_ns"] - a["start_ns"])
    return {kind: math.floor(statistics.median(values)) for kind, values in lengths.items()}


def ideal(run, window, median):
    """Makespan of one block's graph by list scheduling, one event at a time."""
    nodes = operations(run, window)
    duration = {a["id"]: median[kind_of(run, a)] for a in nodes}
    inside = set(duration)
    needs = {a["id"]: {d["id"] for d in producers(run, a) if d["id"] in inside} for a in nodes}
    feeds = defaultdict(set)
    for a, deps in needs.items():
        for d in deps:
            feeds[d].add(a)
    path = {}
    for a in sorted(nodes, key=lambda a: (a["start_ns"], a["end_ns"], a["id"]), reverse=True):
        path[a["id"]] = duration[a["id"]] + max((path[f] for f in feeds[a["id"]]), default=0)
    w = lambda i: run.work[i]
    rank = lambda i: (-path[i], w(i)["step"], w(i)["micro_batch"], w(i)["stage"], i)
    host = {a["id"]: (a["device"], a["queue"]) for a in nodes}
    missing = {i: len(d) for i, d in needs.items()}
    ready = defaultdict(list)
    for i, count in missing.items():
        if count == 0:
            ready[host[i]].append(i)
    free = {h: True for h in set(host.values())}
    ends, now = [], 0
    while True:
        for h in free:
            if free[h] and ready[h]:
                i = min(ready[h], key=rank)
                ready[h].remove(i)
                free[h] = False
                ends.append((now + duration[i], i))
        if not ends:
            return now
        now = min(ends)[0]
        for end in [x for x in ends if x[0] == now]:
            ends.remove(end)
            free[host[end[1]]] = True
            for f in feeds[end[1]]:
                missing[f] -= 1
                if missing[f] == 0:
                    ready[host[f]].append(f)


def union(intervals):
    total, last = 0, None
    for a, b in sorted(intervals):
        a = a if last is None else max(a, last)
        total += max(0, b - a)
        last = b if last is None else max(last, b)
    return total


def clipped(activities, blocks):
    return [(max(a["start_ns"], w0), min(a["end_ns"], w1)) for w0, w1 in blocks for a in activities
            if a["start_ns"] < w1 and a["end_ns"] > w0]


class Judge:
    def __init__(self):
        self.checked, self.failed = 0, 0

    def same(self, what, theirs, ours):
        self.checked += 1
        exact = isinstance(theirs, int) and isinstance(ours, int)
        if theirs is None or (theirs != ours if exact else abs(theirs - ours) > 1e-9 * max(1.0, abs(ours))):
            self.failed += 1
            print(f"DIFFERENT {what}: proftool {theirs}, recomputed {ours}")


def check(run, judge):
    for row in run.metric("idle"):
        if row["queue"] is not None:
            continue
        mine = idle(run, row["device"])
        for part in ("span", "busy", "idle", "kv_wait", "comm_wait", "dependency_wait", "sync", "host_wait", "launch", "other"):
            if row[f"{part}_ns"] is not None:
                judge.same(f"idle device {row['device']} {part}", row[f"{part}_ns"], mine[f"{part}_ns"])
    for row in run.metric("overlap"):
        mine = overlap(run, row["device"])[row["kind"]]
        judge.same(f"overlap device {row['device']} {row['kind']} exclusive", row["exclusive_ns"], mine["exclusive_ns"])
        if row["kind"] in ("comm", "kv", "copy"):
            for part in ("total", "hidden"):
                judge.same(f"overlap device {row['device']} {row['kind']} {part}", row[f"{part}_ns"], mine[f"{part}_ns"])
    for row in run.metric("bubble"):
        p, mine = bubble(run)
        judge.same("bubble hosts", row["host_count"], p)
        for part in ("span", "fill_drain", "imbalance", "transfer", "host", "dependency", "other"):
            judge.same(f"bubble {part}", row[f"{part}_ns"], mine[f"{part}_ns"])
        judge.same("bubble ratio", row["bubble_ratio"], mine["bubble_ns"] / (p * mine["span_ns"]))
        if row["ideal_makespan_ns"] is not None:
            median = medians(run)
            judge.same("ideal makespan", row["ideal_makespan_ns"], sum(ideal(run, w, median) for w in run.blocks))
    for row in run.metric("kv_transfer"):
        if row["request"] is None:
            kv = [a for a in run.activities if a["class"] == "kv"]
            inside = [a for a in kv if any(a["start_ns"] < w1 and a["end_ns"] > w0 for w0, w1 in run.blocks)]
            judge.same("kv bytes", row["bytes"], sum(a["bytes"] for a in inside))
            judge.same("kv total", row["total_ns"], union(clipped(kv, run.blocks)))
    check_roofline(run, judge)


def check_roofline(run, judge):
    groups = defaultdict(list)
    for a in run.activities:
        if a["class"] == "compute" and any(w0 <= a["start_ns"] and a["end_ns"] <= w1 for w0, w1 in run.blocks):
            groups[(a["device"], a["name"], run.work[a["id"]]["phase"])].append(a)
    best = lambda device, kind, **want: max(
        (c["value"] for c in run.ceilings if c["device"] == device and c["kind"] == kind and c["cores"] == 1
         and c["source"] == "measured" and all(c[k] == v for k, v in want.items())), default=None)
    for row in run.metric("roofline"):
        mine = groups.get((row["device"], row["name"], row["phase"]))
        if mine is None:
            continue
        what = f"roofline device {row['device']} {row['name']} {row['phase']}"
        judge.same(f"{what} launches", row["launches"], len(mine))
        judge.same(f"{what} time", row["time_ns"], sum(a["end_ns"] - a["start_ns"] for a in mine))
        flop = sum(run.work[a["id"]]["flop"] for a in mine)
        judge.same(f"{what} flop", row["flop"], flop)
        judge.same(f"{what} bytes", row["dram_bytes"], sum(run.work[a["id"]]["dram_bytes"] for a in mine))
        peak = best(row["device"], "compute", precision="f32")
        read = best(row["device"], "bandwidth", level="DRAM", name="read")
        if peak and read and row["bound_ns"] is not None:
            bound = sum(max(run.work[a["id"]]["flop"] / peak, run.work[a["id"]]["dram_bytes"] / read) for a in mine) * 1e9
            judge.checked += 1
            if abs(row["bound_ns"] - bound) > len(mine) + 1:  # each launch may be rounded to a whole ns
                judge.failed += 1
                print(f"DIFFERENT {what} bound: proftool {row['bound_ns']}, recomputed {bound}")


def main():
    judge = Judge()
    for path in sys.argv[1:]:
        before = judge.checked
        run = Run(path)
        check(run, judge)
        results = json.loads((run.path / "manifest.json").read_text())["results"]
        judge.same("blocks in manifest", len(results["fill_ns"]), len(run.blocks))
        print(f"{run.path.name}: {judge.checked - before} values compared")
    print(f"{judge.checked} values compared, {judge.failed} different")
    sys.exit(1 if judge.failed or not judge.checked else 0)


if __name__ == "__main__":
    main()
