#!/usr/bin/env python3
"""Compiles kernels/*.cu to CUBIN without a GPU and keeps the tables of docs/kernels.md.

    pip install --target DIR -r scripts/kernels/requirements.txt
    PYTHONPATH=DIR python3 scripts/kernels/cubin.py            writes the tables
    PYTHONPATH=DIR python3 scripts/kernels/cubin.py --check    fails where they differ, or a kernel spills registers

The options are those of the cuda backend, read from crates/workloads/src/cuda/kernels.rs; NVRTC's own ptxas reports
registers and spills. Only Python's standard library and NVRTC (the wheel nvidia-cuda-nvrtc, found on the module path or
given by --nvrtc) are needed.
"""

import argparse
import ctypes
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BACKEND = ROOT / "crates/workloads/src/cuda/kernels.rs"
DOCS = ROOT / "docs/kernels.md"
REQUIREMENTS = pathlib.Path(__file__).with_name("requirements.txt")
# A100; H100 and H200; B200; RTX 50 and RTX PRO 6000.
ARCHITECTURES = ["sm_80", "sm_90a", "sm_100a", "sm_120"]


def fail(message):
    sys.exit(f"error: {message}")


class Nvrtc:
    """The calls that are needed of NVRTC (nvrtc.h)."""

    def __init__(self, path):
        try:
            self.library = ctypes.CDLL(str(path))
        except OSError as error:
            fail(f"{path} can't be loaded: {error} (hint: give a libnvrtc.so with --nvrtc)")
        self.library.nvrtcGetErrorString.restype = ctypes.c_char_p

    def call(self, name, *arguments):
        status = getattr(self.library, name)(*arguments)
        if status != 0:
            fail(f"{name}: {self.library.nvrtcGetErrorString(status).decode()}")

    def version(self):
        major, minor = ctypes.c_int(), ctypes.c_int()
        self.call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        return f"{major.value}.{minor.value}"

    def compile(self, path, options):
        """The log of a compilation, which must give a CUBIN."""
        program = ctypes.c_void_p()
        source = path.read_bytes()
        self.call("nvrtcCreateProgram", ctypes.byref(program), source, path.name.encode(), 0, None, None)
        try:
            words = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
            status = self.library.nvrtcCompileProgram(program, len(options), words)
            log = self.text(program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog").decode(errors="replace")
            if status != 0:
                fail(f"{path.name} does not compile with {' '.join(options)}:\n{log}")
            cubin = self.text(program, "nvrtcGetCUBINSize", "nvrtcGetCUBIN")
            if not cubin.startswith(b"\x7fELF"):
                fail(f"{path.name} gives no CUBIN with {' '.join(options)}")
            return log
        finally:
            self.library.nvrtcDestroyProgram(ctypes.byref(program))

    def text(self, program, size_name, name):
        size = ctypes.c_size_t()
        self.call(size_name, program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(max(size.value, 1))
        self.call(name, program, buffer)
        return buffer.raw[: size.value].rstrip(b"\0") if name == "nvrtcGetProgramLog" else buffer.raw[: size.value]


def find_nvrtc():
    """libnvrtc of the wheel on the module path: nvidia/cu13/lib or nvidia/cuda_nvrtc/lib."""
    for folder in map(pathlib.Path, sys.path):
        found = sorted(folder.glob("nvidia/*/lib/libnvrtc.so.*"))
        if found:
            return found[0]
    hint = "pip install --target DIR -r scripts/kernels/requirements.txt, then PYTHONPATH=DIR"
    fail(f"no NVRTC on Python's module path (hint: {hint})")


def backend_options():
    """`OPTIONS` of the cuda backend."""
    found = re.search(r"const OPTIONS: \[&str; (\d+)\] =\s*\[(.*?)\];", BACKEND.read_text(), re.DOTALL)
    options = re.findall(r'"([^"]*)"', found.group(2)) if found else []
    if not found or len(options) != int(found.group(1)):
        fail(f"{BACKEND.relative_to(ROOT)} has no readable `const OPTIONS: [&str; N] = [...]`")
    return options


def entries(path):
    """(name(parameters), {line: formula}) of each entry in a source's header."""
    found = []
    for line in path.read_text().splitlines():
        if line.startswith("// entry "):
            found.append((line.removeprefix("// entry ").strip(), {}))
        elif found and line.startswith("//   ") and "=" in line:
            name, formula = line.removeprefix("//").split("=", 1)
            found[-1][1][name.strip()] = formula.strip()
    if not found:
        fail(f"{path.name} states no entry in its header")
    return found


def usage(log, name, path, architecture):
    """Registers, spills, shared memory and stack of a kernel, in bytes but the first, from ptxas's report."""
    found = re.search(
        rf"Function properties for {re.escape(name)}\n"
        r".*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads\n"
        r".*?Used (\d+) registers(?P<rest>[^\n]*)",
        log,
    )
    if not found:
        fail(f"{path.name}, {architecture}: ptxas reports nothing for {name}; its log:\n{log}")
    stack, stores, loads, registers = map(int, found.groups()[:4])
    shared = re.search(r"(\d+) bytes smem", found.group("rest"))
    return {
        "registers": registers,
        "spills": stores + loads,
        "shared": int(shared.group(1)) if shared else 0,
        "stack": stack,
    }


def compile_all(nvrtc, sources, options):
    """{entry: {architecture: usage}}, in the order of the sources."""
    table = {}
    for path in sources:
        names = [head.split("(")[0] for head, _ in entries(path)]
        for architecture in ARCHITECTURES:
            log = nvrtc.compile(path, [f"--gpu-architecture={architecture}", *options, "--ptxas-options=-v"])
            for name in names:
                table.setdefault(name, {})[architecture] = usage(log, name, path, architecture)
    return table


def resources_table(table, version):
    yield f"Compiled by NVRTC {version} with `--gpu-architecture=` and `{' '.join(backend_options())}`."
    yield ""
    yield "| entry | architecture | registers a thread | spilled bytes | shared bytes a block | stack bytes a thread |"
    yield "|---|---|--:|--:|--:|--:|"
    for name, rows in table.items():
        for architecture, row in rows.items():
            yield f"| {name} | {architecture} | {row['registers']} | {row['spills']} | {row['shared']} | {row['stack']} |"


def counts_table(sources):
    yield "| entry | FLOP needed | FLOP executed | DRAM bytes | bytes loaded | bytes stored |"
    yield "|---|---|---|---|---|---|"
    for path in sources:
        for head, lines in entries(path):
            flop = lines["flop"]
            cells = [flop, lines.get("executed_flop", "the same"), lines["bytes"], lines["loads"], lines["stores"]]
            yield f"| `{head}` | " + " | ".join(cell if cell == "the same" else f"`{cell}`" for cell in cells) + " |"


def replaced(text, name, lines):
    """`text` with the lines between the marks of that name exchanged."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        fail(f"{DOCS.relative_to(ROOT)} must have `{begin}` and `{end}` once each")
    head, rest = text.split(begin)
    return f"{head}{begin}\n" + "\n".join(lines) + f"\n{end}{rest.split(end)[1]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the tables differ")
    parser.add_argument("--nvrtc", type=pathlib.Path, help="libnvrtc.so to use")
    arguments = parser.parse_args()

    nvrtc = Nvrtc(arguments.nvrtc or find_nvrtc())
    version, wanted = nvrtc.version(), REQUIREMENTS.read_text().split("nvidia-cuda-nvrtc==")[1].strip()
    if not wanted.startswith(version + "."):
        hint = f"pip install --target DIR -r {REQUIREMENTS.relative_to(ROOT)}"
        fail(f"NVRTC is {version}, the tables are of {wanted} (hint: {hint})")
    sources = sorted((ROOT / "kernels").glob("*.cu"))
    table = compile_all(nvrtc, sources, backend_options())
    usages = [(name, architecture, row) for name, rows in table.items() for architecture, row in rows.items()]
    spilling = [f"{name} ({architecture}, {row['spills']} bytes)" for name, architecture, row in usages if row["spills"]]
    if spilling:
        fail(f"registers are spilled by {', '.join(spilling)}")

    before = DOCS.read_text()
    after = replaced(before, "registers", resources_table(table, version))
    after = replaced(after, "counts", counts_table(sources))
    if arguments.check and before != after:
        fail(f"{DOCS.relative_to(ROOT)} is not what the kernels compile to (hint: run this script without --check)")
    if not arguments.check and before != after:
        DOCS.write_text(after)
    state = "agrees" if arguments.check else "is written"
    print(f"{len(table)} kernels for {', '.join(ARCHITECTURES)}: no spills; {DOCS.relative_to(ROOT)} {state}")


if __name__ == "__main__":
    main()
