"""Step 8: the demo pictures, as models/demo-pictures.tar (WebDataset: NAME.png, NAME.txt, NAME.json) and its table
models/demo-pictures.csv. usage: demo_pictures.py OUT_FOLDER

Which concepts: a quota for every family, and in a family those that the held-out sets show in most ways; no model is asked. For each:
up to three coloured pictures, two solid, two in line, three of its written word in fonts held out, and one three-dimensional
picture, the only ones that training saw (there is one such set)."""
import csv
import io
import json
import os
import sys
import tarfile

import numpy as np
from PIL import Image

import batches
import sources
from evaluate import PLAIN

QUOTA = {"animal": 24, "food": 16, "country": 16, "emotion": 16, "vehicle": 11, "weather": 8, "household": 8, "plant": 7, "brand": 8,
         "colour": 6, "count": 4, "sport": 6, "music": 6, "symbol": 7, "tool": 6, "clothing": 6, "body": 6, "profession": 5,
         "person": 4, "building": 5, "religion": 5, "holiday": 4, "fantasy": 4, "science": 4, "technology": 5, "office": 4,
         "nature": 4, "zodiac": 3, "game": 3, "medicine": 3, "drink": 3, "money": 2, "time": 1, "sign": 2}
COLOURED, SOLID, LINE, WORDS = 3, 2, 2, 3


def choose(pictures, by_class, written):
    """The concepts, by family and name."""
    classes, chosen = pictures.classes, []
    for family, quota in QUOTA.items():
        mine = [i for i, c in enumerate(classes) if c["family"] == family and c["tier"] == "core" and i in written]
        ways = lambda i: len({(pictures.index[n]["set"], pictures.index[n]["medium"]) for n in by_class[i]})
        chosen += sorted(mine, key=lambda i: (-ways(i), classes[i]["name"]))[:quota]
    return sorted(chosen, key=lambda i: classes[i]["name"])


def of_medium(pictures, numbers, medium, limit):
    """Some pictures of a medium, of as many sets as possible."""
    mine = [n for n in numbers if pictures.index[n]["medium"] == medium]
    seen = {}
    for n in mine:
        seen.setdefault(pictures.index[n]["set"], []).append(n)
    spread = [some[i] for i in range(max(map(len, seen.values()), default=0)) for some in seen.values() if i < len(some)]
    return spread[:limit]


def png(pixels):
    """As small as a PNG gets: 16 greys, or 64 colours of the picture's own."""
    image = Image.fromarray(pixels)
    if (pixels.max(-1) - pixels.min(-1)).max() < 3:
        image = image.convert("L").quantize(16, dither=Image.Dither.NONE)
    else:
        image = image.quantize(64, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def main():
    folder = sys.argv[1]
    pictures = batches.Pictures()
    data = batches.Batches(pictures, 0)
    held_out, written, _ = pictures.split(True)
    training, _, _ = pictures.split(False)
    rows = []                                            # (name, label, medium, source, licence, canvas call)
    for k in choose(pictures, held_out, written):
        label = pictures.classes[k]["name"]
        groups = {"colour": of_medium(pictures, held_out[k], "colour", COLOURED),
                  "solid": of_medium(pictures, held_out[k], "solid", SOLID),
                  "line": of_medium(pictures, held_out[k], "line", LINE),
                  "3-d": of_medium(pictures, training[k], "3-d", 1)}
        for medium, numbers in groups.items():
            for i, n in enumerate(numbers):
                p = pictures.index[n]
                source = "drawn by the recipe" if p["array"] == "drawn" else f"{p['set']}:{p['name']}"
                rows.append((f"{label.replace(' ', '_')}-{medium}-{i}", label, medium, source, p["licence"], n, False))
        fonts = set()
        for n in written[k]:
            font = pictures.words[n]["font"]
            if len(fonts) < WORDS and font not in fonts:
                rows.append((f"{label.replace(' ', '_')}-word-{len(fonts)}", label, "word", f"drawn in {font}", sources.font_licence(font), n, True))
                fonts.add(font)
    canvas = batches.Canvas(pictures)
    for row in rows:
        data.place(canvas, canvas.picture(PLAIN), row[5], np.random.default_rng(0), 0.0, word=row[6])
    pixels = (canvas.pixels(96) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    tar_path, table_path = os.path.join(folder, "demo-pictures.tar"), os.path.join(folder, "demo-pictures.csv")
    with tarfile.open(tar_path + ".new", "w", format=tarfile.USTAR_FORMAT) as tar, \
            open(table_path + ".new", "w", newline="", encoding="utf-8") as f:
        table = csv.writer(f, lineterminator="\n")
        table.writerow(["path", "label", "medium", "source", "licence"])
        for (name, label, medium, source, licence, *_), picture in zip(rows, pixels):
            about = json.dumps({"label": label, "medium": medium, "source": source, "licence": licence}, ensure_ascii=False)
            for ending, content in (("png", png(picture)), ("txt", label.encode()), ("json", about.encode())):
                entry = tarfile.TarInfo(f"{name}.{ending}")
                entry.size, entry.mode = len(content), 0o644
                tar.addfile(entry, io.BytesIO(content))
            table.writerow([f"{name}.png", label, medium, source, licence])
    for path in (tar_path, table_path):
        os.replace(path + ".new", path)
    print(f"{len(rows)} demo pictures of {len({r[1] for r in rows})} concepts, {os.path.getsize(tar_path) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
