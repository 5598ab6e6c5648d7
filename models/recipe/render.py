"""Step 2: draws the pictures. Runs render.mjs until every row of cache/render.jobs is drawn or refused, then packs them into
cache/mono.npy (n, 96, 96, uint8: ink of one-colour pictures) and cache/colour.npy (n, 96, 96, 4, uint8, premultiplied), and
writes cache/index.json: the pictures that are left, each with its array and row.

Left out: what the renderer refuses or dies of, empty drawings, drawings that a class has already, and training pictures
that (nearly) repeat a held-out one."""
import collections
import json
import os
import subprocess
import sys

import numpy as np
from PIL import Image

import sources
from pictures import CACHE

SIZE = 96
ALIKE = 0.02            # mean difference of two thumbs (0 to 1) below which they show the same drawing


def path(name):
    return os.path.join(CACHE, name)


def rasterise(rows):
    """render.mjs again and again; after a crash the row it was at is marked as refused."""
    while True:
        done = np.fromfile(path("render.done"), np.uint8) if os.path.exists(path("render.done")) else np.zeros(0, np.uint8)
        print(f"{int((done > 0).sum())} of {rows} drawn", flush=True)
        run = subprocess.run(["node", os.path.join(sources.HERE, "render.mjs"), path("render.svgs"), path("render.rgba"),
                              path("render.done")], stderr=subprocess.PIPE)
        if run.returncode == 0:
            return
        with open(path("render.rgba.now"), encoding="ascii") as f:
            now = f.read().strip()
        if not now:
            sys.exit("render.mjs failed: " + run.stderr.decode(errors="replace")[-2000:])
        with open(path("render.done"), "r+b" if os.path.exists(path("render.done")) else "wb") as f:
            f.seek(int(now))
            f.write(b"\2")


def from_file(name):
    """A picture file as premultiplied RGBA, fitted into the square."""
    image = Image.open(os.path.join(sources.HERE, name)).convert("RGBA")
    image.thumbnail((SIZE, SIZE), Image.BICUBIC)
    square = Image.new("RGBA", (SIZE, SIZE))
    square.paste(image, ((SIZE - image.width) // 2, (SIZE - image.height) // 2))
    rgba = np.asarray(square).astype(np.float32)
    rgba[..., :3] *= rgba[..., 3:] / 255
    return rgba.round().astype(np.uint8)


def thumb(rgba, mono):
    """What is compared for likeness: 12 x 12 means of ink and colours, place and size normalised. None: nothing to see."""
    alpha = rgba[..., 3]
    ys, xs = np.nonzero(alpha > 32)
    if len(ys) < 20 or (alpha.mean() > 250 and rgba[..., :3].std() < 2):
        return None
    crop = rgba[ys.min():ys.max() + 1, xs.min():xs.max() + 1]
    layers = [Image.fromarray(crop[..., c]).resize((12, 12), Image.BOX) for c in ([3] if mono else [0, 1, 2, 3])]
    return np.stack([np.asarray(x, np.float32) for x in layers]).ravel() / 255


def settle_tiers(classes, kept):
    """A core concept must be well shown: enough training pictures, and held-out ones of at least three sets. What falls short
    is demoted to "more"; too many of a family would leave no units for the others."""
    training, held_out, styles = collections.Counter(), collections.Counter(), collections.defaultdict(set)
    for p in kept:
        if p["held_out"]:
            held_out[p["class"]] += 1
            styles[p["class"]].add(p["set"])
        else:
            training[p["class"]] += 1
    for i, c in enumerate(classes):
        if c["tier"] != "core" or c["family"] in ("colour", "count"):     # those are drawn later
            continue
        if c["family"] == "country":
            keep = c["name"] in CORE_COUNTRIES and len(styles[i]) >= 3 and training[i] >= 3
        elif c["family"] == "brand":
            keep = len(styles[i]) >= 3 and training[i] >= 30
        else:
            keep = len(styles[i]) >= 3 and held_out[i] >= 4 and training[i] >= 16
        if not keep:
            c["tier"] = "more"


# The largest and best known, with flags that can be told apart at 64 px.
CORE_COUNTRIES = set("""argentina,australia,austria,bangladesh,belgium,brazil,canada,chile,china,colombia,croatia,cuba,cyprus,
czech republic,denmark,egypt,ethiopia,finland,france,germany,ghana,greece,hungary,iceland,india,indonesia,iran,iraq,ireland,
israel,italy,jamaica,japan,jordan,kazakhstan,kenya,lebanon,malaysia,mexico,mongolia,morocco,nepal,netherlands,new zealand,
nigeria,north korea,norway,pakistan,panama,peru,philippines,poland,portugal,qatar,romania,russia,saudi arabia,senegal,serbia,
singapore,somalia,south africa,south korea,spain,sri lanka,sudan,sweden,switzerland,syria,tanzania,thailand,tunisia,turkiye,
uganda,ukraine,united kingdom,united states,uruguay,venezuela,vietnam,zimbabwe""".replace("\n", "").split(","))


def main():
    with open(path("pictures.json"), encoding="utf-8") as f:
        pictures = json.load(f)
    with open(path("classes.json"), encoding="utf-8") as f:
        classes = json.load(f)
    with open(path("render.jobs"), encoding="utf-8") as f:
        jobs = [json.loads(line) for line in f]
    files = {j["row"]: j["file"] for j in jobs if "file" in j}
    with open(path("render.svgs"), "w", encoding="utf-8") as f:
        f.writelines(json.dumps(j) + "\n" for j in jobs if "svg" in j)
    rasterise(len(jobs) - len(files))
    done = np.zeros(len(jobs), np.uint8)
    marks = np.fromfile(path("render.done"), np.uint8)
    done[:len(marks)] = marks
    rgba = np.memmap(path("render.rgba"), np.uint8, "r").reshape(-1, SIZE, SIZE, 4)

    kept, mono, colour = [], [], []
    like = collections.defaultdict(list)             # (class, one colour?) -> (thumb, held out?) of what is kept
    dropped = collections.Counter()
    order = sorted(range(len(pictures)), key=lambda i: not pictures[i]["held_out"])
    for i in order:                                  # held-out pictures first: training must not repeat them
        p = dict(pictures[i])
        if i in files:
            drawing = from_file(files[i])
        elif done[i] == 1:
            drawing = np.array(rgba[i])
        else:
            dropped["refused by the renderer"] += 1
            continue
        is_mono = int(drawing[..., :3].max()) < 8
        look = thumb(drawing, is_mono)
        if look is None:
            dropped["empty"] += 1
            continue
        if is_mono and p["medium"] == "colour":
            p["medium"] = "solid"
        # Flags are one design in every set, so a training flag may look like a held-out one.
        rivals = [other for other, held_out in like[p["class"], is_mono]
                  if classes[p["class"]]["family"] != "country" or held_out == p["held_out"]]
        if any(np.abs(look - other).mean() < ALIKE for other in rivals):
            dropped["repeats another of its class"] += 1
            continue
        like[p["class"], is_mono].append((look, p["held_out"]))
        p["array"], p["row"] = ("mono", len(mono)) if is_mono else ("colour", len(colour))
        (mono if is_mono else colour).append(drawing[..., 3] if is_mono else drawing)
        kept.append(p)
    np.save(path("mono.npy"), np.stack(mono))
    np.save(path("colour.npy"), np.stack(colour))
    settle_tiers(classes, kept)
    with open(path("classes.json"), "w", encoding="utf-8") as f:
        json.dump(classes, f, ensure_ascii=False, indent=0)
    with open(path("index.json"), "w", encoding="utf-8") as f:
        json.dump(kept, f, ensure_ascii=False, indent=0)
    print(f"{len(kept)} pictures ({len(mono)} of one colour, {len(colour)} coloured; "
          f"{sum(p['held_out'] for p in kept)} held out); left out: {dict(dropped)}")


if __name__ == "__main__":
    main()
