"""Reading what the steps of a check left: pages of ncu, samples of NVML, results of proftool."""

import csv
import json
import re
from collections import Counter
from pathlib import Path

ID_COLUMNS = ("ID", "Process ID", "Process Name", "Host Name", "Kernel Name", "Context", "Stream", "Block Size", "Grid Size", "Device", "CC")


def value(text):
    """A number of ncu's page: thousands may be separated by commas. None for what is none."""
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None


def ncu_page(path):
    """Rows of `ncu --csv --page raw`, one a launch: {column: text}; what ncu and the program print around it is skipped."""
    lines = Path(path).read_text(errors="replace").splitlines()
    start = next((at for at, line in enumerate(lines) if line.startswith('"ID"')), None)
    if start is None:
        return []
    rows = list(csv.reader(line for line in lines[start:] if line.startswith('"')))
    # The row after the header holds units: it has no identifier.
    return [dict(zip(rows[0], row)) for row in rows[1:] if row and row[0].isdigit() and len(row) == len(rows[0])]


def metrics(row):
    """The numbers of one launch of a page."""
    found = {name: value(text) for name, text in row.items() if name not in ID_COLUMNS}
    return {name: number for name, number in found.items() if number is not None}


def largest(rows, metric="gpu__time_duration.sum"):
    """The launches of the kernel with the most time in all: {metric: mean over its launches}, its name, how many."""
    by_name = {}
    for row in rows:
        by_name.setdefault(row["Kernel Name"], []).append(metrics(row))
    if not by_name:
        return {}, None, 0
    name = max(by_name, key=lambda name: sum(launch.get(metric, 0.0) for launch in by_name[name]))
    launches = by_name[name]
    shared = set.intersection(*(set(launch) for launch in launches))
    return {key: sum(launch[key] for launch in launches) / len(launches) for key in sorted(shared)}, name, len(launches)


def by_kernel(rows):
    """Number of launches of each kernel of a page."""
    return Counter(row["Kernel Name"] for row in rows)


def query(text):
    """Names of metrics in what `ncu --query-metrics` prints."""
    names = (line.split(maxsplit=1)[0] for line in text.splitlines() if line.strip())
    return [name for name in names if re.fullmatch(r"[a-z0-9]+__\w+", name)]


def nvml_samples(path):
    """The samples of `nvml.jsonl` and its head; a line that is cut short is left out."""
    head, samples = {}, []
    for line in Path(path).read_text(errors="replace").splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        head = found.get("head", head)
        if "sample" in found:
            samples.append(found["sample"])
    return head, samples


def artifacts(folder):
    """Whole artifacts in a folder, the oldest first."""
    return sorted((path.parent for path in Path(folder).glob("*/manifest.json")), key=lambda path: path.name)


def manifest(artifact):
    return json.loads((artifact / "manifest.json").read_text())


def read_json(text):
    """What a command printed as JSON; None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None
