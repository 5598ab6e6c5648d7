"""Distils a small ViT from a CLIP whose image tower is a ResNet, so that there is a trained ViT to try things on where none can be
had: its image tower learns to give the embeddings of the teacher, and the text tower is the teacher's. The file is a whole CLIP under
OpenAI's names. What it knows is what the teacher knows of the recipe's pictures: a test object, no model to rely on.

usage: python3 tiny_vit.py [--cache models/recipe/cache] [--minutes 20] [--threads 2] -o OUT.safetensors

Pictures are those that the recipe trains on, mixed as it mixes them (models/recipe/batches.py), from its cache; without a cache the demo
pictures, moved about. Learned are the embedding, as a cosine with and without the mean of all embeddings; the teacher's probabilities of the
demo labels; and through a head that is thrown away the teacher's third stage, place for place, which makes the lower blocks learn early. The
rate follows the clock, so that the run ends when it is said to. Every minute it says how often teacher and student agree on pictures of
the cache that are not trained on, and writes the file.
"""
import argparse
import csv
import glob
import io
import json
import math
import os
import sys
import tarfile
import time

import numpy as np
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path += [HERE, os.path.join(HERE, ".."), os.path.join(ROOT, "models", "recipe")]
import clip_torch  # noqa: E402
import referee_tokens  # noqa: E402
import safetensors_io  # noqa: E402

RESOLUTION, PATCH = 96, 16
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
DEVIATION = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)
HELD_OUT = 256       # pictures
BATCH, NEW, POOL = 64, 20, 4096 # pictures of a step, those of them that are new, and the seen ones from which the others come
DEEP = 3             # the block whose tokens learn the teacher's third stage


def recipe_batches(cache):
    """step -> (n, 3, 96, 96) normalised, from the recipe's cache; its arrays stay on disk."""
    import render
    render.CACHE = cache
    import batches

    class Mapped(batches.Pictures):
        def __init__(self):
            read = lambda name: json.load(open(os.path.join(cache, name), encoding="utf-8"))
            self.classes, self.words = read("classes.json"), read("words.json")
            self.index = read("index.json") + read("drawn.json")
            self.arrays = {n: np.load(os.path.join(cache, n + ".npy"), mmap_mode="r") for n in ("mono", "colour", "drawn", "words")}

    made = batches.Batches(Mapped(), seed=11)
    return lambda step: made.make(step, .7, RESOLUTION)[0]


def demo_batches():
    """The same from the demo pictures alone, moved, scaled and recoloured."""
    from PIL import Image
    pictures = []
    with tarfile.open(os.path.join(ROOT, "models", "demo-pictures.tar")) as tar:
        for member in tar:
            if member.name.endswith((".png", ".jpg", ".webp")):
                picture = Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")
                pictures.append(np.asarray(picture.resize((RESOLUTION,) * 2, Image.BICUBIC)))
    pictures = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)

    def make(step):
        r = torch.Generator().manual_seed(step)
        n = 256
        x = pictures[torch.randint(len(pictures), (n,), generator=r)].float() / 255
        scale, shift = 1 + .35 * torch.rand(n, generator=r), .25 * torch.rand(n, 2, generator=r) - .125
        theta = torch.zeros(n, 2, 3)
        theta[:, 0, 0] = theta[:, 1, 1] = scale
        theta[:, :, 2] = shift
        x = F.grid_sample(x, F.affine_grid(theta, x.shape, align_corners=False), padding_mode="border", align_corners=False)
        mixed = torch.stack([c[torch.randperm(3, generator=r)] for c in x])
        return (torch.where(torch.rand(n, 1, 1, 1, generator=r) < .3, mixed, x) - MEAN) / DEVIATION
    return make


def tokens_of(texts):
    out = torch.zeros(len(texts), 77, dtype=torch.long)
    for row, text in enumerate(texts):
        ids = [49406] + referee_tokens.encode(text)[:75] + [49407]
        out[row, :len(ids)] = torch.tensor(ids)
    return out


def demo_labels():
    with open(os.path.join(ROOT, "models", "demo-pictures.csv"), encoding="utf-8") as f:
        return sorted({row["label"] for row in csv.DictReader(f)})


class Student(torch.nn.Module):
    """The ViT and the head that is thrown away."""

    def __init__(self, embedding, deep_width, width=256, layers=6):
        super().__init__()
        self.config = clip_torch.Config(embed_dim=embedding, image_resolution=RESOLUTION, vision_layers=layers, vision_width=width,
                                        vision_patch_size=PATCH)
        self.visual = clip_torch.VisionTransformer(self.config)
        self.head = torch.nn.Linear(width, deep_width)
        for block in self.visual.transformer.resblocks:       # OpenAI's initialisation
            depth = (2 * layers) ** -.5
            torch.nn.init.normal_(block.attn.in_proj_weight, std=width ** -.5)
            torch.nn.init.normal_(block.attn.out_proj.weight, std=width ** -.5 * depth)
            torch.nn.init.normal_(block.mlp.c_fc.weight, std=(2 * width) ** -.5)
            torch.nn.init.normal_(block.mlp.c_proj.weight, std=width ** -.5 * depth)

    def forward(self, pixels):
        """Embeddings (n, E), and the head's map (n, C, 6, 6): a token is a place of the teacher's third stage."""
        kept = []
        handle = self.visual.transformer.resblocks[DEEP].register_forward_hook(lambda m, i, o: kept.append(o))
        embedding = self.visual(pixels)
        handle.remove()
        side = RESOLUTION // PATCH
        return embedding, self.head(kept[0][1:]).permute(1, 2, 0).unflatten(2, (side, side))


def teach(teacher, pixels):
    """The teacher's embeddings of length 1 and its third stage."""
    with torch.no_grad(), clip_torch.Recorder(teacher, ["visual.layer3"]) as r:
        embedding = F.normalize(teacher.encode_image(pixels).float(), dim=1)
        return embedding, r["visual.layer3"].float()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", default=os.path.join(ROOT, "models", "specimen.safetensors"), help="the teacher")
    parser.add_argument("--cache", default=os.path.join(ROOT, "models", "recipe", "cache"))
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("-o", "--output", required=True)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    state, _ = safetensors_io.load(a.model)
    state = {k: v.float() for k, v in state.items()}
    teacher = clip_torch.build(state)
    batch = recipe_batches(a.cache) if glob.glob(os.path.join(a.cache, "index.json")) else demo_batches()
    with torch.no_grad():
        labels = F.normalize(torch.cat([teacher.encode_text(t) for t in tokens_of(demo_labels()).split(64)]), dim=1)
    scale = float(state["logit_scale"].exp())
    held = torch.cat([batch(10 ** 9 + i) for i in range(2)])[:HELD_OUT]
    held_embedding, deep = teach(teacher, held)
    mean = held_embedding.mean(0)
    student = Student(held_embedding.shape[1], deep.shape[1])
    decayed = [p for p in student.parameters() if p.ndim > 1]
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": .05},
                                   {"params": [p for p in student.parameters() if p.ndim <= 1], "weight_decay": 0}], betas=(.9, .98))
    begin = said = time.time()
    step = pictures = 0
    pool = None                                              # pictures and what the teacher says of them, in half precision
    fresh, made = [], 0
    while True:
        spent = (time.time() - begin) / (60 * a.minutes)
        if spent >= 1 or time.time() - said > 60:
            said = time.time()
            student.eval()
            with torch.no_grad():
                found = F.normalize(torch.cat([student(x)[0] for x in held.split(64)]), dim=1)
            student.train()
            agree = (found @ labels.t()).argmax(1) == (held_embedding @ labels.t()).argmax(1)
            print(f"{spent * a.minutes:5.1f} min, step {step}, {pictures} pictures: cosine {(found * held_embedding).sum(1).mean():.3f}, "
                  f"same first label {100 * agree.float().mean():.0f}%", flush=True)
            image = {"visual." + k: v for k, v in student.visual.state_dict().items()}
            whole = {k: v for k, v in state.items() if not k.startswith("visual.")} | image
            clip_torch.build(whole)                          # all shapes fit
            safetensors_io.save(a.output + ".new", {k: v.detach().half().contiguous() for k, v in sorted(whole.items())},
                                {"format": "pt", "name": "tiny-vit", "step": str(step), "images": str(pictures)})
            os.replace(a.output + ".new", a.output)
            if spent >= 1:
                break
        if not fresh:
            some = batch(made)
            fresh = list(some[torch.randperm(len(some))].split(NEW))
            made += 1
        new = fresh.pop()
        seen = [new.half(), *(x.half() for x in teach(teacher, new))]
        pool = [torch.cat([a, b])[-POOL:] for a, b in zip(pool, seen)] if pool else seen
        chosen = torch.cat([torch.arange(-len(new), 0), torch.randint(len(pool[0]), (BATCH - len(new),)) - len(pool[0])])
        pixels, target, deep = (x[chosen].float() for x in pool)
        for group in optimiser.param_groups:
            group["lr"] = a.rate * min(1, (step + 1) / 100) * .5 * (1 + math.cos(math.pi * min(1, spent)))
        with torch.autocast("cpu", torch.bfloat16):
            embedding, grid = student(pixels)
        embedding = F.normalize(embedding.float(), dim=1)
        cosine = 1 - (embedding * target).sum(1).mean()
        centred = 1 - F.cosine_similarity(embedding - mean, target - mean).mean()
        logits, wanted = scale * embedding @ labels.t(), (scale * target @ labels.t()).softmax(1)
        names = (wanted * (wanted.clamp_min(1e-9).log() - logits.log_softmax(1))).sum(1).mean()
        places = 1 - F.cosine_similarity(grid.float(), deep).mean()
        loss = cosine + centred + .2 * names + places
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1)
        optimiser.step()
        step, pictures = step + 1, pictures + len(new)


if __name__ == "__main__":
    main()
