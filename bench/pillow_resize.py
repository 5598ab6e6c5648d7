"""Pillow as a peer of bench_image: answers every line on standard input with `MICROSECONDS CRC32`.

  resize SEED W H OUT_W OUT_H     Image.resize(BICUBIC) of a picture made of noise
  fit SEED W H SIZE               the same with torchvision's rule for the shorter side, and the centre crop
  file PATH SIZE                  open, convert("RGB"), fit
  decode PATH                     open, convert("RGB")
The first line out names the version. Each time is the best of at least 5 runs and 0.15 s.
"""
import sys
import time
import zlib

import numpy as np
import PIL
from PIL import Image


def noise(seed, w, h):
    v = np.arange(w * h * 3, dtype=np.uint64) * 2654435761 + seed * 97531
    v &= 0xFFFFFFFF
    v ^= v >> 15
    v = v * 2246822519 & 0xFFFFFFFF
    v ^= v >> 13
    return Image.fromarray((v & 255).astype(np.uint8).reshape(h, w, 3))


def fit(image, size):
    w, h = image.size
    longer = int(size * max(w, h) / min(w, h))
    rw, rh = (size, longer) if w <= h else (longer, size)
    left, top = int(round((rw - size) / 2.0)), int(round((rh - size) / 2.0))
    return image.resize((rw, rh), Image.BICUBIC).crop((left, top, left + size, top + size))


def task(words):
    if words[0] in ("resize", "fit"):
        image = noise(*map(int, words[1:4]))
        if words[0] == "fit":
            return lambda: fit(image, int(words[4]))
        return lambda: image.resize((int(words[4]), int(words[5])), Image.BICUBIC)
    if words[0] == "file":
        return lambda: fit(Image.open(words[1]).convert("RGB"), int(words[2]))
    return lambda: Image.open(words[1]).convert("RGB")


print("Pillow", PIL.__version__, flush=True)
for line in sys.stdin:
    run = task(line.split())
    crc = zlib.crc32(np.asarray(run()).tobytes())
    best, started, runs = 1e9, time.perf_counter(), 0
    while runs < 5 or time.perf_counter() - started < 0.15:
        t = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - t)
        runs += 1
    print("%.2f %08x" % (best * 1e6, crc), flush=True)
