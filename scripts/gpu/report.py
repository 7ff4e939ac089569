"""The report of a check as markdown, and its verdict."""

import compare
from compare import FAILED, IMPOSSIBLE, OK


def shown(value):
    """A value in a cell: integers whole, other numbers with six digits."""
    if value is None:
        return ""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.6g}"
    return f"{value:,.0f}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


def version(number):
    """A version as CUDA counts it, 12040, in words."""
    return f"{number // 1000}.{number % 1000 // 10}" if number else "unknown"


def exit_code(result):
    """0 when nothing that was possible failed, and something was possible; else 1."""
    verdicts = [one["verdict"] for one in result["steps"] + result["checks"]]
    return 0 if OK in [one["verdict"] for one in result["checks"]] and FAILED not in verdicts else 1


def counts(rows):
    of = {verdict: sum(one["verdict"] == verdict for one in rows) for verdict in (OK, FAILED, IMPOSSIBLE)}
    return f"{of[OK]} ok, {of[FAILED]} failed, {of[IMPOSSIBLE]} not possible here"


def text(result):
    facts, steps, checks = result["facts"], result["steps"], result["checks"]
    lines = ["# proftool on a GPU", ""]
    if facts["device"]:
        lines.append(f"{facts['date']}: {facts['device']}, driver for CUDA {version(facts['cuda_version'])}, PyTorch {facts['torch'] or 'absent'}, "
                     f"ncu {'usable' if facts['ncu'] else 'not usable'}; {facts['seconds']} s{', quick' if facts['quick'] else ''}.")
    else:
        lines.append(f"No GPU: {facts['why_not'] or 'CUDA could not be asked'}. Nothing was checked.")
    if compare.is_double(facts["device"]):
        lines += ["", "A test double, no GPU: no time and no rate here is a measurement."]
    lines += ["", f"Steps: {counts(steps)}. Checks: {counts(checks)}.", "", "## Checks", "",
              "| check | expected | measured | tolerance | verdict | why |", "|---|--:|--:|---|---|---|"]
    # What failed first: that is what a reader looks for.
    order = {FAILED: 0, OK: 1, IMPOSSIBLE: 2}
    for one in sorted(checks, key=lambda one: order[one["verdict"]]):
        cells = [one["check"], shown(one["expected"]), shown(one["measured"]), one["tolerance"], one["verdict"], one["why"]]
        lines.append("| " + " | ".join(cell(part) for part in cells) + " |")
    lines += ["", "## Steps", "", "| step | verdict | seconds | reason |", "|---|---|--:|---|"]
    lines += [f"| {one['step']} | {one['verdict']} | {one['seconds']} | {cell(one['reason'])} |" for one in steps]
    if result["left_out"]:
        lines += ["", "## Left out of details.tar.gz", ""] + [f"- {cell(one)}" for one in result["left_out"]]
    return "\n".join(lines) + "\n"
