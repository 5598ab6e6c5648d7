"""safetensors files to and from numpy/torch, small enough to be trusted.

Not a general reader: no mmap, no validation of hostile files. bf16 has no numpy type, so it is
kept as torch.bfloat16; everything else may be either.
"""
import json
import struct

import numpy as np
import torch

NAMES = {
    torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint8: "U8", torch.bool: "BOOL",
}
TYPES = {name: dtype for dtype, name in NAMES.items()}
NUMPY = {"F32": "<f4", "F16": "<f2", "BF16": "<i2", "F64": "<f8", "I64": "<i8", "I32": "<i4",
         "I16": "<i2", "I8": "|i1", "U8": "|u1", "BOOL": "|b1"}


def load(path):
    """Returns ({name: tensor}, metadata)."""
    with open(path, "rb") as file:
        blob = file.read()
    (size,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8:8 + size])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        array = np.frombuffer(blob[8 + size + begin:8 + size + end], NUMPY[entry["dtype"]])
        tensor = torch.from_numpy(array.reshape(entry["shape"]).copy())
        tensors[name] = tensor.view(torch.bfloat16) if entry["dtype"] == "BF16" else tensor
    return tensors, metadata


def save(path, tensors, metadata=None):
    header = {"__metadata__": metadata} if metadata else {}
    offset = 0
    parts = []
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        raw = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor
        data = raw.numpy().tobytes()
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        parts.append(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for data in parts:
            file.write(data)
