"""Step 6: a checkpoint as the file that ships: OpenAI's names, every row of the vocabulary (those that no caption used are zero),
fp16 (the control's matrices with 5 bits of mantissa), safetensors. usage: export.py CHECKPOINT.pt OUT.safetensors

Positions of the text that no caption reached repeat the last trained one, so that a long text is read like a text that goes on;
the batch-norm counters of PyTorch stay out, as in the released files in fp16."""
import os
import sys

import torch

import batches
import model as M
import sources

sys.path.insert(0, os.path.join(sources.HERE, "..", "..", "tools", "referee"))
import clip_torch  # noqa: E402
import safetensors_io  # noqa: E402


def full_state(c):
    """The state dict of a CLIP with the whole vocabulary, in fp16."""
    state = {k: v.float() for k, v in c["model"].items() if not k.endswith(("num_batches_tracked", "attn_mask"))}
    rows = state["token_embedding.weight"]
    whole = torch.zeros(49408, rows.shape[1])
    whole[torch.tensor(c["vocabulary"])] = rows
    state["token_embedding.weight"] = whole
    reached = min(77, batches.longest_text(batches.Pictures().classes))
    state["positional_embedding"][reached:] = state["positional_embedding"][reached - 1]
    return {k: v.half().contiguous() for k, v in sorted(state.items())}


def coarse(x, bits=5):
    """fp16 rounded to fewer bits of mantissa (relative error at most 2^-(bits+1)), which git packs much smaller."""
    cut = 10 - bits
    raw = x.half().view(torch.int16).int() & 0xffff
    raw = (raw + (1 << (cut - 1))) >> cut << cut
    return raw.to(torch.int16).view(torch.float16)


def main():
    checkpoint, out = sys.argv[1:]
    c = torch.load(checkpoint, map_location="cpu")
    control = c["options"].get("part", c["options"].get("variant")) == "control"
    state = full_state(c)
    if control:                                              # its attention pool would make the file too large to pack
        state = {k: coarse(v) if v.ndim >= 2 else v for k, v in state.items()}
    clip_torch.build(state)                                  # all shapes fit
    metadata = {"format": "pt", "name": "specimen-control" if control else "specimen", "seed": str(c["options"]["seed"]),
                "licence": "MIT", **{k: str(c[k] + (c.get("before") or {}).get(k, 0)) for k in ("step", "seconds", "images")}}
    safetensors_io.save(out + ".new", state, metadata)
    os.replace(out + ".new", out)
    print(f"{out}: {os.path.getsize(out) / 1e6:.1f} MB, {sum(v.numel() for v in state.values()) / 1e6:.1f} M values")


if __name__ == "__main__":
    main()
