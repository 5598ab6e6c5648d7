"""The network that is trained: the referee's CLIP (tools/referee/clip_torch.py: OpenAI's architecture and names), run without
its attention pool where that only averages, and with texts cut to their length."""
import contextlib
import math
import os
import sys

import torch
import torch.nn.functional as F

import sources
from render import path

sys.path.insert(0, os.path.join(sources.HERE, "..", "..", "tools", "referee"))
import clip_torch  # noqa: E402
import safetensors_io  # noqa: E402

RESOLUTION = 96


def config(width=32, layers=(2, 2, 2, 4), vocabulary=49408):
    return clip_torch.Config(embed_dim=width * 32, image_resolution=RESOLUTION, vision_layers=layers, vision_width=width, vocab_size=vocabulary,
                             transformer_width=256, transformer_layers=4)


def shape(large=False):
    return {"width": 64, "layers": (3, 4, 6, 4)} if large else {"width": 32, "layers": (2, 2, 2, 4)}


def weights_of(file, vocabulary):
    """The state dict of cache/FILE.pt or of an exported model, whose token rows are cut to the vocabulary; and what it came
    from: its steps, seconds and pictures."""
    if file.endswith(".safetensors"):
        state, about = safetensors_io.load(file)
        state, rows = {k: v.float() for k, v in state.items()}, {t: t for t in vocabulary}
        before = {k: float(about[k]) for k in ("step", "seconds", "images") if k in about}
    else:
        c = torch.load(path(file + ".pt"), map_location="cpu")
        state, rows = dict(c["model"]), {t: i for i, t in enumerate(c["vocabulary"])}
        before = {k: c[k] + (c.get("before") or {}).get(k, 0) for k in ("step", "seconds", "images")}
    old = state["token_embedding.weight"]
    new = torch.zeros(len(vocabulary), old.shape[1])     # a token that the file does not know begins at zero
    for i, t in enumerate(vocabulary):
        if t in rows:
            new[i] = old[rows[t]]
    state["token_embedding.weight"] = new
    return state, before


def averaging_(pool):
    """Sets an attention pool to plain averaging: no query sees a difference, values pass through."""
    with torch.no_grad():
        for p in pool.parameters():
            p.zero_()
        pool.v_proj.weight.copy_(torch.eye(pool.v_proj.weight.shape[0]))
        pool.c_proj.weight.copy_(torch.eye(*pool.c_proj.weight.shape))
        for p in pool.parameters():
            p.requires_grad_(False)


class Awake(torch.nn.Module):
    """ReLU whose gradient reaches units that are off where it would switch them on, at a twentieth: units that no picture
    drives any more would never come back, and there are no more units than that."""

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            on = x > 0
            ctx.save_for_backward(on)
            return x * on

        @staticmethod
        def backward(ctx, grad):
            on, = ctx.saved_tensors
            return torch.where(on, grad, .05 * grad.clamp_max(0))

    def forward(self, x):
        return self.Function.apply(x)


def build(averaging=True, **shape):
    model = clip_torch.CLIP(config(**shape))
    torch.nn.init.normal_(model.token_embedding.weight, std=.02)
    width = model.config.transformer_width
    for block in model.transformer.resblocks:
        depth = (2 * len(model.transformer.resblocks)) ** -.5
        torch.nn.init.normal_(block.attn.in_proj_weight, std=width ** -.5)
        torch.nn.init.normal_(block.attn.out_proj.weight, std=width ** -.5 * depth)
        torch.nn.init.normal_(block.mlp.c_fc.weight, std=(2 * width) ** -.5)
        torch.nn.init.normal_(block.mlp.c_proj.weight, std=width ** -.5 * depth)
    for layer in (1, 2, 3, 4):          # the residual branches start silent
        for block in getattr(model.visual, f"layer{layer}"):
            torch.nn.init.zeros_(block.bn3.weight)
    if averaging:
        averaging_(model.visual.attnpool)
        model.logit_scale.requires_grad_(False)
    return model


def stages(visual):
    """The stem, then the four stages."""
    def stem(x):
        x = visual.relu1(visual.bn1(visual.conv1(x)))
        x = visual.relu2(visual.bn2(visual.conv2(x)))
        return visual.avgpool(visual.relu3(visual.bn3(visual.conv3(x))))
    return [stem, visual.layer1, visual.layer2, visual.layer3, visual.layer4]


def freeze_(visual, count):
    """The first `count` of stem and stages keep their weights, and their batch norms what they have measured."""
    frozen = [visual.conv1, visual.bn1, visual.conv2, visual.bn2, visual.conv3, visual.bn3] if count else []
    frozen += [visual.layer1, visual.layer2, visual.layer3, visual.layer4][:max(0, count - 1)]
    for module in frozen:
        module.eval()
        for p in module.parameters():
            p.requires_grad_(False)


def last_block(visual, x, frozen=0):
    """(n, 3, R, R) -> the last block after its ReLU, (n, 1024, R/32, R/32). Any R that 32 divides. No gradient flows through the
    first `frozen` of stem and stages."""
    with torch.no_grad() if frozen else contextlib.nullcontext():
        for stage in stages(visual)[:frozen]:
            x = stage(x)
    for stage in stages(visual)[frozen:]:
        x = stage(x)
    return x


def image_features(model, pixels, averaging=True, frozen=0):
    grid = last_block(model.visual, pixels, frozen)
    if averaging:
        return grid.float().mean((2, 3))
    pool = model.visual.attnpool
    position = pool.positional_embedding
    if grid.shape[-1] ** 2 + 1 != len(position):         # a smaller grid while training at a lower resolution
        side = math.isqrt(len(position) - 1)
        grown = F.interpolate(position[1:].reshape(1, side, side, -1).permute(0, 3, 1, 2), size=grid.shape[-2:],
                              mode="bilinear", align_corners=False)
        position = torch.cat([position[:1], grown.flatten(2)[0].t()])
    x = grid.float().flatten(2).permute(2, 0, 1)
    x = torch.cat([x.mean(0, keepdim=True), x]) + position[:, None]
    x, _ = F.multi_head_attention_forward(
        query=x[:1], key=x, value=x, embed_dim_to_check=x.shape[-1], num_heads=pool.heads, q_proj_weight=pool.q_proj.weight,
        k_proj_weight=pool.k_proj.weight, v_proj_weight=pool.v_proj.weight, in_proj_weight=None,
        in_proj_bias=torch.cat([pool.q_proj.bias, pool.k_proj.bias, pool.v_proj.bias]), bias_k=None, bias_v=None,
        add_zero_attn=False, dropout_p=0.0, out_proj_weight=pool.c_proj.weight, out_proj_bias=pool.c_proj.bias,
        use_separate_proj_weight=True, training=False, need_weights=False)
    return x[0]


def text_features(model, tokens):
    """(n, L <= 77) -> (n, embedding). Later positions cannot be seen from the end mark, so they are not computed."""
    length = tokens.shape[1]
    x = (model.token_embedding(tokens) + model.positional_embedding[:length]).permute(1, 0, 2)
    for block in model.transformer.resblocks:
        y = block.ln_1(x)
        x = x + block.attn(y, y, y, need_weights=False, attn_mask=block.mask[:length, :length])[0]
        x = x + block.mlp(block.ln_2(x))
    x = model.ln_final(x).permute(1, 0, 2)
    return x[torch.arange(len(tokens)), tokens.argmax(-1)] @ model.text_projection
