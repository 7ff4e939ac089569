#!/usr/bin/env python3
"""Writes a long Kineto trace: the events of a short one several times over, one copy behind the other.

Each copy is shifted by the length of the trace and a millisecond, and its correlation numbers, external ids, flow ids
and step numbers are raised, so that they stay unique. Metadata (`M`) and the profiler's own span (`Trace`) stand once.
The result is the input of the import benchmark:

    generate_kineto.py v100_train_216k_events.json.gz x8.json --copies 8

gives 1,728,463 events in about 380 MB. Needs about 300 MB of memory; the output is written event by event.
"""

import argparse
import gzip
import json
import re

IDS = ("correlation", "External id", "wait_on_cuda_event_record_corr_id")
STEP = re.compile(r"ProfilerStep#(\d+)$")


def nanoseconds(microseconds):
    return microseconds * 1000 if isinstance(microseconds, int) else round(microseconds * 1000)


def shifted(time, by_ns):
    """Whole microseconds stay whole; times with decimals keep their three."""
    if isinstance(time, int):
        return time + by_ns // 1000
    return (nanoseconds(time) + by_ns) / 1000


def once(event):
    return event.get("ph") == "M" or event.get("cat") == "Trace"


def strides(events):
    """How far one copy is from the next: in time, in ids, in steps."""
    times = [(nanoseconds(e["ts"]), nanoseconds(e.get("dur", 0))) for e in events if not once(e) and "ts" in e]
    length = max(ts + dur for ts, dur in times) - min(ts for ts, _ in times)
    ids = [e["id"] for e in events if isinstance(e.get("id"), int)]
    ids += [e["args"][key] for e in events for key in IDS if isinstance(e.get("args", {}).get(key), int)]
    steps = {int(match[1]) for e in events if (match := STEP.match(str(e.get("name"))))}
    whole_us = -(-(length + 1_000_000) // 1000) * 1000
    return whole_us, max(ids, default=0) + 1, max(steps) - min(steps) + 1 if steps else 0


def copied(event, number, stride):
    by_ns, by_id, by_step = (number * step for step in stride)
    copy = dict(event)
    if "ts" in copy:
        copy["ts"] = shifted(copy["ts"], by_ns)
    if isinstance(copy.get("id"), int):
        copy["id"] += by_id
    args = copy.get("args")
    if args and any(key in args for key in IDS):
        # -1 stands for no event.
        raised = {key: args[key] + by_id for key in IDS if isinstance(args.get(key), int) and args[key] >= 0}
        copy["args"] = {**args, **raised}
    if match := STEP.match(str(copy.get("name"))):
        copy["name"] = f"ProfilerStep#{int(match[1]) + by_step}"
    return copy


def copies_of(events, count):
    yield from (event for event in events if once(event))
    repeated = [event for event in events if not once(event)]
    stride = strides(events)
    for number in range(count):
        yield from (copied(event, number, stride) for event in repeated)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--copies", type=int, default=8)
    options = parser.parse_args()
    opener = gzip.open if options.source.endswith(".gz") else open
    with opener(options.source, "rt", encoding="utf-8") as file:
        trace = json.load(file)
    events = trace.pop("traceEvents")
    with open(options.target, "w", encoding="utf-8") as out:
        out.write(json.dumps(trace)[:-1] + (", " if trace else "") + '"traceEvents": [')
        count = 0
        for count, event in enumerate(copies_of(events, options.copies), 1):
            out.write((",\n" if count > 1 else "\n") + json.dumps(event))
        out.write("\n]}\n")
    print(f"{count} events")


if __name__ == "__main__":
    main()
