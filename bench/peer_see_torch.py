"""PyTorch as a peer of bench_see.c: the same steps of feature visualisation as Lucent users write them.

usage: python3 peer_see_torch.py CHECKPOINT BATCH SIZE THREADS VARIANT...
A batch of Fourier-parametrised pictures with decorrelated colours; pad, jitter, scale, rotate, jitter; normalised; the trunk up to the
last block (no attention pool); the mean of one unit for each picture; backward to the coefficients; a step of Adam. Weights take no
gradients. Variants: fp32, fp32-channels-last, bf16, bf16-channels-last (autocast). Prints JSON, then `ready VARIANT...`, then
answers each line `VARIANT` with the milliseconds of a step."""
import json
import math
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tools/referee"))
import torch
import torch.nn.functional as F

import clip_torch
import safetensors_io

COLOUR = torch.tensor([[.26, .09, .02], [.27, .00, -.05], [.27, -.09, .03]])
COLOUR = COLOUR / COLOUR.norm(dim=0).max()
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)


class Picture:
    def __init__(self, n, size):
        fy, fx = torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None]
        self.scale = (size / torch.sqrt(fx * fx + fy * fy).clamp_min(1 / size) / size)[None, None, ..., None]
        self.value = (torch.randn(n, 3, size, size // 2 + 1, 2) * .01).requires_grad_(True)
        self.size = size

    def draw(self):
        spectrum = torch.view_as_complex((self.value * self.scale).contiguous())
        x = torch.fft.irfftn(spectrum, s=(self.size, self.size), norm="ortho") / 4
        return torch.sigmoid((x.permute(0, 2, 3, 1) @ COLOUR.t()).permute(0, 3, 1, 2))


def jitter(x, d):
    dx, dy = random.randrange(d), random.randrange(d)
    return x[..., dy:x.shape[-2] - d + dy, dx:x.shape[-1] - d + dx]


def turn(x, degrees):
    a = math.radians(degrees)
    theta = torch.tensor([[math.cos(a), math.sin(a), 0.0], [-math.sin(a), math.cos(a), 0.0]]).expand(len(x), 2, 3)
    return F.grid_sample(x, F.affine_grid(theta, x.shape, align_corners=False), align_corners=False)


def transformed(x, size):
    x = F.pad(x, (12, 12, 12, 12), value=.5)
    x = jitter(x, 8)
    x = F.interpolate(x, scale_factor=1 + (random.randrange(11) - 5) / 50, mode="bilinear", align_corners=False)
    x = turn(x, random.randint(-10, 10))
    x = jitter(x, 4)
    return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)     # the size that both networks see


def prepare(visual, n, size, variant):
    if variant.endswith("channels-last"):
        visual = visual.to(memory_format=torch.channels_last)
    picture = Picture(n, size)
    adam = torch.optim.Adam([picture.value], lr=.05)

    def trunk(x):
        x = visual.relu1(visual.bn1(visual.conv1(x)))
        x = visual.relu2(visual.bn2(visual.conv2(x)))
        x = visual.avgpool(visual.relu3(visual.bn3(visual.conv3(x))))
        return visual.layer4(visual.layer3(visual.layer2(visual.layer1(x))))

    def step():
        adam.zero_grad()
        x = (transformed(picture.draw(), size) - MEAN) / STD
        if variant.endswith("channels-last"):
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=variant.startswith("bf16")):
            grid = trunk(x)
        loss = -sum(grid[i, i].float().mean() for i in range(n))
        loss.backward()
        adam.step()
    return step


def main():
    checkpoint, batch, size, threads = sys.argv[1:5]
    torch.set_num_threads(int(threads))
    state, _ = safetensors_io.load(checkpoint)
    print(json.dumps({"peer": "PyTorch", "version": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    steps = {}
    for variant in sys.argv[5:]:
        visual = clip_torch.build(state).visual
        for p in visual.parameters():
            p.requires_grad_(False)
        try:
            steps[variant] = prepare(visual, int(batch), int(size), variant)
            steps[variant]()
        except Exception as error:   # a variant that this torch cannot run is left out, and said so
            print(json.dumps({"variant": variant, "error": str(error).splitlines()[0][:200]}), flush=True)
            steps.pop(variant, None)
    print("ready " + " ".join(steps), flush=True)
    for line in sys.stdin:
        begin = time.perf_counter()
        steps[line.strip()]()
        print(f"{(time.perf_counter() - begin) * 1e3:.4f}", flush=True)


if __name__ == "__main__":
    main()
