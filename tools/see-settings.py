#!/usr/bin/python3
"""Contact sheet of settings of `clipneuron see`: a row for each objective, a column for each setting. Under each picture the value that it reaches
(fp32, without transforms), and the share of it that is left when the picture is blurred a little (Gaussian, 1 px) and when it is moved (4 px):
noise that only this network at these pixels answers to loses most of it. The medians of the columns are printed, too. With --other MODEL,
a CLIP with the same embedding, such as the one that the model was distilled from: the cosine of the two models' embeddings of
a picture, which is high where both see the same in it. Look at it before settling on defaults. Needs Pillow and numpy.

usage: see-settings.py PROGRAM MODEL OUT.webp OBJECTIVE... [-- NAME=OPTIONS...] [--steps N] [--other MODEL]
       e.g. see-settings.py build/clipneuron vit.safetensors sheet.webp 'visual.transformer.resblocks.5.mlp.gelu:3' -- 'default=' 'MACO=--canvas phase'
An OPTION that begins with + is added to the objective: 'tv=+ - 30*tv'. Words of options are split as a shell does.
"""
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

SETTINGS = ["default=", "MACO=--canvas phase", "decay 1.5=--decay 1.5", "decay 2=--decay 2", "tv=+ - 30*tv", "jitter 16=--transforms 'jitter 16, scale 0.8-1.2, rotate -15-15, jitter 8'",
            "crops=--transforms crops"]
SIDE, GAP, NAME, TEXT = 112, 6, 150, 34
BLUR, SHIFT = 1, 4 # px


def take(words, option):
    """Removes an option and its value from the words."""
    if option not in words:
        return None
    at = words.index(option)
    value = words[at + 1]
    del words[at:at + 2]
    return value


def run(program, *args):
    return subprocess.run([program, *args], check=True, capture_output=True, text=True).stdout.splitlines()


def embedded(program, model, files, folder):
    out = os.path.join(folder, "embedding.npy")
    run(program, "embed", "--model", model, "--image", *files, "--normalise", "-q", "-o", out)
    return np.load(out)


def made(program, model, objectives, options, steps, folder, other):
    """For each objective its picture, what that reaches of the objective alone, the shares that are left, and the two models' cosine."""
    words, added = shlex.split(options), ""
    if options.startswith("+"):
        words, added = [], options[1:]
    seen = run(program, "see", "--model", model, *[o + added for o in objectives], *words, "--steps", str(steps), "--json", "-q", "-o", folder)
    files = [json.loads(line)["file"] for line in seen]
    cosines = [None] * len(files)
    if other:
        cosines = (embedded(program, model, files, folder) * embedded(program, other, files, folder)).sum(1)
    out = []
    for i, (objective, file) in enumerate(zip(objectives, files)):
        picture = Image.open(file).convert("RGB")
        blurred, moved = os.path.join(folder, "blurred.png"), os.path.join(folder, "moved.png")
        picture.filter(ImageFilter.GaussianBlur(BLUR)).save(blurred)
        ImageChops.offset(picture, SHIFT, SHIFT).save(moved)
        lines = run(program, "gradient", "--model", model, "--objective", objective, "--values", "-q", file, blurred, moved, "-o", os.path.join(folder, "gradient.npy"))
        value, *rest = [float(line.split("\t")[-1]) for line in lines]
        out.append((picture, value, *[r / value for r in rest], cosines[i]))
    return out


def main():
    words = sys.argv[1:]
    steps = int(take(words, "--steps") or 512)
    other = take(words, "--other")
    settings = SETTINGS
    if "--" in words:
        settings = words[words.index("--") + 1:]
        words = words[:words.index("--")]
    program, model, output, *objectives = words
    font = ImageFont.truetype("DejaVuSans.ttf", 11)
    sheet = Image.new("RGB", (NAME + len(settings) * (SIDE + GAP) + GAP, 24 + len(objectives) * (SIDE + TEXT)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, objective in enumerate(objectives):
        short = objective.replace("visual.transformer.resblocks.", "block ").replace(".mlp.gelu", " mlp")
        draw.multiline_text((GAP, 24 + row * (SIDE + TEXT) + 40), short, "black", font)
    print("setting\tvalue\tblurred\tmoved" + ("\tcosine" if other else ""))
    with tempfile.TemporaryDirectory() as folder:
        for column, setting in enumerate(settings):
            name, options = setting.split("=", 1)
            x = NAME + column * (SIDE + GAP)
            draw.text((x, 5), name, "black", font)
            results = made(program, model, objectives, options, steps, os.path.join(folder, str(column)), other)
            for row, (picture, value, blurred, moved, cosine) in enumerate(results):
                y = 24 + row * (SIDE + TEXT)
                sheet.paste(picture.resize((SIDE, SIDE), Image.LANCZOS), (x, y))
                agreed = "" if cosine is None else f"  cos {cosine:.2f}"
                draw.multiline_text((x, y + SIDE + 3), f"{value:.2f}{agreed}\n{100 * blurred:.0f}%, {100 * moved:.0f}%", "dimgrey", font)
            medians = [statistics.median(r[k] for r in results) for k in range(1, 5 if other else 4)]
            print(name + "\t" + "\t".join(f"{m:.3f}" for m in medians), flush=True)
    sheet.save(output, quality=70)


if __name__ == "__main__":
    main()
