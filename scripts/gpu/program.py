#!/usr/bin/env python3
"""One kernel over and over, as an unmodified PyTorch program would launch it: what profilers are checked against.

    python3 program.py --case bf16 --repeat 3 --out said.json

Cases: `bf16`, `f16`, `tf32`, `f32`: a product of two n x n matrices (2 n^3 operations); `stream`: 4 bytes read and 4 written for
each value, one multiplication. Inputs are made on the host, so that the device runs nothing else. Times are those between two
CUDA events around the launches that follow the warm-up, inside the NVTX range `timed`.
"""

import argparse
import json

WARM_UP = 2


def product(torch, case, n):
    types = {"bf16": torch.bfloat16, "f16": torch.float16, "tf32": torch.float32, "f32": torch.float32}
    torch.backends.cuda.matmul.allow_tf32 = case == "tf32"
    # Random values draw the power that a real product draws; zeros would clock higher.
    a, b = (torch.randn(n, n).to(types[case]).cuda() for _ in range(2))
    c = torch.empty(n, n, dtype=types[case], device="cuda")
    size = c.element_size() * n * n
    return lambda: torch.mm(a, b, out=c), {"flop": 2 * n**3, "read_bytes": 2 * size, "written_bytes": size}


def stream(torch, values):
    a = torch.randn(1 << 20).repeat(values >> 20).cuda()
    b = torch.empty_like(a)
    return lambda: torch.mul(a, 1.5, out=b), {"flop": values, "read_bytes": 4 * values, "written_bytes": 4 * values}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=["bf16", "f16", "tf32", "f32", "stream"], required=True)
    parser.add_argument("--n", type=int, default=6144, help="rows of a matrix; a multiple of 128, 192 and 256 fills the tiles")
    parser.add_argument("--values", type=int, default=1 << 28, help="values of `stream`, a multiple of 2^20")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", help="where to write what is known; standard output without it")
    given = parser.parse_args()
    import torch
    torch.manual_seed(17)
    run, known = stream(torch, given.values) if given.case == "stream" else product(torch, given.case, given.n)
    for _ in range(WARM_UP):
        run()
    torch.cuda.synchronize()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.nvtx.range_push("timed")
    begin.record()
    for _ in range(given.repeat):
        run()
    end.record()
    torch.cuda.synchronize()
    torch.cuda.nvtx.range_pop()
    device = torch.cuda.get_device_properties(0)
    known |= {"case": given.case, "n": given.n, "repeat": given.repeat, "warm_up": WARM_UP,
              "event_ns": begin.elapsed_time(end) * 1e6, "l2_bytes": getattr(device, "L2_cache_size", None),
              "device": device.name, "torch": torch.__version__}
    text = json.dumps(known)
    if given.out:
        with open(given.out, "w") as file:
            file.write(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
