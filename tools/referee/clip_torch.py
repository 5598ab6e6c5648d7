"""CLIP in PyTorch, as the referee that clipneuron is compared with.

Written from the published architecture (Radford et al. 2021, section 2.4 and table 19): the
ResNet with a three-convolution stem, blur pooling by averages and an attention pool; the ViT; the
causal text transformer. Module paths and parameter names are those of the released checkpoints, so
a state dict loads without renaming and every module path is a site.

Plain PyTorch modules only (MultiheadAttention included), so that it is also a fair "PyTorch eager"
for the benchmark. Needs torch 1.13 and nothing else.
"""
from collections import OrderedDict
from dataclasses import dataclass
from typing import Optional, Tuple, Union

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    embed_dim: int = 64
    image_resolution: int = 64
    vision_layers: Union[int, Tuple[int, int, int, int]] = (1, 1, 1, 1)  # a tuple means ResNet
    vision_width: int = 16
    vision_patch_size: Optional[int] = None
    context_length: int = 77
    vocab_size: int = 49408
    transformer_width: int = 64
    transformer_heads: Optional[int] = None   # None: width / 64
    transformer_layers: int = 2
    vision_heads: Optional[int] = None        # None: width / 64 (ResNet: 32 * width / 64)
    vision_mlp: float = 4.0
    text_mlp: float = 4.0
    gelu: str = "quick"                       # or "erf"

    @property
    def is_resnet(self):
        return not isinstance(self.vision_layers, int)

    @property
    def image_heads(self):
        if self.vision_heads:
            return self.vision_heads
        return max(1, (self.vision_width * 32 if self.is_resnet else self.vision_width) // 64)

    @property
    def text_heads(self):
        return self.transformer_heads or max(1, self.transformer_width // 64)


class QuickGELU(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class LayerNorm(nn.LayerNorm):
    """Computes in fp32 whatever comes in, as the original does; autocast needs that too."""

    def forward(self, x):
        return super().forward(x.float()).to(x.dtype)


def activation(kind):
    return QuickGELU() if kind == "quick" else nn.GELU()


class Bottleneck(nn.Module):
    """1x1, 3x3, average pool when strided, 1x1 to four times the planes."""

    def __init__(self, inputs, planes, stride=1):
        super().__init__()
        outputs = planes * 4
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.relu2 = nn.ReLU(inplace=True)
        self.avgpool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.conv3 = nn.Conv2d(planes, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu3 = nn.ReLU(inplace=True)
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(OrderedDict([
                ("-1", nn.AvgPool2d(stride)),
                ("0", nn.Conv2d(inputs, outputs, 1, bias=False)),
                ("1", nn.BatchNorm2d(outputs)),
            ]))

    def forward(self, x):
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.avgpool(self.relu2(self.bn2(self.conv2(y))))
        y = self.bn3(self.conv3(y))
        y = y + (x if self.downsample is None else self.downsample(x))
        return self.relu3(y)


class AttentionPool2d(nn.Module):
    """One query, the mean token, attends to the grid and itself."""

    def __init__(self, grid, width, heads, outputs):
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.randn(grid * grid + 1, width) / width ** 0.5)
        self.k_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.c_proj = nn.Linear(width, outputs)
        self.heads = heads

    def forward(self, x):
        x = x.flatten(2).permute(2, 0, 1)                                 # (HW, N, C)
        x = torch.cat([x.mean(dim=0, keepdim=True), x], dim=0)            # (HW+1, N, C)
        x = x + self.positional_embedding[:, None, :].to(x.dtype)
        x, _ = F.multi_head_attention_forward(
            query=x[:1], key=x, value=x,
            embed_dim_to_check=x.shape[-1], num_heads=self.heads,
            q_proj_weight=self.q_proj.weight, k_proj_weight=self.k_proj.weight,
            v_proj_weight=self.v_proj.weight, in_proj_weight=None,
            in_proj_bias=torch.cat([self.q_proj.bias, self.k_proj.bias, self.v_proj.bias]),
            bias_k=None, bias_v=None, add_zero_attn=False, dropout_p=0.0,
            out_proj_weight=self.c_proj.weight, out_proj_bias=self.c_proj.bias,
            use_separate_proj_weight=True, training=False, need_weights=False)
        return x.squeeze(0)


class ModifiedResNet(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        width = c.vision_width
        self.conv1 = nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width // 2)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width // 2, width // 2, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width // 2)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv3 = nn.Conv2d(width // 2, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.relu3 = nn.ReLU(inplace=True)
        self.avgpool = nn.AvgPool2d(2)
        inputs = width
        for stage, blocks in enumerate(c.vision_layers):
            planes = width << stage
            layer = []
            for block in range(blocks):
                layer.append(Bottleneck(inputs, planes, 2 if stage and not block else 1))
                inputs = planes * 4
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))
        self.attnpool = AttentionPool2d(c.image_resolution // 32, width * 32, c.image_heads, c.embed_dim)

    def forward(self, x):
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x)))
        x = self.relu3(self.bn3(self.conv3(x)))
        x = self.avgpool(x)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.attnpool(x)


class ResidualAttentionBlock(nn.Module):
    def __init__(self, width, heads, mlp, gelu, mask=None):
        super().__init__()
        hidden = int(width * mlp)
        self.attn = nn.MultiheadAttention(width, heads)
        self.ln_1 = LayerNorm(width)
        self.mlp = nn.Sequential(OrderedDict([
            ("c_fc", nn.Linear(width, hidden)), ("gelu", activation(gelu)), ("c_proj", nn.Linear(hidden, width))]))
        self.ln_2 = LayerNorm(width)
        self.mask = mask

    def forward(self, x):                                                   # (L, N, D)
        y = self.ln_1(x)
        mask = None if self.mask is None else self.mask.to(device=x.device, dtype=x.dtype)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, width, layers, heads, mlp, gelu, mask=None):
        super().__init__()
        self.resblocks = nn.Sequential(*[
            ResidualAttentionBlock(width, heads, mlp, gelu, mask) for _ in range(layers)])

    def forward(self, x):
        return self.resblocks(x)


class VisionTransformer(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        width, patch = c.vision_width, c.vision_patch_size
        tokens = (c.image_resolution // patch) ** 2 + 1
        self.conv1 = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(width) * width ** -0.5)
        self.positional_embedding = nn.Parameter(torch.randn(tokens, width) * width ** -0.5)
        self.ln_pre = LayerNorm(width)
        self.transformer = Transformer(width, c.vision_layers, c.image_heads, c.vision_mlp, c.gelu)
        self.ln_post = LayerNorm(width)
        self.proj = nn.Parameter(torch.randn(width, c.embed_dim) * width ** -0.5)

    def forward(self, x):
        x = self.conv1(x).flatten(2).permute(0, 2, 1)                       # (N, L, D)
        first = self.class_embedding.to(x.dtype).expand(x.shape[0], 1, -1)
        x = torch.cat([first, x], dim=1) + self.positional_embedding.to(x.dtype)
        x = self.ln_pre(x)
        x = self.transformer(x.permute(1, 0, 2)).permute(1, 0, 2)
        return self.ln_post(x[:, 0]) @ self.proj.to(x.dtype)


class CLIP(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.config = c
        self.visual = ModifiedResNet(c) if c.is_resnet else VisionTransformer(c)
        mask = torch.full((c.context_length, c.context_length), float("-inf")).triu_(1)
        self.transformer = Transformer(c.transformer_width, c.transformer_layers, c.text_heads, c.text_mlp,
                                       c.gelu, mask)
        self.token_embedding = nn.Embedding(c.vocab_size, c.transformer_width)
        self.positional_embedding = nn.Parameter(torch.randn(c.context_length, c.transformer_width) * 0.01)
        self.ln_final = LayerNorm(c.transformer_width)
        self.text_projection = nn.Parameter(
            torch.randn(c.transformer_width, c.embed_dim) * c.transformer_width ** -0.5)
        self.logit_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def encode_image(self, pixels):
        return self.visual(pixels)

    def encode_text(self, tokens):
        x = self.token_embedding(tokens) + self.positional_embedding
        x = self.transformer(x.permute(1, 0, 2)).permute(1, 0, 2)
        x = self.ln_final(x)
        return x[torch.arange(x.shape[0]), tokens.argmax(dim=-1)] @ self.text_projection

    def logits(self, image_features, text_features):
        a = image_features / image_features.norm(dim=1, keepdim=True)
        b = text_features / text_features.norm(dim=1, keepdim=True)
        return self.logit_scale.exp() * a @ b.t()

    def forward(self, pixels, tokens):
        logits = self.logits(self.encode_image(pixels), self.encode_text(tokens))
        return logits, logits.t()


def config_of(state, **changes):
    """The configuration that the shapes of a state dict (released names) give."""
    count = lambda prefix: len({k[len(prefix):].split(".")[0] for k in state if k.startswith(prefix)})
    width = state["ln_final.weight"].shape[0]
    c = Config(embed_dim=state["text_projection"].shape[1], context_length=state["positional_embedding"].shape[0],
               vocab_size=state["token_embedding.weight"].shape[0], transformer_width=width,
               transformer_layers=count("transformer.resblocks."),
               text_mlp=state["transformer.resblocks.0.mlp.c_fc.weight"].shape[0] / width)
    if "visual.proj" in state:
        first = state["visual.conv1.weight"]
        c.vision_width, c.vision_patch_size = first.shape[0], first.shape[-1]
        c.vision_layers = count("visual.transformer.resblocks.")
        c.image_resolution = c.vision_patch_size * round((state["visual.positional_embedding"].shape[0] - 1) ** 0.5)
        c.vision_mlp = state["visual.transformer.resblocks.0.mlp.c_fc.weight"].shape[0] / c.vision_width
    else:
        c.vision_layers = tuple(count(f"visual.layer{i}.") for i in (1, 2, 3, 4))
        c.vision_width = state["visual.layer1.0.conv1.weight"].shape[0]
        c.image_resolution = 32 * round((state["visual.attnpool.positional_embedding"].shape[0] - 1) ** 0.5)
    for name, value in changes.items():
        setattr(c, name, value)
    return c


def build(state, **changes):
    """A model in fp32 with these weights, in eval mode."""
    model = CLIP(config_of(state, **changes))
    own = model.state_dict()
    load = {k: v.float().reshape(own[k].shape) if v.is_floating_point() else v.reshape(own[k].shape)
            for k, v in state.items() if k in own}
    model.load_state_dict(load)
    return model.eval()


def site_modules(model):
    """{site name: (module, reads_input)}: every module path; `.add` is the sum before a block's last ReLU."""
    sites = {}
    for name, module in model.named_modules():
        if not name:
            continue
        sites[name] = (module, False)
        if isinstance(module, Bottleneck):
            sites[name + ".add"] = (module.relu3, True)
    return sites


class Recorder:
    """Keeps the values of sites while the model runs: `with Recorder(model, names) as r: ...; r[name]`."""

    def __init__(self, model, names):
        self.values = {}
        self.handles = []
        known = site_modules(model)
        for name in names:
            module, before = known[name]
            if before:
                hook = lambda m, inputs, name=name: self.keep(name, inputs[0])
                self.handles.append(module.register_forward_pre_hook(hook))
            else:
                hook = lambda m, inputs, output, name=name: self.keep(name, output)
                self.handles.append(module.register_forward_hook(hook))

    def keep(self, name, value):
        value = value[0] if isinstance(value, tuple) else value
        self.values[name] = value.detach().clone()          # the ReLUs write in place

    def __getitem__(self, name):
        return self.values[name]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()
