"""Step 7: measures a model on held-out styles and fonts. usage: evaluate.py MODEL.safetensors|CHECKPOINT.pt [--quick] [-o JSON]

Prints every figure with its target. Nothing here was seen in training: the pictures are of icon sets that are held out as a
whole, the words are in fonts that are held out.

The unit test. Pool: every held-out picture of every class in three renderings (as it is; two with other colours, sizes and
turns), and the name of every concept in eight fonts. A unit is *multimodal* for a concept if at least half of its top 16
pictures are of that concept (from at least three icon sets; what the recipe draws itself from icons counts as their set), at least half of its top 8 words are that concept's name, and the mean
activation of the concept's pictures, and of its words, exceeds the pool's mean by more than three standard deviations of
the pool. The activation is the spatial mean of the last block after its ReLU; ties are broken at random. Null: the same with the
labels of pictures and words shuffled. *Relaxed*: three eighths instead of one half. *Polysemantic*: two concepts each make up
at least a quarter of the top 16 pictures. *Dead*: zero on the whole pool."""
import argparse
import collections
import json
import os
import sys

import numpy as np
import torch

import batches
import model as M
import sources
import words as W
from render import path

sys.path.insert(0, os.path.join(sources.HERE, "..", "..", "tools", "referee"))
import clip_torch  # noqa: E402
import safetensors_io  # noqa: E402

PLAIN = np.stack([batches.grey(1.0)] * 2, 1)


class Judge:
    """A model with its texts' rows: activations of the last block, image and text embeddings."""

    def __init__(self, file, resolution=M.RESOLUTION):
        self.resolution = resolution
        if file.endswith(".pt"):
            c = torch.load(file, map_location="cpu")
            self.model = M.build(averaging=c["options"].get("part") != "control", vocabulary=len(c["vocabulary"]),
                                 **M.shape(c["options"].get("large", False)))
            self.model.load_state_dict(c["model"])
            self.rows = {t: i for i, t in enumerate(c["vocabulary"])}
        else:
            state, _ = safetensors_io.load(file)
            self.model = clip_torch.build(state)
            self.rows = {i: i for i in range(self.model.config.vocab_size)}
        self.model.eval()
        self.averaging = not self.model.visual.attnpool.k_proj.weight.any()      # then the pool need not run
        self.model.visual.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def images(self, pixels):
        """Units (n, 1024) and unit-length embeddings of pixels in [0, 1]."""
        x = ((pixels - batches.MEAN) / batches.DEVIATION).contiguous(memory_format=torch.channels_last)
        grid = M.last_block(self.model.visual, x)
        pooled = grid.mean((2, 3))
        if self.averaging:
            return pooled, torch.nn.functional.normalize(pooled, dim=1)
        return pooled, torch.nn.functional.normalize(self.model.visual.attnpool(grid), dim=1)

    @torch.no_grad()
    def texts(self, texts):
        return torch.nn.functional.normalize(torch.cat([
            M.text_features(self.model, batches.tokens_of(texts[i:i + 256], self.rows))
            for i in range(0, len(texts), 256)]), dim=1)

    def run(self, canvases):
        """Units and embeddings of what canvases hold."""
        units, embeddings = [], []
        for canvas in canvases:
            u, e = self.images(canvas.pixels(self.resolution))
            units.append(u)
            embeddings.append(e)
        return torch.cat(units).numpy(), torch.cat(embeddings).numpy()


def chunks(some, size=192):
    return [some[i:i + size] for i in range(0, len(some), size)]


def place_picture(canvas, data, number, variant):
    """A held-out picture: variant 0 as it is on white, 1 and 2 with other colours, sizes and turns."""
    r = np.random.default_rng([99, variant, number])
    if variant == 0:
        data.place(canvas, canvas.picture(PLAIN), number, r, 0.0)
    else:
        data.single(canvas, number, r, .6)


def place_word(canvas, data, number):
    data.place(canvas, canvas.picture(PLAIN), number, np.random.default_rng([98, number]), 0.0, word=True)


def renderings(pictures, data, numbers, variant):
    """Canvases of pictures in one of their renderings."""
    for part in chunks(numbers):
        canvas = batches.Canvas(pictures)
        for number in part:
            place_picture(canvas, data, number, variant)
        yield canvas


def written(pictures, data, numbers):
    for part in chunks(numbers):
        canvas = batches.Canvas(pictures)
        for number in part:
            place_word(canvas, data, number)
        yield canvas


def top(values, n, r):
    """The n largest of each row (units, pool), ties broken at random."""
    order = r.permutation(values.shape[1])
    shuffled = values[:, order]
    best = np.argpartition(-shuffled, n, axis=1)[:, :n]
    return order[best]


def unit_table(units, labels, sets, word_units, word_labels, r):
    """For each unit the concept that leads its top pictures and words, with the counts and z scores."""
    pictures, texts = top(units.T, 16, r), top(word_units.T, 8, r)
    mean, deviation = units.mean(0), units.std(0) + 1e-9
    word_mean, word_deviation = word_units.mean(0), word_units.std(0) + 1e-9
    of = collections.defaultdict(list)
    for i, k in enumerate(labels):
        of[k].append(i)
    word_of = collections.defaultdict(list)
    for i, k in enumerate(word_labels):
        word_of[k].append(i)
    rows = []
    for u in range(units.shape[1]):
        count = collections.Counter(int(labels[i]) for i in pictures[u])
        word_count = collections.Counter(int(word_labels[i]) for i in texts[u])
        k, n = max(count.items(), key=lambda x: (min(x[1], 2 * word_count[x[0]]), x[1]))
        styles = len({sets[i] for i in pictures[u] if labels[i] == k})
        z = (units[of[k], u].mean() - mean[u]) / deviation[u]
        word_z = (word_units[word_of[k], u].mean() - word_mean[u]) / word_deviation[u] if word_of[k] else 0.0
        rows.append({"unit": u, "class": k, "pictures": n, "styles": styles, "words": word_count[k], "z": float(z),
                     "word_z": float(word_z), "leaders": [x for x, m in count.most_common(3) if m >= 4],
                     "top pictures": sorted(pictures[u], key=lambda i: -units[i, u])[:9],
                     "top words": sorted(texts[u], key=lambda i: -word_units[i, u])[:6],
                     "maximum": float(max(units[:, u].max(), word_units[:, u].max()))})
    return rows


def passes(row, pictures=8, words=4):
    return (row["pictures"] >= pictures and row["styles"] >= 3 and row["words"] >= words and row["z"] > 3 and row["word_z"] > 3)


def top_k(scores, truth, k):
    return float((np.argsort(-scores, 1)[:, :k] == truth[:, None]).any(1).mean())


def with_wrong_word(pictures, data, cases, names, over):
    """Canvases of pictures with a wrong word: on a strip below, a quarter of the picture high, or over its middle."""
    fonts = sources.fonts(True)
    loaded = {}
    for part in chunks(cases):
        canvas = batches.Canvas(pictures)
        masks = []
        for number, k in part:
            r = np.random.default_rng([97, number, k])
            image = canvas.picture(PLAIN)
            data.place(canvas, image, number, r, 0.0, centre=(.5, .5 if over else .375), size=1.0 if over else .75)
            masks.append(W.draw(names[k], fonts[r.integers(len(fonts))][1], loaded, 24))
        pixels = canvas.pixels(M.RESOLUTION)                     # the word is drawn for this resolution
        ink = torch.from_numpy(np.stack(masks)).float()[:, None] / 255
        if over:                                    # black with a white rim, so that it reads on everything
            rim = torch.nn.functional.max_pool2d(ink, 3, 1, 1)
            pixels = pixels * (1 - rim) + rim
        else:
            ink = torch.roll(ink, 36, 2)
        yield pixels * (1 - ink)


def evaluate(judge, quick=False):
    pictures = batches.Pictures()
    data = batches.Batches(pictures, 0)
    classes = pictures.classes
    names = [c["name"] for c in classes]
    by_class, written_by, loose = pictures.split(True)
    r = np.random.default_rng(0)
    concepts = [i for i, c in enumerate(classes) if c["tier"] != "emoji" and c["family"] != "style"]
    core = [i for i in concepts if classes[i]["tier"] == "core"]
    out = {}

    # ---- pictures and words of the pool
    numbers = [n for k in range(len(classes)) for n in by_class[k]]
    labels = np.array([pictures.index[n]["class"] for n in numbers])
    sets = [pictures.index[n]["set"] for n in numbers]
    styles = [pictures.index[n].get("style", pictures.index[n]["set"]) for n in numbers]
    variants = (0,) if quick else (0, 1, 2)
    runs = [judge.run(renderings(pictures, data, numbers, v)) for v in variants]
    units, embeddings = np.concatenate([x for x, _ in runs]), np.concatenate([x for _, x in runs])
    pool_labels, pool_styles = np.tile(labels, len(variants)), styles * len(variants)
    fonts = 3 if quick else 8
    word_numbers = [n for k in concepts if k in written_by for n in written_by[k][:fonts]]
    word_labels = np.array([pictures.words[n]["class"] for n in word_numbers])
    word_units, word_embeddings = judge.run(written(pictures, data, word_numbers))

    # ---- zero-shot, a held-out drawing style
    plain = embeddings[:len(numbers)]
    core_text = judge.texts([names[k] for k in core]).numpy()
    position = {k: i for i, k in enumerate(core)}
    for style in ("twemoji", "tabler", "ph", "fluent-emoji-high-contrast", "streamline-emojis"):
        mine = [i for i, n in enumerate(numbers) if sets[i] == style and labels[i] in position]
        here = sorted({labels[i] for i in mine})
        text = core_text[[position[k] for k in here]]
        truth = np.array([here.index(labels[i]) for i in mine])
        scores = plain[mine] @ text.T
        out[f"zero-shot {style}"] = {"classes": len(here), "pictures": len(mine), "top-1": top_k(scores, truth, 1),
                                     "top-5": top_k(scores, truth, 5)}
    mine = [i for i, n in enumerate(numbers) if sets[i] == "twemoji" and pictures.index[n]["emoji"]]
    emoji = sorted({pictures.index[numbers[i]]["emoji"] for i in mine})
    truth = np.array([emoji.index(pictures.index[numbers[i]]["emoji"]) for i in mine])
    scores = plain[mine] @ judge.texts(emoji).numpy().T
    out["zero-shot twemoji, all labels"] = {"classes": len(emoji), "top-1": top_k(scores, truth, 1), "top-5": top_k(scores, truth, 5)}

    # ---- reading
    word_texts = np.array([names[k] for k in word_labels])
    single = [k for k in core if k in written_by]
    some = [single[i] for i in r.choice(len(single), min(600, len(single)), replace=False)]
    chosen = np.isin(word_labels, some)
    truth = np.array([some.index(k) for k in word_labels[chosen]])
    out["words of 600"] = {"words": len(some), "top-1": top_k(
        word_embeddings[chosen] @ judge.texts([names[k] for k in some]).numpy().T, truth, 1)}
    loose_numbers = [n for w in sorted(loose) for n in loose[w][:2 if quick else 4]]
    _, loose_embeddings = judge.run(written(pictures, data, loose_numbers))
    texts = np.array([pictures.words[n]["text"] for n in loose_numbers])
    every = np.array(sorted(set(texts) | set(word_texts)))
    every = every[np.sort(r.choice(len(every), min(3800, len(every)), replace=False))]
    place = {t: i for i, t in enumerate(every)}
    both = np.concatenate([word_embeddings, loose_embeddings])
    both_texts = np.concatenate([word_texts, texts])
    chosen = np.array([t in place for t in both_texts])
    truth = np.array([place[t] for t in both_texts[chosen]])
    out["words of 3800"] = {"words": len(every), "top-1": top_k(both[chosen] @ judge.texts(list(every)).numpy().T, truth, 1)}

    # ---- pictures to words through the last block alone
    unit_norm = lambda x: x / (np.linalg.norm(x, axis=-1, keepdims=True) + 1e-9)
    eligible = [k for k in core if k in written_by and len(by_class[k]) >= 3]
    some = [eligible[i] for i in r.choice(len(eligible), min(220, len(eligible)), replace=False)]
    a = unit_norm(np.stack([unit_norm(units[pool_labels == k]).mean(0) for k in some]))
    b = unit_norm(np.stack([unit_norm(word_units[word_labels == k]).mean(0) for k in some]))
    out["pooled match"] = {"concepts": len(some), "top-1": top_k(a @ b.T, np.arange(len(some)), 1)}

    # ---- units
    table = unit_table(units, pool_labels, pool_styles, word_units, word_labels, r)
    shuffled = unit_table(units, r.permutation(pool_labels), pool_styles, word_units, r.permutation(word_labels), r)
    strict, relaxed = [x for x in table if passes(x)], [x for x in table if passes(x, 6, 3)]
    middle = np.median([x["maximum"] for x in table])
    families = collections.defaultdict(set)
    for x in relaxed:
        families[classes[x["class"]]["family"]].add(names[x["class"]])
    out["units"] = {
        "units": len(table), "multimodal": len(strict), "concepts": len({x["class"] for x in strict}),
        "null": sum(map(passes, shuffled)), "relaxed": len(relaxed), "relaxed concepts": len({x["class"] for x in relaxed}),
        "relaxed null": sum(passes(x, 6, 3) for x in shuffled), "dead": sum(x["maximum"] <= 0 for x in table),
        "nearly dead": sum(0 < x["maximum"] < middle / 100 for x in table),
        "pictures alone": sum(x["pictures"] >= 8 and x["z"] > 3 for x in table),
        "polysemantic": sum(len(x["leaders"]) >= 2 for x in table), "pool": [len(units), len(word_units)]}
    out["families"] = {k: sorted(v) for k, v in sorted(families.items())}

    # ---- wrong words
    cases = []
    for i in (i for i, n in enumerate(numbers) if sets[i] == "twemoji" and labels[i] in position):
        if int(np.argmax(plain[i] @ core_text.T)) == position[labels[i]]:
            cases.append((numbers[i], [k for k in (core[j] for j in r.choice(len(core), 2, replace=False)) if k != labels[i]][0]))
    cases = cases[:150 if quick else 600]
    for over in (False, True):
        flips = changed = 0
        done = 0
        for pixels in with_wrong_word(pictures, data, cases, names, over):
            _, e = judge.images(pixels)
            answer = np.argmax(e.numpy() @ core_text.T, 1)
            for x, (number, k) in zip(answer, cases[done:done + len(answer)]):
                flips += core[x] == k
                changed += core[x] != pictures.index[number]["class"]
            done += len(answer)
        out["wrong word " + ("over the picture" if over else "on a strip")] = {
            "pictures": done, "flips to the word": flips / max(done, 1), "label lost": changed / max(done, 1)}
    for x in table:
        x["concept"] = names[x.pop("class")]
        x["leaders"] = [names[k] for k in x["leaders"]]
        x["top pictures"] = [[numbers[i % len(numbers)], int(i // len(numbers))] for i in x["top pictures"]]
        x["top words"] = [word_numbers[i] for i in x["top words"]]
        x["multimodal"] = passes(x)
        x["relaxed"] = passes(x, 6, 3)
    out["table"] = table
    return out


TARGETS = [("zero-shot twemoji", "top-1", .55), ("zero-shot twemoji", "top-5", .80), ("zero-shot twemoji, all labels", "top-1", .25),
           ("words of 600", "top-1", .85), ("words of 3800", "top-1", .65), ("units", "multimodal", 250), ("units", "concepts", 200),
           ("pooled match", "top-1", .95), ("wrong word on a strip", "flips to the word", .25),
           ("wrong word over the picture", "flips to the word", .10)]
FAMILIES = {"emotion": 8, "country": 40, "animal": 10, "weather": 5, "brand": 5, "colour": 4, "count": 3}


def report(out):
    show = lambda x: f"{x:.1%}" if isinstance(x, float) else str(x)
    lines = []
    for name, key, target in TARGETS:
        value = out[name][key]
        lines.append(f"{name + ', ' + key:48s} {show(value):>8s}   wanted {show(target)}  {'met' if value >= target else 'not met'}")
    u = out["units"]
    lines.append(f"{'dead units':48s} {u['dead']:>8d}   wanted at most {u['units'] // 5}  {'met' if u['dead'] <= u['units'] / 5 else 'not met'}")
    for family, target in FAMILIES.items():
        n = len(out["families"].get(family, []))
        lines.append(f"{'family ' + family:48s} {n:>8d}   wanted {target}  {'met' if n >= target else 'not met'}")
    lines += [f"{k}: " + ", ".join(f"{a} {show(b)}" for a, b in v.items()) for k, v in out.items() if k not in ("table", "families")]
    return "\n".join(lines)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("model")
    a.add_argument("--quick", action="store_true", help="one rendering, three fonts")
    a.add_argument("--resolution", type=int, default=M.RESOLUTION, help="of a checkpoint that has not reached the last one")
    a.add_argument("--threads", type=int, default=os.cpu_count())
    a.add_argument("-o")
    o = a.parse_args()
    torch.set_num_threads(o.threads)
    out = evaluate(Judge(o.model, o.resolution), o.quick)
    print(report(out))
    if o.o:
        with open(o.o, "w", encoding="utf-8") as f:
            json.dump(out, f, ensure_ascii=False, indent=1, default=lambda x: x.item())   # numpy's numbers


if __name__ == "__main__":
    main()
