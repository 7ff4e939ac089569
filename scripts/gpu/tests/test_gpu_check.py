"""The whole of scripts/gpu-check against stand-ins for the GPU's driver, PyTorch, ncu and proftool, which know no hardware: whether
it gets to its end, concludes what the stand-ins were told to say, and leaves what it promises. Nothing of it is kept."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "gpu-check"

CUDA = """
#include <string.h>
int cuInit(unsigned flags) { return 0; }
int cuDeviceGetCount(int *count) { *count = DEVICES; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "stand-in", length); return 0; }
int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
"""

# As little of PyTorch as program.py uses; nothing is computed. A launch of `case` takes 1 ms.
TORCH = """
__version__ = "stand-in"
bfloat16, float16, float32 = 2, 2.0, 4
class Tensor:
    size = 4
    def to(self, kind):
        self.size = int(kind)
        return self
    def cuda(self):
        return self
    def repeat(self, times):
        return self
    def element_size(self):
        return self.size
def randn(*shape):
    return Tensor()
def empty(*shape, dtype, device):
    return Tensor().to(dtype)
def empty_like(one):
    return Tensor()
def ones(count, device):
    return Tensor()
launched = []
def mm(a, b, out):
    launched.append(1)
mul = mm
def manual_seed(seed):
    pass
class Event:
    def __init__(self, enable_timing):
        pass
    def record(self):
        self.at = len(launched)
    def elapsed_time(self, other):
        return float(other.at - self.at)
class cuda:
    Event = Event
    is_available = staticmethod(lambda: True)
    synchronize = staticmethod(lambda: None)
    class nvtx:
        range_push = staticmethod(lambda name: None)
        range_pop = staticmethod(lambda: None)
    class get_device_properties:
        name, L2_cache_size = "stand-in", 1 << 20
        def __init__(self, index):
            pass
class backends:
    class cuda:
        class matmul:
            allow_tf32 = False
"""

NCU = r"""
import csv, os, subprocess, sys
words = sys.argv[1:]
if "--query-metrics" in words:
    print("Device stand-in\nMetric Name   Metric Type\ndram__bytes   Counter   byte\ndram__bytes_read  Counter byte\ndram__bytes_write Counter byte")
    print("smsp__sass_thread_inst_executed_op_ffma_pred_on Counter inst")
    print("\n".join(f"sm__ops_path_tensor_{name} Counter" for name in
          ("src_bf16_dst_fp32", "op_hgmma_src_bf16_dst_fp32_sparsity_off", "op_hmma_src_bf16_dst_fp32_sparsity_off")))
    sys.exit()
if os.environ.get("STAND_IN_REFUSES"):
    print("==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access counters")
    sys.exit(1)
def option(name):
    return words[words.index(name) + 1]
program = words[words.index(option("--log-file")) + 1:]
subprocess.run(program, check=True)
case = program[program.index("--case") + 1] if "--case" in program else "probe"
n, size = 6144, {"bf16": 2}.get(case, 4)
moved = {"stream": 2 << 30}.get(case, 3 * n * n * size)
value = {"gpu__time_duration.sum": 1e6, "dram__bytes.sum": moved, "dram__bytes_read.sum": moved * 2 / 3, "dram__bytes_write.sum": moved / 3}
value["smsp__sass_thread_inst_executed_op_ffma_pred_on.sum"] = n**3 if case == "f32" else 0
tensor = 2 * n**3 if case == "bf16" else 0
value |= {"sm__ops_path_tensor_src_bf16_dst_fp32.sum": tensor, "sm__ops_path_tensor_op_hgmma_src_bf16_dst_fp32_sparsity_off.sum": tensor}
metrics = option("--metrics").split(",")
with open(option("--log-file"), "w") as file:
    file.write("==PROF== Connected to process 1\n")
    page = csv.writer(file, quoting=csv.QUOTE_ALL)
    page.writerow(["ID", "Process ID", "Process Name", "Host Name", "Kernel Name", *metrics])
    page.writerow(["", "", "", "", "", *("" for _ in metrics)])
    for launch in range(5):
        page.writerow([launch, 1, "python3", "secret-host", case, *(f"{value.get(name, 0):,.0f}" for name in metrics)])
"""

PROFTOOL = r"""
import json, os, pathlib, subprocess, sys, time
words = sys.argv[1:]
def option(name):
    return words[words.index(name) + 1]
def artifact(name, **more):
    folder = pathlib.Path(option("--artifacts")) / name
    (folder / "raw" / "minimal").mkdir(parents=True)
    manifest = {"target": {"name": name}, "devices": [{"kind": "cuda"}], "results": {"verified": True, "checks": []}, "command": {"environment": {"A": "secret-value"}}}
    (folder / "manifest.json").write_text(json.dumps(manifest | more))
    return folder
n = 6144
if words[0] == "doctor":
    print(json.dumps([{"what": "gpu", "state": "ok", "found": "cuda:0 stand-in", "fix": ""}]))
elif words[0] == "ceilings":
    if os.environ.get("STAND_IN_HANGS"):
        pathlib.Path(os.environ["STAND_IN_HANGS"]).write_text(str(os.getpid()))
        time.sleep(100)
    print(json.dumps([{"clock_hz": 1000}]))
elif words[0] == "list":
    print(json.dumps([{"hardware": "stand-in", "peaks": "sm_90, 1 SM"}]))
elif words[0] == "run":
    if "graph=off" in words and "precision=bf16" in words and os.environ.get("STAND_IN_FAILS"):
        sys.exit("error: the stand-in was told to fail")
    artifact(option("--target"), results={"verified": True, "checks": [{"max_relative_error": 1e-6, "tolerance": 1e-4}]})
elif words[0] == "capture" and os.environ.get("STAND_IN_FORGETS"):
    pass
elif words[0] == "capture":
    folder = artifact("python3")
    lines = [{"head": {"devices": [{"clock_hz": 1000}]}}]
    for at in range(30):
        moment = at * 100_000_000
        lines.append({"sample": {"device": 0, "begin_ns": moment, "end_ns": moment, "values": {"power_w": 300.0, "energy_j": 30.0 * at}}})
    (folder / "raw" / "minimal" / "nvml.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (folder / "raw" / "minimal" / "big.json").write_text("x" * (7 << 20))
    (folder / "raw" / "minimal" / "ncu.ncu-rep").write_text("secret-value")
    cache = pathlib.Path(os.environ["XDG_CACHE_HOME"]) / "proftool"
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "libproftool_inject.so").write_text("")
    program = words[words.index("--") + 1:]
    subprocess.run(program, check=True)
    (folder / "program.json").write_text(json.dumps(program))
elif words[0] == "import":
    (artifact("imported") / "program.json").write_text(json.dumps(["--case", words[1].rsplit("-", 1)[1], "--repeat", "3"]))
else:
    folder, case, launches = pathlib.Path(option("--artifacts")), "bf16", 5
    if (folder / "program.json").exists():
        program = json.loads((folder / "program.json").read_text())
        case, launches = program[program.index("--case") + 1], int(program[program.index("--repeat") + 1]) + 2
    if words[0] == "roofline":
        flop = {"stream": 1 << 28}.get(case, 2 * n**3)
        moved = {"stream": 2 << 30, "bf16": 6 * n * n}.get(case, 12 * n * n)
        print(json.dumps([{"kind": "kernel", "name": case, "launches": launches, "matched_launches": launches, "flop": flop * launches,
                           "dram_bytes": moved * launches, "flop_source": "counter"}]))
    elif option("--metric") == os.environ.get("STAND_IN_MUTE"):
        sys.exit("error: the stand-in has no words for it")
    elif option("--metric") == os.environ.get("STAND_IN_ODD"):
        print(json.dumps([{"name": None}]))
    elif option("--metric") == "kernels":
        print(json.dumps([{"name": case, "launches": launches, "total_ns": 990_000 * launches}]))
    elif option("--metric") == "roofline_flop":
        flop, half = {"stream": 1 << 28}.get(case, 2 * n**3) * launches, {"name": case, "precision": "f16", "integer": False, "flop": 10**15}
        print(json.dumps([{"name": case, "precision": {"bf16": "matrix_bf16"}.get(case, "f32"), "integer": False, "flop": flop}, half]))
    elif option("--metric") == "graph_launches":
        print(json.dumps([{"launches": 4}] if "graph-on" in str(folder) else []))
    elif option("--metric") == "ranges":
        print(json.dumps([{"name": "timed"}]))
    else:
        roof = {"device": 0, "kind": "compute", "precision": "matrix_bf16", "level": None, "sparse": False, "clock_hz": 1000, "spec": "stand-in"}
        print(json.dumps([roof | {"source": "datasheet", "value": 100.0}, roof | {"source": "measured", "value": 80.0}]))
"""


def program(path, text):
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@unittest.skipUnless(shutil.which("cc"), "skipped: cc not found")
class Whole(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)
        self.driver(1)
        (self.place / "torch").mkdir()
        (self.place / "torch" / "__init__.py").write_text(TORCH)
        program(self.place / "ncu", NCU)
        program(self.place / "proftool", PROFTOOL)

    def driver(self, devices):
        (self.place / "cuda.c").write_text(CUDA)
        subprocess.run(["cc", "-shared", "-fPIC", f"-DDEVICES={devices}", "-o", self.place / "libcuda.so.1", self.place / "cuda.c"], check=True)

    def begin(self, **env):
        before = {"PATH": f"{self.place}:{os.environ['PATH']}", "PYTHONPATH": str(self.place), "PYTHONDONTWRITEBYTECODE": "1",
                  "LD_LIBRARY_PATH": str(self.place)}
        words = [sys.executable, SCRIPT, "--proftool", self.place / "proftool", "--out", self.place / "out", "--quick"]
        return subprocess.Popen(words, env={**os.environ, **before, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def check(self, **env):
        process = self.begin(**env)
        out, err = process.communicate(timeout=300)
        said = subprocess.CompletedProcess(process.args, process.returncode, out, err)
        found = json.loads((self.place / "out" / "checks.json").read_text())
        return said, {row["check"]: row["verdict"] for row in found["checks"]}, {step["step"]: step["verdict"] for step in found["steps"]}

    def test_all_that_agrees_passes_and_the_folder_is_as_promised(self):
        said, checks, steps = self.check()
        self.assertEqual({name for name, verdict in checks.items() if verdict != "ok"}, set(), said.stdout)
        self.assertEqual({name for name, verdict in steps.items() if verdict != "ok"}, set(), said.stdout)
        self.assertEqual(said.returncode, 0, said.stderr)
        out = self.place / "out"
        self.assertEqual(sorted(path.name for path in out.iterdir()),
                         ["ceilings.json", "checks.json", "details.tar.gz", "doctor.json", "report.md"])
        with tarfile.open(out / "details.tar.gz") as tar:
            names = tar.getnames()
            texts = b"".join(tar.extractfile(name).read() for name in names)
        self.assertIn("artifacts/recorder-bf16/python3/raw/minimal/nvml.jsonl", names)
        for secret in (b"secret-host", b"secret-value", str(self.place).encode()):
            self.assertFalse(secret in texts, secret)
        self.assertFalse([name for name in names if name.endswith((".so", ".ncu-rep", "big.json"))])
        self.assertIn("big.json: 7340032 bytes", (out / "report.md").read_text())
        self.assertFalse((self.place / "out.work").exists())

    def test_refused_counters_are_said_and_the_rest_goes_on(self):
        said, checks, steps = self.check(STAND_IN_REFUSES="1")
        self.assertEqual((said.returncode, steps["ncu"], steps["recorder-bf16"]), (0, "not possible here", "ok"), said.stdout)
        self.assertEqual(checks["everything that ncu counts"], "not possible here")
        self.assertIn("ERR_NVGPUCTRPERM", said.stdout)

    def test_a_step_that_fails_fails_the_check_and_the_rest_goes_on(self):
        said, _, steps = self.check(STAND_IN_FAILS="1")
        self.assertEqual((said.returncode, steps["pipeline-bf16-graph-off"], steps["roofline-stream"]), (1, "failed", "ok"))
        self.assertIn("the stand-in was told to fail", said.stdout)

    def test_what_should_be_there_and_is_not_fails(self):
        said, checks, _ = self.check(STAND_IN_FORGETS="1")
        self.assertEqual((said.returncode, checks["recorder-bf16: left an artifact"]), (1, "failed"), said.stdout)

    def test_a_metric_that_proftool_cannot_give_fails_and_the_rest_goes_on(self):
        said, checks, steps = self.check(STAND_IN_MUTE="kernels")
        self.assertIn("failed", {verdict for check, verdict in checks.items() if check.endswith(": proftool answers")})
        self.assertEqual((said.returncode, steps["roofline-stream"]), (1, "ok"), said.stdout)

    def test_results_that_nobody_foresaw_fail_their_step_and_the_rest_goes_on(self):
        said, checks, steps = self.check(STAND_IN_ODD="kernels")
        self.assertEqual(checks["recorded-bf16: its results are as expected"], "failed", said.stdout)
        self.assertEqual((said.returncode, steps["roofline-stream"]), (1, "ok"), said.stdout)

    def test_interrupted_it_ends_its_step_and_writes_what_it_knows(self):
        told = self.place / "pid"
        process = self.begin(STAND_IN_HANGS=str(told))
        deadline = time.monotonic() + 60
        while not (told.exists() and told.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.terminate()
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, err)
        self.assertIn("interrupted", (self.place / "out" / "report.md").read_text())
        self.assertRaises(ProcessLookupError, os.kill, int(told.read_text()), 0)

    def test_a_work_folder_of_somebody_else_stays(self):
        (self.place / "out.work").mkdir()
        process = self.begin()
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 2)
        self.assertIn("is in the way", err)
        self.assertTrue((self.place / "out.work").exists())

    def test_without_a_device_it_says_so_and_keeps_what_doctor_said(self):
        self.driver(0)
        said, checks, _ = self.check()
        self.assertEqual((said.returncode, checks), (3, {}), said.stdout + said.stderr)
        self.assertIn("no GPU: ", said.stdout)
        self.assertEqual(json.loads((self.place / "out" / "doctor.json").read_text())[0]["what"], "gpu")

    def test_a_binary_that_is_not_there_is_wrong_usage(self):
        said = subprocess.run([sys.executable, SCRIPT, "--proftool", "/no/such", "--out", self.place / "out"], capture_output=True, text=True)
        self.assertEqual(said.returncode, 2)
        self.assertIn("hint: cargo build", said.stderr)


if __name__ == "__main__":
    unittest.main()
