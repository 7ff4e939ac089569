"""Compares what proftool's clients counted with what Dynamo's front ends did.

    python dynamo_counts.py CAPTURES [PORT]...

CAPTURES is a folder of artifacts, all that was sent to the front ends at these ports since their start. Without ports only what
the clients counted is shown and checked: that every request is there, and whole.
"""

import collections
import json
import pathlib
import sys
import urllib.request

# What a front end counts, with the label that a series must have.
TOLD = {
    "requests": ("dynamo_frontend_requests_total", 'status="success"'),
    "prompt tokens": ("dynamo_frontend_input_sequence_tokens_sum", ""),
    "output tokens": ("dynamo_frontend_output_tokens_total", ""),
    "cached tokens": ("dynamo_frontend_cached_tokens_sum", ""),
}
COUNTED = {"prompt tokens": "prompt_tokens", "output tokens": "output_tokens", "cached tokens": "cached_tokens"}


def told(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    series = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]

    def total(name, label):
        return sum(float(value) for key, value in series if key.split("{")[0] == name and label in key)

    return {what: total(*how) for what, how in TOLD.items()}


def rows(log):
    """The kinds of rows, known by their first key, and the requests."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    kinds = collections.Counter(next(iter(line)) for line in lines)
    requests = [line for line in lines if next(iter(line)) == "request"]
    issues = [f"{line['issue']} {line['count']}" for line in lines if next(iter(line)) == "issue"]
    return kinds, requests, issues


def main():
    captures, ports = pathlib.Path(sys.argv[1]), sys.argv[2:]
    counted = collections.Counter()
    wrong = 0
    logs = sorted(captures.glob("*/raw/*/router.jsonl"))
    for log in logs:
        kinds, requests, issues = rows(log)
        good = [request for request in requests if request["status"] == "ok"]
        counted["requests"] += len(good)
        for what, key in COUNTED.items():
            counted[what] += sum(request.get(key) or 0 for request in good)
        whole = all(request.get("output_tokens") and request.get("cached_tokens") is not None for request in good)
        wrong += len(good) < len(requests) or not requests or not whole
        devices = sorted({request.get("prefill_device") for request in good})
        print(f"  {log.parents[2].name}: {len(good)} of {len(requests)} requests ok, on front ends {devices}")
        print(f"    {kinds['event']} chunks, {kinds['sample']} samples, issues: {', '.join(issues) or 'none'}")
    asked = collections.Counter()
    for port in ports:
        asked.update(told(port))
    for what in TOLD:
        same = not ports or asked[what] == counted[what]
        wrong += not same
        beside = f", the front ends {asked[what]:.0f}{'' if same else ': NOT THE SAME'}" if ports else ""
        print(f"  {what}: the clients counted {counted[what]}{beside}")
    sys.exit(bool(wrong or not logs))


if __name__ == "__main__":
    main()
