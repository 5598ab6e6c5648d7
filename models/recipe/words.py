"""Step 4: pictures of written words. Writes cache/words.npy (n, 96, 96, uint8: ink) and cache/words.json: for each the text,
its class (or null for a word without pictures), the font, and whether the font is held out."""
import json
import os

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import sources
from render import SIZE, path

PER_CORE, PER_MORE, PER_WORD, PER_HELD_OUT = 72, 40, 22, 8


def word_list():
    with open(os.path.join(sources.HERE, "words.txt"), encoding="utf-8") as f:
        return [line.strip() for line in f if line.strip() and not line.startswith("#")]


def split(text):
    """Long names in two or three lines."""
    words = text.split()
    if len(words) == 1 or len(text) <= 8:
        return [text]
    lines = [words[0]]
    for w in words[1:]:
        if len(lines[-1]) + len(w) + 1 <= max(8, len(text) // 3):
            lines[-1] += " " + w
        else:
            lines.append(w)
    return lines


def draw(text, font_path, fonts, largest=44):
    """The text as ink on nothing, as large as fits."""
    lines = split(text)
    image = Image.new("L", (SIZE, SIZE))
    pen = ImageDraw.Draw(image)
    for px in range(largest, 5, -2):
        key = font_path, px
        if key not in fonts:
            fonts[key] = ImageFont.truetype(font_path, px)
        font = fonts[key]
        boxes = [font.getbbox(line) for line in lines]
        width = max(b[2] - b[0] for b in boxes)
        pitch = int(px * 1.15)
        if width <= SIZE - 4 and pitch * len(lines) <= SIZE - 4:
            break
    middle = SIZE / 2 - pitch * (len(lines) - 1) / 2
    for line in lines:
        pen.text((SIZE / 2, middle), line, 255, font=font, anchor="mm")
        middle += pitch
    return np.asarray(image)


def main():
    with open(path("classes.json"), encoding="utf-8") as f:
        classes = json.load(f)
    entries = [(c["name"], i, PER_CORE if c["tier"] == "core" else PER_MORE) for i, c in enumerate(classes)
               if c["tier"] != "emoji" and c["family"] != "style"]
    names = {c["name"] for c in classes}
    entries += [(w, None, PER_WORD) for w in word_list() if w not in names]
    rows, masks, loaded = [], [], {}
    for held_out in (False, True):
        r = np.random.default_rng(7 + held_out)
        fonts = sources.fonts(held_out)
        families = sorted({f for f, _ in fonts})
        for text, k, number in entries:
            number = PER_HELD_OUT if held_out else number
            if held_out:
                chosen = [families[i] for i in r.permutation(len(families))[:number]]
                some = [[p for p in fonts if p[0] == f][r.integers(sum(p[0] == f for p in fonts))] for f in chosen]
            else:
                some = [fonts[i] for i in r.permutation(len(fonts))[:number]]
            for family, file in some:
                case = r.choice(["lower", "upper", "title"], p=[.6, .2, .2])
                shown = {"lower": text, "upper": text.upper(), "title": text.title()}[case]
                masks.append(draw(shown, file, loaded, int(r.integers(24, 48))))
                rows.append({"text": text, "class": k, "font": family, "held_out": held_out})
        loaded.clear()
    np.save(path("words.npy"), np.stack(masks))
    with open(path("words.json"), "w", encoding="utf-8") as f:
        json.dump(rows, f, indent=0)
    print(f"{len(rows)} pictures of {len(entries)} words, {sum(x['held_out'] for x in rows)} in fonts held out")


if __name__ == "__main__":
    main()
