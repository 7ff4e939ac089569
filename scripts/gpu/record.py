#!/usr/bin/env python3
"""Records reference material on a GPU: known products, attention, prefill and decode, by PyTorch's profiler and by ncu.

    python3 scripts/gpu/record.py --out reference [--only gemm_bf16,decode]

Writes OUT/reference.json (per case: FLOP and compulsory bytes by arithmetic, times between CUDA events, versions) and
OUT/reference.tar.gz with `<case>.kineto.json` and `<case>.ncu.csv` (raw page, base units, clocks left alone). Without ncu, or
where it is refused, the pages are left out and the JSON says why. No environment and no host name is kept. Both importers read the
files: `proftool import CASE.kineto.json`, `proftool import CASE.ncu.csv`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
# A check leaves nothing behind in the source tree.
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))
import pack  # noqa: E402
import sources  # noqa: E402
from compare import TENSOR  # noqa: E402

WARM_UP, ITERATIONS = 3, 3
# A small decoder: layers, width, heads, prompt tokens, sequences, generated tokens.
LAYERS, WIDTH, HEADS, PROMPT, BATCH, STEPS = 4, 2048, 16, 1024, 8, 4
LIMIT_S = 240
METRICS = ["gpu__time_duration.sum", "sm__cycles_elapsed.avg.per_second", "dram__bytes.sum", "dram__bytes_read.sum", "dram__bytes_write.sum",
           "lts__t_bytes.sum", "l1tex__t_bytes.sum", "smsp__inst_executed.sum",
           *(f"smsp__sass_thread_inst_executed_op_{kind}{operation}_pred_on.sum" for kind in "dfh" for operation in ("add", "mul", "fma"))]


def gemm(torch, dtype, n):
    a, b = (torch.randn(n, n).to(dtype).cuda() for _ in range(2))
    size = a.element_size()
    return lambda: torch.mm(a, b), {"flop": 2 * n**3, "bytes": 3 * n * n * size, "what": f"torch.mm of two {n} x {n} matrices"}


def attention(torch):
    shape = (BATCH, HEADS, PROMPT, WIDTH // HEADS)
    q, k, v = (torch.randn(shape).to(torch.bfloat16).cuda() for _ in range(3))
    flop = 4 * BATCH * HEADS * PROMPT * PROMPT * (WIDTH // HEADS)
    told = {"flop": flop, "bytes": 4 * q.numel() * 2, "what": f"scaled_dot_product_attention over {shape}, no mask, bf16"}
    return lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v), told


class Decoder:
    """Layers of attention and a feed-forward part, without norms: what its products and attention cost is plain arithmetic."""

    def __init__(self, torch):
        self.torch = torch
        make = lambda rows, columns: (torch.randn(rows, columns) / rows**0.5).to(torch.bfloat16).cuda()  # noqa: E731
        self.layers = [(make(WIDTH, 3 * WIDTH), make(WIDTH, WIDTH), make(WIDTH, 4 * WIDTH), make(4 * WIDTH, WIDTH)) for _ in range(LAYERS)]
        self.keys = [[None, None] for _ in range(LAYERS)]

    def forward(self, rows, past):
        """`rows`: [sequences, tokens, width]; with `past` keys and values of earlier tokens are in front of the new ones."""
        functional = self.torch.nn.functional
        for at, (qkv, out, up, down) in enumerate(self.layers):
            heads = [part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (rows @ qkv).chunk(3, -1)]
            query, key, value = heads
            if past:
                key, value = (self.torch.cat((old, new), 2) for old, new in zip(self.keys[at], (key, value)))
            else:
                self.keys[at] = [key, value]
            mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=not past)
            rows = rows + mixed.transpose(1, 2).flatten(2) @ out
            rows = rows + functional.gelu(rows @ up, approximate="tanh") @ down
        return rows


def model_flop(tokens, keys):
    """Products of all layers, and attention of each token over `keys` of them; a causal mask is not taken off."""
    return LAYERS * BATCH * tokens * (2 * 12 * WIDTH * WIDTH + 4 * keys * WIDTH)


def prefill(torch):
    model, rows = Decoder(torch), torch.randn(BATCH, PROMPT, WIDTH).to(torch.bfloat16).cuda()
    told = {"flop": model_flop(PROMPT, PROMPT), "bytes": LAYERS * 12 * WIDTH * WIDTH * 2, "what": f"{LAYERS} layers of width {WIDTH}, {BATCH} x {PROMPT} tokens, bf16; bytes of the weights only"}
    return lambda: model.forward(rows, False), told


def decode(torch):
    model, prompt = Decoder(torch), torch.randn(BATCH, PROMPT, WIDTH).to(torch.bfloat16).cuda()
    row = torch.randn(BATCH, 1, WIDTH).to(torch.bfloat16).cuda()
    model.forward(prompt, False)

    def run():
        for _ in range(STEPS):
            model.forward(row, True)

    weights = LAYERS * 12 * WIDTH * WIDTH * 2
    keys = LAYERS * 2 * BATCH * (PROMPT + 1) * WIDTH * 2
    told = {"flop": STEPS * model_flop(1, PROMPT + 1), "bytes": STEPS * (weights + keys), "what": f"{STEPS} steps of {BATCH} sequences after {PROMPT} tokens; bytes of weights and keys, not of their copies"}
    return run, told


CASES = {
    "gemm_bf16": lambda torch: gemm(torch, torch.bfloat16, 4096),
    "gemm_f32": lambda torch: gemm(torch, torch.float32, 2048),
    "attention": attention,
    "prefill": prefill,
    "decode": decode,
}


def run_case(name, folder):
    """Inside the program that is profiled: events always, PyTorch's profiler unless ncu is at work."""
    import torch
    torch.manual_seed(17)
    torch.set_grad_enabled(False)
    call, told = CASES[name](torch)
    for _ in range(WARM_UP):
        call()
    torch.cuda.synchronize()
    if folder is None:
        # Only what lies between these two is counted (--profile-from-start off).
        torch.cuda.profiler.start()
        call()
        torch.cuda.synchronize()
        torch.cuda.profiler.stop()
        return
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(ITERATIONS):
        call()
    end.record()
    torch.cuda.synchronize()
    told |= {"event_ns": begin.elapsed_time(end) * 1e6 / ITERATIONS, "device": torch.cuda.get_device_name(0), "torch": torch.__version__}
    kinds = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=kinds, record_shapes=True) as profile:
        for step in range(ITERATIONS):
            with torch.profiler.record_function(f"iteration {step}"):
                call()
        torch.cuda.synchronize()
    profile.export_chrome_trace(str(folder / f"{name}.kineto.json"))
    (folder / f"{name}.told.json").write_text(json.dumps(told))


def ended(words):
    """How a command ended; one that took too long failed, and the cases that follow still run."""
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_S, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, None, "", f"error: ended after {LIMIT_S} s")


def ncu_page(ncu, name, folder, known):
    """The raw page of one call; a reason where there is none."""
    wanted = [metric for metric in METRICS if metric.split(".")[0] in known]
    wanted += [f"{metric}.sum" for metric in sorted(known) if metric.startswith(TENSOR)]
    page = folder / f"{name}.ncu.csv"
    words = [ncu, "--csv", "--page", "raw", "--print-units", "base", "--clock-control", "none", "--profile-from-start", "off",
             "--metrics", ",".join(wanted), "--log-file", str(page), sys.executable, str(Path(__file__).resolve()), "--case", name]
    said = ended(words)
    if said.returncode == 0 and sources.ncu_page(page):
        return None
    text = page.read_text(errors="replace") if page.exists() else ""
    page.unlink(missing_ok=True)
    told = [line for line in (text + said.stderr).splitlines() if "ERROR" in line or "error" in line.lower()]
    return (told or [f"ncu ended with {said.returncode}"])[0][:300]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder of the results")
    parser.add_argument("--only", help="cases, separated by commas: " + ", ".join(CASES))
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        return run_case(given.case, given.folder)
    names = given.only.split(",") if given.only else list(CASES)
    if not given.out or (unknown := [name for name in names if name not in CASES]):
        parser.error("--out names a folder" if not given.out else f"--only: no case is called {unknown[0]}")
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        failed = record(names, Path(place), given.out)
    return 1 if failed else 0


def record(names, place, out):
    """Records every case; the names of those that failed."""
    folder, result, failed = place / "reference", {}, []
    folder.mkdir()
    ncu = shutil.which("ncu")
    said = ended([ncu, "--query-metrics"]) if ncu else None
    known = set(sources.query(said.stdout)) if said else set()
    for name in names:
        words = [sys.executable, str(Path(__file__).resolve()), "--case", name, "--folder", str(folder)]
        said = ended(words)
        told = folder / f"{name}.told.json"
        if said.returncode != 0 or not told.exists():
            failed.append(name)
            result[name] = {"failed": (said.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]}
            continue
        result[name] = json.loads(told.read_text())
        told.unlink()
        reason = ncu_page(ncu, name, folder, known) if known else "ncu was not found, or lists no metrics"
        result[name]["ncu"] = reason or "recorded"
        print(f"{name}: {result[name]['event_ns'] / 1e6:.3f} ms; ncu: {result[name]['ncu']}", flush=True)
    words = pack.secrets(place, repository=HERE.parents[1])
    left_out = pack.pack(place, out / "reference.tar.gz", ["reference"], words)
    text = json.dumps({"cases": result, "left_out": left_out}, indent=1)
    (out / "reference.json").write_text(pack.clean("reference.json", text, words) + "\n")
    return failed


if __name__ == "__main__":
    sys.exit(main())
