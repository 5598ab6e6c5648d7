#!/usr/bin/env python3
"""Makes tests/data/weights: small checkpoints of every kind, and hostile ones, one for each attack.

Run once by hand with PyTorch and numpy (Debian: python3-torch python3-numpy); the files are committed, since the
tests need no Python. Number i of every tensor is (i - 8) / 4, counted in the order of the *base* tensor, so that
the tests can check values by a formula. Nothing here loads a hostile file.

    python3 tools/make_weight_fixtures.py tests/data/weights
"""
import json
import os
import pickle
import shutil
import struct
import sys
import zipfile
import zlib

import numpy as np
import torch

out = sys.argv[1]
shutil.rmtree(out, ignore_errors=True)
for folder in ("good", "bad", "arrays"):
    os.makedirs(os.path.join(out, folder))


def path(*parts):
    full = os.path.join(out, *parts)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    return full


def numbers(*shape, dtype=torch.float32):
    count = int(np.prod(shape)) if shape else 1
    return ((torch.arange(count, dtype=torch.float64) - 8) / 4).reshape(shape).to(dtype)


# ---- good: PyTorch ----

base = numbers(4, 6)
views = {
    "base": base,
    "transposed": base.t(),               # shares the storage
    "rows": base[1:3],                    # an offset
    "columns": base[:, 2:4],              # rows apart
    "cube": numbers(2, 3, 4).permute(2, 0, 1),
    "half": numbers(40, dtype=torch.float16),
    "scalar": torch.tensor(0.25),
    "count": torch.tensor(7),
    "empty": torch.zeros(0, 3),
}
torch.save(views, path("good", "views.pt"))
torch.save(views, path("good", "legacy.pt"), _use_new_zipfile_serialization=False)
torch.save(views, path("good", "protocol4.pt"), pickle_protocol=4)
torch.save(views, path("good", "legacy_protocol4.pt"), pickle_protocol=4, _use_new_zipfile_serialization=False)
torch.save({"w": numbers(5, 4, dtype=torch.bfloat16)}, path("good", "bf16.pt"))

linear = torch.nn.Linear(4, 3)
with torch.no_grad():
    linear.weight.copy_(numbers(3, 4))
    linear.bias.copy_(numbers(3))
adam = torch.optim.AdamW(linear.parameters())
linear(torch.ones(1, 4)).sum().backward()
adam.step()
with torch.no_grad():
    linear.weight.copy_(numbers(3, 4))
    linear.bias.copy_(numbers(3))
state = {"module." + k: v for k, v in linear.state_dict().items()}
torch.save({"epoch": 3, "name": "tiny", "state_dict": state, "optimizer": adam.state_dict(),
            "loss": np.float64(0.5), "scaler": {"scale": 65536.0, "device": torch.device("cpu")}},
           path("good", "checkpoint.pt"))
torch.save(dict(linear.named_parameters()), path("good", "parameters.pt"))


class Inner(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = linear
        self.register_buffer("steps", torch.tensor(7))

    def forward(self, x):
        return self.fc(x)


class Outer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList([Inner(), Inner()])
        self.scale = torch.nn.Parameter(numbers(2, dtype=torch.float16))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


torch.jit.script(Outer()).save(path("good", "script.pt"))
torch.save({"state_dict": "none", "w": numbers(3)}, path("good", "odd_keys.pt"))

# ---- good: safetensors ----


def safetensors(file, tensors, metadata=None, raw_header=None, length=None, tail=b""):
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, payload) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(payload)]}
        data += payload
    text = raw_header if raw_header is not None else json.dumps(header).encode()
    with open(file, "wb") as f:
        f.write(struct.pack("<Q", len(text) if length is None else length) + text + data + tail)


def payload(t):
    if t.dtype == torch.bfloat16:
        return t.float().numpy().view(np.uint32).__rshift__(16).astype(np.uint16).tobytes()
    return t.numpy().tobytes()


kinds = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}
tensors = {k.lower(): (k, [3, 7], payload(numbers(3, 7, dtype=v))) for k, v in kinds.items()}
for kind, dtype in {"I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8}.items():
    tensors[kind.lower()] = (kind, [5], np.arange(5, dtype=dtype).tobytes())
tensors["bool"] = ("BOOL", [3], b"\x00\x01\x01")
tensors["scalar"] = ("F32", [], payload(numbers()))
tensors["empty"] = ("F32", [0, 4], b"")
tensors["na\u00efve \u2603"] = ("U8", [1], b"\x07")
safetensors(path("good", "dtypes.safetensors"), tensors, {"format": "pt", "note": "quote \" and \n newline"})

a, b = numbers(2, 3), numbers(4)
weights = {"a": ("F32", [2, 3], payload(a)), "b": ("F32", [4], payload(b))}
config = json.dumps({"model_type": "clip", "note": "made for the tests"})
for folder in ("hf_shards", "hf_bin_shards", "hf_bin", "open_clip", "open_clip_bin", "both"):
    os.makedirs(path("good", folder, "x")[:-2], exist_ok=True)
    name = "open_clip_config.json" if folder.startswith("open_clip") else "config.json"
    with open(path("good", folder, name), "w") as f:
        f.write(config)
safetensors(path("good", "hf_shards", "model-00001-of-00002.safetensors"), {"a": weights["a"]})
safetensors(path("good", "hf_shards", "model-00002-of-00002.safetensors"), {"b": weights["b"]})
with open(path("good", "hf_shards", "model.safetensors.index.json"), "w") as f:
    json.dump({"metadata": {"total_size": 40}, "weight_map": {"a": "model-00001-of-00002.safetensors",
                                                             "b": "model-00002-of-00002.safetensors"}}, f)
torch.save({"a": a}, path("good", "hf_bin_shards", "pytorch_model-00001-of-00002.bin"))
torch.save({"b": b}, path("good", "hf_bin_shards", "pytorch_model-00002-of-00002.bin"))
with open(path("good", "hf_bin_shards", "pytorch_model.bin.index.json"), "w") as f:
    json.dump({"metadata": {"total_size": 40}, "weight_map": {"a": "pytorch_model-00001-of-00002.bin",
                                                             "b": "pytorch_model-00002-of-00002.bin"}}, f)
torch.save({"a": a, "b": b}, path("good", "hf_bin", "pytorch_model.bin"))
safetensors(path("good", "open_clip", "open_clip_model.safetensors"), weights)
torch.save({"a": a, "b": b}, path("good", "open_clip_bin", "open_clip_pytorch_model.bin"))
safetensors(path("good", "both", "model.safetensors"), weights)
torch.save({"wrong": a}, path("good", "both", "pytorch_model.bin"))

# ---- bad: safetensors ----


def bad(name):
    return path("bad", name)


def header(name, text, data=b"", length=None):
    safetensors(bad(name + ".safetensors"), {}, raw_header=text.encode() if isinstance(text, str) else text,
                length=length, tail=data)


f32 = '"dtype":"F32","shape":[2],"data_offsets"'
header("st_length_absurd", "{}", length=2**63 + 5)
header("st_length_beyond", "{}", length=1000)
header("st_short", "", length=0)
with open(bad("st_tiny.safetensors"), "wb") as f:
    f.write(b"\x02\x00\x00")
header("st_not_json", '{"a":{"dtype":"F32"')
header("st_no_object", '{{"a"}}')
header("st_deep", '{"__metadata__":{"x":' + "[" * 200 + "]" * 200 + "}}")
header("st_duplicate_tensor", '{"a":{%s:[0,8]},"a":{%s:[8,16]}}' % (f32, f32), bytes(16))
header("st_duplicate_module", '{"a":{%s:[0,8]},"module.a":{%s:[8,16]}}' % (f32, f32), bytes(16))
header("st_duplicate_property", '{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8))
header("st_overlap", '{"a":{%s:[0,8]},"b":{%s:[4,12]}}' % (f32, f32), bytes(12))
header("st_same_bytes", '{"a":{%s:[0,8]},"b":{%s:[0,8]}}' % (f32, f32), bytes(8))
header("st_beyond_end", '{"a":{%s:[8,16]}}' % f32, bytes(12))
header("st_negative_offset", '{"a":{%s:[-8,0]}}' % f32, bytes(8))
header("st_reversed_offsets", '{"a":{%s:[8,0]}}' % f32, bytes(8))
header("st_offset_huge", '{"a":{%s:[0,18446744073709551624]}}' % f32, bytes(8))
header("st_size_mismatch", '{"a":{%s:[0,4]}}' % f32, bytes(8))
header("st_wrong_dtype", '{"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}', bytes(8))
header("st_shape_overflow",
       '{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}}', bytes(8))
header("st_bytes_overflow", '{"a":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}}', bytes(8))
header("st_negative_shape", '{"a":{"dtype":"F32","shape":[-2,-1],"data_offsets":[0,8]}}', bytes(8))
header("st_many_dims", '{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]}}', bytes(8))
header("st_float_shape", '{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}', bytes(8))
header("st_missing_property", '{"a":{"dtype":"F32","shape":[2]}}', bytes(8))
header("st_unknown_property", '{"a":{%s:[0,8],"x":1}}' % f32, bytes(8))
header("st_zero_in_name", '{"a\\u0000b":{%s:[0,8]}}' % f32, bytes(8))
header("st_control_in_name", '{"a\\u0007b":{%s:[0,8]}}' % f32, bytes(8))
header("st_bad_utf8", b'{"a\xff":{' + f32.encode() + b':[0,8]}}', bytes(8))
header("st_long_name", '{"%s":{%s:[0,8]}}' % ("n" * 600, f32), bytes(8))
header("st_no_tensors", "{}")
header("st_trailing", '{"a":{%s:[0,8]}} x' % f32, bytes(8))
header("st_trailing_comma", '{"a":{%s:[0,8]},}' % f32, bytes(8))

with open(bad("empty.safetensors"), "wb"):
    pass
with open(bad("lfs_pointer.safetensors"), "w") as f:
    f.write("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
with open(bad("lfs_pointer.pt"), "w") as f:
    f.write("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
with open(bad("page.pt"), "w") as f:
    f.write("<html><body>not found</body></html>\n")

# ---- bad: pickles, written opcode by opcode ----


def text(s):
    return b"X" + struct.pack("<I", len(s)) + s.encode()


def integer(n):
    return b"K" + bytes([n]) if 0 <= n < 256 else b"\x8a\x08" + struct.pack("<q", n)


def dims(values):
    return b"(" + b"".join(integer(v) for v in values) + b"t"


def tensor(key="0", numel=4, offset=0, shape=(4,), stride=(1,), kind=b"FloatStorage"):
    return (b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\n" + kind + b"\n" + text(key) +
            text("cpu") + integer(numel) + b"tQ" + integer(offset) + dims(shape) + dims(stride) +
            b"\x89ccollections\nOrderedDict\n)RtR")


def state_dict(*items):
    return b"\x80\x02}(" + b"".join(items) + b"u."


def archive(name, pkl, storages=None, compress=(), extra=None):
    with zipfile.ZipFile(bad(name), "w") as z:
        for entry, data in [("x/data.pkl", pkl)] + [("x/data/" + k, v) for k, v in
                                                    (storages or {"0": bytes(16)}).items()] + list((extra or {}).items()):
            info = zipfile.ZipInfo(entry, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED if entry in compress else zipfile.ZIP_STORED
            z.writestr(info, data)


archive("os_system.pt", b"\x80\x02cos\nsystem\n(" + text("echo pwned > /tmp/pwned") + b"tR.")
archive("eval.pt", b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.")
archive("eval_memo.pt", b"\x80\x04\x8c\x04eval\x94\x8c\x08builtins\x94h\x01h\x00\x93\x8c\x011\x85R.")
archive("subprocess.pt", b"\x80\x02}(" + text("w") + b"csubprocess\nPopen\n(" + text("sh") + b"tRu.")
archive("newobj.pt", b"\x80\x02csocket\nsocket\n)\x81}b.")
archive("inst.pt", b"\x80\x02(" + text("sh") + b"ios\nsystem\n.")
archive("obj.pt", b"\x80\x02(cos\nsystem\n" + text("sh") + b"o.")
archive("ext.pt", b"\x80\x02\x82\x01.")
archive("persid.pt", b"\x80\x02Pstorage\n.")
archive("whole_model.pt", b"\x80\x02cclip.model\nCLIP\n)\x81}b.")
archive("control_characters.pt", b"\x80\x02cev\x1b[31mil\nna\x07me\n.")
archive("script_class_in_state_dict.pt", b"\x80\x02c__torch__.m\nCLIP\n)\x81}b.")
archive("opcode.pt", b"\x80\x02\xff.")
archive("protocol9.pt", b"\x80\x09}.")
archive("empty_stack.pt", b"\x80\x02.")
archive("mark_only.pt", b"\x80\x02(.")
archive("no_mark.pt", b"\x80\x02}t.")
archive("odd_dict.pt", b"\x80\x02(" + text("a") + b"d.")
archive("string_beyond.pt", b"\x80\x02X\xff\xff\xff\x7fabc.")
archive("bytes8_beyond.pt", b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc.")
archive("long_beyond.pt", b"\x80\x02\x8b\xff\xff\xff\xff1.")
archive("frame_beyond.pt", b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f}.")
archive("unended.pt", b"\x80\x02}")
archive("memo_bomb.pt", b"\x80\x02}r\xf0\xff\xff\xff.")
archive("memo_missing.pt", b"\x80\x02h\x07.")
archive("stack_bomb.pt", b"\x80\x02" + b"(" * (2 << 20), compress=("x/data.pkl",))
archive("value_bomb.pt", b"\x80\x02" + b"N0" * (5 << 20) + b"}.", compress=("x/data.pkl",))
# A dict is doubled by BUILD: four bytes of pickle for each million of items.
script = {"x/constants.pkl": b"\x80\x02).", "x/code/m.py": b"import os\nos.abort()\n"}
half = b"c__torch__\nM\n)\x81q\x00}(" + b"NN" * 100000 + b"uq\x01" + b"b0" + b"h\x00h\x01b0" * 4000
archive("build_bomb.pt", b"\x80\x02" + half + b"h\x00.", extra=script, compress=("x/data.pkl",))
laughs = b"c__torch__\nM\n)\x81q\x00"
for i in range(30):  # module i + 1 holds module i twice
    laughs += b"0c__torch__\nM\n)\x81q" + bytes([i + 1]) + b"}(" + text("a") + b"h" + bytes([i]) + text("b") + b"h" + \
        bytes([i]) + b"ub"
archive("billion_laughs.pt", b"\x80\x02" + laughs + b".", extra=script)
archive("module_cycle.pt", b"\x80\x02c__torch__\nM\n)\x81q\x00}" + text("a") + b"h\x00sb.", extra=script)
archive("list_cycle.pt", b"\x80\x02]q\x00h\x00a.")
archive("dict_cycle.pt", b"\x80\x02}q\x00" + text("state_dict") + b"h\x00s.")
archive("not_a_dict.pt", b"\x80\x02K\x01.")
archive("tensor_of_string.pt", state_dict(text("w") + b"ctorch._utils\n_rebuild_tensor_v2\n(" + text("x") +
                                          b"K\x00)))tR"))
archive("storage_called.pt", b"\x80\x02ctorch\nFloatStorage\n)R.")
archive("storage_type_global.pt", b"\x80\x02(" + text("storage") + b"ccollections\nOrderedDict\n" + text("0") +
        text("cpu") + b"K\x04tQ.")
archive("offset_beyond.pt", state_dict(text("w") + tensor(offset=1)))
archive("offset_negative.pt", state_dict(text("w") + tensor(offset=-1)))
archive("stride_beyond.pt", state_dict(text("w") + tensor(shape=(2, 2), stride=(3, 1))))
archive("stride_negative.pt", state_dict(text("w") + tensor(stride=(-1,), offset=3)))
archive("stride_overflow.pt", state_dict(text("w") + tensor(shape=(2, 2), stride=(2**62, 2**62))))
archive("strides_missing.pt", state_dict(text("w") + tensor(shape=(2, 2), stride=(1,))))
archive("expanded.pt", state_dict(text("w") + tensor(shape=(2**20, 2**20, 2**10), stride=(0, 0, 0))))
archive("pt_shape_overflow.pt", state_dict(text("w") + tensor(shape=(2**62, 4, 4), stride=(0, 0, 0))))
archive("pt_negative_shape.pt", state_dict(text("w") + tensor(shape=(-4,))))
archive("pt_many_dims.pt", state_dict(text("w") + tensor(shape=(1,) * 9, stride=(1,) * 9)))
archive("storage_short.pt", state_dict(text("w") + tensor(numel=8, shape=(8,))))
archive("storage_numel_huge.pt", state_dict(text("w") + tensor(numel=2**62, shape=(2**62,))))
archive("storage_numel_negative.pt", state_dict(text("w") + tensor(numel=-4)))
archive("storage_missing.pt", state_dict(text("w") + tensor(key="1")))
archive("storage_outside.pt", state_dict(text("w") + tensor(key="../data.pkl")))
archive("storage_complex.pt", state_dict(text("w") + tensor(kind=b"ComplexFloatStorage")))
archive("storage_deflated.pt", state_dict(text("w") + tensor()), compress=("x/data/0",))
archive("duplicate_keys.pt", state_dict(text("w") + tensor(), text("w") + tensor()))
archive("key_is_number.pt", state_dict(b"K\x01" + tensor()))
archive("key_bad_utf8.pt", state_dict(b"X\x01\x00\x00\x00\xff" + tensor()))
archive("key_zero_byte.pt", state_dict(text("a\0b") + tensor()))
archive("no_tensors.pt", b"\x80\x02}.")
archive("big_endian.pt", state_dict(text("w") + tensor()), extra={"x/byteorder": b"big"})
archive("two_pickles.pt", state_dict(text("w") + tensor()), extra={"y/data.pkl": b"\x80\x02}."})

# ---- bad: zip ----

good = open(path("good", "bf16.pt"), "rb").read()
with open(bad("truncated.pt"), "wb") as f:
    f.write(good[:len(good) // 2])
with open(bad("no_pickle.pt"), "wb") as f:
    with zipfile.ZipFile(f, "w") as z:
        z.writestr(zipfile.ZipInfo("readme.txt", (1980, 1, 1, 0, 0, 0)), "hello")


def local(name, data, method=0, flags=0, packed=None):
    body = data if packed is None else packed
    return struct.pack("<IHHHHHIIIHH", 0x04034b50, 20, flags, method, 0, 33, zlib.crc32(data), len(body), len(data),
                       len(name), 0) + name + body


def central(name, data, offset, method=0, flags=0, packed=None, size=None, crc=None):
    body = data if packed is None else packed
    return struct.pack("<IHHHHHHIIIHHHHHII", 0x02014b50, 20, 20, flags, method, 0, 33,
                       zlib.crc32(data) if crc is None else crc, len(body), len(data) if size is None else size,
                       len(name), 0, 0, 0, 0, 0, offset) + name


def end(count, size, offset):
    return struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, count, count, size, offset, 0)


def raw_zip(name, body, directory, count, claimed=None):
    with open(bad(name), "wb") as f:
        f.write(body + directory + end(claimed or count, len(directory), len(body)))


pkl = state_dict(text("w") + tensor())
P, D = b"x/data.pkl", b"x/data/0"
inner = local(D, bytes(16))
body = local(P, pkl + inner)  # the second entry lies inside the first one's data
raw_zip("zip_overlap.pt", body, central(P, pkl + inner, 0) + central(D, bytes(16), len(body) - len(inner)), 2)
two = local(P, pkl) + inner
offset = len(local(P, pkl))
raw_zip("zip_same_name.pt", local(P, pkl) + local(P, pkl), central(P, pkl, 0) + central(P, pkl, offset), 2)
raw_zip("zip_same_entry.pt", two, central(P, pkl, 0) + central(D, bytes(16), offset) * 2, 3)
raw_zip("zip_encrypted.pt", local(P, pkl, flags=1), central(P, pkl, 0, flags=1), 1)
raw_zip("zip_method.pt", local(P, pkl, method=12), central(P, pkl, 0, method=12), 1)
raw_zip("zip_offset.pt", local(P, pkl), central(P, pkl, 5000), 1)
raw_zip("zip_size.pt", local(P, pkl), central(P, pkl + bytes(500), 0), 1)
raw_zip("zip_name.pt", local(b"x/data.pk_", pkl), central(P, pkl, 0), 1)
raw_zip("zip_ratio.pt", local(P, pkl, 8, packed=b"\x03\x00"), central(P, pkl, 0, 8, packed=b"\x03\x00", size=1 << 30), 1)
packed = zlib.compressobj(9, zlib.DEFLATED, -15)
packed = packed.compress(pkl) + packed.flush()
raw_zip("zip_crc.pt", local(P, pkl, 8, packed=packed), central(P, pkl, 0, 8, packed=packed, crc=1), 1)
raw_zip("zip_inflates_short.pt", local(P, pkl, 8, packed=packed), central(P, pkl, 0, 8, packed=packed, size=len(pkl) + 9),
        1)
raw_zip("zip_inflates_long.pt", local(P, pkl, 8, packed=packed), central(P, pkl, 0, 8, packed=packed, size=len(pkl) - 9),
        1)
raw_zip("zip_garbage.pt", local(P, pkl, 8, packed=b"\xff" * 40), central(P, pkl, 0, 8, packed=b"\xff" * 40), 1)
raw_zip("zip_count.pt", local(P, pkl), central(P, pkl, 0), 1, claimed=60000)
with open(bad("zip64_count.pt"), "wb") as f:
    body, directory = local(P, pkl), central(P, pkl, 0)
    z64 = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, 2**40, 2**40, len(directory), len(body))
    locator = struct.pack("<IIQI", 0x07064b50, 0, len(body) + len(directory), 1)
    f.write(body + directory + z64 + locator + struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, 65535, 65535, 0xffffffff,
                                                          0xffffffff, 0))
with open(bad("zip64_offset.pt"), "wb") as f:
    z64 = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, 1, 1, len(directory), 2**63)
    f.write(body + directory + z64 + locator + struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, 65535, 65535, 0xffffffff,
                                                          0xffffffff, 0))

# ---- bad: legacy ----

legacy = open(path("good", "legacy.pt"), "rb").read()
with open(bad("legacy_truncated.pt"), "wb") as f:
    f.write(legacy[:-20])
with open(bad("legacy_cut_in_pickle.pt"), "wb") as f:
    f.write(legacy[:300])
with open(bad("plain_pickle.pt"), "wb") as f:
    pickle.dump({"a": [1.0, 2.0]}, f, protocol=2)
magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
version = b"\x80\x02M\xe9\x03."
machine = b"\x80\x02}" + text("little_endian") + b"\x88s."


def legacy_file(name, obj, keys, storages, before=magic + version + machine):
    with open(bad(name), "wb") as f:
        f.write(before + obj + keys + storages)


one = b"\x80\x02]" + text("0") + b"a."
legacy_file("legacy_os_system.pt", b"\x80\x02cos\nsystem\n(" + text("sh") + b"tR.", b"", b"")
legacy_file("legacy_count.pt", pkl, one, struct.pack("<q", 2**60) + bytes(16))
legacy_file("legacy_count_negative.pt", pkl, one, struct.pack("<q", -4) + bytes(16))
legacy_file("legacy_unknown_key.pt", pkl, b"\x80\x02]" + text("9") + b"a.", struct.pack("<q", 4) + bytes(16))
legacy_file("legacy_missing_key.pt", pkl, b"\x80\x02].", b"")
legacy_file("legacy_version.pt", pkl, one, b"", before=magic + b"\x80\x02M\xe8\x03." + machine)
legacy_file("legacy_big_endian.pt", pkl, one, b"", before=magic + version + b"\x80\x02}" + text("little_endian") + b"\x89s.")
legacy_file("legacy_two_types.pt", state_dict(text("a") + tensor(), text("b") + tensor(kind=b"LongStorage")), one,
            struct.pack("<q", 4) + bytes(32))

# ---- bad: folders ----

os.makedirs(bad("folder_empty"))
with open(path("bad", "folder_empty", "readme.txt"), "w") as f:
    f.write("nothing here\n")
for name, shard in (("folder_escape", "../../good/dtypes.safetensors"), ("folder_absolute", "/etc/passwd"),
                    ("folder_missing_shard", "gone.safetensors")):
    with open(path("bad", name, "model.safetensors.index.json"), "w") as f:
        json.dump({"weight_map": {"a": shard}}, f)
safetensors(path("bad", "folder_missing_tensor", "s.safetensors"), {"a": weights["a"]})
with open(path("bad", "folder_missing_tensor", "model.safetensors.index.json"), "w") as f:
    json.dump({"weight_map": {"a": "s.safetensors", "b": "s.safetensors"}}, f)
safetensors(path("bad", "folder_twice", "s.safetensors"), {"a": weights["a"]})
safetensors(path("bad", "folder_twice", "t.safetensors"), {"a": weights["a"], "b": weights["b"]})
with open(path("bad", "folder_twice", "model.safetensors.index.json"), "w") as f:
    json.dump({"weight_map": {"a": "s.safetensors", "b": "t.safetensors"}}, f)
with open(path("bad", "folder_no_map", "model.safetensors.index.json"), "w") as f:
    json.dump({"metadata": {}}, f)

# ---- numpy arrays ----

grid = numbers(3, 5).numpy()
np.save(path("arrays", "f4.npy"), grid)
np.save(path("arrays", "fortran.npy"), np.asfortranarray(grid))
np.save(path("arrays", "scalar.npy"), np.float64(0.25))
np.save(path("arrays", "empty.npy"), np.zeros((0, 3), np.float32))
np.save(path("arrays", "big_endian.npy"), grid.astype(">f4"))
np.save(path("arrays", "u4.npy"), np.arange(3, dtype=np.uint32))
np.save(path("arrays", "objects.npy"), np.array([{}, []], dtype=object), allow_pickle=True)
np.save(path("arrays", "struct.npy"), np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]))
np.savez(path("arrays", "stored.npz"), grid=grid, half=grid.astype(np.float16), ids=np.arange(4))
np.savez_compressed(path("arrays", "compressed.npz"), grid=grid, fortran=np.asfortranarray(grid), ids=np.arange(4))
plain = open(path("arrays", "f4.npy"), "rb").read()
with open(path("arrays", "version2.npy"), "wb") as f:
    np.lib.format.write_array(f, grid, version=(2, 0))
with open(path("arrays", "truncated.npy"), "wb") as f:
    f.write(plain[:-4])
with open(path("arrays", "longer.npy"), "wb") as f:
    f.write(plain + b"1234")


def npy(name, text, data=b""):
    with open(path("arrays", name), "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data)


npy("overflow.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4), }")
npy("negative.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (-4,), }", bytes(16))
npy("expression.npy", "{'descr': __import__('os').system('sh'), 'fortran_order': False, 'shape': (4,), }", bytes(16))
npy("twice.npy", "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", bytes(16))
npy("missing.npy", "{'descr': '<f4', 'shape': (4,), }", bytes(16))
npy("dims.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,4), }", bytes(16))
with open(path("arrays", "header_beyond.npy"), "wb") as f:
    f.write(b"\x93NUMPY\x01\x00\xff\x20{'descr': '<f4'")
with open(path("arrays", "header_huge.npy"), "wb") as f:
    f.write(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr': '<f4'")
with zipfile.ZipFile(path("arrays", "not_arrays.npz"), "w") as z:
    z.writestr(zipfile.ZipInfo("readme.txt", (1980, 1, 1, 0, 0, 0)), "hello")
