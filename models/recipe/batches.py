"""Batches for training: which pictures and texts stand together, and how they are laid out as pixels.

A picture is one or two layers (a drawing and, sometimes, a written word or a second drawing) over a background. A layer is
premultiplied RGBA of 96 x 96, placed by an affine map and sampled at the resolution asked for. Everything random comes from
a generator that is seeded by (seed, step), so that a run that was interrupted goes on exactly where it was.
"""
import json
import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

import drawn
import sources
import words
from render import SIZE, path

sys.path.insert(0, os.path.join(sources.HERE, "..", "..", "tools"))
import referee_tokens  # noqa: E402

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
DEVIATION = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)
START, END = 49406, 49407
HARD = {"emotion", "colour", "count"}      # families that differ by little

# Neutral frames: none says whether a picture or a word is meant.
FRAMES = ["a picture of {}", "an image of {}", "this is {}", "a {}", "the {}", "{} here", "a photo of a {}", "it shows {}"]
UNTURNED = {"country", "letter", "digit", "brand", "symbol", "sign", "zodiac", "count"}   # mirrored or turned they are others


def ids_of(text):
    return [START] + referee_tokens.encode(text)[:75] + [END]


def tokens_of(texts, rows):
    """(n, longest) rows of the token embedding, of which only used ones are trained: rows maps ids to them, in order, so that
    the end mark stays the largest. Columns without any text are cut off, which causal attention allows."""
    ids = [[rows[i] for i in ids_of(t)] for t in texts]
    out = torch.zeros(len(ids), max(map(len, ids)), dtype=torch.long)
    for row, i in enumerate(ids):
        out[row, :len(i)] = torch.tensor(i)
    return out


def longest_text(classes):
    """Positions that captions reach: the longest name or phrase in the longest frame."""
    inner = max(len(ids_of(t)) for c in classes for t in [c["name"]] + c["phrases"] + c.get("emoji", []))
    return inner + max(len(ids_of(f.format(""))) - 2 for f in FRAMES)


class Pictures:
    """The arrays of the data step and who is where in them."""

    def __init__(self):
        with open(path("classes.json"), encoding="utf-8") as f:
            self.classes = json.load(f)
        with open(path("index.json"), encoding="utf-8") as f:
            self.index = json.load(f)
        with open(path("drawn.json"), encoding="utf-8") as f:
            self.index += json.load(f)
        with open(path("words.json"), encoding="utf-8") as f:
            self.words = json.load(f)
        self.arrays = {n: np.load(path(n + ".npy")) for n in ("mono", "colour", "drawn", "words")}

    def vocabulary(self):
        """Every token that a caption can have, in order."""
        names = [c["name"] for c in self.classes]
        texts = names + [n + "s" for n in names] + words.word_list() + ["of"] + [f.format("") for f in FRAMES]
        for c in self.classes:
            texts += c["phrases"] + c.get("emoji", [])
        return sorted({i for t in texts for i in ids_of(t)})

    def split(self, held_out):
        """class -> its picture numbers, class or text -> its word numbers."""
        by_class = [[] for _ in self.classes]
        for i, p in enumerate(self.index):
            if p["held_out"] == held_out:
                by_class[p["class"]].append(i)
        written, loose = {}, {}
        for i, w in enumerate(self.words):
            if w["held_out"] == held_out:
                (loose if w["class"] is None else written).setdefault(
                    w["text"] if w["class"] is None else w["class"], []).append(i)
        return by_class, written, loose


def affine(cx, cy, scale, turn=0.0, flip=False):
    """Puts a layer with its centre at (cx, cy) in [0, 1], `scale` times its size, turned by radians: for grid_sample."""
    c, s = math.cos(turn) / scale, math.sin(turn) / scale
    x, y = 2 * cx - 1, 2 * cy - 1
    m = np.array([[c, s, -(c * x + s * y)], [-s, c, -(-s * x + c * y)]], np.float32)
    if flip:
        m[0] *= -1
    return m


class Canvas:
    """Collects layers, then lays them out."""

    def __init__(self, pictures):
        self.p = pictures
        self.sources, self.inks, self.thetas, self.onto, self.grounds = [], [], [], [], []

    def picture(self, ground):
        self.grounds.append(ground)
        return len(self.grounds) - 1

    def layer(self, image, source, ink, theta):
        self.sources.append(source)
        self.inks.append(ink)
        self.thetas.append(theta)
        self.onto.append(image)

    def sampled(self, some, resolution):
        """Layers `some`, all of one colour or all coloured, at the resolution: colours (n, 3, R, R) and cover (n, 1, R, R)."""
        drawings = torch.from_numpy(np.stack([self.p.arrays[array][row] for array, row in (self.sources[i] for i in some)]))
        theta = torch.from_numpy(np.stack([self.thetas[i] for i in some]))
        one_colour = drawings.ndim == 3
        drawings = (drawings[:, None] if one_colour else drawings.permute(0, 3, 1, 2).contiguous()).float().div_(255)
        grid = F.affine_grid(theta, (len(some), 1, resolution, resolution), align_corners=False)
        layers = F.grid_sample(drawings, grid, align_corners=False)
        if one_colour:
            ink = torch.from_numpy(np.stack([self.inks[i] for i in some]).astype(np.float32))
            return layers * ink[:, :, None, None], layers
        return layers[:, :3], layers[:, 3:]

    def pixels(self, resolution):
        """(n, 3, resolution, resolution) in [0, 1]."""
        ground = torch.from_numpy(np.stack(self.grounds).astype(np.float32))          # (n, 3, 2): top and bottom colour
        ramp = torch.linspace(0, 1, resolution)
        out = (ground[:, :, 0, None] * (1 - ramp) + ground[:, :, 1, None] * ramp)[..., None].repeat(1, 1, 1, resolution)
        levels, seen = {}, {}                         # the first layers of all pictures, then the second ones, ...
        for i, image in enumerate(self.onto):
            seen[image] = seen.get(image, -1) + 1
            flat = self.p.arrays[self.sources[i][0]].ndim == 3
            levels.setdefault((seen[image], flat), []).append(i)
        for key in sorted(levels):
            some = levels[key]
            images = torch.tensor([self.onto[i] for i in some])
            colours, cover = self.sampled(some, resolution)
            out[images] = out[images].mul_(1 - cover).add_(colours)
        return out


def grey(v):
    return np.array([v, v, v])


def any_colour(r, low=0.0, high=1.0):
    return r.uniform(low, high, 3)


def inks(r, strength):
    """(ink, background) of a one-colour picture: the easy one is black on white; what shows is a contrast."""
    if r.random() > strength:
        return grey(0.0), grey(1.0)
    kind = r.random()
    if kind < .4:
        return grey(r.uniform(0, .25)), grey(r.uniform(.8, 1))
    for _ in range(20):
        if kind < .62:
            ink, ground = any_colour(r, 0, .8), np.clip(grey(r.uniform(.8, 1)) + r.uniform(-.1, .1, 3), 0, 1)
        elif kind < .78:
            ink, ground = grey(r.uniform(.85, 1)), any_colour(r, 0, .6)
        else:
            ink, ground = any_colour(r), any_colour(r)
        if abs(float((ink - ground) @ [.3, .6, .1])) > .3:
            return ink, ground
    return grey(0.0), grey(1.0)


def ground_for_colour(r, strength):
    if r.random() > strength * .65:
        return grey(1.0)
    return any_colour(r, .6, 1) if r.random() < .6 else any_colour(r)


class Batches:
    """What a step of training sees. `make(step, strength, resolution)` -> pixels, texts, targets (n, texts), and which
    core concepts the first texts are for. Grouped: a core
    class comes with two pictures and a word; else every text comes with one picture or one word, as in CLIP's batches."""

    def __init__(self, pictures, seed, core=56, more=18, emoji=8, words=28, hard=0, grouped=True):
        self.p, self.seed = pictures, seed
        self.by_class, self.written, self.loose = pictures.split(False)
        tier = lambda t: [i for i, c in enumerate(pictures.classes) if c["tier"] == t and c["family"] != "style"]
        have = lambda i: len(self.by_class[i]) > 0
        self.core = [i for i in tier("core") if have(i)]
        self.core_number = {k: i for i, k in enumerate(self.core)}
        self.more = [i for i in tier("more") if have(i) or i in self.written]
        self.emoji = [i for i in tier("emoji") if have(i)]
        self.loose_words = sorted(self.loose)
        self.colours = [i for i in self.core if pictures.classes[i]["family"] == "colour"]
        self.counts = [i for i in self.core if pictures.classes[i]["family"] == "count"]
        plain = ("animal", "plant", "food", "drink", "vehicle", "tool", "household", "clothing", "music", "sport", "nature",
                 "symbol", "body")
        self.things = [i for i in self.core if pictures.classes[i]["family"] in plain and
                       any(pictures.index[p]["array"] == "mono" for p in self.by_class[i])]
        self.styles = [(c["name"], i) for i, c in enumerate(pictures.classes) if c["family"] == "style"]
        self.sizes = {"core": core, "more": more, "emoji": emoji, "words": words}
        self.hard = [k for k in self.core if pictures.classes[k]["family"] in HARD] if hard else []
        self.n_hard = hard
        self.grouped = grouped

    def text(self, r, k, strength):
        c = self.p.classes[k]
        name = c["name"]
        choice = r.random()
        if choice < .4 * strength:
            others = c["phrases"] + c.get("emoji", [])
            if others:
                name = others[r.integers(len(others))]
        if r.random() < .15 * strength:
            name = FRAMES[r.integers(len(FRAMES))].format(name)
        return name

    def place(self, canvas, image, number, r, strength, word=False, centre=(.5, .5), size=1.0, ink=None):
        """A drawing or a word as a layer, moved about by the strength of augmentation."""
        if word:
            source, family = ("words", number), "word"
        else:
            picture = self.p.index[number]
            source, family = (picture["array"], picture["row"]), self.p.classes[picture["class"]]["family"]
        scale = size * r.uniform(1 - (.2 if word else .4) * strength, 1 + .05 * strength)
        room = max(0.0, (size - scale) / 2 + .03 * strength)
        turn = r.normal(0, .15 * strength)
        if not word and family not in UNTURNED and r.random() < .06 * strength:
            turn = r.uniform(-3.1, 3.1)
        flip = not word and family not in UNTURNED and r.random() < .4 * strength
        canvas.layer(image, source, ink if ink is not None else grey(0.0),
                     affine(centre[0] + r.uniform(-room, room), centre[1] + r.uniform(-room, room), scale, turn, flip))

    def is_mono(self, number):
        return self.p.index[number]["array"] == "mono"

    def ground_and_ink(self, number, r, strength, word=False):
        if word or self.is_mono(number):
            ink, ground = inks(r, strength)
        else:
            ink, ground = None, ground_for_colour(r, strength)
        second = np.clip(ground + r.normal(0, .12, 3), 0, 1) if r.random() < .2 * strength else ground
        return ink, np.stack([ground, second], 1)

    def single(self, canvas, number, r, strength, word=False):
        ink, ground = self.ground_and_ink(number, r, strength, word)
        image = canvas.picture(ground)
        self.place(canvas, image, number, r, strength, word, ink=ink)
        return image

    def two_pictures(self, k, r):
        """Two training pictures of a class, from different sets where possible."""
        mine = self.by_class[k]
        first = mine[r.integers(len(mine))]
        for _ in range(4):
            second = mine[r.integers(len(mine))]
            if self.p.index[second]["set"] != self.p.index[first]["set"]:
                break
        return first, second

    def make(self, step, strength, resolution):
        r = np.random.default_rng([self.seed, step])
        pick = lambda some, n: [some[i] for i in r.choice(len(some), min(n, len(some)), replace=False)]
        core, more = pick(self.core, self.sizes["core"]), pick(self.more, self.sizes["more"])
        emoji, words = pick(self.emoji, self.sizes["emoji"]), pick(self.loose_words, self.sizes["words"])
        texts = [self.text(r, k, strength) for k in core + more + emoji] + list(words)
        if self.hard:
            core += [k for k in pick(self.hard, self.n_hard) if k not in core]
            texts = [self.text(r, k, strength) for k in core + more + emoji] + list(words)
        column = {k: i for i, k in enumerate(core + more + emoji)}
        canvas, targets = Canvas(self.p), []                # targets: a picture's {column: weight}
        reads = {k for k in core + more if k in self.written}
        if not self.grouped:                               # one picture or one word for each text
            reads = {k for k in reads if not self.by_class[k] or r.random() < .4}
        for k in core + more + emoji:
            if self.by_class[k] and (self.grouped or k not in reads):
                some = self.two_pictures(k, r)
                for number in some if k in core and self.grouped else some[:1]:
                    self.single(canvas, number, r, strength)
                    targets.append({column[k]: 1.0})
        for k in core + more:
            if k in reads:
                mine = self.written[k]
                self.single(canvas, mine[r.integers(len(mine))], r, strength, word=True)
                targets.append({column[k]: 1.0})
        for i, w in enumerate(words):
            mine = self.loose[w]
            self.single(canvas, mine[r.integers(len(mine))], r, strength, word=True)
            targets.append({len(column) + i: 1.0})
        if strength > .3:
            small = resolution >= SIZE    # words on a strip can be read
            self.mix(canvas, targets, texts, core, column, r, strength, 12 if small else 8, 24 if small else 12)
        pixels = self.spoil(canvas.pixels(resolution), r, strength)
        matrix = torch.zeros(len(targets), len(texts))
        for i, t in enumerate(targets):
            for j, weight in t.items():
                matrix[i, j] = weight
        numbers = torch.tensor([self.core_number[k] for k in core])
        return pixels.sub_(MEAN).div_(DEVIATION), texts, matrix, numbers

    def mix(self, canvas, targets, texts, core, column, r, strength, named, misnamed):
        """Pictures with their word, with a wrong word, of two things, and short phrases."""
        def with_word(k, other):
            number, word = self.by_class[k][r.integers(len(self.by_class[k]))], self.written[other]
            word = word[r.integers(len(word))]
            ink, ground = self.ground_and_ink(number, r, strength)
            image = canvas.picture(ground)
            if r.random() < .6:                                # a strip below or above
                height = r.uniform(.22, .4)
                below = r.random() < .75
                self.place(canvas, image, number, r, strength * .4, centre=(.5, .5 - height / 2 if below else .5 + height / 2),
                           size=1 - height, ink=ink)
                self.place(canvas, image, word, r, strength * .3, True, (.5, 1 - height / 2 if below else height / 2),
                           r.uniform(.65, 1), ink if ink is not None else self.readable(ground[:, 0], r))
            else:                                              # over the picture
                self.place(canvas, image, number, r, strength * .5, ink=ink)
                centre = (r.uniform(.4, .6), r.uniform(.25, .75))
                ink = self.readable(any_colour(r), r) if r.random() < .5 else any_colour(r)
                self.place(canvas, image, word, r, strength * .3, True, centre, r.uniform(.6, 1), ink)
        written = [k for k in core if k in self.written]
        for i in r.choice(len(written), named, replace=False):
            with_word(written[i], written[i])
            targets.append({column[written[i]]: 1.0})
        for _ in range(misnamed):
            a, b = (written[i] for i in r.choice(len(written), 2, replace=False))
            with_word(a, b)
            targets.append({column[a]: .5, column[b]: .5})
        for _ in range(8):                                     # two things side by side
            a, b = (core[i] for i in r.choice(len(core), 2, replace=False))
            one, two = (self.by_class[k][r.integers(len(self.by_class[k]))] for k in (a, b))
            ink, ground = self.ground_and_ink(one, r, strength)
            if ink is None and self.is_mono(two):
                ink = self.readable(ground[:, 0], r)
            image = canvas.picture(ground)
            x, y = ((.27, .73), (.5, .5)) if r.random() < .7 else ((.5, .5), (.27, .73))
            self.place(canvas, image, one, r, strength * .5, centre=(x[0], y[0]), size=.52, ink=ink)
            self.place(canvas, image, two, r, strength * .5, centre=(x[1], y[1]), size=.52, ink=ink)
            targets.append({column[a]: .5, column[b]: .5})
        self.phrases(canvas, targets, texts, column, r, strength)

    def phrases(self, canvas, targets, texts, column, r, strength):
        """ "red heart", "three apples", "line drawing of a cat": a text of its own, which shares with its parts."""
        def said(text, *parts):
            texts.append(text)
            t = {len(texts) - 1: .5 if any(p in column for p in parts) else 1.0}
            here = [p for p in parts if p in column]
            for p in here:
                t[column[p]] = .5 / len(here)
            targets.append(t)
        for _ in range(6 if self.colours and self.things else 0):
            colour, thing = self.colours[r.integers(len(self.colours))], self.things[r.integers(len(self.things))]
            name = self.p.classes[colour]["name"]
            mono = [n for n in self.by_class[thing] if self.is_mono(n)]
            ink = drawn.rgb(name, r) / 255
            image = canvas.picture(np.stack([self.readable(ink, r)] * 2, 1))
            self.place(canvas, image, mono[r.integers(len(mono))], r, strength, ink=ink)
            said(f"{name} {self.p.classes[thing]['name']}", colour, thing)
        for _ in range(3 if self.counts and self.things else 0):
            count, thing = self.counts[r.integers(len(self.counts))], self.things[r.integers(len(self.things))]
            number = self.by_class[thing][r.integers(len(self.by_class[thing]))]
            ink, ground = self.ground_and_ink(number, r, strength)
            image = canvas.picture(ground)
            _, points, size = drawn.places(drawn.COUNTS[self.p.classes[count]["name"]], r)
            for x, y in points:
                self.place(canvas, image, number, r, 0, centre=(x, y), size=size, ink=ink)
            name = self.p.classes[thing]["name"]
            said(f"{self.p.classes[count]['name']} {name}{'' if name.endswith('s') else 's'}", count, thing)
        for name, k in self.styles:
            thing = self.core[r.integers(len(self.core))]
            mine = [n for n in self.by_class[thing] if self.style_of(n) == name]
            if mine:
                self.single(canvas, mine[r.integers(len(mine))], r, strength)
                said(f"{name} of {self.p.classes[thing]['name']}" if r.random() < .7 else name, thing)

    def style_of(self, number):
        p = self.p.index[number]
        if "pixel" in p["set"] or p["set"] in ("memory", "dinkie-icons"):
            return "pixel art"
        if p["medium"] == "3-d":
            return "3-d render"
        if p["set"] in sources.EMOJI and p["medium"] == "colour":
            return "emoji"
        return {"line": "line drawing", "solid": "flat icon"}.get(p["medium"])

    @staticmethod
    def readable(against, r):
        """A colour that can be told from the other: black or white, or nearly."""
        return grey(r.uniform(.88, 1)) if float(against @ [.3, .6, .1]) < .5 else grey(r.uniform(0, .12))

    @staticmethod
    def spoil(pixels, r, strength):
        """Low quality: some noise, some blur, some change of contrast."""
        n, side = len(pixels), pixels.shape[-1]
        coarse = torch.from_numpy(np.nonzero(r.random(n) < .08 * strength)[0])
        if len(coarse):
            low = F.interpolate(pixels[coarse], size=int(side * r.uniform(.5, .75)), mode="area")
            pixels[coarse] = F.interpolate(low, size=side, mode="bilinear", align_corners=False)
        noisy = torch.from_numpy(np.nonzero(r.random(n) < .12 * strength)[0])
        if len(noisy):
            noise = torch.from_numpy(r.standard_normal((len(noisy), *pixels.shape[1:]), np.float32))
            pixels[noisy] += noise.mul_(float(r.uniform(.02, .1)))
        if strength > 0:
            gain = torch.from_numpy(r.uniform(1 - .25 * strength, 1, (n, 1, 1, 1)).astype(np.float32))
            shift = torch.from_numpy(r.uniform(0, 1, (n, 1, 1, 1)).astype(np.float32)) * (1 - gain)
            pixels.mul_(gain).add_(shift)
        return pixels.clamp_(0, 1)
