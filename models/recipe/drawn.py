"""Step 3: pictures that no icon set has, drawn from those that are there: colours (shapes and silhouettes in a colour) and
counts (that many copies of something). Held-out ones are drawn from held-out icons only. A picture made of an icon has that icon's
set as its style. Writes cache/drawn.npy
(n, 96, 96, 4, uint8, premultiplied) and cache/drawn.json."""
import json
import math

import numpy as np
from PIL import Image, ImageDraw

from render import SIZE, path

COLOURS = {          # name: hue in degrees, saturation, value: ranges that people call by that name
    "red": ((-8, 8), (.8, 1), (.7, 1)), "orange": ((22, 35), (.85, 1), (.9, 1)), "yellow": ((48, 58), (.8, 1), (.9, 1)),
    "green": ((95, 145), (.6, 1), (.45, .85)), "blue": ((205, 235), (.7, 1), (.6, 1)),
    "purple": ((268, 290), (.6, 1), (.5, .85)), "pink": ((318, 342), (.35, .65), (.95, 1)),
    "brown": ((18, 28), (.6, .8), (.35, .55)), "black": ((0, 360), (0, .1), (0, .08)), "white": ((0, 360), (0, .03), (.97, 1)),
    "grey": ((0, 360), (0, .05), (.45, .6))}
COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
TRAINING, HELD_OUT = 260, 24


def rgb(name, r):
    (h0, h1), (s0, s1), (v0, v1) = COLOURS[name]
    h, s, v = r.uniform(h0, h1) % 360 / 60, r.uniform(s0, s1), r.uniform(v0, v1)
    k = [(n + h) % 6 for n in (5, 3, 1)]
    return np.array([255 * (v - v * s * max(0, min(x, 4 - x, 1))) for x in k])


def shape(kind, r):
    """A silhouette drawn here: (96, 96) uint8."""
    image = Image.new("L", (SIZE * 4, SIZE * 4))
    draw, s = ImageDraw.Draw(image), SIZE * 4
    a, b = r.uniform(.06, .2) * s, r.uniform(.8, .94) * s
    if kind == "circle":
        draw.ellipse((a, a, b, b), 255)
    elif kind == "square":
        draw.rounded_rectangle((a, a, b, b), r.uniform(0, .2) * s, 255)
    elif kind == "stripes":
        n = int(r.integers(2, 6))
        for i in range(n):
            draw.rectangle((a, a + (b - a) * i / n, b, a + (b - a) * (i + r.uniform(.4, .7)) / n), 255)
    elif kind == "polygon":
        n = int(r.integers(3, 8))
        turn = r.uniform(0, 6.3)
        draw.polygon([(s / 2 + .44 * s * math.cos(turn + 6.2832 * i / n), s / 2 + .44 * s * math.sin(turn + 6.2832 * i / n))
                      for i in range(n)], 255)
    elif kind == "blob":
        p1, p2, p3 = r.uniform(0, 6.3, 3)
        points = []
        for t in np.linspace(0, 6.2832, 90):
            radius = s * (.33 + .06 * math.sin(2 * t + p1) + .05 * math.sin(3 * t + p2) + .03 * math.sin(5 * t + p3))
            points.append((s / 2 + radius * math.cos(t), s / 2 + radius * math.sin(t)))
        draw.polygon(points, 255)
    elif kind == "swatch":
        draw.rectangle((0, 0, s, s), 255)
    elif kind == "dots":
        for _ in range(int(r.integers(5, 14))):
            x, y, q = r.uniform(.1, .9) * s, r.uniform(.1, .9) * s, r.uniform(.04, .12) * s
            draw.ellipse((x - q, y - q, x + q, y + q), 255)
    return np.asarray(image.resize((SIZE, SIZE), Image.BOX))


def tinted(alpha, colour, r):
    shade = 1 + r.uniform(-.12, .12) * np.linspace(-1, 1, SIZE)[:, None, None]     # a slight gradient
    a = alpha[..., None].astype(np.float32) / 255
    out = np.concatenate([np.clip(colour * shade, 0, 255) * a, a * 255], -1)
    return out.round().astype(np.uint8)


def places(n, r):
    """Centres and a size for n things that do not overlap: a die's face, a row, a grid, a ring or anywhere."""
    kind = r.choice(["die", "rows", "ring", "free"], p=[.3, .3, .15, .25])
    dice = {2: [(0, 0), (2, 2)], 3: [(0, 0), (1, 1), (2, 2)], 4: [(0, 0), (0, 2), (2, 0), (2, 2)],
            5: [(0, 0), (0, 2), (1, 1), (2, 0), (2, 2)], 6: [(0, 0), (0, 1), (0, 2), (2, 0), (2, 1), (2, 2)],
            7: [(0, 0), (0, 1), (0, 2), (1, 1), (2, 0), (2, 1), (2, 2)],
            8: [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2)],
            9: [(i, j) for i in range(3) for j in range(3)]}
    if kind == "die":
        return kind, [((x + .5) / 3, (y + .5) / 3) for x, y in dice[n]], .28
    if kind == "ring" and n > 2:
        turn = r.uniform(0, 6.3)
        return kind, [(.5 + .34 * math.cos(turn + 6.2832 * i / n), .5 + .34 * math.sin(turn + 6.2832 * i / n))
                      for i in range(n)], min(.3, 1.7 / n)
    if kind == "free":
        for _ in range(200):
            points = r.uniform(.14, .86, (n, 2))
            gap = min((np.linalg.norm(a - b) for i, a in enumerate(points) for b in points[:i]), default=1)
            if gap > .25:
                return kind, [tuple(p) for p in points], .24
    rows = max(1, round(math.sqrt(n) + r.uniform(-.6, .3)))
    per = math.ceil(n / rows)
    points = []
    for y in range(math.ceil(n / per)):
        here = min(per, n - y * per)
        points += [((x + .5 + (per - here) / 2) / per, (y + .5) / math.ceil(n / per)) for x in range(here)]
    return "rows", points, min(.9 / per, .9 / math.ceil(n / per), .5)


def copies(thing, n, r):
    """n copies of a premultiplied RGBA picture."""
    kind, points, size = places(n, r)
    out = np.zeros((SIZE, SIZE, 4), np.uint8)
    px = max(10, int(size * SIZE))
    small = np.asarray(Image.fromarray(thing).resize((px, px), Image.BOX))
    for x, y in points:
        left = int(np.clip(x * SIZE - px / 2, 0, SIZE - px))
        top = int(np.clip(y * SIZE - px / 2, 0, SIZE - px))
        here = out[top:top + px, left:left + px]
        here[:] = np.maximum(here, small)
    return kind, out


def main():
    with open(path("classes.json"), encoding="utf-8") as f:
        every = json.load(f)
    classes = {c["name"]: i for i, c in enumerate(every)}
    things = {i for i, c in enumerate(every) if c["family"] in
              ("animal", "plant", "food", "drink", "vehicle", "tool", "household", "clothing", "music", "sport", "nature")}
    with open(path("index.json"), encoding="utf-8") as f:
        index = json.load(f)
    arrays = {"mono": np.load(path("mono.npy"), mmap_mode="r"), "colour": np.load(path("colour.npy"), mmap_mode="r")}
    drawn, rows = [], []
    for held_out in (False, True):
        r = np.random.default_rng(20261126 + held_out)
        pool = {a: [p for p in index if p["held_out"] == held_out and p["array"] == a and p["class"] in things]
                for a in arrays}
        solid = [p for p in pool["mono"] if p["medium"] == "solid"]
        number = HELD_OUT if held_out else TRAINING

        def add(name, kind, picture, licence, style=None):
            rows.append({"class": classes[name], "set": "drawn-" + kind, "style": style or "drawn-" + kind, "name": f"{name}-{len(rows)}", "medium": "colour",
                         "licence": licence, "emoji": None, "held_out": held_out, "array": "drawn", "row": len(drawn)})
            drawn.append(picture)

        for name in COLOURS:
            if name not in classes:
                continue
            for _ in range(number):
                kind = r.choice(["circle", "square", "stripes", "polygon", "blob", "swatch", "dots", "icon"],
                                p=[.1, .1, .08, .1, .1, .07, .1, .35])
                licence, style = "MIT", None
                if kind == "icon":
                    p = solid[r.integers(len(solid))]
                    alpha, licence, style = arrays["mono"][p["row"]], p["licence"], p["set"]
                else:
                    alpha = shape(kind, r)
                add(name, kind, tinted(alpha, rgb(name, r), r), licence, style)
        for name, n in COUNTS.items():
            if name not in classes:
                continue
            for _ in range(number):
                kind, licence, style = r.choice(["dots", "mono", "colour"], p=[.4, .3, .3]), "MIT", None
                ink = np.zeros(3) if r.random() < .5 else rgb(r.choice(list(COLOURS)[:9]), r)
                if kind == "dots":
                    thing = tinted(shape(r.choice(["circle", "square", "polygon"]), r), ink, r)
                elif kind == "mono":
                    p = solid[r.integers(len(solid))]
                    thing, licence = tinted(arrays["mono"][p["row"]], ink, r), p["licence"]
                    style = p["set"]
                else:
                    p = pool["colour"][r.integers(len(pool["colour"]))]
                    thing, licence = np.array(arrays["colour"][p["row"]]), p["licence"]
                    style = p["set"]
                place, picture = copies(thing, n, r)
                add(name, "count-" + kind, picture, licence, style)
    np.save(path("drawn.npy"), np.stack(drawn) if drawn else np.zeros((0, SIZE, SIZE, 4), np.uint8))
    with open(path("drawn.json"), "w", encoding="utf-8") as f:
        json.dump(rows, f, indent=0)
    print(f"{len(rows)} pictures of colours and counts")


if __name__ == "__main__":
    main()
