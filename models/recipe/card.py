"""Step 9: what the model card shows. usage: card.py sources OUT.md | curves LOG.. OUT.svg | sheet EVALUATION.json OUT.png |
                                        figures EVALUATION.json CONTROL.json CARD.md | facts EVALUATION.json CSV OUT.cmake"""
import collections
import csv
import json
import os
import re
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import batches
import evaluate
import sources


def lock():
    with open(os.path.join(sources.HERE, "package-lock.json"), encoding="utf-8") as f:
        return json.load(f)["packages"]


def write_sources(out):
    """Every set and font with version, licence and author, and how many pictures were taken."""
    packages, about = lock(), sources.sets()
    version = lambda p: packages[f"node_modules/{p}"]["version"]
    pictures = batches.Pictures()
    count, held_out = collections.Counter(), collections.Counter()
    for p in pictures.index:
        (held_out if p["held_out"] else count)[p["set"]] += 1
    fonts = collections.Counter(w["font"] for w in pictures.words)
    lines = ["# Sources of the default model", "",
             "Written by `models/recipe/card.py sources` from the packages that `models/recipe/package-lock.json` pins by version and hash.",
             "Nothing under a share-alike, GPL or non-commercial licence is among them.", "",
             f"## Icon sets ({sum(s in about for s in count | held_out)} sets of @iconify/json {version('@iconify/json')})", "",
             "| set | title | author | version | licence | training | held out |", "|---|---|---|---|---|---:|---:|"]
    for s in sorted(s for s in set(count) | set(held_out) if s in about):
        a = about[s]
        lines.append(f"| {s} | {a['title']} | {a['author']} | {a['version'] or version('@iconify/json')} | {a['licence']} | "
                     f"{count[s]} | {held_out[s]} |")
    lines += ["", "## Other pictures", "", "| source | what | version | licence | training | held out |", "|---|---|---|---|---:|---:|"]
    lines.append(f"| @lobehub/fluent-emoji-3d | Microsoft's Fluent emoji, 3-D | {version('@lobehub/fluent-emoji-3d')} | MIT | "
                 f"{count[sources.SOLID_3D]} | 0 |")
    lines.append(f"| world-atlas | country outlines of Natural Earth (public domain) | {version('world-atlas')} | ISC | "
                 f"{count[sources.ATLAS]} | 0 |")
    drawn = sum(v for k, v in count.items() if k.startswith("drawn-")), sum(v for k, v in held_out.items() if k.startswith("drawn-"))
    lines.append(f"| the recipe (drawn.py) | colours and counts, from icons above | | MIT, of the icons | {drawn[0]} | {drawn[1]} |")
    lines.append(f"| unicode-emoji-json | names of the emoji | {version('unicode-emoji-json')} | MIT, data Unicode-3.0 | | |")
    lines += ["", f"## Fonts ({len(fonts)} families, pictures of words)", "", "| family | package | licence | pictures | |", "|---|---|---|---:|---|"]
    for font in sorted(fonts):
        package = f"@fontsource/{font}"
        licence = sources.font_licence(font)
        lines.append(f"| {font} | {package} {version(package)} | {licence} | {fonts[font]} | "
                     f"{'held out' if font in sources.FONTS_HELD_OUT else ''} |")
    with open(out, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


def write_curves(logs, out):
    """Loss and batch accuracy over pictures seen, as SVG readable on light and dark ground."""
    width, height, left, bottom = 720, 300, 52, 40
    colours = ["#1f77b4", "#2a8a3e", "#8a4fbf", "#c2255c", "#0b7285", "#d9660a"]
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height}" fill="#fff"/>']
    read = []
    for log in logs:
        with open(log, encoding="utf-8") as f:
            steps = {row["step"]: row for row in map(json.loads, f)}      # what was done again after an interruption counts once
        read.append((os.path.basename(log)[:-4], [steps[k] for k in sorted(steps)]))
    begin, most = {}, 0                   # parts follow each other; the control is a run of its own
    for name, rows in read:
        begin[name] = 0 if name == "control" else most
        most = max(most, begin[name] + rows[-1]["images"])
    x = lambda v: left + v / most * (width - left - 20)
    y = lambda v: height - bottom - v * (height - bottom - 20)
    for v in (0, .25, .5, .75, 1):
        parts.append(f'<path d="M{left} {y(v)}H{width - 20}" stroke="#ddd"/><text x="{left - 8}" y="{y(v) + 4}" text-anchor="end">{v:.0%}</text>')
    for i in range(5):
        parts.append(f'<text x="{x(most * i / 4):.0f}" y="{height - 18}" text-anchor="middle">{most * i / 4e6:.2f} M</text>')
    parts.append(f'<text x="{width / 2}" y="{height - 3}" text-anchor="middle">pictures seen; share right among the texts of the batch</text>')
    for (name, rows), colour in zip(read, colours):
        smooth = np.convolve([r["right"] for r in rows], np.ones(9) / 9, "valid")
        points = " ".join(f"{x(begin[name] + r['images']):.1f},{y(v):.1f}" for r, v in zip(rows[4:], smooth))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        middle = len(smooth) // 2        # each line is named under its middle
        parts.append(f'<text x="{x(begin[name] + rows[4 + middle]["images"]):.0f}" y="{y(smooth[middle]) + 26:.0f}" text-anchor="middle" '
                     f'fill="{colour}" stroke="#fff" stroke-width="4" paint-order="stroke">{name}</text>')
        switch = next((r["images"] for r in rows if r["resolution"] == 96), 0)
        if switch > rows[0]["images"]:
            at = x(begin[name] + switch)
            parts.append(f'<path d="M{at:.1f} 20V{height - bottom}" stroke="{colour}" stroke-dasharray="3 4"/>'
                         f'<text x="{at + 4:.1f}" y="{height - bottom - 6}" fill="{colour}">96 px from here</text>')
    with open(out, "w", encoding="utf-8") as f:
        f.write("\n".join(parts) + "</svg>\n")


def write_sheet(evaluation, out, number=40):
    """The best units, one a row of two columns: nine strongest held-out pictures, six strongest words."""
    with open(evaluation, encoding="utf-8") as f:
        table = json.load(f)["table"]
    pictures = batches.Pictures()
    data = batches.Batches(pictures, 0)
    family = {c["name"]: c["family"] for c in pictures.classes}
    best, per_family, concepts = [], collections.Counter(), set()
    for row in sorted((x for x in table if x["multimodal"]), key=lambda x: -(x["pictures"] + 2 * x["words"] + min(x["z"], x["word_z"]) / 100)):
        if row["concept"] not in concepts and per_family[family[row["concept"]]] < 4 and len(best) < number:
            concepts.add(row["concept"])
            per_family[family[row["concept"]]] += 1
            best.append(row)
    side, gap, label = 64, 3, 150
    width = label + 15 * (side + gap) + 12
    sheet = Image.new("RGB", (2 * width, ((len(best) + 1) // 2) * (side + 2 * gap) + 24), "white")
    pen = ImageDraw.Draw(sheet)
    path = dict(sources.fonts(False))["open-sans"]
    large, small = ImageFont.truetype(path, 15), ImageFont.truetype(path, 12)
    for i, row in enumerate(best):
        canvas = batches.Canvas(pictures)
        for n, variant in row["top pictures"]:
            evaluate.place_picture(canvas, data, n, variant)
        for n in row["top words"]:
            evaluate.place_word(canvas, data, n)
        pixels = (canvas.pixels(side) * 255).round().byte().permute(0, 2, 3, 1).numpy()
        left, top = i % 2 * width, i // 2 * (side + 2 * gap) + 12
        pen.text((left + 8, top + 10), row["concept"], "black", font=large)
        pen.text((left + 8, top + 32), f"unit {row['unit']}  {row['pictures']}/16  {row['words']}/8", "#666", font=small)
        for j, p in enumerate(pixels):
            at = left + label + j * (side + gap) + (8 if j >= 9 else 0)
            sheet.paste(Image.fromarray(p), (at, top))
            pen.rectangle((at - 1, top - 1, at + side, top + side), outline="#ccc")
    sheet.quantize(128, dither=Image.Dither.NONE).save(out, optimize=True)


def write_figures(evaluation, control, card):
    """The figures of an evaluation between the marks of the model card. Without a control its column stays empty."""
    with open(evaluation, encoding="utf-8") as f:
        one = json.load(f)
    two = None
    if os.path.exists(control):
        with open(control, encoding="utf-8") as f:
            two = json.load(f)
    show = lambda v: f"{v:.1%}" if isinstance(v, float) else f"{v:,}"
    rows = ["| what | specimen | wanted | control |", "|---|---:|---:|---:|"]
    for name, key, target in evaluate.TARGETS:
        met = one[name][key] >= target
        rows.append(f"| {name}, {key} | {'**' if met else ''}{show(one[name][key])}{'**' if met else ''} | {show(target)} | {show(two[name][key]) if two else ''} |")
    for key, words in (("null", "units that pass under the null"), ("relaxed", "units at three eighths"), ("relaxed concepts", "concepts at three eighths"),
                       ("relaxed null", "of them under the null"), ("pictures alone", "units whose top pictures alone are pure"),
                       ("polysemantic", "polysemantic units"), ("dead", "dead units"), ("nearly dead", "nearly dead units")):
        rows.append(f"| {words} | {show(one['units'][key])} | {'at most 204' if key == 'dead' else ''} | {show(two['units'][key]) if two else ''} |")
    for family, target in evaluate.FAMILIES.items():
        n = len(one["families"].get(family, []))
        rows.append(f"| family {family}: concepts at three eighths | {'**' if n >= target else ''}{n}{'**' if n >= target else ''} | {target} | "
                    f"{len(two['families'].get(family, [])) if two else ''} |")
    with open(card, encoding="utf-8") as f:
        text = f.read()
    text = re.sub(r"(<!-- figures -->\n).*?(<!-- end of figures -->)", lambda m: m[1] + "\n".join(rows) + "\n" + m[2], text, flags=re.S)
    with open(card, "w", encoding="utf-8") as f:
        f.write(text)


def write_facts(evaluation, table, out):
    """models/facts.cmake: three demo concepts with a unit of their own, for the tests of the examples."""
    with open(evaluation, encoding="utf-8") as f:
        units = json.load(f)["table"]
    with open(table, encoding="utf-8", newline="") as f:
        demo = list(csv.DictReader(f))
    media = collections.defaultdict(dict)
    for row in demo:
        media[row["label"]].setdefault(row["medium"], row["path"])
    chosen = []
    for row in sorted((x for x in units if x["multimodal"]), key=lambda x: -(x["pictures"] + 2 * x["words"] + min(x["z"], x["word_z"]) / 100)):
        name = row["concept"]
        if {"colour", "word", "line"} <= media[name].keys() and " " not in name and name not in [c for c, _ in chosen]:
            chosen.append((name, row["unit"]))
        if len(chosen) == 3:
            break
    (a, _), (b, _), _ = chosen
    with open(out, "w", encoding="utf-8") as f:
        f.write("# What the examples' tests know of the default model. models/recipe/card.py facts writes this file with the model.\n"
                f"set(CN_FACT_CONCEPTS {' '.join(c for c, _ in chosen)}) # labels of demo pictures, each with a unit of its own\n"
                f"set(CN_FACT_UNITS {' '.join(str(u) for _, u in chosen)}) # these units of layer4, in the same order\n"
                "# A demo picture on which the first concept gets more than half, the same concept as a word, and another one.\n"
                f"set(CN_FACT_PICTURES {media[a]['colour']} {media[a]['word']} {media[b]['line']})\n")


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    {"sources": lambda: write_sources(*rest), "curves": lambda: write_curves(rest[:-1], rest[-1]), "sheet": lambda: write_sheet(*rest),
     "figures": lambda: write_figures(*rest), "facts": lambda: write_facts(*rest)}[what]()
