"""The steps of scripts/gpu-check and what is concluded from them."""

import os
import shutil
import sys
from pathlib import Path

import compare
import sources
from compare import FAILED, IMPOSSIBLE, OK

HERE = Path(__file__).resolve().parent
CASES = ("bf16", "f32", "stream")
# Launches in a timed run: a second and more on the fastest device for power, a fraction of it where a kernel is slow.
REPEAT = {"bf16": 2500, "f32": 60, "stream": 500}
PRECISIONS = ("f32", "bf16")
# Times that the DRAM bytes of a product may be more than compulsory: at n = 6144 both inputs and the result are 4 to 9 times the
# L2 of the devices that this runs on, and blocks of rows are read again; more than 8 times would be another count. `stream`
# reads everything once.
MOST_DRAM = {"bf16": 8.0, "f32": 8.0, "stream": 1.05}
FFMA = "smsp__sass_thread_inst_executed_op_{}_pred_on.sum"


class Check:
    """What the steps share: the runner, the binary, what is known so far, the rows."""

    def __init__(self, runner, proftool, quick, parameters=()):
        self.runner, self.proftool, self.quick = runner, proftool, quick
        self.parameters = [word for parameter in parameters for word in ("--set", parameter)]
        self.work, self.rows, self.said = runner.work, [], {}
        self.cupti, self.pages, self.clock_hz = {}, {}, None
        self.torch = self.ncu = None

    # --- helpers

    def json(self, name, words, limit_s=120):
        """Rows that proftool prints as JSON; an empty list where it fails."""
        said = self.runner.run(name, [self.proftool, *words, "--format", "json"], limit_s)
        return (sources.read_json(said.out) or []) if said.ok else []

    def metric(self, artifact, metric):
        return self.json(f"metric-{metric}-{artifact.parent.name}", ["analyze", "--artifacts", artifact, "--metric", metric])

    def program(self, case, repeat, out):
        return [sys.executable, HERE / "program.py", "--case", case, "--repeat", repeat, "--out", out]

    def known(self, out):
        """What a program wrote about itself."""
        path = Path(out)
        return sources.read_json(path.read_text()) if path.exists() else None

    def artifact(self, folder):
        """The artifact that a capture made; its absence is a row, since something else told that it worked."""
        found = sources.artifacts(folder)
        return found[-1] if found else None

    # --- steps

    def doctor(self):
        said = self.runner.step("doctor", [self.proftool, "doctor", "--format", "json", "--artifacts", self.work / "artifacts"], 60)
        return sources.read_json(said.out)

    def has_torch(self):
        said = self.runner.run("torch", [sys.executable, "-c", "import torch; assert torch.cuda.is_available(); print(torch.__version__)"], 120)
        self.torch = said.out.strip() if said.ok else None
        # A step that found no time says nothing about the machine.
        verdict = OK if self.torch else FAILED if said.code is None else IMPOSSIBLE
        return self.runner.note("torch", verdict, self.torch or said.reason(), said.seconds)

    def has_ncu(self):
        """Finds ncu as proftool does, and counts one kernel with it: whether this machine lets it."""
        folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
        folders += sorted(Path("/opt/nvidia/nsight-compute").glob("*"), reverse=True) + sorted(Path("/usr/local").glob("cuda*/bin"), reverse=True)
        self.ncu = next((folder / "ncu" for folder in folders if os.access(folder / "ncu", os.X_OK)), None)
        if not self.ncu:
            return self.runner.note("ncu", IMPOSSIBLE, "ncu was not found")
        if not self.torch:
            self.ncu = None
            return self.runner.note("ncu", IMPOSSIBLE, "no PyTorch, which is what is profiled")
        # A small kernel, before anything long is tried.
        words = [self.ncu, "--metrics", "gpu__time_duration.sum", "--csv", "--page", "raw", "--log-file", self.work / "probe.csv",
                 sys.executable, "-c", "import torch; torch.ones(8, device='cuda'); torch.cuda.synchronize()"]
        said = self.runner.run("ncu-probe", words, 120)
        page = self.work / "probe.csv"
        text = page.read_text(errors="replace") if page.exists() else ""
        if said.ok and sources.ncu_page(page):
            return self.runner.note("ncu", OK, str(self.ncu), said.seconds)
        lines = [line for line in (text + "\n" + said.err + "\n" + said.out).splitlines() if "ERROR" in line or "error" in line.lower()]
        self.ncu = None
        return self.runner.note("ncu", IMPOSSIBLE, lines[0][:300] if lines else said.reason(), said.seconds)

    def ceilings(self):
        helped = self.runner.run("ceilings-help", [self.proftool, "ceilings", "--help"], 30).out
        device = ["--device", "cuda"] if "--device" in helped else []
        said = self.runner.step("ceilings", [self.proftool, "ceilings", *device, "--format", "json"], 100 if self.quick else 300)
        return sources.read_json(said.out) if said.ok else None

    def pipeline(self, precision, graph):
        """The pair with its graph, or the optimized target alone without one: as it is captured by default."""
        name = f"pipeline-{precision}-graph-{graph}"
        target = "pipeline_parallelism" if graph == "on" else "optimized_pipeline_parallelism"
        size = ["--iterations", "2", "--blocks", "4"] if self.quick else []
        off = [] if graph == "on" else ["--set", "graph=off"]
        folder = self.work / "artifacts" / name
        said = self.runner.step(name, [self.proftool, "run", "--target", target, "--backend", "cuda", "--profile", "minimal", *size,
                                       "--set", f"precision={precision}", *off, *self.parameters, "--artifacts", folder, "--reports", self.work / "reports" / name], 240)
        found = sources.artifacts(folder)
        if said.ok and not found:
            self.rows.append(compare.row(f"{name}: artifacts", 1, 0, "at least", FAILED, "it ended well and left none"))
        for artifact in found:
            manifest = sources.manifest(artifact)
            self.rows.append(compare.outputs(f"{name}, {manifest['target']['name']}", manifest))
            kinds = sorted({device["kind"] for device in manifest["devices"]})
            self.rows.append(compare.equal(f"{name}, {manifest['target']['name']}: devices are CUDA's", ["cuda"], kinds, "what the trace names"))
        return found

    def pipeline_counted(self):
        """Preset `roofline` over a built-in target: small, since every kernel is replayed."""
        name, target = "pipeline-roofline", "optimized_pipeline_parallelism"
        folder = self.work / "artifacts" / name
        said = self.runner.step(name, [self.proftool, "run", "--target", target, "--backend", "cuda", "--profile", "roofline", "--set", "graph=off",
                                       "--iterations", "1", "--warmup", "1", "--blocks", "1", *self.parameters, "--artifacts", folder,
                                       "--reports", self.work / "reports" / name], 300, may_refuse=True)
        artifact = self.artifact(folder)
        if not said.ok or not artifact:
            return
        self.rows.append(compare.outputs(name, sources.manifest(artifact)))
        rows = self.kernel_rows(name, artifact)
        counted = [row["name"] for row in rows if "counter" in (row.get("flop_source") or row.get("bytes_source") or "")]
        self.rows.append(compare.truth(f"{name}: kernels have counts", bool(counted), f"{len(counted)} of {len(rows)} kernels"))

    def recorded(self, case):
        """The injected recorder over an unmodified program, with NVML samples beside it."""
        name, folder = f"recorder-{case}", self.work / "artifacts" / f"recorder-{case}"
        repeat, out = max(1, REPEAT[case] // (4 if self.quick and case != "bf16" else 1)), self.work / f"said-{case}.json"
        words = [self.proftool, "capture", "--profile", "minimal", "--artifacts", folder, "--", *self.program(case, repeat, out)]
        said = self.runner.step(name, words, 180)
        artifact, known = self.artifact(folder), self.known(out)
        if not said.ok or not artifact or not known:
            return
        kernels = self.metric(artifact, "kernels")
        self.cupti[case] = {kernel["name"]: kernel["launches"] / (known["repeat"] + known["warm_up"]) for kernel in kernels}
        self.said[case] = known
        self.rows.append(compare.kernel_time(case, known["event_ns"], known["repeat"], kernels))
        ranges = [one["name"] for one in self.metric(artifact, "ranges")]
        self.rows.append(compare.truth(f"{case}: the program's NVTX range was recorded", "timed" in ranges, f"{len(ranges)} rows of ranges"))
        page = next(artifact.glob("raw/*/nvml.jsonl"), None)
        if case == "bf16":
            head, samples = sources.nvml_samples(page) if page else ({}, [])
            self.clock_hz = max((device["clock_hz"] or 0 for device in head.get("devices", [])), default=None) or None
            self.rows += compare.energy(samples)

    def judge_ceilings(self, artifacts):
        roofs = [row for artifact in artifacts for row in self.metric(artifact, "roofs")]
        # A spec of a GPU states its compute capability first.
        gpus = {one["hardware"] for one in self.json("hardware", ["list", "hardware"]) if one["peaks"].startswith("sm_")}
        self.rows += compare.ceilings([row for row in roofs if row.get("spec") in gpus], self.clock_hz)

    def counted(self, case):
        """Preset `roofline` over the same program: FLOP and bytes by ncu (or CUPTI), times by the timeline."""
        name, folder, out = f"roofline-{case}", self.work / "artifacts" / f"roofline-{case}", self.work / f"said-roofline-{case}.json"
        words = [self.proftool, "capture", "--profile", "roofline", "--artifacts", folder, "--", *self.program(case, 3, out)]
        said = self.runner.step(name, words, 240, may_refuse=True)
        artifact, known = self.artifact(folder), self.known(out)
        if not said.ok or not artifact or not known:
            return
        rows = self.kernel_rows(name, artifact)
        self.judge_counts("proftool's roofline", case, known, rows, self.metric(artifact, "roofline_flop"), bool(self.ncu))
        unmatched = [row["name"] for row in rows if row["launches"] != row["matched_launches"]]
        self.rows.append(compare.equal(f"{case}: every launch of the timeline has counts", [], unmatched, "kernels without"))

    def kernel_rows(self, name, artifact):
        return [row for row in self.json(f"{name}-rows", ["roofline", "--artifacts", artifact]) if row["kind"] == "kernel"]

    def judge_counts(self, source, case, known, rows, parts, emptied):
        """FLOP of the case's own precision alone: compilers also move constants with half FMA, which counts as FLOP."""
        launches = {row["name"]: row.get("matched_launches") or row["launches"] for row in rows}
        wanted = "bf16" if case == "bf16" else "f32"
        own = [part for part in parts if not part["integer"] and part["flop"] and part["name"] in launches
               and (part["precision"] == wanted or (case == "bf16" and wanted in part["precision"]))]
        counted = [{"name": part["name"], "flop": part["flop"], "launches": launches[part["name"]]} for part in own]
        if case == "stream":
            main = max(counted, key=lambda one: one["flop"], default=None)
            each = main["flop"] / main["launches"] if main else None
            self.rows.append(compare.within(f"stream: FLOP by {source} = one a value", known["flop"], each, 0.999, 1.001, "torch.mul"))
        else:
            self.rows.append(compare.flop_of_gemm(source, case, known["n"], counted))
        main = max((row for row in rows if row.get("dram_bytes")), key=lambda row: row["dram_bytes"], default=None)
        each = main["dram_bytes"] / launches[main["name"]] if main else None
        self.rows.append(compare.dram(source, case, known, each, MOST_DRAM[case], emptied))

    def counted_by_hand(self, case):
        """ncu without proftool, with aggregates and leaves: an independent count."""
        names = self.names()
        wanted = [name for name in names if name.startswith(compare.TENSOR) and ("bf16" in name or "fp16" in name)]
        wanted += [name for name in ("dram__bytes", "dram__bytes_read", "dram__bytes_write", "dram__bytes_op_read", "dram__bytes_op_write") if name in names]
        vector = [FFMA.format(f"f{operation}") for operation in ("add", "mul", "fma")]
        # ncu refuses a whole command line for one name that it does not know.
        metrics = [f"{name}.sum" for name in wanted] + [name for name in vector if name.removesuffix(".sum") in names] + ["gpu__time_duration.sum"]
        page, out = self.work / "pages" / f"{case}.csv", self.work / f"said-ncu-{case}.json"
        page.parent.mkdir(exist_ok=True)
        words = [self.ncu, "--csv", "--page", "raw", "--print-units", "base", "--clock-control", "none", "--cache-control", "all",
                 "--metrics", ",".join(metrics), "--log-file", page, *self.program(case, 3, out)]
        said = self.runner.step(f"ncu-{case}", words, 240, may_refuse=True)
        known = self.known(out)
        if not said.ok or not known:
            return
        rows = sources.ncu_page(page)
        values, kernel, launches = sources.largest(rows)
        self.pages[case] = sources.by_kernel(rows)
        if case != "stream":
            tensor = max((values[name] for name in values if (parts := compare.parse_tensor(name)) and parts[0] is None), default=0.0)
            vector = sum(values.get(FFMA.format(name), 0.0) * flop for name, flop in (("fadd", 1), ("fmul", 1), ("ffma", 2)))
            counted = {"flop": (vector if case == "f32" else tensor) * launches, "launches": launches, "name": kernel or ""}
            self.rows.append(compare.flop_of_gemm("ncu alone", case, known["n"], [counted]))
        if case == "bf16":
            self.rows += compare.aggregates({name.removesuffix(".sum"): value for name, value in values.items()})
        self.rows.append(compare.directions(values))
        moved = values.get("dram__bytes.sum")
        self.rows.append(compare.dram("ncu alone", case, known, moved, MOST_DRAM[case], True))
        each = {name: count / (known["repeat"] + known["warm_up"]) for name, count in self.pages[case].items()}
        self.rows.append(compare.launches(f"{case}, a call of the program", each, "ncu", self.cupti.get(case), "CUPTI"))

    def names(self):
        if not hasattr(self, "queried"):
            said = self.runner.run("ncu-query", [self.ncu, "--query-metrics"], 120)
            self.queried = set(sources.query(said.out)) if said.ok else set()
        return self.queried

    def counted_by_cupti(self, case):
        """The injected recorder's range profiler: FLOP and bytes of each kernel without Nsight."""
        name, out, raw = f"range-profiler-{case}", self.work / f"said-counters-{case}.json", self.work / "raw" / f"counters-{case}"
        library = next((self.work / "cache").rglob("libproftool_inject*.so"), None)
        if not library:
            return self.runner.note(name, IMPOSSIBLE, "no step left libproftool_inject.so behind")
        raw.mkdir(parents=True, exist_ok=True)
        tensor = [name for name in sorted(self.names() if self.ncu else ()) if (parts := compare.parse_tensor(name)) and parts[0] is None and "bf16" in name]
        metrics = [f"{name}.sum" for name in tensor] + [FFMA.format(f"f{operation}") for operation in ("add", "mul", "fma")] + ["dram__bytes.sum"]
        env = {"CUDA_INJECTION64_PATH": str(library), "PROFTOOL_RAW_DIR": str(raw), "PROFTOOL_CUPTI_METRICS": ",".join(metrics)}
        said = self.runner.run(name, self.program(case, 3, out), 180, env)
        known, refused = self.known(out), said.refused()
        if refused or not known:
            return self.runner.note(name, IMPOSSIBLE if refused else FAILED, said.reason(), said.seconds)
        folder = self.work / "artifacts" / name
        imported = self.runner.run(f"{name}-import", [self.proftool, "import", raw, "--artifacts", folder], 60)
        artifact = self.artifact(folder)
        rows = [row for row in self.kernel_rows(name, artifact) if row.get("flop_source") == "counter"] if artifact else []
        if not rows:
            told = next((line for line in said.err.splitlines() if "proftool" in line), imported.reason())
            return self.runner.note(name, FAILED, f"no counts: {told[:300]}", said.seconds)
        self.runner.note(name, OK, "", said.seconds)
        self.judge_counts("CUPTI's range profiler", case, known, rows, self.metric(artifact, "roofline_flop"), False)
        return True

    # --- all of them

    def all(self):
        """Runs every step in an order in which the cheap and important come first; returns the measured ceilings."""
        ceilings = self.ceilings()
        built_in = [artifact for precision in PRECISIONS for graph in ("on", "off") for artifact in self.pipeline(precision, graph)]
        self.pipeline_counted()
        if not self.has_torch():
            self.rows += [compare.impossible("everything over a PyTorch program", "torch was not found, or finds no device")]
            self.has_ncu()
            self.judge_ceilings(built_in)
            return ceilings
        for case in CASES:
            self.recorded(case)
        self.judge_ceilings(built_in)
        if not self.has_ncu():
            self.rows.append(compare.impossible("everything that ncu counts", self.runner.steps[-1]["reason"]))
        for case in CASES:
            if self.ncu:
                self.counted_by_hand(case)
            if not (self.quick and case == "f32"):
                self.counted(case)
                self.counted_by_cupti(case)
        return ceilings


def tidy(work):
    """Removes what is large and of no use to a reader: the cache with the library."""
    shutil.rmtree(work / "cache", ignore_errors=True)
