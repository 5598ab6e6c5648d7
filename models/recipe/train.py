"""Step 5: trains. usage: train.py features|texts|specimen|polish|join|control [--steps N] [--until N] [--seed N] [--device D] ...

features   from scratch: to see and to read. Batches of concepts (two pictures in different styles, one written word, one text for
           each), all pairs of one concept positive, an attention pool that averages, so that the embedding is the pooled last
           block; a logit scale of 16, at which concepts are told apart soonest.
texts      the text tower of the features alone, with a fresh projection to the units: texts become codes in which every core
           concept calls on a unit of its own, as far as 256 dimensions allow (the mutual information of texts and units is made
           large). Which unit nobody says: it falls out of the random projection. It needs no picture and takes minutes.
specimen   from both: the image tower learns the codes. The text tower stands still at first, then learns along. The mutual
           information of pictures and units is made large, too. No unit has a label, and pictures and words meet only through
           the texts.
polish     from the specimen: all stages at full resolution, more words, and more of the families that differ by little.
join       from polish, at a logit scale of 10: a picture that drives one of the two units of its concept's text is no longer near
           enough to it, so pictures and words come to share units. make_model.sh runs it twice, the second time to a scale of 8.
control    from scratch, CLIP's own way (pairs of one picture and one caption, the symmetric loss over the batch, learned scale,
           learned attention pool) on the same pictures, words and captions.

Checkpoints go to cache/NAME.pt every five minutes; the same command continues from there. A step's batch depends on
(seed, step) alone. cache/NAME.log has a JSON line every 20 steps."""
import argparse
import json
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

import batches
import model as M
from render import path

# What each part does unless told otherwise; core, more, emoji, words: texts of a batch by their tier (a control's core text
# comes with a picture or a word, the others' with two pictures and a word).
COMMON = {"rate": 1.2e-3, "scale_start": 16.0, "scale": 16.0, "sparse": 0.0, "sparse_text": 0.0, "own": 0.0, "own_text": 0.0,
          "high_from": 1.0, "easy": .3, "init": None, "frozen": 0, "texts_from": 0.0, "hard": 0}
PARTS = {
    "features": {**COMMON, "steps": 6300, "gpu_steps": 30000, "core": 56, "more": 18, "emoji": 8, "words": 60},
    "texts": {**COMMON, "steps": 400, "gpu_steps": 2000, "core": 400, "more": 120, "emoji": 30, "words": 150, "init": "features", "rate": 2e-3,
              "own_text": 1.0},
    "specimen": {**COMMON, "steps": 4300, "gpu_steps": 30000, "core": 90, "more": 28, "emoji": 14, "words": 50, "init": "texts", "rate": 1e-3,
                 "own": .3, "own_text": .5, "high_from": .45, "easy": 0.0, "frozen": 3, "texts_from": .25},
    "polish": {**COMMON, "steps": 1500, "gpu_steps": 10000, "core": 70, "more": 20, "emoji": 10, "words": 110, "hard": 12, "init": "specimen",
               "rate": 5e-4, "own": .4, "own_text": .5, "high_from": 0.0, "easy": 0.0},
    "control": {**COMMON, "steps": 3200, "gpu_steps": 60000, "core": 150, "more": 44, "emoji": 20, "words": 60, "high_from": .9},
    "join": {**COMMON, "steps": 1300, "gpu_steps": 10000, "core": 70, "more": 20, "emoji": 10, "words": 115, "hard": 22, "init": "polish",
             "rate": 4e-4, "scale": 10.0, "own": .4, "own_text": .5, "high_from": 0.0, "easy": 0.0},
}
FALL = .1            # share of the schedule in which scale and the terms on codes reach their final values; polish and join begin with the terms


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("part", choices=list(PARTS))
    a.add_argument("--name", help="of checkpoint and log (that of the part)")
    a.add_argument("--steps", type=int, help="length of the schedule")
    a.add_argument("--until", type=int, help="stop after this step")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--rate", type=float)
    a.add_argument("--low", type=int, default=64, help="resolution of the first part of the schedule, then 96 px")
    a.add_argument("--high-from", type=float, help="share of the schedule after which 96 px are used")
    a.add_argument("--easy", type=float, help="share of the schedule over which augmentation grows; 0: it is there from the start")
    a.add_argument("--sparse", type=float, help="weight of the L1 norm of normalised image embeddings")
    a.add_argument("--sparse-text", type=float, help="weight of the L1 norm of normalised text embeddings")
    a.add_argument("--own", type=float, help="weight of the mutual information of pictures and units")
    a.add_argument("--own-text", type=float, help="the same of texts and units")
    a.add_argument("--negative", type=float, default=1.0, help="weight of the penalty on negative text components")
    a.add_argument("--scale", type=float, help="logit scale at the end")
    a.add_argument("--scale-start", type=float, help="logit scale at the start")
    a.add_argument("--texts-from", type=float, help="share of the schedule after which the text tower is trained, too")
    a.add_argument("--frozen", type=int, help="the first so many of stem and four stages are not trained")
    for tier in ("core", "more", "emoji", "words", "hard"):
        a.add_argument("--" + tier, type=int, help="texts of this kind in a batch")
    a.add_argument("--large", action="store_true", help="width 64, blocks (3, 4, 6, 4), 2048 units: for a GPU")
    a.add_argument("--init", help="begin with the weights of cache/NAME.pt, or of a .safetensors in the folder where the recipe runs")
    a.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    o = a.parse_args()
    part = dict(PARTS[o.part])
    gpu_steps = part.pop("gpu_steps")
    if o.device.startswith("cuda"):
        part["steps"] = gpu_steps
    for key, value in part.items():
        if getattr(o, key) is None:
            setattr(o, key, value)
    return o


def rate_at(step, o):
    if step < 100:
        return o.rate * (step + 1) / 100
    return o.rate * (.01 + .99 * .5 * (1 + math.cos(math.pi * min(1, (step - 100) / (o.steps - 100)))))


class Steps(torch.utils.data.Dataset):
    """Step -> what it trains on, made by a worker beside the training."""

    def __init__(self, data, rows, o):
        self.data, self.rows, self.o = data, rows, o

    def __len__(self):
        return self.o.steps

    def __getitem__(self, step):
        o = self.o
        strength = min(1.0, max(0.0, (step / o.steps - .04) / o.easy)) if o.easy else 1.0
        resolution = M.RESOLUTION if step >= o.high_from * o.steps else o.low
        pixels, texts, targets, concepts = self.data.make(step, strength, resolution)
        return step, strength, pixels, batches.tokens_of(texts, self.rows), targets, concepts


class TextSteps(torch.utils.data.Dataset):
    """The same for the text tower alone. Tokens: the names of some core concepts; another text of half of them, of others and
    of unrelated words."""

    def __init__(self, data, rows, o):
        self.data, self.rows, self.o = data, rows, o

    def __len__(self):
        return self.o.steps

    def __getitem__(self, step):
        o, d = self.o, self.data
        r = np.random.default_rng([d.seed, step])
        pick = lambda some, n: [some[i] for i in r.choice(len(some), n, replace=False)]
        core = pick(d.core, o.core)
        others = pick(d.more, o.more) + pick(d.emoji, o.emoji)
        texts = [d.p.classes[k]["name"] for k in core] + [d.text(r, k, 1.0) for k in core[:o.core // 2] + others]
        texts += pick(d.loose_words, o.words)
        return step, batches.tokens_of(texts, self.rows), torch.tensor([d.core_number[k] for k in core])


class Use:
    """How much each unit is called on, by all core concepts: the mean over them of how what stood for each last was
    distributed over units. A batch holds an eighth of the concepts, and its own mean cannot tell whether a unit serves others, too."""

    def __init__(self, concepts, units, device):
        self.last = torch.zeros(concepts, units, device=device)
        self.seen = torch.zeros(concepts, dtype=torch.bool, device=device)

    def information(self, x, which, power):
        """Mutual information in nats between concepts and units, relu(x)^power taken as distributions over units: the mean divergence
        of the rows from the mean over all concepts. It is largest when every concept calls on one unit, and all units are
        called on alike. `which` concept each row stands for. Texts want a high power: they are a linear image of 256
        dimensions, so they cannot be zero but for one of 1,024 units, and squares would make them share 256 units."""
        p = x.clamp_min(0) ** power
        p = p / p.sum(1, keepdim=True).clamp_min(1e-12)
        with torch.no_grad():
            sums = torch.zeros_like(self.last).index_add_(0, which, p)
            count = torch.zeros(len(self.last), device=x.device).index_add_(0, which, torch.ones(len(p), device=x.device))
            here = count > 0
            self.last[here] = sums[here] / count[here, None]
            self.seen |= here
            mean = self.last[self.seen].mean(0).clamp_min(1e-4)
        return (p * (p.clamp_min(1e-9).log() - mean.log())).sum(1).mean()


def concept_loss(a, b, targets, scale, o, there, concepts, use):
    """a: pooled last block (n, d), not negative. b: texts (m, d). targets (n, m): rows add up to 1. there: share of the L1
    and information terms. concepts: number of the core concept of each of the first texts. use: of pictures and of texts."""
    b = F.normalize(b, dim=1)
    a = F.normalize(a, dim=1)
    logits = scale * a @ b.t()
    by_text = targets.t() / targets.t().sum(1, keepdim=True).clamp_min(1e-6)
    image = -(targets * F.log_softmax(logits, 1)).sum(1).mean()
    used = targets.sum(0) > 0
    text = -(by_text * F.log_softmax(logits.t(), 1)).sum(1)[used].mean()
    negative = b.clamp_max(0).square().sum(1).mean()
    spread, text_spread = a.sum(1).mean(), b.abs().sum(1).mean()
    first = targets[:, :len(concepts)]             # pictures and words of one core concept each; their texts come first
    core = first.max(1).values > .99
    own = use[0].information(a[core], concepts[first[core].argmax(1)], 2)
    own_text = use[1].information(b[:len(concepts)], concepts, 4)
    loss = image + .5 * text + o.negative * negative + there * (
        o.sparse * spread + o.sparse_text * text_spread - o.own * own - o.own_text * own_text)
    right = (logits.argmax(1) == targets.argmax(1)).float().mean()
    return loss, {"image": image, "text": text, "negative": negative, "spread": spread, "text_spread": text_spread, "own": own,
                  "own_text": own_text, "right": right}


def texts_loss(b, scale, o, concepts, use):
    """b: texts as TextSteps has them. Each must find its own among all, another text of a concept that concept's name; and so
    must a picture that had nothing but the strongest components of a name, because pictures are to have few units."""
    b = F.normalize(b, dim=1)
    n = len(concepts)
    second, others = b[n:n + n // 2], b[n + n // 2:]
    keys = torch.cat([b[:n], others])
    own = torch.arange(len(keys), device=b.device)
    text = F.cross_entropy(scale * torch.cat([second, keys]) @ keys.t(), torch.cat([own[:n // 2], own]))
    few = F.normalize(b[:n].clamp_min(0) ** 3, dim=1)
    picture = F.cross_entropy(scale * few @ keys.t(), own[:n])
    negative = b.clamp_max(0).square().sum(1).mean()
    own_text = use.information(b[:n], concepts, 4)
    return text + picture + o.negative * negative - o.own_text * own_text, {
        "image": picture, "text": text, "negative": negative, "own_text": own_text}


def control_loss(a, b, targets, scale):
    """CLIP's: every picture with its own caption; captions that occur twice are each other's negatives, as in CLIP."""
    own = b[targets.argmax(1)]
    logits = scale * F.normalize(a, dim=1) @ F.normalize(own, dim=1).t()
    same = torch.arange(len(logits), device=logits.device)
    image, text = F.cross_entropy(logits, same), F.cross_entropy(logits.t(), same)
    right = (logits.argmax(1) == same).float().mean()
    return .5 * (image + text), {"image": image, "text": text, "right": right}


def main():
    o = arguments()
    name = o.name or o.part
    torch.set_flush_denormal(True)     # Adam's means of rows that few batches touch decay to denormals, ten times slower to add
    torch.manual_seed(o.seed)
    if o.device == "cpu":
        torch.set_num_threads(os.cpu_count() or 2)
    control, alone = o.part == "control", o.part == "texts"
    pictures = batches.Pictures()
    data = batches.Batches(pictures, o.seed + list(PARTS).index(o.part) * 1000, o.core, o.more, o.emoji, o.words, o.hard, grouped=not control)
    vocabulary = pictures.vocabulary()
    rows = {t: i for i, t in enumerate(vocabulary)}
    model = M.build(averaging=not control, vocabulary=len(vocabulary), **M.shape(o.large)).to(o.device)
    model.visual.to(memory_format=torch.channels_last)
    decay = .05 if alone else .1
    trained = [p for n, p in model.named_parameters() if p.requires_grad and not (alone and n.startswith("visual."))]
    optimiser = torch.optim.AdamW([{"params": [p for p in trained if p.ndim >= 2], "weight_decay": decay},
                                   {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0}], lr=o.rate, betas=(.9, .98))
    step, spent, seen, before, kept = 0, 0.0, 0, None, None
    checkpoint = path(name + ".pt")
    if os.path.exists(checkpoint):
        c = torch.load(checkpoint, map_location=o.device)
        model.load_state_dict(c["model"])
        optimiser.load_state_dict(c["optimiser"])
        step, spent, seen, before = c["step"], c["seconds"], c["images"], c.get("before")
        kept = c.get("use")
        print(f"continuing at step {step}", flush=True)
    elif o.init:
        state, before = M.weights_of(o.init, vocabulary)
        model.load_state_dict(state, strict=False)           # released files have no batch counters
        if alone:
            torch.nn.init.normal_(model.text_projection, std=model.config.transformer_width ** -.5)
    model.train()
    if not control:
        with torch.no_grad():
            model.logit_scale.fill_(math.log(o.scale))
        model.visual.layer4[-1].relu3 = M.Awake()
    use = [Use(len(data.core), model.config.embed_dim, o.device) for _ in range(2)]
    for u, (last, known) in zip(use, kept or []):
        u.last, u.seen = last.float(), known
    M.freeze_(model.visual, o.frozen)      # the optimiser passes over what gets no gradient

    def save():
        torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "seconds": spent,
                    "images": seen, "vocabulary": vocabulary, "options": vars(o), "before": before,
                    "use": [(u.last.half(), u.seen) for u in use]}, checkpoint + ".new")
        os.replace(checkpoint + ".new", checkpoint)

    log = open(path(name + ".log"), "a", encoding="utf-8")
    until, last_save, begun = min(o.until or o.steps, o.steps), time.time(), time.time()
    steps = TextSteps(data, rows, o) if alone else Steps(data, rows, o)
    loader = torch.utils.data.DataLoader(steps, batch_size=None, sampler=range(step, until), prefetch_factor=4,
                                         num_workers=1 if o.device == "cpu" else max(1, (os.cpu_count() or 2) - 1))
    for step, *batch in loader:
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, o)
        batch = [x.to(o.device) if torch.is_tensor(x) else x for x in batch]
        fallen = min(1, step / (FALL * o.steps))
        there = 1.0 if o.part in ("polish", "join") else fallen
        scale = o.scale_start + (o.scale - o.scale_start) * fallen
        a, about = None, {}
        if alone:
            tokens, concepts = batch
            with torch.autocast(o.device, dtype=torch.bfloat16):
                b = M.text_features(model, tokens)
            loss, parts = texts_loss(b.float(), scale, o, concepts, use[1])
        else:
            strength, pixels, tokens, targets, concepts = batch
            pixels = pixels.contiguous(memory_format=torch.channels_last)
            with torch.autocast(o.device, dtype=torch.bfloat16):
                a = M.image_features(model, pixels, averaging=not control, frozen=o.frozen)
                with torch.set_grad_enabled(step >= o.texts_from * o.steps):
                    b = M.text_features(model, tokens)
            if control:
                scale = model.logit_scale.exp().clamp(max=100)
                loss, parts = control_loss(a.float(), b.float(), targets, scale)
            else:
                filled = use[1].seen.float().mean() > .9        # else the means would be those of a few concepts
                loss, parts = concept_loss(a.float(), b.float(), targets, scale, o, there if filled else 0.0, concepts, use)
            about = {"resolution": pixels.shape[-1], "strength": round(strength, 3)}
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimiser.step()
        step, seen = step + 1, seen + (0 if a is None else len(a))
        now = time.time()
        spent, begun = spent + now - begun, now
        if step % 20 == 0 or step == until:
            if a is not None:
                about["alive"] = int((a.detach() > 0).any(0).sum())
            line = {"step": step, "seconds": round(spent, 1), "images": seen, **about, "loss": round(float(loss.detach()), 4),
                    **{k: round(float(v.detach()), 4) for k, v in parts.items()}, "scale": round(float(scale), 3)}
            log.write(json.dumps(line) + "\n")
            log.flush()
            left = spent / step * (until - step)
            done = f"{seen / spent:.0f} pictures/s" if seen else f"{step / spent:.1f} steps/s"
            score = f"right {line['right']:.2f}" if "right" in line else ""
            print(f"\r{step}/{until}  {done}  {left / 60:.0f} min left  loss {line['loss']:.3f}  {score}  ",
                  end="" if os.isatty(1) else "\n", flush=True)
        if now - last_save > 300:
            save()
            last_save = now
    save()
    print()


if __name__ == "__main__":
    main()
