"""Step 1: which pictures there are. Reads concepts.tsv and the icon sets; writes cache/classes.json, cache/pictures.json and
cache/render.jobs.

A class is something with a name and pictures: a concept of concepts.tsv ("core" or "more"), or an emoji that no
concept covers ("emoji", under its CLDR name). A picture belongs to one class; pictures of emoji also know their CLDR name.
"""
import collections
import json
import math
import os

import sources

CACHE = os.path.join(sources.HERE, "cache")
PER_SET_TRAINING, PER_SET_HELD_OUT, PER_CLASS = 4, 3, 80
OUTLINE_WORDS = ("outline", "line", "linear", "light", "thin", "regular", "stroke")


def read_concepts(path=os.path.join(sources.HERE, "concepts.tsv")):
    classes = []
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.startswith("#") or not line.strip():
                continue
            name, family, tier, icons, phrases = (line.rstrip("\n").split("\t") + ["", ""])[:5]
            classes.append({"name": name.strip(), "family": family, "tier": tier,
                            "icons": [i.strip() for i in icons.split("|") if i.strip()],
                            "phrases": [p.strip() for p in phrases.split("|") if p.strip()]})
    return classes


def flag_names(code, names):
    """The CLDR name of a country's flag ("flag france") from its code."""
    characters = "".join(chr(0x1F1E6 + ord(c) - ord("a")) for c in code)
    return next((n for n, (k, _) in names.items() if k == characters), None)


def resolve(icons):
    """Every name of a set that leads to a drawing, aliases included: name -> drawing's name."""
    found = {k: k for k in icons["icons"]}
    for name, alias in icons.get("aliases", {}).items():
        if not ({"rotate", "hFlip", "vFlip"} & alias.keys()) and alias["parent"] in icons["icons"]:
            found[name] = alias["parent"]
    return found


def svg_of(icons, drawing):
    icon = icons["icons"][drawing]
    width = icon.get("width", icons.get("width", 16))
    height = icon.get("height", icons.get("height", 16))
    left, top = icon.get("left", 0), icon.get("top", 0)
    return {"width": width, "height": height, "text":
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{left} {top} {width} {height}">{icon["body"].replace("currentColor", "#000")}</svg>'}


def medium_of(palette, name, body):
    if palette:
        return "colour"
    words = name.split("-")
    line = any(w in words for w in OUTLINE_WORDS) or ("stroke=" in body and 'fill="none"' in body)
    return "line" if line and "filled" not in words and "fill" not in words else "solid"


def emoji_base(base):
    for prefix in ("flag for flag ", "flag for "):
        if base.startswith(prefix):
            return "flag " + base[len(prefix):]
    return base


def outlines():
    """Country outlines from world-atlas: numeric ISO code -> list of rings of (longitude, latitude)."""
    with open(os.path.join(sources.PACKAGES, "world-atlas", "countries-50m.json"), encoding="utf-8") as f:
        atlas = json.load(f)
    scale, move = atlas["transform"]["scale"], atlas["transform"]["translate"]
    arcs = []
    for arc in atlas["arcs"]:
        x = y = 0
        points = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            points.append((x * scale[0] + move[0], y * scale[1] + move[1]))
        arcs.append(points)

    def ring(indices):
        points = []
        for i in indices:
            points += (arcs[i] if i >= 0 else arcs[~i][::-1])[1 if points else 0:]
        return points

    found = {}
    for country in atlas["objects"]["countries"]["geometries"]:
        polygons = country["arcs"] if country["type"] == "MultiPolygon" else [country["arcs"]]
        found[country["properties"]["name"].lower()] = [ring(r) for p in polygons for r in p]
    return found


def outline_svg(rings, line):
    """The largest part of a country and what lies near it, in a plain projection that keeps its shape."""
    def area(r):
        return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(r, r[1:]))) / 2
    rings = sorted(rings, key=area, reverse=True)
    main = rings[0]
    middle = sum(p[1] for p in main) / len(main)
    squeeze = math.cos(math.radians(middle))
    west, east = min(p[0] for p in main), max(p[0] for p in main)
    south, north = min(p[1] for p in main), max(p[1] for p in main)
    margin = 0.5 * max(east - west, north - south)
    near = [r for r in rings if all(west - margin < p[0] < east + margin and south - margin < p[1] < north + margin for p in r)
            and area(r) > area(main) / 400]
    xs = [p[0] * squeeze for r in near for p in r]
    ys = [-p[1] for r in near for p in r]
    size = max(max(xs) - min(xs), max(ys) - min(ys)) * 1.1
    left, top = (max(xs) + min(xs) - size) / 2, (max(ys) + min(ys) - size) / 2
    path = "".join("M" + "L".join(f"{(x * squeeze - left) * 96 / size:.2f} {(-y - top) * 96 / size:.2f}" for x, y in r) + "Z"
                   for r in near)
    paint = 'fill="none" stroke="#000" stroke-width="3"' if line else 'fill="#000" fill-rule="evenodd"'
    return {"width": 96, "height": 96, "text": f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 96"><path {paint} d="{path}"/></svg>'}


def main():
    os.makedirs(CACHE, exist_ok=True)
    names = sources.emoji_names()
    classes = read_concepts()
    claim = {}                                   # an icon's base name -> class
    codes = {}
    for i, c in enumerate(classes):
        if c["family"] == "country":
            code = c["icons"][0]
            codes[code] = i
            flag = flag_names(code, names)
            if flag:
                claim[flag] = i
        else:
            for base in [c["name"]] * (c["family"] not in ("count", "style")) + c["icons"]:
                claim.setdefault(base, i)
    for name, (_, group) in names.items():       # emoji that no concept covers
        if name not in claim:
            claim[name] = len(classes)
            classes.append({"name": name, "family": "emoji", "tier": "emoji", "icons": [], "phrases": []})
        classes[claim[name]].setdefault("emoji", []).append(name)

    pictures, drawings = [], []
    count = collections.Counter()

    def add(k, source, name, medium, licence, emoji, svg):
        held_out = source in sources.HELD_OUT
        if source != sources.ALL_LABELS and (count[k, source] >= (PER_SET_HELD_OUT if held_out else PER_SET_TRAINING) or
                                             count[k, held_out] >= PER_CLASS):
            return
        count[k, source] += 1
        count[k, held_out] += 1
        pictures.append({"class": k, "set": source, "name": name, "medium": medium, "licence": licence,
                         "emoji": emoji, "held_out": held_out})
        drawings.append(svg)

    for source, about in sorted(sources.sets().items()):
        icons = sources.icons(source)
        seen = set()
        for name, drawing in sorted(resolve(icons).items()):
            if sources.SKIN.search(name) or "tone" in name.split("-")[-1]:
                continue
            base, emoji = sources.base(name), None
            if source in sources.FLAGS:
                k = codes.get(name[:-4] if source == "flag" and name.endswith(("-1x1", "-4x3")) else name)
            else:
                if source in sources.EMOJI:
                    base = emoji_base(base)
                    emoji = base if base in names else None
                k = claim.get(base)
                if k is not None and classes[k]["tier"] == "emoji" and source not in sources.EMOJI:
                    k = None                     # "man" of another set is not the emoji
            if k is not None and source in sources.BRAND_SETS and classes[k]["family"] != "brand":
                k = None
            if source not in sources.ONLY_IN.get(base, {source}) or source in sources.NOT_IN.get(base, ()):
                k = None
            if k is None or drawing in seen:
                continue
            if classes[k]["family"] == "colour" and not about["palette"]:
                continue                         # a "green heart" in black is not green
            seen.add(drawing)
            body = icons["icons"][drawing]["body"]
            add(k, source, name, medium_of(about["palette"], name, body), about["licence"], emoji, svg_of(icons, drawing))

    folder = os.path.join(sources.PACKAGES, "@lobehub", "fluent-emoji-3d", "assets")
    for name, (characters, _) in names.items():
        points = "-".join(f"{ord(c):04x}" for c in characters)
        plain = "-".join(p for p in points.split("-") if p != "fe0f")
        for candidate in (points, plain):
            path = os.path.join(folder, candidate + ".webp")
            if os.path.exists(path):
                add(claim[name], sources.SOLID_3D, candidate, "3-d", "MIT", name, {"file": os.path.relpath(path, sources.HERE)})
                break

    shapes = outlines()
    same = {"united states": "united states of america", "czech republic": "czechia", "ivory coast": "côte d'ivoire",
            "democratic republic of the congo": "dem. rep. congo", "bosnia and herzegovina": "bosnia and herz.",
            "dominican republic": "dominican rep.", "central african republic": "central african rep.",
            "south sudan": "s. sudan", "north macedonia": "macedonia", "eswatini": "eswatini"}
    for k, c in enumerate(classes):
        if c["family"] == "country":
            rings = shapes.get(same.get(c["name"], c["name"]))
            if rings and len(rings[0]) > 8:
                for line in (False, True):
                    add(k, sources.ATLAS, c["icons"][0] + ("-line" if line else ""), "line" if line else "solid", "ISC", None,
                        outline_svg(rings, line))

    for c in classes:
        c.pop("icons")
    with open(os.path.join(CACHE, "classes.json"), "w", encoding="utf-8") as f:
        json.dump(classes, f, ensure_ascii=False, indent=0)
    with open(os.path.join(CACHE, "pictures.json"), "w", encoding="utf-8") as f:
        json.dump(pictures, f, ensure_ascii=False, indent=0)
    with open(os.path.join(CACHE, "render.jobs"), "w", encoding="utf-8") as f:
        for row, svg in enumerate(drawings):
            f.write(json.dumps({"row": row, **({"file": svg["file"]} if "file" in svg else {"svg": svg})}) + "\n")
    tiers = collections.Counter(c["tier"] for c in classes)
    print(f"{len(classes)} classes ({dict(tiers)}), {len(pictures)} pictures, "
          f"{sum(p['held_out'] for p in pictures)} of them held out")


if __name__ == "__main__":
    main()
