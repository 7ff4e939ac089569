"""What is held against what on a GPU: pure functions from values that other steps found to rows of a table.

A row is {check, expected, measured, tolerance, verdict, why}; `verdict` is `ok`, `failed` or `not possible here`. A value that is
not a finite number fails, a value that nobody could measure (None) is not possible here: nothing passes for lack of data.
"""

import math
import re
from collections import defaultdict

OK, FAILED, IMPOSSIBLE = "ok", "failed", "not possible here"
TENSOR = "sm__ops_path_tensor_"


# The name of the device of the doubles in crates/workloads/tests/cuda_double, which no GPU has.
TEST_DOUBLE = "proftool test double"


def is_double(names):
    """Whether a device (or one of a list of names) is a test double."""
    return TEST_DOUBLE in (names or "")


def row(check, expected, measured, tolerance, verdict, why):
    return {"check": check, "expected": expected, "measured": measured, "tolerance": tolerance, "verdict": verdict, "why": why}


def impossible(check, why):
    return row(check, None, None, "", IMPOSSIBLE, why)


def nothing(check, what, why_none):
    """Data that should be there and is not: not possible here for a reason that is known, failed without one."""
    return impossible(check, f"{what}: {why_none}") if why_none else row(check, None, None, "", FAILED, what)


def number(value):
    """A finite number, or None: booleans and text are none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) else None


def within(check, expected, measured, low, high, why):
    """Whether low <= measured / expected <= high."""
    tolerance = f"{low:.6g} to {high:.6g} of it"
    if expected is None or measured is None:
        return impossible(check, f"no value of {'what is expected' if expected is None else 'what is measured'}; {why}")
    if number(expected) is None or number(measured) is None or expected <= 0:
        return row(check, str(expected), str(measured), tolerance, FAILED, f"not a number that can be compared; {why}")
    passed = low * expected <= measured <= high * expected
    return row(check, expected, measured, tolerance, OK if passed else FAILED, f"{measured / expected:.4f} of it; {why}")


def equal(check, expected, measured, why):
    if expected is None or measured is None:
        return impossible(check, f"no value of {'what is expected' if expected is None else 'what is measured'}; {why}")
    return row(check, expected, measured, "equal", OK if expected == measured else FAILED, why)


def truth(check, measured, why):
    """A statement that has to be true."""
    return equal(check, True, measured, why)


def kernel_time(case, event_ns, launches, kernels, why_none=None):
    """The sum of the kernels' times by CUPTI against the time between two events around them, which holds the gaps too.

    `kernels` are rows of the metric `kernels`; the launches of the warm-up are in them, so that the mean stands for each.
    A launch takes half a millisecond and more here: gaps of a microsecond or two between launches are below 1 %. Without
    kernels it fails, unless `why_none` says what kept the recorder from working.
    """
    check = f"{case}: kernel time by CUPTI = time between CUDA events"
    total_ns = sum(kernel["total_ns"] for kernel in kernels)
    if total_ns <= 0:
        return nothing(check, "CUPTI recorded no kernel", why_none)
    # A product may be several kernels (split along k): they all belong to it.
    main = max(kernels, key=lambda kernel: kernel["total_ns"])
    measured = total_ns / main["launches"] * launches
    return within(check, event_ns, measured, 0.95, 1.01, f"{main['name'][:60]}, mean of {main['launches']} launches x {launches}")


def flop_of_gemm(source, case, n, rows, padded=1.01, why_none=None):
    """Counted operations of a launch of the n^3 product: 2 n^3.

    Nothing may be missing. A little may be too much: the epilogue's operations (n^2, 1/n of it), and tiles that reach over
    the matrix's end, which n = 6144 rules out for tiles of 128, 192 and 256.
    """
    check = f"{case}: FLOP of an n^3 product by {source} = 2 n^3 (n = {n})"
    main = max((one for one in rows if number(one.get("flop"))), key=lambda one: one["flop"], default=None)
    if main is None:
        return nothing(check, f"{source} gave no FLOP", why_none)
    launches = main.get("matched_launches") or main["launches"]
    # The row's FLOP are those of the launches that have counts.
    return within(check, 2 * n**3, main["flop"] / launches, 0.999, padded, main["name"][:60])


def dram(source, case, known, counted, most, emptied):
    """DRAM bytes of a launch by counters against those that it must move (`known`: read_bytes, written_bytes, l2_bytes).

    Less is explained by the L2 alone: its written lines need not have reached the memory when the kernel ends, and unless it was
    emptied before, it holds inputs of the launch before. More is explained by reading again what the L2 could not hold: `most`
    says how much is believed.
    """
    read, written, l2_bytes = known["read_bytes"], known["written_bytes"], known["l2_bytes"]
    check = f"{case}: DRAM bytes by {source} against those that must be moved"
    if l2_bytes is None:
        return impossible(check, "the size of the L2 is not known")
    compulsory = read + written
    low = 0.98 * (max(0, read - (0 if emptied else l2_bytes)) + max(0, written - l2_bytes)) / compulsory
    why = f"{read} read + {written} written; up to {l2_bytes} of the {'written' if emptied else 'read and of the written'} may stand in the L2"
    return within(check, compulsory, counted, low, most, why)


def parse_tensor(name):
    """(instruction, source, destination, sparsity) of a metric of the tensor cores, each None where the name has none."""
    match = re.fullmatch(TENSOR + r"(?:op_(\w+?)_)?src_(\w+?)(?:_dst_(\w+?))?(?:_sparsity_(on|off))?", name.removesuffix(".sum"))
    return match.groups() if match else None


def tensor_sums(values):
    """Every aggregate metric with its leaves: {aggregate: [leaves]}; `values` are names with or without `.sum`."""
    parsed = {name: parts for name in values if (parts := parse_tensor(name))}
    found = {}
    for name, (operation, source, destination, sparse) in parsed.items():
        if operation is None and sparse is None:
            leaves = [leaf for leaf, (of, src, dst, _) in parsed.items()
                      if of is not None and src == source and destination in (None, dst)]
            if leaves:
                found[name] = sorted(leaves)
    return found


def aggregates(values):
    """Each aggregate tensor metric against the sum of its leaves, where either counts anything; a chip without is said so."""
    check = "tensor operations: the aggregate = the sum of its leaves"
    found = []
    for name, leaves in sorted(tensor_sums(values).items()):
        total = sum(values[leaf] for leaf in leaves)
        if values[name] or total:
            # Both count the same events, though perhaps in different replays of a kernel that does the same each time.
            found.append(within(f"{check}: {name}", total or None, values[name], 0.999999, 1.000001, f"{len(leaves)} leaves"))
    return found or [impossible(check, "this chip has no aggregate with leaves, or the kernels used none of them")]


def directions(values):
    """All DRAM bytes against reads and writes together."""
    check = "DRAM bytes: all = read + written"
    parts = [values.get(f"dram__bytes_{way}.sum", values.get(f"dram__bytes_op_{way}.sum")) for way in ("read", "write")]
    if None in parts or values.get("dram__bytes.sum") is None:
        return impossible(check, "this ncu does not count them all here")
    # Counted in different replays, each with its own traffic of other units.
    return within(check, sum(parts), values["dram__bytes.sum"], 0.98, 1.02, "different replays")


def launches(case, one, one_name, other, other_name):
    """Numbers of launches by kernel in two sources of the same program."""
    check = f"{case}: launches by {one_name} = launches by {other_name}"
    if not one or not other:
        return impossible(check, f"{one_name if not one else other_name} recorded no kernel")
    return equal(check, sum(one.values()), sum(other.values()), f"{len(one)} and {len(other)} kernels")


def ceilings(roofs, fastest_hz):
    """Measured roofs against the datasheet's: at most it, and half of it at least. Rows of the metric `roofs`.

    A datasheet's peak assumes a clock. A device that runs faster may exceed the peak by the ratio of the clocks, and no more;
    memory has a clock of its own, so that its limit is the datasheet's, with 1 % for the clock's rounding.
    """
    found = []
    measured, stated = defaultdict(float), {}
    for roof in roofs:
        key = (roof.get("device"), roof["kind"], roof.get("precision"), roof.get("level"))
        if roof["kind"] not in ("compute", "bandwidth") or roof.get("sparse") or number(roof["value"]) is None:
            continue
        if roof["source"] == "measured":
            measured[key] = max(measured[key], roof["value"])
        elif roof["source"] == "datasheet":
            # A precision may have a peak for each type that it is summed in; the measured one is the fastest of them, too.
            stated[key] = max(roof, stated.get(key, roof), key=lambda one: one["value"])
    for key, sheet in sorted(stated.items(), key=str):
        name = key[2] or key[3]
        check = f"ceiling {name} of device {key[0]}: measured <= datasheet, and >= 50 % of it"
        if key not in measured:
            found.append(impossible(check, "it was not measured"))
            continue
        clock = sheet.get("clock_hz")
        faster = max(1.0, fastest_hz / clock) if clock and fastest_hz and sheet["kind"] == "compute" else 1.0
        why = f"datasheet at {clock / 1e6:.0f} MHz, largest clock {fastest_hz / 1e6:.0f} MHz" if clock and fastest_hz else "no clock stated"
        found.append(within(check, sheet["value"], measured[key], 0.5, 1.01 * faster, why))
    return found or [impossible("ceilings against the datasheet", "no datasheet row for this device, or no measured roofs")]


def energy(samples):
    """The integral of the power against the energy counter of each device; rows of `sample` objects of the NVML sampler.

    The instant power is a mean over 25 to 100 ms: 10 %. Where the driver has none, the power is its mean over a second, which has
    seen half of a load that began a second before the end: 25 %.
    """
    check = "NVML: mean power x time = difference of the energy counter"
    series = defaultdict(list)
    for sample in samples:
        values = sample["values"]
        if values.get("energy_j") is not None:
            series[sample["device"]].append(((sample["begin_ns"] + sample["end_ns"]) / 2e9, values))
    found = []
    for device, samples in sorted(series.items()):
        name = "power_instant_w" if any("power_instant_w" in values for _, values in samples) else "power_w"
        points = sorted((at, values[name], values["energy_j"]) for at, values in samples if values.get(name) is not None)
        if not points:
            found.append(impossible(f"{check}, device {device}", "the device tells no power"))
            continue
        seconds = points[-1][0] - points[0][0]
        if seconds < 1:
            found.append(impossible(f"{check}, device {device}", f"sampled for {seconds:.2f} s only"))
            continue
        integral = sum((later[1] + before[1]) / 2 * (later[0] - before[0]) for before, later in zip(points, points[1:]))
        counted = points[-1][2] - points[0][2]
        allowed = 0.1 if name == "power_instant_w" else 0.25
        found.append(within(f"{check}, device {device}", counted, integral, 1 - allowed, 1 + allowed, f"{len(points)} samples of {name} in {seconds:.1f} s"))
    return found or [impossible(check, "the device has no energy counter, or NVML gave no samples")]


def outputs(name, manifest):
    """What a built-in target said of its own outputs."""
    results = manifest["results"]
    worst = max((one["max_relative_error"] / one["tolerance"] for one in results["checks"]), default=None)
    why = f"{len(results['checks'])} checks, the largest deviation {worst:.3g} of what is allowed" if worst is not None else "no check was made"
    return truth(f"{name}: outputs verified", bool(results["verified"] and results["checks"]), why)
