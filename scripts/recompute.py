#!/usr/bin/env python3
"""Recomputes the metrics of artifacts from their tables, by other means than proftool, and compares.

    pip install pyarrow
    proftool report --artifacts DIR           (writes metrics/ of every artifact, and of a pair its comparison)
    scripts/recompute.py ARTIFACT...

The method is deliberately plain: all times at which anything starts or ends cut a window into pieces, and each piece is
looked at on its own. What is compared, of the default window: idle (devices and queues), overlap, bubble with its ideals,
kernels, kv_transfer (the row of all transfers; of the rows of single requests only which there are), roofline against
the measured and the shared roofs (not the datasheet ones), roofline_flop; for the optimized run of a pair also losses and
comparison (its bootstrap interval only brackets the ratio). Texts other than names, limiters and the verdict are not
compared. Integers, all ns values among them, must be equal; floats must agree to 1e-9, a p-value of tied samples to 1e-6,
and a null must be a null. Both sides must have the same rows.

Artifacts with one pass and one rank are supported, with or without measured blocks. Exit code 1: a difference, a missing
metric, or nothing compared; 2: wrong usage, or an artifact that is not supported.
"""
import heapq
import json
import math
import statistics
import sys
from bisect import bisect_left
from collections import Counter, defaultdict
from functools import cached_property
from pathlib import Path

import pyarrow.parquet as pq

KINDS = ("compute", "comm", "kv", "copy", "set")
COMM_NAMES = ("nccl", "rccl", "cross_device_reduce", "all_reduce", "allreduce", "allgather", "all_gather", "reduce_scatter",
              "nvshmem", "deep_ep", "nixl", "one_shot_all", "two_shot_all")
KV_RANGES = ("kv_transfer", "kv transfer", "kv_handover", "kv handover", "nixl")
CAUSES = ("kv_wait", "comm_wait", "dependency_wait", "sync", "host_wait", "launch", "other")
BUBBLE = ("fill_drain", "imbalance", "transfer", "host", "dependency", "other")
NEED_EDGES = ("transfer", "host", "dependency")


class Unsupported(Exception):
    pass


def rows(folder, name):
    """The rows of a file, None where it does not exist."""
    path = folder / f"{name}.parquet"
    return pq.read_table(path).to_pylist() if path.exists() else None


def ratio(part, whole):
    return part / whole if whole else None


def rounded(value):
    """To the nearest integer, halves up (no value here is negative)."""
    return math.floor(value + 0.5)


def median(values):
    return statistics.median(values) if values else None


def median_ns(values):
    """The midpoint of an even count is rounded down."""
    return math.floor(statistics.median(values)) if values else None


class Run:
    def __init__(self, path):
        self.path = Path(path)
        self.name = self.path.resolve().name
        try:
            self.manifest = json.loads((self.path / "manifest.json").read_text())
        except (OSError, ValueError) as error:
            raise Unsupported(f"{path} is no artifact: {error}") from None
        self.tables = defaultdict(list)
        for stated in self.manifest["tables"]:
            self.tables[stated["name"]] = rows(self.path / "tables", stated["name"]) or []
        self.activities = sorted(self.tables["activities"], key=lambda a: (a["device"], a["start_ns"], a["id"]))
        if len({(a["pass"], a["rank"]) for a in self.activities}) > 1:
            raise Unsupported(f"{path} has several passes or ranks; one of each is supported")
        self.role = {(q["device"], q["queue"]): q["role"] for q in self.tables["queues"]}
        self.calls = {c["id"]: c for c in self.tables["calls"]}
        self.work = {w["activity"]: w for w in self.tables["work"]}
        by_id = {a["id"]: a for a in self.activities}
        self.inputs = defaultdict(list)
        for d in self.tables["dependencies"]:
            if d["activity"] in by_id and d["depends_on"] in by_id:
                self.inputs[d["activity"]].append((by_id[d["depends_on"]], d["kind"]))
        self.has_dependencies = bool(self.tables["dependencies"])
        self.has_data = any(kind == "data" for edges in self.inputs.values() for _, kind in edges)
        self.links = {(link["src"], link["dst"]): link["bytes_per_s"] for link in self.tables["links"]}
        for a in self.activities:
            a["end_ns"] = max(a["end_ns"], a["start_ns"])
        self.classify()
        self.devices = sorted({d["device"] for d in self.tables["devices"]} | {a["device"] for a in self.activities})
        self.of_device = {d: [a for a in self.activities if a["device"] == d] for d in self.devices}
        self.blocks = self.find_blocks()
        self.window = "blocks" if self.blocks else "trace"

    def metric(self, name):
        return rows(self.path / "metrics", name)

    def classify(self):
        kv_ranges = [r for r in self.tables["ranges"] if any(name in r["name"].lower() for name in KV_RANGES)]
        for a in self.activities:
            role, call = self.role.get((a["device"], a["queue"])), self.calls.get(a["call"])
            in_kv = role == "kv" or call is not None and any(
                (r["process"], r["thread"]) == (call["process"], call["thread"]) and r["end_ns"] is not None
                and r["start_ns"] <= call["start_ns"] < r["end_ns"] for r in kv_ranges)
            if a["kind"] == "copy":
                a["class"] = "kv" if in_kv else "comm" if role == "comm" else "copy"
            elif a["kind"] in ("set", "sync"):
                a["class"] = a["kind"]
            else:
                named = a["kind"] != "graph" and any(name in a["name"].lower() for name in COMM_NAMES)
                comm = named or role == "comm" and a["kind"] != "graph"
                a["class"] = "compute" if not comm else "kv" if in_kv else "comm"

    def find_blocks(self):
        def is_block(name):
            return name == "block" or name.startswith("block") and name[5:6] in (" ", ":", "/", "_", "-")
        found = sorted((r["start_ns"], r["end_ns"]) for r in self.tables["ranges"] if r["domain"] == "proftool"
                       and is_block(r["name"]) and r["end_ns"] is not None and r["end_ns"] > r["start_ns"])
        if any(later[0] < earlier[1] for earlier, later in zip(found, found[1:])):
            raise Unsupported(f"{self.path}: its blocks overlap")
        return found

    def windows(self, device=None):
        """The measured blocks, or from the first start to the last end of the device (of all)."""
        if self.blocks:
            return self.blocks
        mine = [a for a in (self.activities if device is None else self.of_device[device]) if a["class"] != "sync"]
        return [(min(a["start_ns"] for a in mine), max(a["end_ns"] for a in mine))] if mine else []

    @cached_property
    def hosts(self):
        """The stage hosts and what they compute: devices, or their compute queues where one hosts several stages."""
        compute = [a for a in self.activities if a["class"] == "compute"]
        staged = {(a["device"], a["queue"]) for a in compute if self.work.get(a["id"], {}).get("stage") is not None}
        devices = {device for device, _ in staged} or {a["device"] for a in compute}
        if len(staged) > len(devices):
            return {h: [a for a in compute if (a["device"], a["queue"]) == h] for h in sorted(staged)}
        return {(d, None): [a for a in compute if a["device"] == d] for d in sorted(devices)}

    @cached_property
    def ideals(self):
        """The ideal makespan of each window."""
        lengths = defaultdict(list)
        for window in self.windows():
            for a in operations(self, window):
                lengths[kind_of(self, a)].append(a["end_ns"] - a["start_ns"])
        known = {kind: median_ns(values) for kind, values in lengths.items()}
        return [ideal(self, window, known) for window in self.windows()]

    @cached_property
    def ideal_ratio(self):
        return median([i / (b - a) for i, (a, b) in zip(self.ideals, self.windows()) if i is not None and b > a])

    @cached_property
    def bubble(self):
        return bubble(self)


def begun(activities, windows):
    return [a for a in activities if any(w0 <= a["start_ns"] < w1 for w0, w1 in windows)]


def cuts(window, *groups):
    """The pieces of a window between which nothing changes."""
    w0, w1 = window
    points = {t for group in groups for a in group for t in (a["start_ns"], a["end_ns"]) if w0 < t < w1} | {w0, w1}
    points = sorted(points)
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


def gap_ends(pieces, running):
    """For each piece the end of the gap that it lies in."""
    ends, end = [], pieces[-1][1] if pieces else None
    for piece, r in zip(reversed(pieces), reversed(running)):
        end = piece[0] if r else end
        ends.append(end)
    return ends[::-1]


def runs_at(a, piece):
    return a["start_ns"] <= piece[0] and piece[1] <= a["end_ns"]


def length(activities, windows, *others):
    """The time in which one of the activities runs, and one of each of the other groups."""
    total = 0
    for window in windows:
        pieces = cuts(window, activities, *others)
        for piece, *running in zip(pieces, *(active(pieces, group) for group in (activities, *others))):
            total += piece[1] - piece[0] if all(running) else 0
    return total


# idle


def idle(run, device, queue):
    """Busy time and the causes of the idle time of a device or queue."""
    mine = [a for a in run.of_device[device] if a["class"] != "sync" and (queue is None or a["queue"] == queue)]
    starts = [a["start_ns"] for a in mine]
    syncs = [c for c in run.calls.values() if "synchroni" in c["name"].lower()]
    parts, followed, covered = Counter(), set(), set()
    for window in run.windows(device):
        pieces = cuts(window, run.activities, run.calls.values())
        running = active(pieces, mine)
        for piece, r, end in zip(pieces, running, gap_ends(pieces, running)):
            parts["busy" if r else "idle"] += piece[1] - piece[0]
            if r:
                continue
            at = bisect_left(starts, end)
            following = mine[at] if at < len(mine) else None
            parts[cause(run, following, piece, syncs)] += piece[1] - piece[0]
            if following is not None:
                followed.add((window, end))
                covered |= {(window, end)} if following["call"] in run.calls else set()
    span = parts["busy"] + parts["idle"]
    out = {f"{name}_ns": parts[name] for name in ("busy", "idle", *CAUSES)} | {"span_ns": span}
    if not run.has_dependencies:
        out |= {f"{name}_ns": None for name in CAUSES[:3]}
    graphs = [a for a in mine if a["kind"] == "graph"]
    return out | {"window": run.window, "idle_ratio": ratio(parts["idle"], span),
                  "coverage_ratio": ratio(len(covered), len(followed)),
                  "reliable": length(graphs, run.windows(device)) == 0}


def cause(run, following, piece, syncs):
    if following is None:
        return "other"
    place = (following["device"], following["queue"])
    waiting = {d["class"] for d, _ in run.inputs[following["id"]]
               if runs_at(d, piece) and (d["device"], d["queue"]) != place} - {"sync"}
    for kind in ("kv", "comm"):
        if kind in waiting:
            return f"{kind}_wait"
    if waiting:
        return "dependency_wait"
    if any(runs_at(c, piece) and c["process"] == following["process"] for c in syncs):
        return "sync"
    call = run.calls.get(following["call"])
    if call is None:
        return "other"
    return "host_wait" if piece[1] <= call["start_ns"] else "launch"


def check_idle(run, judge):
    expected = {}
    for device in run.devices:
        queues = {q for d, q in run.role if d == device} | {a["queue"] for a in run.of_device[device]} - {None}
        for queue in (None, *sorted(queues)):
            expected[device, queue] = idle(run, device, queue)
    judge.table(run, "idle", ("device", "queue"), expected)


# overlap


def check_overlap(run, judge):
    expected = {}
    for device in run.devices:
        windows = run.windows(device)
        of = {kind: [a for a in run.of_device[device] if a["class"] == kind] for kind in KINDS}
        exclusive = Counter()
        for window in windows:
            pieces = cuts(window, run.of_device[device])
            for piece, running in zip(pieces, active(pieces, run.of_device[device])):
                classes = {a["class"] for a in running}
                exclusive[next((k for k in KINDS if k in classes), "idle")] += piece[1] - piece[0]
        for kind in KINDS:
            total, hidden = length(of[kind], windows), None
            if kind in ("comm", "kv", "copy"):
                hidden = length(of[kind], windows, of["compute"])
            expected[device, kind] = {
                "window": run.window, "total_ns": total, "hidden_ns": hidden, "exclusive_ns": exclusive[kind],
                "exposed_ns": None if hidden is None else total - hidden,
                "hidden_ratio": None if hidden is None else ratio(hidden, total),
                "simulated_ns": length([a for a in of[kind] if a["simulated"]], windows)}
        expected[device, "idle"] = {"total_ns": exclusive["idle"], "exclusive_ns": exclusive["idle"], "hidden_ns": None}
    judge.table(run, "overlap", ("device", "kind"), expected)


# bubble


def bubble(run):
    """The six parts, summed over the windows, in host-ns."""
    p, parts = len(run.hosts), Counter()
    for window in run.windows():
        w0, w1 = window
        pieces = cuts(window, run.activities)
        running = {h: active(pieces, mine) for h, mine in run.hosts.items()}
        c = {h: sum(b - a for (a, b), r in zip(pieces, running[h]) if r) for h in run.hosts}
        parts.update(span=w1 - w0, compute=sum(c.values()))
        j = max(run.hosts, key=c.get, default=None)  # the first of the largest
        if not j or not c[j]:
            parts["other"] += p * (w1 - w0)
            continue
        busy = [piece for piece, r in zip(pieces, running[j]) if r]
        s, e = busy[0][0], busy[-1][1]
        parts.update(imbalance=sum(c[j] - c[h] for h in c), fill_drain=p * (s - w0 + w1 - e))
        starts = [a["start_ns"] for a in run.hosts[j]]
        for piece, r, end in zip(pieces, running[j], gap_ends(pieces, running[j])):
            if not r and s <= piece[0] and piece[1] <= e:
                following = run.hosts[j][bisect_left(starts, end)]
                parts[gap_part(run, following, piece)] += p * (piece[1] - piece[0])
    return parts


def reads(run, activity):
    """The transfers that bring the inputs of an operation, and the compute that made them."""
    kinds = {"data"} if run.has_data else {"event", "collective"}
    transfers, producers, seen, queue = [], [], set(), [activity]
    while queue:
        for a, kind in run.inputs[queue.pop()["id"]]:
            if kind not in kinds or a["id"] in seen:
                continue
            seen.add(a["id"])
            if a["class"] == "compute":
                producers.append(a)
            elif a["class"] != "sync":
                transfers.append(a)
                queue.append(a)
    return transfers, producers


def gap_part(run, following, piece):
    if not run.has_dependencies:
        return "other"
    transfers, producers = reads(run, following)
    if any(runs_at(a, piece) for a in transfers):
        return "transfer"
    if all(a["end_ns"] <= piece[0] for a in transfers + producers):
        return "host"
    return "dependency" if any(runs_at(a, piece) for a in producers) else "other"


def kind_of(run, a):
    w = run.work[a["id"]]
    return (a["name"], w["stage"], w["phase"], w["rows"])


def operations(run, window):
    return [a for a in begun(run.activities, [window])
            if a["class"] == "compute" and a["kind"] != "graph" and a["id"] in run.work]


def ideal(run, window, known):
    """Makespan of one window's graph by list scheduling, one event at a time."""
    nodes = {a["id"]: a for a in operations(run, window)}
    if not run.has_data or not nodes:
        return None
    duration = {i: known[kind_of(run, a)] for i, a in nodes.items()}
    needs = {i: origins(run, a, nodes) for i, a in nodes.items()}
    feeds = defaultdict(set)
    for i, deps in needs.items():
        for d in deps:
            feeds[d].add(i)
    path, open_ends = {}, {i: len(feeds[i]) for i in nodes}
    queue = [i for i, count in open_ends.items() if not count]
    while queue:
        i = queue.pop()
        path[i] = duration[i] + max((path[f] for f in feeds[i]), default=0)
        for d in needs[i]:
            open_ends[d] -= 1
            queue += [d] if not open_ends[d] else []
    if len(path) < len(nodes):
        return None  # the dependencies run in a circle
    last = lambda value: (value is None, value or 0)
    rank = lambda i: (-path[i], *(last(run.work[i][k]) for k in ("step", "micro_batch", "stage")), i)
    host = {i: (a["device"], a["queue"]) for i, a in nodes.items()}
    missing = {i: len(d) for i, d in needs.items()}
    ready = {h: [] for h in host.values()}
    for i in (i for i, count in missing.items() if not count):
        heapq.heappush(ready[host[i]], (rank(i), i))
    free, ends, now = set(ready), [], 0
    while True:
        for h in [h for h in free if ready[h]]:
            i = heapq.heappop(ready[h])[1]
            free.discard(h)
            ends.append((now + duration[i], i))
        if not ends:
            return now
        now = min(ends)[0]
        done, ends = [i for end, i in ends if end == now], [x for x in ends if x[0] != now]
        for i in done:
            free.add(host[i])
            for f in feeds[i]:
                missing[f] -= 1
                if not missing[f]:
                    heapq.heappush(ready[host[f]], (rank(f), f))


def origins(run, activity, nodes):
    """The operations of the graph that one reads from, directly or through transfers."""
    found, seen, queue = set(), set(), [activity]
    while queue:
        for a, kind in run.inputs[queue.pop()["id"]]:
            if kind == "data" and a["id"] in nodes:
                found.add(a["id"])
            elif kind == "data" and a["class"] != "compute" and a["id"] not in seen:
                seen.add(a["id"])
                queue.append(a)
    return found


def micro_batches(run):
    """How many equal micro-batches each window streams, None where they or the windows differ."""
    counts = set()
    for window in run.windows():
        works = [run.work[a["id"]] for a in begun(run.activities, [window])
                 if a["class"] == "compute" and a["id"] in run.work]
        unknown = any(w["micro_batch"] is None or w["rows"] is None for w in works)
        equal = len({(w["phase"], w["rows"]) for w in works}) == 1
        counts.add(len({(w["step"], w["micro_batch"]) for w in works}) if equal and not unknown else None)
    return counts.pop() if len(counts) == 1 else None


def check_bubble(run, judge):
    p, parts, m = len(run.hosts), run.bubble, micro_batches(run)
    capacity = p * parts["span"]
    out = {"host_count": p, "span_ns": parts["span"], "micro_batches": m,
           "capacity_ns": capacity or None, "compute_ns": parts["compute"] if capacity else None,
           "bubble_ratio": ratio(sum(parts[name] for name in BUBBLE), capacity),
           "ideal_overhead_ratio": m and (p - 1) / m, "ideal_fraction_ratio": m and ratio(p - 1, m + p - 1),
           "ideal_makespan_ns": sum(run.ideals) if run.ideals and None not in run.ideals else None,
           "ideal_ratio": run.ideal_ratio}
    for name in BUBBLE:
        known = capacity and (run.has_dependencies or name not in NEED_EDGES)
        out |= {f"{name}_ns": parts[name] if known else None, f"{name}_ratio": parts[name] / capacity if known else None}
    judge.table(run, "bubble", ("window",), {(run.window,): out})


# kernels


def check_kernels(run, judge):
    expected = {}
    for device in run.devices:
        groups = defaultdict(list)
        for a in begun(run.of_device[device], run.windows(device)):
            if a["kind"] not in ("copy", "set", "sync"):
                groups[a["name"]].append(a["end_ns"] - a["start_ns"])
        total = sum(map(sum, groups.values()))
        for name, times in groups.items():
            expected[device, name] = {
                "window": run.window, "launches": len(times), "total_ns": sum(times), "median_ns": median_ns(times),
                "min_ns": min(times), "max_ns": max(times), "time_ratio": ratio(sum(times), total),
                "stddev_ns": statistics.stdev(times) if len(times) > 1 else None}
    judge.table(run, "kernels", ("device", "name"), expected)


# kv_transfer


def bytes_inside(transfer, windows):
    """In proportion to its time inside the windows, rounded down."""
    size, time = transfer["bytes"] or 0, transfer["end_ns"] - transfer["start_ns"]
    if not time:
        return size if begun([transfer], windows) else 0
    inside = sum(max(0, min(transfer["end_ns"], w1) - max(transfer["start_ns"], w0)) for w0, w1 in windows)
    return size * inside // time


def interference(run, transfers):
    kinds = defaultdict(lambda: ([], []))
    for a in begun(run.activities, run.windows()):
        w = run.work.get(a["id"])
        if a["class"] == "compute" and w and w["phase"] == "decode":
            disturbed = any(max(a["start_ns"], t["start_ns"]) < min(a["end_ns"], t["end_ns"]) for t in transfers)
            kinds[a["name"], w["stage"], w["rows"]][disturbed].append(a["end_ns"] - a["start_ns"])
    return median([median(b) / median(a) for a, b in kinds.values() if a and b and median(a) > 0])


def check_kv_transfer(run, judge):
    transfers = [a for a in run.activities if a["class"] == "kv"]
    total = hidden = simulated = 0
    for device in run.devices:
        windows, mine = run.windows(device), [a for a in transfers if a["device"] == device]
        total += length(mine, windows)
        hidden += length(mine, windows, [a for a in run.of_device[device] if a["class"] == "compute"])
        simulated += length([a for a in mine if a["simulated"]], windows)
    size = sum(bytes_inside(a, run.windows()) for a in transfers)
    needed, taken = 0.0, 0
    for ends in {(a["src_device"], a["dst_device"]) for a in transfers} & set(run.links):
        mine = [a for a in transfers if (a["src_device"], a["dst_device"]) == ends]
        needed += sum(bytes_inside(a, run.windows()) for a in mine) * 1e9 / run.links[ends]
        taken += length(mine, run.windows())
    expected = {(None,): {
        "window": run.window, "bytes": size, "total_ns": total, "hidden_ns": hidden, "exposed_ns": total - hidden,
        "simulated_ns": simulated, "bytes_per_s": ratio(size * 1e9, total), "link_ratio": ratio(needed, taken),
        "interference_ratio": interference(run, transfers)}}
    requests = {e["request"] for e in run.tables["request_events"] if e["kind"] == "kv_transfer"}
    judge.table(run, "kv_transfer", ("request",), expected | {(request,): {} for request in requests})


# roofline


def roofs(run, device, cores_in_use):
    """Peak by precision, own and shared DRAM bandwidth: the measured rows, of a cpu device one-core ones."""
    cpu = any(d["device"] == device and d["kind"] == "cpu" for d in run.tables["devices"])
    measured = [c for c in run.tables["ceilings"] if c["source"] != "datasheet" and c["value"] and c["value"] > 0]
    own = [c for c in measured if c["device"] == device]
    own = measured if cpu and not own else own
    usable = [c for c in own if not cpu or c["cores"] in (None, 1)]
    peak = {p: max(c["value"] for c in usable if c["precision"] == p) for p in {c["precision"] for c in usable} - {None}}
    read, most = dram(usable), max((c["cores"] or 0 for c in own if c["precision"] is None), default=0)
    all_cores = dram([c for c in own if c["cores"] == most])
    shared = min(read, all_cores / max(1, cores_in_use)) if cpu and read and all_cores else None
    return peak, read, shared


def dram(ceilings):
    found = [c for c in ceilings if c["precision"] is None and (c["level"] or "").lower() in ("dram", "hbm")]
    reads_first = [c for c in found if c["name"].lower().startswith("read")] or found
    return max((c["value"] for c in reads_first), default=None)


def bound(work, peak, bandwidth):
    """The least ns that the roofs allow for one launch, and which roof that is; None without one."""
    limits = []
    if work.get("flop") is not None and peak.get(work["precision"]):
        limits.append((work["flop"] * 1e9 / peak[work["precision"]], "compute"))
    if work.get("dram_bytes") is not None and bandwidth:
        limits.append((work["dram_bytes"] * 1e9 / bandwidth, "memory"))
    if not limits:
        return None
    most = max(limits, key=lambda limit: limit[0])
    return rounded(most[0]), most[1]


def against(launches, bounds, shared=""):
    """The columns that compare the launches that have a bound with it."""
    known = [(a, b) for a, b in zip(launches, bounds) if b]
    names = ("bound_ns", "efficiency_ratio", "limiter", "recoverable_ns", "above_roof_ns")
    out = dict.fromkeys(names)
    if known:
        time, least = sum(a["end_ns"] - a["start_ns"] for a, _ in known), sum(b[0] for _, b in known)
        by = {name: sum(b[0] for _, b in known if b[1] == name) for name in ("compute", "memory", "link")
              if any(b[1] == name for _, b in known)}
        out = dict(zip(names, (least, ratio(least, time), max(by, key=by.get), max(0, time - least), max(0, least - time))))
    return {f"shared_{name}": out[name] for name in names[:3]} if shared else out


def check_roofline(run, judge):
    expected, flops = {}, {}
    for device in run.devices:
        windows, groups = run.windows(device), defaultdict(list)
        for a in begun(run.of_device[device], windows):
            if a["kind"] != "sync":
                groups[a["name"], run.work.get(a["id"], {}).get("phase")].append(a)
        in_use = len({a["device"] for a in begun(run.activities, windows) if a["class"] == "compute"})
        peak, read, shared = roofs(run, device, in_use)
        for (name, phase), launches in groups.items():
            copy, time = launches[0]["kind"] == "copy", sum(a["end_ns"] - a["start_ns"] for a in launches)
            works = [{} if copy else run.work.get(a["id"], {}) for a in launches]
            by = defaultdict(int)
            for w in works:
                if w.get("flop") is not None and w["precision"] is not None:
                    by[w["precision"]] += w["flop"]
            sizes = [a["bytes"] if copy else w.get("dram_bytes") for a, w in zip(launches, works)]
            size = sum(s for s in sizes if s is not None) if any(s is not None for s in sizes) else None
            flop = sum(by.values()) if by else None
            if copy:
                rates = [run.links.get((a["src_device"], a["dst_device"])) for a in launches]
                own = [(rounded(a["bytes"] * 1e9 / rate), "link") if rate and a["bytes"] is not None else None
                       for a, rate in zip(launches, rates)]
                beside = [None] * len(launches)
            else:
                own = [bound(w, peak, read) for w in works]
                beside = [shared and bound(w, peak, shared) for w in works]
            expected[device, name, phase] = {
                "window": run.window, "launches": len(launches), "time_ns": time, "flop": flop, "dram_bytes": size,
                "arithmetic_intensity": None if flop is None or size is None else ratio(flop, size),
                "flop_per_s": None if flop is None else ratio(flop * 1e9, time),
                "bytes_per_s": None if size is None else ratio(size * 1e9, time),
                **against(launches, own), **against(launches, beside, "shared")}
            for precision, count in by.items():
                needed = count * 1e9 / peak[precision] if precision in peak and count else None
                flops[device, name, phase, precision] = {"window": run.window, "flop": count, "math_ns": needed}
    judge.table(run, "roofline", ("device", "name", "phase"), expected)
    judge.table(run, "roofline_flop", ("device", "name", "phase", "precision"), flops)


# a pair


def block_values(run):
    return [(b - a) / max(1, run.manifest["iterations"]) for a, b in run.blocks]


def rank_test(a, b):
    """Two-sided Mann-Whitney: of all ways to deal the ranks out, the share with a rank sum at least as far out."""
    m, n = len(a), len(b)
    if not m or not n:
        return None, 0.0
    u = sum((x > y) + (x == y) / 2 for x in a for y in b)
    ties = [count for count in Counter(a + b).values() if count > 1]
    if not ties and m * n <= 2500:
        ways = [Counter() for _ in range(m + 1)]  # by how many ranks are taken, then by their sum
        ways[0][0] = 1
        for rank in range(1, m + n + 1):
            for taken in range(min(m, rank), 0, -1):
                for total, count in ways[taken - 1].items():
                    ways[taken][total + rank] += count
        far = min(u, m * n - u) + m * (m + 1) // 2
        out = sum(count for total, count in ways[m].items() if total <= far)
        return min(1.0, 2 * out / math.comb(m + n, m)), 1e-9
    every = m + n
    variance = m * n / 12 * (every + 1 - sum(t**3 - t for t in ties) / (every * (every - 1)))
    if variance <= 0:
        return 1.0, 1e-9
    # proftool's complementary error function is an approximation to 1.2e-7.
    return math.erfc(max(0.0, abs(u - m * n / 2) - 0.5) / math.sqrt(2 * variance)), 1e-6


def verdict(values, p, speedup):
    if min(map(len, values)) < 8 or p is None or speedup is None:
        return "no claim"
    if p >= 0.05 or speedup == 1.0:
        return "no significant difference"
    return "faster" if speedup > 1 else "slower"


def check_comparison(baseline, optimized, judge):
    pair = {"baseline": baseline, "optimized": optimized}
    values = [block_values(run) for run in pair.values()]
    out = {"baseline_run": baseline.name, "confidence_ratio": 0.95, "order": optimized.manifest["pair"]["order"]}
    for (side, run), own in zip(pair.items(), values):
        results = run.manifest["results"]
        out |= {f"{side}_blocks": len(run.blocks), f"{side}_ns": median(own),
                f"{side}_iteration_ns": median_ns(results["iteration_ns"]),
                f"{side}_contention_ratio": median(results.get("contention_ratio")),
                f"{side}_ideal_ratio": run.ideal_ratio if run.blocks else None}
    over = lambda name: ratio(out[f"baseline_{name}"], out[f"optimized_{name}"]) if out[f"baseline_{name}"] else None
    p, tolerance = rank_test(*values)
    out |= {"speedup_ratio": over("ns"), "iteration_speedup_ratio": over("iteration_ns")}
    out["verdict"] = verdict(values, p, out["speedup_ratio"])
    judge.table(optimized, "comparison", ("run",), {(optimized.name,): out})
    for row in optimized.metric("comparison") or []:
        judge.same(f"{optimized.name} comparison p_value", row["p_value"], p, tolerance)
        low, high = row["speedup_low_ratio"], row["speedup_high_ratio"]
        inside = low is None and high is None and row["speedup_ratio"] is None
        judge.same(f"{optimized.name} comparison interval {low} .. {high} holds the ratio {row['speedup_ratio']}",
                   inside or low <= row["speedup_ratio"] <= high, True)


def phases_of(run):
    """The phases of a run's compute in the order of their first start."""
    hosts = [a for mine in run.hosts.values() for a in mine]
    return [run.work.get(a["id"], {}).get("phase")
            for a in sorted(hosts, key=lambda a: (a["start_ns"], a["device"], a["id"]))]


def phase_times(run, phases):
    """Compute by phase over all hosts and blocks; an instant of a host counts for the first phase that runs."""
    times = Counter()
    for mine in run.hosts.values():
        for window in run.blocks:
            pieces = cuts(window, mine)
            for piece, running in zip(pieces, active(pieces, mine)):
                here = {run.work.get(a["id"], {}).get("phase") for a in running}
                times.update({next(p for p in phases if p in here): piece[1] - piece[0]} if here else {})
    return [times[phase] for phase in phases]


def check_losses(baseline, optimized, judge):
    phases = list(dict.fromkeys(phases_of(baseline) + phases_of(optimized)))
    runs = (baseline, optimized)
    n_base, n_opt = (max(1, len(run.blocks) * run.manifest["iterations"]) for run in runs)
    capacity_base, capacity_opt = (len(run.hosts) * run.bubble["span"] if run.blocks else 0 for run in runs)
    each = lambda total, n: (2 * total + n) // (2 * n)  # to the nearest, halves up

    def shares(values, n):
        """Each value over n, so that the results sum to the rounded sum."""
        sums = [sum(values[:k]) for k in range(len(values) + 1)]
        return [each(b, n) - each(a, n) for a, b in zip(sums, sums[1:])]

    expected = {}  # no rows without blocks or hosts
    if capacity_base and capacity_opt:
        base = shares(phase_times(baseline, phases), n_base)
        opt = shares(phase_times(optimized, phases) + [optimized.bubble[name] for name in BUBBLE], n_opt)
        terms = {("baseline_compute", phase): ns for phase, ns in zip(phases, base)}
        terms |= {("extra_compute", phase): ns - before for phase, ns, before in zip(phases, opt, base)}
        terms |= {(name, None): ns for name, ns in zip(BUBBLE, opt[len(phases):])
                  if optimized.has_dependencies or name not in NEED_EDGES}
        total = each(capacity_opt, n_opt)
        references = {"total": total, "wall": each(optimized.bubble["span"], n_opt),
                      "baseline_wall": each(baseline.bubble["span"], n_base),
                      "baseline_idle": each(capacity_base, n_base) - each(baseline.bubble["compute"], n_base)}
        expected = {key: {"kind": "term", "ns": ns, "share_ratio": ratio(ns, total)} for key, ns in terms.items()}
        expected |= {(name, None): {"kind": "reference", "ns": ns, "share_ratio": None} for name, ns in references.items()}
        stated = optimized.metric("losses")
        if stated is not None:
            terms = sum(row["ns"] for row in stated if row["kind"] == "term")
            judge.same(f"{optimized.name} losses: sum of the terms", terms, total)
    judge.table(optimized, "losses", ("part", "phase"), expected)


def check_pair(run, judge):
    pair = run.manifest.get("pair")
    if not pair or pair["role"] != "optimized":
        return
    path = run.path.resolve().parent / pair["other"]
    if not path.is_dir():
        return judge.fail(f"MISSING {path}: the baseline that {run.name} is compared with")
    baseline = Run(path)
    check_comparison(baseline, run, judge)
    check_losses(baseline, run, judge)


class Judge:
    def __init__(self):
        self.checked, self.failed = 0, 0

    def fail(self, message):
        self.failed += 1
        print(message)

    def same(self, what, theirs, ours, tolerance=1e-9):
        self.checked += 1
        if isinstance(theirs, float) and isinstance(ours, (int, float)) and not isinstance(ours, bool):
            equal = abs(theirs - ours) <= tolerance * max(abs(theirs), abs(ours))
        else:
            equal = theirs == ours
        if not equal:
            self.fail(f"DIFFERENT {what}: proftool {theirs}, recomputed {ours}")

    def table(self, run, name, key, expected):
        """Compares a metric's rows, by key, with the columns that were recomputed."""
        found = run.metric(name)
        if found is None:
            return self.fail(f"MISSING {run.path}/metrics/{name}.parquet (hint: run `proftool report` first)")
        theirs = {tuple(row[column] for column in key): row for row in found}
        if len(theirs) < len(found):
            self.fail(f"DIFFERENT {run.name} {name}: rows repeat the same {', '.join(key)}")
        for one, text in ((theirs.keys() - expected.keys(), "is not expected"), (expected.keys() - theirs.keys(), "is absent")):
            for row in sorted(map(str, one)):
                self.fail(f"DIFFERENT {run.name} {name}: the row {row} {text}")
        for row in theirs.keys() & expected.keys():
            for column, ours in expected[row].items():
                self.same(f"{run.name} {name} {row} {column}", theirs[row][column], ours)


CHECKS = (check_idle, check_overlap, check_bubble, check_kernels, check_kv_transfer, check_roofline, check_pair)


def check(run, judge):
    for stated in run.manifest["tables"]:
        judge.same(f"{run.name} rows of {stated['name']}", stated["rows"], len(run.tables[stated["name"]]))
    if run.manifest["blocks"]:
        judge.same(f"{run.name} blocks", run.manifest["blocks"], len(run.blocks))
        judge.same(f"{run.name} fills", len(run.manifest["results"]["fill_ns"]), len(run.blocks))
    for one in CHECKS:
        one(run, judge)


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip())
        sys.exit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    judge = Judge()
    try:
        for path in sys.argv[1:]:
            before, run = judge.checked, Run(path)
            check(run, judge)
            print(f"{run.name}: {judge.checked - before} values compared")
    except Unsupported as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"{judge.checked} values compared, {judge.failed} different or missing")
    sys.exit(1 if judge.failed or not judge.checked else 0)


if __name__ == "__main__":
    main()
