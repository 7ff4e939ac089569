"""The steps of scripts/gpu-check and what is concluded from them."""

import os
import shutil
import sys
import traceback
from pathlib import Path

import compare
import sources
from compare import FAILED, IMPOSSIBLE, OK

HERE = Path(__file__).resolve().parent
CASES = ("bf16", "f32", "stream")
# Launches in a timed run: a second and more of bf16 on the fastest device, for power; of the others so many that a slow first
# launch of the warm-up, which is in the recorder's mean and not between the events, is below 1 % of all.
REPEAT = {"bf16": 2500, "f32": 120, "stream": 500}
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
        # Why the recorder may find nothing: from doctor. What `ceilings` printed.
        self.no_cupti, self.double, self.measured = None, False, None

    # --- helpers

    def json(self, name, words, limit_s=120):
        """Rows that proftool prints as JSON. An empty list where it fails, which is a failure of its own."""
        said = self.runner.run(name, [self.proftool, *words, "--format", "json"], limit_s)
        rows = sources.read_json(said.out) if said.ok else None
        if not isinstance(rows, list):
            self.rows.append(compare.row(f"{name}: proftool answers", "JSON", None, "", FAILED, f"exit code {said.code}: {said.reason()}"))
            return []
        return rows

    def metric(self, artifact, metric):
        return self.json(f"metric-{metric}-{artifact.parent.name}", ["analyze", "--artifacts", artifact, "--metric", metric])

    def program(self, case, repeat, out):
        return [sys.executable, HERE / "program.py", "--case", case, "--repeat", repeat, "--out", out]

    def known(self, out):
        """What a program wrote about itself."""
        path = Path(out)
        return sources.read_json(path.read_text()) if path.exists() else None

    def artifact(self, folder):
        """The artifact that a capture made, if it made one."""
        found = sources.artifacts(folder)
        return found[-1] if found else None

    def left(self, name, said, folder, out=None):
        """The artifact of a step, and what its program wrote into `out`; None where the step did not end well. If it did, what is
        absent is a failure."""
        if not said.ok:
            return None, None
        artifact, known = self.artifact(folder), self.known(out) if out else {}
        for what, found in (("an artifact", artifact is not None), ("what its program says of itself", known is not None)):
            if not found:
                self.rows.append(compare.row(f"{name}: left {what}", True, False, "equal", FAILED, "it ended well and left none"))
        return (artifact, known) if artifact is not None and known is not None else (None, None)

    def guarded(self, function, *arguments):
        """Calls a step. What nobody foresaw in its results fails it, and the other steps still run."""
        try:
            return function(*arguments)
        except Exception as error:
            name = "-".join([function.__name__, *(str(one) for one in arguments if isinstance(one, str))])
            (self.runner.logs / f"{name}-traceback.log").write_text(traceback.format_exc())
            self.rows.append(compare.row(f"{name}: its results are as expected", True, False, "equal", FAILED, f"{type(error).__name__}: {error}"[:300]))
            return None

    # --- steps

    def doctor(self):
        said = self.runner.step("doctor", [self.proftool, "doctor", "--format", "json", "--artifacts", self.work / "artifacts"], 60)
        rows = sources.read_json(said.out) or []
        self.no_cupti = next((row["found"] for row in rows if row["what"] == "cupti" and row["state"] == "missing"), None)
        return rows

    def doctor_sees(self, doctor, names):
        """Doctor's devices against those that the driver lists when it is asked without proftool."""
        found = [row["found"] for row in doctor if row["what"] == "gpu" and row["state"] == "ok"]
        seen = len(found) == len(names) and all(name in row for name, row in zip(names, found))
        self.rows.append(compare.truth("doctor names the devices that the driver lists", seen, "; ".join(found)[:300] or "it names none"))

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
        said = self.runner.step("ceilings", [self.proftool, "ceilings", "--device", "cuda", "--format", "json"], 100 if self.quick else 300)
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
            if manifest["target"]["name"].startswith("optimized"):
                graphs = sum(row["launches"] for row in self.metric(artifact, "graph_launches"))
                self.rows.append(compare.equal(f"{name}: launches CUDA graphs", graph == "on", graphs > 0, f"{graphs} launches of graphs"))
        return found

    def pipeline_counted(self):
        """Preset `roofline` over a built-in target: small, since every kernel is replayed."""
        name, target = "pipeline-roofline", "optimized_pipeline_parallelism"
        folder = self.work / "artifacts" / name
        said = self.runner.step(name, [self.proftool, "run", "--target", target, "--backend", "cuda", "--profile", "roofline", "--set", "graph=off",
                                       "--iterations", "1", "--warmup", "1", "--blocks", "1", *self.parameters, "--artifacts", folder,
                                       "--reports", self.work / "reports" / name], 300, may_refuse=True, may_lack=not self.ncu)
        artifact, _ = self.left(name, said, folder)
        if not artifact:
            return
        self.rows.append(compare.outputs(name, sources.manifest(artifact)))
        rows = self.kernel_rows(name, artifact)
        counted = [row["name"] for row in rows if "counter" in (row.get("flop_source") or row.get("bytes_source") or "")]
        self.rows.append(compare.truth(f"{name}: kernels have counts", bool(counted), f"{len(counted)} of {len(rows)} kernels"))

    def recorded(self, case):
        """The injected recorder over an unmodified program, with NVML samples beside it."""
        name, folder = f"recorder-{case}", self.work / "artifacts" / f"recorder-{case}"
        out = self.work / f"said-{case}.json"
        words = [self.proftool, "capture", "--profile", "minimal", "--artifacts", folder, "--", *self.program(case, REPEAT[case], out)]
        said = self.runner.step(name, words, 180)
        artifact, known = self.left(name, said, folder, out)
        if not artifact:
            return
        kernels = self.metric(artifact, "kernels")
        self.cupti[case] = {kernel["name"]: kernel["launches"] / (known["repeat"] + known["warm_up"]) for kernel in kernels}
        self.said[case] = known
        self.rows.append(compare.kernel_time(case, known["event_ns"], known["repeat"], kernels, self.no_cupti))
        ranges = [one["name"] for one in self.metric(artifact, "ranges")]
        self.rows.append(compare.truth(f"{case}: the program's NVTX range was recorded", "timed" in ranges, f"{len(ranges)} rows of ranges"))
        page = next(artifact.glob("raw/*/nvml.jsonl"), None)
        if case == "bf16":
            head, samples = sources.nvml_samples(page) if page else ({}, [])
            self.clock_hz = max((device["clock_hz"] or 0 for device in head.get("devices", [])), default=None) or None
            self.rows += compare.energy(samples)

    def judge_ceilings(self, ceilings, artifacts):
        # The clock behind the trials, where NVML told none.
        clocks = [row["clock_hz"] for row in ceilings or [] if row.get("clock_hz")]
        self.clock_hz = self.clock_hz or max(clocks, default=None)
        roofs = [row for artifact in artifacts for row in self.metric(artifact, "roofs")]
        if ceilings and artifacts and not self.double:
            kept = sum(row["source"] == "measured" for row in roofs)
            self.rows.append(compare.truth("measured roofs are those of the artifacts", kept > 0, f"{kept} measured rows in {len(artifacts)} artifacts"))
        # A spec of a GPU states its compute capability first.
        gpus = {one["hardware"] for one in self.json("hardware", ["list", "hardware"]) if one["peaks"].startswith("sm_")}
        self.rows += compare.ceilings([row for row in roofs if row.get("spec") in gpus], self.clock_hz)

    def counted(self, case):
        """Preset `roofline` over the same program: FLOP and bytes by ncu (or CUPTI), times by the timeline."""
        name, folder, out = f"roofline-{case}", self.work / "artifacts" / f"roofline-{case}", self.work / f"said-roofline-{case}.json"
        words = [self.proftool, "capture", "--profile", "roofline", "--artifacts", folder, "--", *self.program(case, 3, out)]
        said = self.runner.step(name, words, 240, may_refuse=True, may_lack=not self.ncu)
        artifact, known = self.left(name, said, folder, out)
        if not artifact:
            return
        rows = self.kernel_rows(name, artifact)
        self.judge_counts("proftool's roofline", case, known, rows, self.metric(artifact, "roofline_flop"), bool(self.ncu))
        unmatched = [row["name"] for row in rows if row["launches"] != row["matched_launches"]]
        self.rows.append(compare.equal(f"{case}: every launch of the timeline has counts", [], unmatched, "kernels without"))

    def kernel_rows(self, name, artifact):
        return [row for row in self.json(f"{name}-rows", ["roofline", "--artifacts", artifact]) if row["kind"] == "kernel"]

    def judge_counts(self, source, case, known, rows, parts, emptied, why_none=None):
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
            self.rows.append(compare.flop_of_gemm(source, case, known["n"], counted, why_none=why_none))
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
            self.rows.append(compare.flop_of_gemm("ncu alone", case, known["n"], [counted], why_none="this chip may count its tensor cores by other names"))
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
        if self.runner.skips(name):
            return None
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
        self.judge_counts("CUPTI's range profiler", case, known, rows, self.metric(artifact, "roofline_flop"), False,
                          None if self.ncu or case == "f32" else "without ncu nobody lists the metrics of the tensor cores")
        return True

    # --- all of them

    def all(self, doctor, names):
        """Runs every step on the devices of these names, in an order in which the cheap and important come first."""
        run, self.double = self.guarded, compare.is_double(names)
        run(self.doctor_sees, doctor, names)
        self.measured = run(self.ceilings)
        built_in = [artifact for precision in PRECISIONS for graph in ("on", "off") for artifact in run(self.pipeline, precision, graph) or []]
        has_torch, has_ncu = run(self.has_torch), run(self.has_ncu)
        run(self.pipeline_counted)
        for case in CASES if has_torch else ():
            run(self.recorded, case)
        run(self.judge_ceilings, self.measured, built_in)
        if not has_torch:
            self.rows.append(compare.impossible("everything over a PyTorch program", "torch was not found, or finds no device"))
            return
        if not has_ncu:
            why = next((step["reason"] for step in self.runner.steps if step["step"] == "ncu"), "")
            self.rows.append(compare.impossible("everything that ncu counts", why))
        for case in CASES:
            if has_ncu:
                run(self.counted_by_hand, case)
            if not (self.quick and case == "f32"):
                run(self.counted, case)
                run(self.counted_by_cupti, case)


def tidy(work):
    """Removes what is large and of no use to a reader: the cache with the library."""
    shutil.rmtree(work / "cache", ignore_errors=True)
