"""PyTorch as a peer: one process that answers every line `VARIANT` with the milliseconds of a forward pass.

usage: python3 peer_torch.py CHECKPOINT PIXELS BATCH SIZE THREADS OUT VARIANT...
First line out: JSON with versions. Then `OUT.VARIANT` (float32, raw) is written for every variant
before anything is timed, and `ready` printed. Variants: fp32, fp32-channels-last, fp32-frozen (traced,
frozen, optimize_for_inference), bf16, bf16-channels-last, bf16-frozen (autocast).
"""
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tools/referee"))
import numpy as np
import torch

import clip_torch
import safetensors_io


def prepare(visual, pixels, variant):
    """A function without arguments that runs the variant once."""
    bf16 = variant.startswith("bf16")
    x = pixels
    if variant.endswith("channels-last"):
        visual = visual.to(memory_format=torch.channels_last)
        x = pixels.contiguous(memory_format=torch.channels_last)

    def context():
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16, cache_enabled=not variant.endswith("frozen"))

    if variant.endswith("frozen"):
        with torch.no_grad(), context():
            visual = torch.jit.freeze(torch.jit.trace(visual, x, check_trace=False))
            if not bf16:
                visual = torch.jit.optimize_for_inference(visual)
            visual(x), visual(x)

    def run():
        with torch.no_grad(), context():
            return visual(x)
    return run


def main():
    checkpoint, pixels, batch, size, threads, out = sys.argv[1:7]
    variants = sys.argv[7:]
    torch.set_num_threads(int(threads))
    state, _ = safetensors_io.load(checkpoint)
    x = torch.from_numpy(np.fromfile(pixels, np.float32).reshape(int(batch), 3, int(size), int(size)))
    mkldnn = [w for w in torch.__config__.show().split() if w.startswith("v")][:1]
    print(json.dumps({"peer": "PyTorch", "version": torch.__version__, "onednn": mkldnn[0] if mkldnn else "",
                      "threads": torch.get_num_threads()}), flush=True)
    runs = {}
    for variant in variants:
        try:
            runs[variant] = prepare(clip_torch.build(state).visual, x, variant)
            runs[variant]().float().numpy().tofile(f"{out}.{variant}")
        except Exception as error:   # a variant that this torch cannot run is left out, and said so
            print(json.dumps({"variant": variant, "error": str(error).splitlines()[0][:200]}), flush=True)
            runs.pop(variant, None)
    del state
    print("ready " + " ".join(runs), flush=True)
    for line in sys.stdin:
        run = runs[line.strip()]
        begin = time.perf_counter()
        run()
        print(f"{(time.perf_counter() - begin) * 1e3:.4f}", flush=True)


if __name__ == "__main__":
    main()
