#!/usr/bin/env python3
"""Writes crates/inject/src/layouts.rs: where the fields of CUPTI's activity records are, by version of CUPTI.

    scripts/cupti_layouts.py > crates/inject/src/layouts.rs
    scripts/cupti_layouts.py --headers FOLDER      headers that are already there, as FOLDER/VERSION/cupti_activity.h

The offsets come from a C compiler (`cc`) and the headers in the wheels below, which `pip download` fetches into a
temporary folder (about 200 MB). Which structure a kind of record has in a version is what the comment of that kind in
`CUpti_ActivityKind` says. Of `cuda.h`, which the wheels lack, only a few opaque types are needed. NVIDIA appends fields
to these structures from version to version; that those which are read stay where they are is what this script checks: it
fails when one moves.
"""
import glob
import os
import re
import subprocess
import sys
import tempfile
import zipfile

WHEELS = {
    "nvidia-cuda-cupti-cu11": ["11.7.101", "11.8.87"],
    "nvidia-cuda-cupti-cu12": ["12.0.146", "12.1.105", "12.2.142", "12.3.101", "12.4.127", "12.5.82", "12.6.80", "12.8.90", "12.9.79"],
    "nvidia-cuda-cupti": ["13.0.85", "13.1.115", "13.2.86", "13.3.75", "13.4.92", "13.5.25"],
}

# Record -> (its kind, the fields that are read as (Rust name, C name, bytes)).
RECORDS = {
    "kernel": ("CONCURRENT_KERNEL", [
        ("start", "start", 8), ("end", "end", 8), ("device", "deviceId", 4), ("context", "contextId", 4),
        ("stream", "streamId", 4), ("correlation", "correlationId", 4), ("grid_x", "gridX", 4), ("grid_y", "gridY", 4),
        ("grid_z", "gridZ", 4), ("block_x", "blockX", 4), ("block_y", "blockY", 4), ("block_z", "blockZ", 4),
        ("static_shared", "staticSharedMemory", 4), ("dynamic_shared", "dynamicSharedMemory", 4),
        ("registers", "registersPerThread", 2), ("name", "name", 8), ("graph", "graphId", 4), ("graph_node", "graphNodeId", 8)]),
    "copy": ("MEMCPY", [
        ("start", "start", 8), ("end", "end", 8), ("device", "deviceId", 4), ("context", "contextId", 4),
        ("stream", "streamId", 4), ("correlation", "correlationId", 4), ("bytes", "bytes", 8), ("copy_kind", "copyKind", 1),
        ("src_kind", "srcKind", 1), ("dst_kind", "dstKind", 1), ("graph", "graphId", 4), ("graph_node", "graphNodeId", 8)]),
    "peer_copy": ("MEMCPY2", [
        ("start", "start", 8), ("end", "end", 8), ("device", "deviceId", 4), ("context", "contextId", 4),
        ("stream", "streamId", 4), ("correlation", "correlationId", 4), ("bytes", "bytes", 8), ("copy_kind", "copyKind", 1),
        ("src_kind", "srcKind", 1), ("dst_kind", "dstKind", 1), ("src_device", "srcDeviceId", 4), ("dst_device", "dstDeviceId", 4),
        ("graph", "graphId", 4), ("graph_node", "graphNodeId", 8)]),
    "set": ("MEMSET", [
        ("start", "start", 8), ("end", "end", 8), ("device", "deviceId", 4), ("context", "contextId", 4),
        ("stream", "streamId", 4), ("correlation", "correlationId", 4), ("bytes", "bytes", 8), ("value", "value", 4),
        ("memory_kind", "memoryKind", 2), ("graph", "graphId", 4), ("graph_node", "graphNodeId", 8)]),
    "sync": ("SYNCHRONIZATION", [
        ("start", "start", 8), ("end", "end", 8), ("context", "contextId", 4), ("stream", "streamId", 4),
        ("correlation", "correlationId", 4), ("event", "cudaEventId", 4), ("sync_kind", "type", 4)]),
    "api": ("RUNTIME", [
        ("start", "start", 8), ("end", "end", 8), ("process", "processId", 4), ("thread", "threadId", 4),
        ("correlation", "correlationId", 4), ("cbid", "cbid", 4), ("returned", "returnValue", 4)]),
    "marker": ("MARKER", [
        ("timestamp", "timestamp", 8), ("id", "id", 4), ("flags", "flags", 4), ("object_kind", "objectKind", 4),
        ("process", "objectId.pt.processId", 4), ("thread", "objectId.pt.threadId", 4), ("name", "name", 8), ("domain", "domain", 8)]),
    "marker_data": ("MARKER_DATA", [
        ("id", "id", 4), ("payload_kind", "payloadKind", 4), ("payload", "payload", 8), ("category", "category", 4)]),
    "name": ("NAME", [
        ("object_kind", "objectKind", 4), ("first", "objectId.dcs.deviceId", 4), ("second", "objectId.dcs.contextId", 4),
        ("third", "objectId.dcs.streamId", 4), ("name", "name", 8)]),
    "graph": ("GRAPH_TRACE", [
        ("start", "start", 8), ("end", "end", 8), ("device", "deviceId", 4), ("context", "contextId", 4),
        ("stream", "streamId", 4), ("correlation", "correlationId", 4), ("graph", "graphId", 4)]),
    "device": ("DEVICE", [
        ("id", "id", 4), ("name", "name", 8), ("multiprocessors", "numMultiprocessors", 4), ("memory", "globalMemorySize", 8),
        ("clock_khz", "coreClockRate", 4), ("major", "computeCapabilityMajor", 4), ("minor", "computeCapabilityMinor", 4),
        ("uuid", "uuid", 16)]),
    "context": ("CONTEXT", [("id", "contextId", 4), ("device", "deviceId", 4)]),
    "stream": ("STREAM", [("context", "contextId", 4), ("id", "streamId", 4), ("priority", "priority", 4)]),
    "external": ("EXTERNAL_CORRELATION", [
        ("external_kind", "externalKind", 4), ("external_id", "externalId", 8), ("correlation", "correlationId", 4)]),
}

CUDA_H = """
#pragma once
#include <stddef.h>
#include <stdint.h>
typedef struct { char bytes[16]; } CUuuid;
typedef void *CUcontext, *CUstream, *CUfunction, *CUmodule, *CUgraph, *CUgraphExec, *CUgraphNode, *CUevent, *CUgreenCtx, *CUdevResourceDesc, *CUlibrary, *CUkernel;
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef int CUresult;
typedef int CUdevResourceType, CUgraphNodeType, CUdevice_attribute, CUstreamAttrID, CUstreamAttrValue;
typedef struct { void *base; } CUaccessPolicyWindow;
"""


def fail(text):
    sys.exit(f"error: {text}")


def fetch(folder, wheels=WHEELS):
    """Puts the headers of every wheel into folder/VERSION."""
    for package, versions in wheels.items():
        for version in versions:
            place = os.path.join(folder, version)
            os.makedirs(place)
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", place, f"{package}=={version}"], check=True)
            with zipfile.ZipFile(glob.glob(place + "/*.whl")[0]) as wheel:
                for name in wheel.namelist():
                    if "/include/" in name and name.endswith(".h"):
                        with open(os.path.join(place, os.path.basename(name)), "wb") as file:
                            file.write(wheel.read(name))


def structures(header):
    """Kind -> name of the structure of its records."""
    text = open(header).read()
    kinds = text[: text.index("} CUpti_ActivityKind;")]
    kinds = kinds[kinds.rindex("typedef enum"):]
    found = {}
    for comment, kind in re.findall(r"/\*\*(.*?)\*/\s*CUPTI_ACTIVITY_KIND_(\w+)\s*=", kinds, re.S):
        names = re.findall(r"CUpti_Activity\w+", comment)
        if names:
            found[kind] = names[0]
    return found


def members(folder, structure):
    """The names of the members of a structure, unions left out."""
    for header in ("cupti_activity.h", "cupti_activity_deprecated.h"):
        path = os.path.join(folder, header)
        if not os.path.exists(path):
            continue
        text = re.sub(r"/\*.*?\*/", "", open(path).read(), flags=re.S)
        end = re.search(r"\}\s*" + structure + r";", text)
        if end:
            body = text[text.rindex("typedef struct", 0, end.start()): end.start()]
            return set(re.findall(r"(\w+)(?:\[\w+\])?;", body))
    fail(f"{folder}: no structure {structure}")


def layout(folder):
    """(version of CUPTI, {record: (structure, size, {field: offset or None})})."""
    kinds = structures(os.path.join(folder, "cupti_activity.h"))
    lines, present = [], {}
    for record, (kind, fields) in RECORDS.items():
        structure = kinds[kind]
        have = members(folder, structure)
        for rust, c, size in fields:
            if c.split(".")[0] in have:
                lines.append(f'_Static_assert(sizeof((({structure} *)0)->{c}) == {size}, "{structure}.{c}");')
                lines.append(f'printf("{record} {rust} %zu\\n", offsetof({structure}, {c}));')
        present[record] = structure
    widths = {(record, rust): size for record, (_, fields) in RECORDS.items() for rust, _, size in fields}
    with tempfile.TemporaryDirectory() as place:
        for name, text in {"cuda.h": CUDA_H, "builtin_types.h": "", "main.c": program(lines)}.items():
            open(os.path.join(place, name), "w").write(text)
        binary = os.path.join(place, "main")
        subprocess.run(["cc", "-w", "-I", folder, "-I", place, "-o", binary, os.path.join(place, "main.c")], check=True)
        rows = subprocess.run([binary], check=True, capture_output=True, text=True).stdout.splitlines()
    version, found = int(rows[0]), {record: {} for record in RECORDS}
    for row in rows[1:]:
        record, field, value = row.split()
        found[record][field] = int(value)
        found[record]["read"] = max(found[record].get("read", 0), int(value) + widths[record, field])
    return version, {record: (present[record], found[record]) for record in RECORDS}


def program(lines):
    body = "\n  ".join(lines)
    return ("#include <stdio.h>\n#include <stddef.h>\n#include <cuda.h>\n#include <cupti_version.h>\n#include <cupti_activity.h>\n"
            f'int main(void) {{\n  printf("%d\\n", CUPTI_API_VERSION);\n  {body}\n  return 0;\n}}\n')


def offsets(found):
    return {record: values for record, (_, values) in found.items()}


def differences(old, new):
    return [(record, field) for record in new for field in new[record] if old[record].get(field) != new[record][field]]


def render(versions, releases, structs, offsets):
    """The Rust source: a module of offsets a record."""
    out = ["//! Where the fields of CUPTI's activity records are, as byte offsets; `READ` is how far a record is read.", "//!",
           "//! Written by `scripts/cupti_layouts.py` from the headers in NVIDIA's wheels; do not edit. The fields that are read lie in",
           "//! the same places in CUDA " + ", ".join(releases[:9]) + ",", "//! " + ", ".join(releases[9:]) + ".", "",
           "/// `CUPTI_API_VERSION` of the oldest and newest of them.",
           f"pub(crate) const VERSIONS: std::ops::RangeInclusive<u32> = {versions[0]:_}..={versions[-1]:_};"]
    for record, (kind, fields) in RECORDS.items():
        names = sorted(structs[record], key=lambda name: int(re.sub(r"\D", "", name) or 0))
        out += ["", f"/// `CUPTI_ACTIVITY_KIND_{kind}`: `" + (names[0] if len(names) == 1 else f"{names[0]}` to `{names[-1]}") + "`.",
                f"pub(crate) mod {record} {{", f"    pub(crate) const READ: usize = {offsets[record]['read']};"]
        out += [f"    pub(crate) const {rust.upper()}: usize = {offsets[record][rust]};" for rust, _, _ in fields] + ["}"]
    return "\n".join(out + [""])


def main():
    folder = sys.argv[2] if sys.argv[1:2] == ["--headers"] and len(sys.argv) == 3 else None
    if sys.argv[1:] and not folder:
        fail("usage: cupti_layouts.py [--headers FOLDER]")
    with tempfile.TemporaryDirectory() as place:
        if not folder:
            folder = place
            fetch(folder)
        versions, releases, known = [], [], None
        structs = {record: set() for record in RECORDS}
        for release in sorted(os.listdir(folder), key=lambda name: [int(part) for part in name.split(".")]):
            version, found = layout(os.path.join(folder, release))
            if known and known != offsets(found):
                fail(f"CUDA {release}: a field has moved since CUDA {releases[-1]}; decode.rs must now choose by version: {differences(known, offsets(found))}")
            known = offsets(found)
            versions.append(version)
            releases.append(release)
            for record, (structure, _) in found.items():
                structs[record].add(structure)
    print(render(versions, releases, structs, known), end="")


if __name__ == "__main__":
    main()
