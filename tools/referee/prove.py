"""Proves that clip_torch.py is a valid referee: against the golden values of the original code.

usage: python3 prove.py [FOLDER with *.expected.safetensors]   exit status 1 on any difference > 1e-5
"""
import json
import os
import sys

import torch

import clip_torch
import safetensors_io

BOUND = 1e-5


def difference(got, want):
    return float((got.double() - want.double()).abs().max() / want.double().abs().max())


def prove(folder, name):
    state, _ = safetensors_io.load(os.path.join(folder, name + ".safetensors"))
    expected, metadata = safetensors_io.load(os.path.join(folder, name + ".expected.safetensors"))
    model = clip_torch.build(state)
    golden = json.loads(metadata["config"])
    for key, value in golden.items():
        own = getattr(model.config, key)
        own = list(own) if isinstance(own, tuple) else own
        assert own == value or key.endswith("heads"), (key, own, value)
    sites = {}
    for key in expected:
        if key.startswith("act:pre:"):
            sites[key] = key[len("act:pre:"):].replace(".relu3", ".add")
        elif key.startswith("act:"):
            sites[key] = key[len("act:"):]
    worst = 0.0
    with torch.no_grad(), clip_torch.Recorder(model, sites.values()) as recorder:
        got = {"image_features": model.encode_image(expected["pixels"]),
               "text_features": model.encode_text(expected["tokens"])}
        got["logits_per_image"] = model.logits(got["image_features"], got["text_features"])
        got["probs"] = got["logits_per_image"].softmax(dim=-1)
        got.update({key: recorder[site] for key, site in sites.items()})
    for key, value in got.items():
        assert value.shape == expected[key].shape, (key, value.shape, expected[key].shape)
        error = difference(value, expected[key])
        worst = max(worst, error)
        print(f"{name:10} {key:45} {error:.1e}{'' if error <= BOUND else '  TOO LARGE'}")
    for key in (k for k in expected if k.startswith("grad:")):
        error = difference(gradient(model, key, expected), expected[key])
        worst = max(worst, error)
        print(f"{name:10} {key:45} {error:.1e}{'' if error <= BOUND else '  TOO LARGE'}")
    return worst


def gradient(model, key, expected):
    """The gradient with respect to the pixels that a `grad:` entry names."""
    pixels = expected["pixels"].clone().requires_grad_(True)
    kept = {}
    parts = key.split(":")[1:]
    if parts[0] == "logit":
        with torch.no_grad():
            text = model.encode_text(expected["tokens"])
        model.logits(model.encode_image(pixels), text)[:, int(parts[1])].sum().backward()
        return pixels.grad
    before = parts[0] == "pre"
    site, unit, where = parts[-3], int(parts[-2]), parts[-1]
    module = dict(model.named_modules())[site]
    if before:
        # keep the sum itself, not the tensor that the ReLU then overwrites
        handle = module.register_forward_pre_hook(lambda m, i: kept.update(v=i[0] * 1.0))
    else:
        handle = module.register_forward_hook(lambda m, i, o: kept.update(v=o))
    model.encode_image(pixels)
    handle.remove()
    value = kept["v"]
    if value.dim() == 3:                                   # (L, N, D)
        value = value[:, :, unit].mean(dim=0)
    else:
        value = value[:, unit]
        value = value.mean(dim=(1, 2)) if where == "mean" else value[:, value.shape[1] // 2, value.shape[2] // 2]
    value.sum().backward()
    return pixels.grad


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "../../tests/data/golden")
    torch.set_num_threads(1)
    worst = max(prove(folder, name) for name in ("rn-small", "vit-small"))
    print(f"largest relative difference {worst:.1e}, bound {BOUND:.0e}")
    sys.exit(worst > BOUND)
