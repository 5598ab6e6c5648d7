"""Writes CLIP checkpoints with random weights: any shape, every container format, sane statistics.

usage: python3 make_checkpoints.py --arch RN50x4 --format safetensors --dtype fp16 -o OUT [--seed N]
       python3 make_checkpoints.py --config '{"vision_layers": [1,1,1,1], "vision_width": 20}' --format hf -o OUT
formats: safetensors state_dict nested module jit hf hf-sharded hf-bin openclip openclip-bin legacy

All biases, gains and statistics are away from 0 and 1, so that none can be forgotten unnoticed. The
values are rounded to the storage type first: what the file holds is exactly what the expected values are
computed with.
"""
import argparse
import json
import os
import sys
import warnings

import torch

import clip_torch
import safetensors_io
from clip_torch import Config

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
FORMATS = ("safetensors", "state_dict", "nested", "module", "jit", "hf", "hf-sharded", "hf-bin", "openclip",
           "openclip-bin", "legacy")

_text512 = dict(transformer_width=512, transformer_layers=12)
_text640 = dict(transformer_width=640, transformer_layers=12)
_text768 = dict(transformer_width=768, transformer_layers=12)
_text1024 = dict(transformer_width=1024, transformer_layers=12)
ARCHITECTURES = {
    "RN50": Config(1024, 224, (3, 4, 6, 3), 64, **_text512),
    "RN101": Config(512, 224, (3, 4, 23, 3), 64, **_text512),
    "RN50x4": Config(640, 288, (4, 6, 10, 6), 80, **_text640),
    "RN50x16": Config(768, 384, (6, 8, 18, 8), 96, **_text768),
    "RN50x64": Config(1024, 448, (3, 15, 36, 10), 128, **_text1024),
    "ViT-B-32": Config(512, 224, 12, 768, 32, **_text512),
    "ViT-B-16": Config(512, 224, 12, 768, 16, **_text512),
    "ViT-L-14": Config(768, 224, 24, 1024, 14, **_text768),
    "ViT-L-14-336": Config(768, 336, 24, 1024, 14, **_text768),
}


def random_pixels(n, size, generator):
    """Normalised pictures with the spectrum of natural ones (amplitude about 1/frequency)."""
    f = torch.fft.fftfreq(size)[:, None].square() + torch.fft.rfftfreq(size)[None, :].square()
    f = f.sqrt().clamp(min=1 / size)
    noise = torch.fft.rfft2(torch.randn(n, 3, size, size, generator=generator)) / f
    x = torch.fft.irfft2(noise, s=(size, size))
    mixed = x + x.mean(dim=1, keepdim=True) * 1.5           # channels of pictures go together
    return mixed / mixed.std() * 1.0


def make_model(config, seed=0, dtype="fp32", statistics="drawn"):
    """A model with random weights that are exact in `dtype`.

    "drawn": PyTorch's and CLIP's initialisation, batch norm statistics drawn about 0 and 1.
    "measured": wider weights, batch norm statistics measured on random pictures, as training leaves them:
    every layer then has inputs of size 1, and rounding errors grow with depth (bf16 shows it)."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = clip_torch.CLIP(config)
    measured = statistics == "measured"

    def normal(p, std, mean=0.0):
        p.data.copy_(torch.randn(p.shape, generator=generator) * std + mean)

    def uniform(p, low, high):
        p.data.copy_(torch.rand(p.shape, generator=generator) * (high - low) + low)

    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            fan = module.weight[0].numel()
            if measured:
                normal(module.weight, (2 / fan) ** 0.5)
            else:
                uniform(module.weight, -fan ** -0.5, fan ** -0.5)
        elif isinstance(module, torch.nn.Linear):
            normal(module.weight, module.in_features ** -0.5)
            normal(module.bias, 0.05)
        elif isinstance(module, torch.nn.LayerNorm):
            uniform(module.weight, 0.7, 1.3)
            normal(module.bias, 0.1)
        elif isinstance(module, torch.nn.BatchNorm2d):
            uniform(module.weight, 0.5, 1.5)
            normal(module.bias, 0.3)
            normal(module.running_mean, 0.3)
            uniform(module.running_var, 0.4, 1.6)
        elif isinstance(module, torch.nn.MultiheadAttention):
            width = module.embed_dim
            normal(module.in_proj_weight, width ** -0.5)
            module.in_proj_weight.data[:2 * width] *= 1.6   # peaked enough for the softmax to matter
            normal(module.in_proj_bias, 0.05)
    towers = [(model.transformer, config.transformer_layers)]
    if not config.is_resnet:
        towers.append((model.visual.transformer, config.vision_layers))
    for tower, depth in towers:
        for block in tower.resblocks:
            width = block.attn.embed_dim
            normal(block.attn.out_proj.weight, (2 * width * depth) ** -0.5)
            normal(block.mlp.c_fc.weight, (2 * width) ** -0.5)
            normal(block.mlp.c_proj.weight, (2 * width * depth) ** -0.5)
    normal(model.token_embedding.weight, 0.02)
    normal(model.positional_embedding, 0.01)
    if config.is_resnet and measured:
        measure_statistics(model.visual, config.image_resolution, generator)
    model.eval()
    with torch.no_grad():
        for tensor in list(model.parameters()) + [b for b in model.buffers() if b.is_floating_point()]:
            tensor.copy_(tensor.to(DTYPES[dtype]).float())
    return model


def measure_statistics(visual, side, generator):
    """Batch norm statistics and the pool's scale from two batches of random pictures."""
    for name, module in visual.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None                          # the plain average of the batches seen
            if name.endswith(".bn3"):
                module.weight.data *= 0.5
    visual.train()
    size = []
    hook = visual.attnpool.register_forward_pre_hook(lambda m, inputs: size.append(inputs[0].square().mean().sqrt()))
    with torch.no_grad():
        for _ in range(2):
            visual(random_pixels(2 if side > 160 else 8, side, generator))
        hook.remove()
        for projection in (visual.attnpool.q_proj, visual.attnpool.k_proj):
            projection.weight *= 1.4 / size[-1]             # attention logits with a deviation of about 2
        for module in visual.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_var.clamp_(min=1e-3)


def state_dict(model, dtype):
    return {k: v.detach().clone().to(DTYPES[dtype]) if v.is_floating_point() else v.detach().clone()
            for k, v in model.state_dict().items()}


# ---------------------------------------------------------------- Hugging Face

def hf_state(model, dtype):
    """The same tensors under the names of transformers' CLIPModel; q, k, v apart, projections transposed."""
    state = state_dict(model, dtype)
    out = {}

    def block(prefix, target):
        for part, index in (("q", 0), ("k", 1), ("v", 2)):
            for kind in ("weight", "bias"):
                out[f"{target}.self_attn.{part}_proj.{kind}"] = state[f"{prefix}.attn.in_proj_{kind}"].chunk(3)[index]
        for ours, theirs in (("attn.out_proj", "self_attn.out_proj"), ("ln_1", "layer_norm1"), ("ln_2", "layer_norm2"),
                             ("mlp.c_fc", "mlp.fc1"), ("mlp.c_proj", "mlp.fc2")):
            for kind in ("weight", "bias"):
                out[f"{target}.{theirs}.{kind}"] = state[f"{prefix}.{ours}.{kind}"]

    c = model.config
    out["logit_scale"] = state["logit_scale"]
    out["text_model.embeddings.position_ids"] = torch.arange(c.context_length)[None]
    out["text_model.embeddings.token_embedding.weight"] = state["token_embedding.weight"]
    out["text_model.embeddings.position_embedding.weight"] = state["positional_embedding"]
    for i in range(c.transformer_layers):
        block(f"transformer.resblocks.{i}", f"text_model.encoder.layers.{i}")
    tokens = state["visual.positional_embedding"].shape[0]
    out["vision_model.embeddings.class_embedding"] = state["visual.class_embedding"]
    out["vision_model.embeddings.position_ids"] = torch.arange(tokens)[None]
    out["vision_model.embeddings.patch_embedding.weight"] = state["visual.conv1.weight"]
    out["vision_model.embeddings.position_embedding.weight"] = state["visual.positional_embedding"]
    for kind in ("weight", "bias"):
        out[f"text_model.final_layer_norm.{kind}"] = state[f"ln_final.{kind}"]
        out[f"vision_model.pre_layrnorm.{kind}"] = state[f"visual.ln_pre.{kind}"]
        out[f"vision_model.post_layernorm.{kind}"] = state[f"visual.ln_post.{kind}"]
    for i in range(c.vision_layers):
        block(f"visual.transformer.resblocks.{i}", f"vision_model.encoder.layers.{i}")
    out["visual_projection.weight"] = state["visual.proj"].t().contiguous()
    out["text_projection.weight"] = state["text_projection"].t().contiguous()
    return out


def hf_config(c):
    act = "quick_gelu" if c.gelu == "quick" else "gelu"
    return {
        "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": c.embed_dim,
        "logit_scale_init_value": 2.6592, "torch_dtype": "float32",
        "text_config": {
            "hidden_size": c.transformer_width, "intermediate_size": int(c.transformer_width * c.text_mlp),
            "num_attention_heads": c.text_heads, "num_hidden_layers": c.transformer_layers, "hidden_act": act,
            "max_position_embeddings": c.context_length, "vocab_size": c.vocab_size, "layer_norm_eps": 1e-05,
            "model_type": "clip_text_model"},
        "vision_config": {
            "hidden_size": c.vision_width, "intermediate_size": int(c.vision_width * c.vision_mlp),
            "num_attention_heads": c.image_heads, "num_hidden_layers": c.vision_layers, "hidden_act": act,
            "image_size": c.image_resolution, "patch_size": c.vision_patch_size, "layer_norm_eps": 1e-05,
            "model_type": "clip_vision_model"},
    }


def write_hf(model, folder, dtype, kind):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(hf_config(model.config), file, indent=2)
    state = hf_state(model, dtype)
    if kind == "hf":
        safetensors_io.save(os.path.join(folder, "model.safetensors"), state, {"format": "pt"})
    elif kind == "hf-bin":
        torch.save(state, os.path.join(folder, "pytorch_model.bin"))
    else:
        names, shards = list(state), 3
        index = {"metadata": {"total_size": sum(v.numel() * v.element_size() for v in state.values())},
                 "weight_map": {}}
        for i in range(shards):
            part = f"model-{i + 1:05}-of-{shards:05}.safetensors"
            own = names[i * len(names) // shards:(i + 1) * len(names) // shards]
            index["weight_map"].update({name: part for name in own})
            safetensors_io.save(os.path.join(folder, part), {n: state[n] for n in own}, {"format": "pt"})
        with open(os.path.join(folder, "model.safetensors.index.json"), "w") as file:
            json.dump(index, file, indent=2)


# ---------------------------------------------------------------- open_clip

def openclip_config(c):
    vision = {"image_size": c.image_resolution, "width": c.vision_width,
              "layers": list(c.vision_layers) if c.is_resnet else c.vision_layers,
              "patch_size": c.vision_patch_size}
    full = c.vision_width * 32 if c.is_resnet else c.vision_width
    if c.image_heads != full // 64:
        vision["head_width"] = full // c.image_heads
    if c.vision_mlp != 4.0:
        vision["mlp_ratio"] = c.vision_mlp
    text = {"context_length": c.context_length, "vocab_size": c.vocab_size, "width": c.transformer_width,
            "heads": c.text_heads, "layers": c.transformer_layers}
    if c.text_mlp != 4.0:
        text["mlp_ratio"] = c.text_mlp
    model = {"embed_dim": c.embed_dim, "vision_cfg": vision, "text_cfg": text}
    if c.gelu == "quick":
        model["quick_gelu"] = True                          # absent means nn.GELU there
    return {"model_cfg": model, "preprocess_cfg": {"mean": [0.48145466, 0.4578275, 0.40821073],
                                                   "std": [0.26862954, 0.26130258, 0.27577711]}}


def write_openclip(model, folder, dtype, kind):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "open_clip_config.json"), "w") as file:
        json.dump(openclip_config(model.config), file, indent=2)
    state = state_dict(model, dtype)
    if kind == "openclip":
        safetensors_io.save(os.path.join(folder, "open_clip_model.safetensors"), state, {"format": "pt"})
    else:
        torch.save(state, os.path.join(folder, "open_clip_pytorch_model.bin"))


# ---------------------------------------------------------------- PyTorch files

def write_jit(model, path, dtype):
    """A traced archive as OpenAI publishes: convolutions, linear layers, attention and projections in
    the storage type, the rest in fp32, three scalar buffers beside them."""
    c = model.config
    copy = clip_torch.CLIP(c)
    copy.load_state_dict(model.state_dict())
    copy.eval()
    for name, value in (("input_resolution", c.image_resolution), ("context_length", c.context_length),
                        ("vocab_size", c.vocab_size)):
        copy.register_buffer(name, torch.tensor(value))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(copy, (torch.randn(1, 3, c.image_resolution, c.image_resolution),
                                        torch.randint(0, 400, (1, c.context_length))), check_trace=False)
        half = ("conv", "downsample.0", "attn.", "mlp.", "_proj", "projection", "visual.proj")
        for name, parameter in traced.named_parameters():
            if any(word in name for word in half) and "pool.pos" not in name:
                parameter.data = parameter.data.to(DTYPES[dtype])
    traced.save(path)


def write(model, path, kind, dtype):
    """Writes `model` (made with the same dtype) to path, a file or a folder by kind."""
    if kind.startswith("hf"):
        return write_hf(model, path, dtype, kind)
    if kind.startswith("openclip"):
        return write_openclip(model, path, dtype, kind)
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    if kind == "jit":
        return write_jit(model, path, dtype)
    state = state_dict(model, dtype)
    if kind == "safetensors":
        safetensors_io.save(path, state, {"format": "pt"})
    elif kind == "state_dict":
        torch.save(state, path)
    elif kind == "legacy":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    elif kind == "nested":
        torch.save({"epoch": 7, "name": "a run", "state_dict": state}, path)
    elif kind == "module":
        torch.save({"epoch": 7, "name": "a run", "state_dict": {"module." + k: v for k, v in state.items()},
                    "optimizer": {"state": {}, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.98), "params": [0, 1]}]},
                    "scaler": {"scale": 65536.0, "growth_factor": 2.0}}, path)
    else:
        sys.exit(f"unknown format {kind}; known: {' '.join(FORMATS)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", choices=ARCHITECTURES)
    parser.add_argument("--config", help="JSON of clip_torch.Config's fields, over those of --arch")
    parser.add_argument("--format", choices=FORMATS, default="safetensors")
    parser.add_argument("--dtype", choices=DTYPES, default="fp16")
    parser.add_argument("--statistics", choices=("drawn", "measured"), default="drawn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--output", required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = ARCHITECTURES[args.arch] if args.arch else Config()
    for name, value in json.loads(args.config or "{}").items():
        setattr(config, name, tuple(value) if isinstance(value, list) else value)
    model = make_model(config, args.seed, args.dtype, args.statistics)
    write(model, args.output, args.format, args.dtype)
    print(f"{args.output}: {sum(p.numel() for p in model.parameters()):,} parameters")


if __name__ == "__main__":
    main()
