"""Compares the program with the referee over a matrix of shapes, formats and options.

usage: python3 compare.py BUILD/clipneuron [--cases NAME,...] [--full] [--keep FOLDER]
Makes checkpoints with random weights and pictures in a temporary folder, runs `pixels`, `embed`,
`activations` and `classify` on them as a script would, and prints for every case the largest error
relative to the largest magnitude of the reference, with the tensor that has it. Exit status 1 when a
bound is broken. Run prove.py first: a referee must be right itself. Not part of the tests, because it
needs PyTorch.

Bounds: activations, embeddings, logits, probabilities 1e-4; bf16 cosine 0.999 (weights of "drawn"
statistics; "measured" ones amplify rounding, there it is shown only); batch sizes and threads 1e-5;
pixels equal.
"""
import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import torch
from PIL import Image

import clip_torch
import make_checkpoints
import safetensors_io
from clip_torch import Config

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "../../tests/data/golden")
FP32, BF16, SAME = 1e-4, 0.999, 1e-5
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]



def rn(blocks, width, size, embed, **more):
    return Config(embed, size, blocks, width, **more)


def vit(patch, width, size, layers, embed, **more):
    return Config(embed, size, layers, width, patch, **more)


# name: (config, format, dtype, statistics, extra options of the program)
CASES = {
    "rn8": (rn((1, 1, 1, 1), 8, 64, 48), "safetensors", "fp32", "drawn", []),
    "rn8-measured": (rn((1, 1, 1, 1), 8, 64, 48), "safetensors", "fp32", "measured", []),
    "rn20-deep": (rn((2, 1, 3, 2), 20, 96, 50, transformer_width=128), "state_dict", "fp16", "drawn", []),
    "rn20-bf16": (rn((1, 2, 1, 1), 20, 96, 33), "legacy", "bf16", "measured", []),
    "rn24-odd-grid": (rn((1, 1, 1, 1), 24, 288, 72, transformer_width=192, transformer_layers=1), "nested", "fp32",
                      "drawn", []),
    "rn40": (rn((2, 1, 3, 2), 40, 224, 100, context_length=32), "module", "fp16", "drawn", []),
    "rn40-160px": (rn((1, 1, 2, 1), 40, 160, 640), "safetensors", "bf16", "measured", []),
    "rn64": (rn((3, 4, 6, 3), 64, 224, 1024), "jit", "fp16", "measured", []),
    "rn64-drawn": (rn((3, 4, 6, 3), 64, 96, 1024), "jit", "fp16", "drawn", []),
    "rn80": (rn((1, 1, 2, 1), 80, 96, 640, transformer_width=320, transformer_layers=1), "openclip", "fp16", "drawn", []),
    "rn16-erf-heads": (rn((1, 1, 1, 2), 16, 64, 64, gelu="erf", vision_heads=16), "openclip-bin", "fp32", "drawn", []),
    "rn12-jit-fp32": (rn((1, 2, 1, 1), 12, 32, 20, context_length=16, transformer_layers=3), "jit", "fp32", "drawn", []),
    "vit8": (vit(8, 64, 64, 2, 40), "hf", "fp16", "drawn", []),
    "vit14-erf-heads": (vit(14, 192, 98, 3, 70, gelu="erf", vision_heads=6, vision_mlp=3.0, transformer_width=96,
                            transformer_heads=3, text_mlp=2.0), "hf-sharded", "fp32", "drawn", []),
    "vit32-erf": (vit(32, 256, 224, 4, 128, gelu="erf", context_length=32), "openclip", "fp16", "drawn", []),
    "vit16-jit": (vit(16, 128, 64, 3, 96, vocab_size=49500, transformer_width=128, transformer_layers=3), "jit", "fp16",
                  "drawn", []),
    "vit16-context": (vit(16, 128, 112, 2, 55, context_length=100), "hf-bin", "bf16", "drawn", []),
    "vit16-mlp": (vit(16, 96, 64, 2, 30, vision_mlp=2.67, vision_heads=3), "openclip", "fp32", "drawn", []),
    "vit16-width80": (vit(16, 80, 64, 2, 24), "safetensors", "fp16", "drawn", []),
    "vit32-wide": (vit(32, 768, 224, 3, 512, transformer_width=512), "state_dict", "fp16", "drawn", []),
    "vit16-override": (vit(16, 64, 48, 2, 64, gelu="erf"), "safetensors", "fp16", "drawn", ["--gelu", "erf"]),
}


def make_pictures(folder, generator):
    """Pictures of awkward sizes and kinds; returns their paths."""
    paths = [os.path.join(GOLDEN, name) for name in ("astronaut.png", "rocket.jpg", "chelsea.png")]
    for i, (w, h, mode) in enumerate(((97, 61, "RGB"), (300, 701, "L"), (33, 40, "RGB"), (512, 288, "RGB"))):
        coarse = generator.integers(0, 256, (max(2, h // 9), max(2, w // 9), 4), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((w, h), Image.BICUBIC)
        path = os.path.join(folder, f"random{i}.png")
        image.convert(mode).save(path)
        paths.append(path)
    return paths


def preprocess(path, size):
    """torchvision's Resize(bicubic) and CenterCrop on a Pillow picture, then RGB, as the original."""
    image = Image.open(path)
    w, h = image.size
    if (w, h) != (size, size) and min(w, h) != size:
        w, h = (size, int(size * h / w)) if w <= h else (int(size * w / h), size)
        image = image.resize((w, h), Image.BICUBIC)
    left, top = int(round((w - size) / 2.0)), int(round((h - size) / 2.0))
    image = image.crop((left, top, left + size, top + size)).convert("RGB")
    return np.asarray(image)


class Program:
    def __init__(self, path, folder):
        self.path, self.folder, self.count = path, folder, 0

    def __call__(self, *words):
        done = subprocess.run([self.path, *map(str, words)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"status {done.returncode} of `clipneuron {' '.join(map(str, words))[:200]}`: "
                               + done.stderr.strip()[-300:])
        return done.stdout

    def array(self, *words, ending="npy"):
        self.count += 1
        out = os.path.join(self.folder, f"out{self.count}.{ending}")
        self(*words, "-o", out)
        with np.load(out) if ending == "npz" else open(out, "rb") as file:
            got = {k: file[k] for k in file.files} if ending == "npz" else np.load(file)
        os.remove(out)
        return got


def relative(got, want):
    want = np.asarray(want, np.float64)
    if got.shape != want.shape:
        raise RuntimeError(f"shape {got.shape}, expected {want.shape}")
    if not np.isfinite(got).all():
        return float("inf")
    return float(np.abs(got - want).max() / max(np.abs(want).max(), 1e-30))


def cosine(got, want):
    a, b = np.asarray(got, np.float64).ravel(), np.asarray(want, np.float64).ravel()
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def tokens_first(name, value):
    """(L, N, D) of the transformers' inside -> (N, L, D)."""
    inside = "transformer" in name and value.dim() == 3
    return (value.permute(1, 0, 2) if inside else value).numpy()


class Worst:
    """The worst value of a group, and what has it."""

    def __init__(self, bad_is_large=True):
        self.value, self.name, self.large = (0.0 if bad_is_large else 1.0), "-", bad_is_large

    def see(self, name, value):
        if not (value <= self.value if self.large else value >= self.value):
            self.value, self.name = value, name


def run_case(program, name, folder, pictures, full):
    config, kind, dtype, statistics, options = CASES[name]
    rng = random.Random(name)
    path = os.path.join(folder, name + {"safetensors": ".safetensors"}.get(kind, "" if kind.startswith(("hf", "openclip"))
                                                                           else ".pt"))
    model = make_checkpoints.make_model(config, sum(map(ord, name)), dtype, statistics)
    make_checkpoints.write(model, path, kind, dtype)
    expected, metadata = safetensors_io.load(os.path.join(GOLDEN, "rn-small.expected.safetensors"))
    texts = json.loads(metadata["texts"])
    tokens = torch.zeros(len(texts), config.context_length, dtype=torch.int64)
    width = min(77, config.context_length)
    tokens[:, :width] = expected["tokens"][:, :width]
    keep = [i for i in range(len(texts)) if 49407 in tokens[i]]       # those that fit the context
    texts, tokens = [texts[i] for i in keep], tokens[keep]
    base = ["--model", path, *options]
    size = config.image_resolution
    result = {k: Worst() for k in ("image sites", "text sites", "features", "probs", "invariance")}
    result["bf16"] = Worst(bad_is_large=False)

    pixels_u8 = np.stack([preprocess(p, size) for p in pictures])
    got = program.array("pixels", "--size", size, *pictures)
    if not np.array_equal(got, pixels_u8):
        different = (got != pixels_u8).sum() if got.shape == pixels_u8.shape else f"shape {got.shape}"
        raise RuntimeError(f"pixels differ at {size} px: {different} values")
    pixels = (torch.from_numpy(pixels_u8.copy()).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD

    info = json.loads(program("info", *base, "--json", "--sites"))
    sites = {s["name"]: s for s in info["sites"]}
    known = clip_torch.site_modules(model)
    # `relu` sites and pooled ones of every block, a sample of the rest when there are many
    image = [n for n in sites if sites[n]["tower"] == "image"]
    text = [n for n in sites if sites[n]["tower"] == "text"]
    for n in image + text:
        if n not in known:
            raise RuntimeError(f"the program has a site {n} that the original has not")
    # A path of the original that is not listed may be another name of one that is; linear layers that run only
    # as parameters of attention have no output.
    def understood(n):
        out = os.path.join(program.folder, "understood.npy")
        inputs = pictures[:1] if n.startswith("visual") else [f"--text={texts[0]}"]
        try:
            program("activations", *base, "--site", n, *inputs, "-o", out)
        except RuntimeError:
            return False
        return True

    inert = [f"visual.attnpool.{p}_proj" for p in "qkvc"]
    result["missing"] = [n for n in known if n not in sites and n not in inert and "attn.out_proj" not in n
                         and not understood(n)]
    limit = 400 if full else 40
    if len(image) > limit or config.image_resolution > 200:
        image = sorted(rng.sample(image, min(limit // 2, len(image))), key=list(sites).index)
    last = [n for n in sites if n.endswith(".add")][-1:] + [n for n in sites if sites[n]["tower"] == "image"][-2:]
    image += [n for n in last if n not in image]

    with torch.no_grad(), clip_torch.Recorder(model, image + text) as recorder:
        image_features, text_features = model.encode_image(pixels), model.encode_text(tokens)
    logits = model.logits(image_features, text_features)
    probs = logits.softmax(dim=-1).detach().numpy()
    image_features, text_features = image_features.numpy(), text_features.numpy()
    want = {n: tokens_first(n, recorder[n]) for n in image + text}

    embed_image = [*base, "--image", *pictures]
    embed_text = [*base, *(f"--text={t}" for t in texts)]
    got_image = program.array("embed", *embed_image)
    got_text = program.array("embed", *embed_text)
    result["features"].see("image", relative(got_image, image_features))
    result["features"].see("text", relative(got_text, text_features))
    answer = json.loads(program("classify", *embed_text, "--json", *pictures))
    got_probs = np.array([i["probs"] for i in answer["images"]])
    result["probs"].see("probs", float(np.abs(got_probs - probs).max()))
    got_logits = np.array([i["logits"] for i in answer["images"]])
    result["features"].see("logits", relative(got_logits, logits.detach().numpy()))

    def activations(names, inputs, *more):
        words = [w for n in names for w in ("--site", n)]
        return program.array("activations", *base, *words, "--reduce", "none", *inputs, *more, ending="npz")

    text_inputs = [f"--text={t}" for t in texts]
    for names, inputs, group in ((image, pictures, "image sites"), (text, text_inputs, "text sites")):
        all_at_once = activations(names, inputs)
        for n in names:
            result[group].see(n, relative(all_at_once[n], want[n]))
        alone = rng.sample(names, min(3, len(names))) + (last if group == "image sites" else [])
        for n in dict.fromkeys(alone):                                 # fused differently when nothing else is read
            got = program.array("activations", *base, "--site", n, "--reduce", "none", *inputs)
            result[group].see(n + " alone", relative(got, want[n]))
            result["invariance"].see(n + " alone or with others", relative(got, all_at_once[n]))
        if info_has_bf16(program):
            for n, value in activations(names, inputs, "--dtype", "bf16").items():
                result["bf16"].see(n, cosine(value, want[n]))
    site = last[0]
    got = program.array("activations", *base, "--site", site, "--reduce", "mean", *pictures)
    axes = tuple(range(2, want[site].ndim)) if want[site].ndim == 4 else (1,) if want[site].ndim == 3 else ()
    result["image sites"].see(site + " mean", relative(got, want[site].mean(axis=axes)))
    got = program.array("activations", *base, "--site", site, "--reduce", "max", *pictures, ending="npz")
    result["image sites"].see(site + " max", relative(got[site + ".max"], want[site].max(axis=axes)))

    if info_has_bf16(program):
        result["bf16"].see("image embedding", cosine(program.array("embed", *embed_image, "--dtype", "bf16"), image_features))
        result["bf16"].see("text embedding", cosine(program.array("embed", *embed_text, "--dtype", "bf16"), text_features))
    for batch, threads in ((1, 1), (2, 2), (3, 1), (16, 2)):
        more = ["--batch", batch, "--threads", threads]
        result["invariance"].see(f"image embedding, batch {batch}, {threads} threads",
                                 relative(program.array("embed", *embed_image, *more), got_image))
        result["invariance"].see(f"text embedding, batch {batch}, {threads} threads",
                                 relative(program.array("embed", *embed_text, *more), got_text))
    return result


_bf16 = []


def info_has_bf16(program):
    if not _bf16:
        _bf16.append("avx512_bf16" in open("/proc/cpuinfo").read() or "amx_bf16" in open("/proc/cpuinfo").read())
    return _bf16[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--full", action="store_true", help="all sites of large models too")
    parser.add_argument("--keep", help="leave the checkpoints in this folder")
    args = parser.parse_args()
    torch.set_num_threads(2)
    folder = args.keep or tempfile.mkdtemp(prefix="referee.")
    os.makedirs(folder, exist_ok=True)
    program = Program(os.path.abspath(args.program), folder)
    bounds = {"image sites": FP32, "text sites": FP32, "features": FP32, "probs": FP32, "invariance": SAME}
    failed = 0
    print(f"{'case':17}{'format':13}{'dtype':6}{'statistics':11}" + "".join(f"{k:>13}" for k in [*bounds, "bf16 cosine"]))
    try:
        pictures = make_pictures(folder, np.random.default_rng(5))
        for name in args.cases.split(","):
            config, kind, dtype, statistics, _ = CASES[name]
            head = f"{name:17}{kind:13}{dtype:6}{statistics:11}"
            try:
                result = run_case(program, name, folder, pictures, args.full)
            except (RuntimeError, KeyError, OSError, ValueError) as error:
                failed += 1
                print(f"{head}  FAILED: {error}", flush=True)
                continue
            finally:
                if not args.keep:
                    for entry in os.listdir(folder):
                        if entry.startswith(name):
                            path = os.path.join(folder, entry)
                            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
            broken = [f"{k}: {result[k].name} {result[k].value:.2e} > {bound:.0e}" for k, bound in bounds.items()
                      if not result[k].value <= bound]
            if statistics == "drawn" and not result["bf16"].value >= BF16:
                broken.append(f"bf16: {result['bf16'].name} {result['bf16'].value:.6f} < {BF16}")
            if result["missing"]:
                broken.append(f"sites of the original that are missing: {' '.join(result['missing'][:6])}"
                              f" ({len(result['missing'])})")
            print(head + "".join(f"{result[k].value:13.1e}" for k in bounds) + f"{result['bf16'].value:13.5f}", flush=True)
            for line in broken:
                print(f"    {line}", flush=True)
            failed += bool(broken)
    finally:
        if not args.keep:
            shutil.rmtree(folder)
    print(f"{len(args.cases.split(',')) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
