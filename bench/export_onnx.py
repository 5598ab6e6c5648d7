"""Writes the image tower of a checkpoint as an ONNX file of fixed batch size.

usage: python3 export_onnx.py CHECKPOINT BATCH OUT.onnx
"""
import os
import sys
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tools/referee"))
import torch

import clip_torch
import safetensors_io


def main():
    checkpoint, batch, out = sys.argv[1:4]
    state, _ = safetensors_io.load(checkpoint)
    model = clip_torch.build(state)
    side = model.config.image_resolution
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(model.visual, torch.randn(int(batch), 3, side, side), out + ".part", opset_version=14,
                          input_names=["pixels"], output_names=["embedding"], do_constant_folding=True)
    os.replace(out + ".part", out)


if __name__ == "__main__":
    main()
