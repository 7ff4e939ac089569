#!/usr/bin/env python3
"""Recomputes the serving metrics of artifacts from their tables, by other means than proftool, and compares.

    pip install pyarrow
    proftool analyze --artifacts DIR          (writes metrics/ of every artifact)
    scripts/recompute_serving.py ARTIFACT...

Recomputed from tables/*.parquet: every number of `serving` (not its energy), the five parts and the ranks of
`slowest_requests`, every value of `serving_distribution`, the counts and medians of `serving_time`, `calibration`, and the
busy time of `device_load`. The method is plain: all times at which anything begins or ends cut an interval into pieces, and
each piece is looked at on its own; percentiles are read off lists in which every value stands as often as it occurred.
Integers must be equal, floats agree to 1e-9, a null be a null, and both sides have the same rows.

Exit code 1: a difference, a missing metric, or nothing compared; 2: wrong usage.
"""
import math
import sys
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import pyarrow.parquet as pq

STAGES = ("queued", "prefill", "kv_transfer", "decode", "preempt", "migrate")
PARTS = ("queue", "prefill", "kv", "decode", "host")
MOST_STEPS = 2_000_000


def rows(folder, name):
    path = folder / f"{name}.parquet"
    return pq.read_table(path).to_pylist() if path.exists() else None


def rank(values, percent):
    """The smallest value that at least `percent` % of them do not exceed."""
    values = sorted(values)
    return values[max(1, math.ceil(Fraction(percent) * len(values) / 100)) - 1] if values else None


def mean(values):
    return float(Fraction(sum(values), len(values))) if values else None


def pieces(edges):
    edges = sorted(set(edges))
    return list(zip(edges, edges[1:]))


class Log:
    """One pass."""

    def __init__(self, folder, name, simulated):
        of = lambda table: [row for row in rows(folder / "tables", table) or [] if row["pass"] == name]
        self.name, self.simulated = name, simulated
        self.requests = of("requests")
        self.requests.sort(key=lambda r: (r["arrival_ns"], r["rank"], r["request"]))
        first = {}
        for r in self.requests:
            first.setdefault((r["rank"], r["request"]), r)
            r["stages"], r["tokens"] = [], []
        for event in of("request_events"):
            owner = first.get((event["rank"], event["request"]))
            if owner is None:
                continue
            if event["kind"] == "token":
                owner["tokens"].append(event["start_ns"])
            elif event["kind"] in STAGES:
                owner["stages"].append(event)
        self.steps, self.devices, self.samples = of("steps"), of("devices"), of("samples")
        self.defs = {(d["rank"], d["def"]): d["metric"] for d in of("counter_defs")}
        self.has_tokens = any(r["tokens"] for r in self.requests)
        self.has_stages = any(r["stages"] for r in self.requests)
        ends = [r["end_ns"] for r in self.requests if r["end_ns"] is not None]
        self.start = self.requests[0]["arrival_ns"]
        self.end = max(max(ends), self.start) if ends else None

    def tells_slos(self):
        ok = [r for r in self.requests if r["status"] == "ok"]
        return not ok or any(ttft(r) is not None for r in ok)

    def groups(self):
        found = [("all", "all", self.requests)]
        for kind in ("tier", "policy", "prefill_device"):
            by = defaultdict(list)
            for r in self.requests:
                if r[kind] is not None:
                    by[(r["rank"], r[kind]) if kind == "prefill_device" else r[kind]].append(r)
            ranks = any(r["rank"] != 0 for r in self.requests)
            if len(by) > 1:
                for key in sorted(by):
                    name = key if kind != "prefill_device" else f"device {key[1]}"
                    name = f"rank {key[0]} {name}" if kind == "prefill_device" and ranks else name
                    found.append((kind, name, by[key]))
        return found

    def cost(self):
        if self.end is None or not self.devices:
            return None
        dollars = Fraction(0)
        for d in self.devices:
            if d["cost_per_hour"] is None:
                return None
            key = (d["rank"], d["device"])
            own = [s for s in self.samples if (s["rank"], s["device"]) == key]
            named = lambda name: [s for s in own if self.defs[(s["rank"], s["def"])] == name and s["start_ns"] < s["end_ns"]]
            zero = [s for s in (named("paid") or named("up")) if s["value"] <= 0]
            edges = [self.start, self.end] + [t for s in zero for t in (s["start_ns"], s["end_ns"])]
            up = sum(b - a for a, b in pieces(edges) if a >= self.start and b <= self.end
                     and not any(s["start_ns"] <= a and b <= s["end_ns"] for s in zero))
            dollars += Fraction(d["cost_per_hour"]) * up / 3_600_000_000_000
        return float(dollars) if dollars > 0 else None


def ttft(r):
    return r["first_token_ns"] - r["arrival_ns"] if r["status"] == "ok" and r["first_token_ns"] is not None else None


def tpot(r):
    if ttft(r) is None or r["end_ns"] is None or r["output_tokens"] is None or r["output_tokens"] < 2:
        return None
    return (r["end_ns"] - r["first_token_ns"]) // (r["output_tokens"] - 1)


def e2e(r):
    return r["end_ns"] - r["arrival_ns"] if r["status"] == "ok" and r["end_ns"] is not None else None


def within(value, limit):
    return value is None or limit is None or value <= limit


def meets(r):
    return ttft(r) is not None and within(ttft(r), r["slo_ttft_ns"]) and within(tpot(r), r["slo_tpot_ns"])


def split(r):
    """The parts of [arrival, first token), piece by piece."""
    if ttft(r) is None or not r["stages"]:
        return None
    start, end = r["arrival_ns"], r["first_token_ns"]
    edges = [start, end] + [min(max(t, start), end) for s in r["stages"] for t in (s["start_ns"], s["end_ns"])]
    found = dict.fromkeys(PARTS, 0)
    for a, b in pieces(edges):
        open_ = {s["kind"] for s in r["stages"] if s["start_ns"] <= a and b <= s["end_ns"]}
        part = ("prefill" if "prefill" in open_ else "kv" if open_ & {"kv_transfer", "migrate"} else
                "decode" if "decode" in open_ else "queue" if "queued" in open_ else "host")
        found[part] += b - a
    return found


def gaps_of_tokens(requests):
    return [b - a for r in requests if r["status"] == "ok" for a, b in zip(sorted(r["tokens"]), sorted(r["tokens"])[1:])]


def gaps_of_steps(log):
    """Each gap as often as requests decode in its step."""
    by = defaultdict(list)
    for s in log.steps:
        by[(s["rank"], s["device"])].append(s)
    found = []
    for own in by.values():
        own.sort(key=lambda s: (s["start_ns"], s["end_ns"]))
        latest = None
        for s in own:
            follows = latest is not None and latest >= s["start_ns"]
            begin = latest if follows else s["start_ns"]
            if (s["decode_batch"] or 0) > 0 and s["end_ns"] > begin:
                found += [s["end_ns"] - begin] * s["decode_batch"]
            latest = max(latest, s["end_ns"]) if follows else s["end_ns"]
        if len(found) > 50 * MOST_STEPS:
            return None
    return found


def serving(log, kind, requests):
    """The row of one group: column by column."""
    ttfts, tpots, e2es = ([v for v in map(f, requests) if v is not None] for f in (ttft, tpot, e2e))
    ok = [r for r in requests if r["status"] == "ok"]
    total = lambda name: sum(r[name] for r in ok if r[name] is not None) if any(r[name] is not None for r in ok) else None
    span = log.end - log.start if log.end is not None else None
    rate = lambda count: count * 1e9 / span if count is not None and span else None
    stated = [r for r in requests if r["slo_ttft_ns"] is not None or r["slo_tpot_ns"] is not None]
    met = sum(map(meets, requests)) if stated and log.tells_slos() else None
    splits = [s for s in map(split, requests) if s is not None]
    row = {"requests": len(requests), "span_ns": span, "ttft_requests": len(ttfts), "tpot_requests": len(tpots),
           "split_requests": len(splits), "slo_requests": len(stated), "slo_met": met}
    for status in ("ok", "rejected", "failed", "aborted"):
        row[status] = sum(r["status"] == status for r in requests)
    for name, values in (("ttft", ttfts), ("tpot", tpots), ("e2e", e2es)):
        row[f"{name}_mean_ns"] = mean(values)
        for percent in (50, 95, 99):
            row[f"{name}_p{percent}_ns"] = rank(values, percent)
    if ttfts:
        center = Fraction(sum(ttfts), len(ttfts))
        row["ttft_stddev_ns"] = math.sqrt(sum((v - center) ** 2 for v in ttfts) / len(ttfts))
    else:
        row["ttft_stddev_ns"] = None
    before = 0
    for part in PARTS:
        row[f"ttft_{part}_p99_ns"] = rank([s[part] for s in splits], 99)
        upto = sum(sum(s[p] for p in PARTS[:PARTS.index(part) + 1]) for s in splits)
        row[f"ttft_{part}_mean_ns"] = upto // len(splits) - before if splits else None
        before = upto // len(splits) if splits else 0
    if log.has_tokens:
        gaps = gaps_of_tokens(requests)
    else:
        gaps = gaps_of_steps(log) if kind == "all" and len(log.steps) < MOST_STEPS else []
    if gaps is not None:
        row["itl_source"] = ("tokens" if log.has_tokens else "steps") if gaps else None
        for percent in (50, 95, 99):
            row[f"itl_p{percent}_ns"] = rank(gaps, percent)
    row["prompt_tokens"], row["output_tokens"] = total("prompt_tokens"), total("output_tokens")
    row["output_tokens_per_s"], row["requests_per_s"] = rate(row["output_tokens"]), rate(row["ok"])
    known = [r for r in ok if r["prompt_tokens"] is not None and 0 <= (r["cached_tokens"] if r["cached_tokens"] is not None else -1) <= r["prompt_tokens"]]
    prompt = sum(r["prompt_tokens"] for r in known)
    row["cached_ratio"] = sum(r["cached_tokens"] for r in known) / prompt if prompt else None
    row["slo_attainment_ratio"] = met / len(requests) if met is not None else None
    row["goodput_requests_per_s"] = rate(met)
    dollars = log.cost()
    row["cost_dollars"] = dollars
    row["goodput_requests_per_dollar"] = met / dollars if met is not None and dollars else None
    arrivals = [r["arrival_ns"] for r in requests]
    row["arrivals_per_s"] = (len(arrivals) - 1) * 1e9 / (arrivals[-1] - arrivals[0]) if arrivals[-1] > arrivals[0] else None
    for name, stage in (("migrations", "migrate"), ("preemptions", "preempt")):
        row[name] = sum(s["kind"] == stage for r in requests for s in r["stages"]) if log.has_stages else None
    return row


class Judge:
    def __init__(self):
        self.compared, self.different = 0, []

    def same(self, what, theirs, ours):
        self.compared += 1
        both = isinstance(theirs, (int, float)) and isinstance(ours, (int, float))
        close = both and (isinstance(theirs, float) or isinstance(ours, float)) and math.isclose(theirs, ours, rel_tol=1e-9)
        if theirs != ours and not close:
            self.different.append(f"{what}: proftool {theirs}, recomputed {ours}")

    def row(self, what, theirs, ours):
        for column, value in ours.items():
            self.same(f"{what} {column}", theirs.get(column), value)


def check_time(log, found, judge):
    own = [row for row in found if row["pass"] == log.name and row["policy"] is None]
    if log.end is None:
        return
    judge.same("serving_time edges", (own[0]["start_ns"], own[-1]["end_ns"]), (log.start, log.end))
    for row in own:
        last = row is own[-1]
        inside = lambda t: t is not None and (row["start_ns"] <= t < row["end_ns"] or last and t == row["end_ns"])
        arrived = [r for r in log.requests if inside(r["arrival_ns"])]
        ours = {"arrivals": len(arrived), "ended": sum(inside(r["end_ns"]) for r in log.requests),
                "ttft_p50_ns": rank([v for v in map(ttft, arrived) if v is not None], 50),
                "ttft_p99_ns": rank([v for v in map(ttft, arrived) if v is not None], 99),
                "tpot_p50_ns": rank([v for v in map(tpot, arrived) if v is not None], 50)}
        span = row["end_ns"] - row["start_ns"]
        gone = lambda r: r["end_ns"] if r["end_ns"] is not None else r["arrival_ns"] if r["status"] == "rejected" else log.end
        flying = sum(max(0, min(gone(r), row["end_ns"]) - max(r["arrival_ns"], row["start_ns"])) for r in log.requests)
        ours["in_flight_mean"] = flying / span if span else 0.0
        judge.row(f"serving_time bin {row['bin']}", row, ours)


def check_calibration(log, found, judge):
    pairs = [(r["predicted_ttft_ns"], ttft(r)) for r in log.requests
             if (r["predicted_ttft_ns"] or 0) > 0 and ttft(r) is not None]
    row = next((row for row in found if row["pass"] == log.name and row["group_kind"] == "all" and row["decile"] is None), None)
    judge.same("calibration rows", row is not None, bool(pairs))
    if row is None:
        return
    ours = {"requests": len(pairs), "predicted_p50_ns": rank([p for p, _ in pairs], 50),
            "actual_p50_ns": rank([a for _, a in pairs], 50), "bias_ns": mean([p - a for p, a in pairs]),
            "absolute_error_p50_ns": rank([abs(p - a) for p, a in pairs], 50)}
    for percent in (10, 25, 50):
        ours[f"within_{percent}_ratio"] = sum(100 * abs(p - a) <= percent * a for p, a in pairs) / len(pairs)
    judge.row("calibration", row, ours)


def check_devices(log, found, judge):
    for row in (row for row in found if row["pass"] == log.name and row["bin"] is None and row["busy_source"] == "steps"):
        own = sorted((max(s["start_ns"], log.start), min(s["end_ns"], log.end)) for s in log.steps
                     if (s["rank"], s["device"]) == (row["rank"], row["device"]))
        busy, latest = 0, log.start
        for a, b in own:
            busy += max(0, b - max(a, latest))
            latest = max(latest, b)
        judge.same(f"device_load of {row['device']} busy_ns", row["busy_ns"], busy)


def check(artifact, judge):
    import json
    folder = Path(artifact)
    manifest = json.loads((folder / "manifest.json").read_text())
    passes = sorted({row["pass"] for row in rows(folder / "tables", "requests") or []})
    names = ("serving", "slowest_requests", "serving_distribution", "serving_time", "calibration", "device_load")
    found = {name: rows(folder / "metrics", name) for name in names}
    missing = [name for name, value in found.items() if value is None]
    if missing:
        judge.different.append(f"{artifact}: metrics/ lacks {', '.join(missing)} (run proftool analyze first)")
        return
    at = 0
    for name in passes:
        log = Log(folder, name, manifest["time"] == "simulated")
        for kind, group, requests in log.groups():
            row = found["serving"][at] if at < len(found["serving"]) else {}
            at += 1
            ours = {"pass": name, "simulated": log.simulated, "group_kind": kind, "group": group}
            judge.row(f"serving {kind} {group}", row, ours | serving(log, kind, requests))
        own = [row for row in found["slowest_requests"] if row["pass"] == name]
        by = {(r["rank"], r["request"]): r for r in reversed(log.requests)}
        judge.same("slowest TTFTs", [row["ttft_ns"] for row in own], sorted((v for v in map(ttft, log.requests) if v is not None), reverse=True)[:100])
        for row in own:
            parts = split(by[(row["rank"], row["request"])]) or dict.fromkeys(PARTS)
            judge.row(f"request {row['request']}", row, {f"ttft_{part}_ns": parts[part] for part in PARTS})
        for row in (row for row in found["serving_distribution"] if row["pass"] == name and row["group_kind"] == "all"):
            values = {"ttft": ttft, "tpot": tpot, "e2e": e2e}.get(row["quantity"])
            known = gaps_of_tokens(log.requests) if values is None else [v for v in map(values, log.requests) if v is not None]
            percent = Fraction(round(row["percent"] * 10), 10)
            judge.same(f"{row['quantity']} at {row['percent']} %", row["value_ns"], rank(known, percent))
        check_time(log, found["serving_time"], judge)
        check_calibration(log, found["calibration"], judge)
        check_devices(log, found["device_load"], judge)
    judge.same("rows of serving", len(found["serving"]), at)


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        return 2
    judge = Judge()
    for artifact in sys.argv[1:]:
        check(artifact, judge)
    for line in judge.different[:40]:
        print(line)
    print(f"{judge.compared} values compared, {len(judge.different)} differ")
    return 1 if judge.different or not judge.compared else 0


if __name__ == "__main__":
    sys.exit(main())
