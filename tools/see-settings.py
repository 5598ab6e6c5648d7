#!/usr/bin/python3
"""Contact sheet of settings of `clipneuron see`: a row for each objective, a column for each setting, and under each picture the
value that it reaches (fp32, without transforms). Look at it before settling on defaults. Needs Pillow.

usage: see-settings.py PROGRAM MODEL OUT.webp OBJECTIVE... [-- NAME=OPTIONS...] [--steps N]
       e.g. see-settings.py build/clipneuron vit.safetensors sheet.webp 'visual.transformer.resblocks.5.mlp.gelu:3' -- 'default=' 'MACO=--canvas phase'
An OPTION that begins with + is added to the objective: 'tv=+ - 30*tv'.
"""
import json
import os
import shlex
import subprocess
import sys
import tempfile

from PIL import Image, ImageDraw, ImageFont

SETTINGS = ["default=", "MACO=--canvas phase", "decay 1.5=--decay 1.5", "decay 2=--decay 2", "tv=+ - 30*tv", "jitter 16=--transforms 'jitter 16, scale 0.8-1.2, rotate -15-15, jitter 8'",
            "crops=--transforms crops"]
SIDE, GAP, NAME = 112, 6, 150


def made(program, model, objectives, options, steps, folder):
    """For each objective its picture, and what that reaches of the objective alone."""
    words, added = shlex.split(options), ""
    if options.startswith("+"):
        words, added = [], options[1:]
    run = lambda *args: subprocess.run([program, *args], check=True, capture_output=True, text=True).stdout.splitlines()
    seen = run("see", "--model", model, *[o + added for o in objectives], *words, "--steps", str(steps), "--json", "-q", "-o", folder)
    out = []
    for objective, line in zip(objectives, seen):
        file = json.loads(line)["file"]
        value = run("gradient", "--model", model, "--objective", objective, "--values", "-q", file, "-o", os.path.join(folder, "gradient.npy"))
        out.append((Image.open(file).convert("RGB"), float(value[-1].split("\t")[-1])))
    return out


def main():
    words = sys.argv[1:]
    steps = 512
    if "--steps" in words:
        at = words.index("--steps")
        steps = int(words[at + 1])
        del words[at:at + 2]
    settings = SETTINGS
    if "--" in words:
        settings = words[words.index("--") + 1:]
        words = words[:words.index("--")]
    program, model, output, *objectives = words
    font = ImageFont.truetype("DejaVuSans.ttf", 11)
    sheet = Image.new("RGB", (NAME + len(settings) * (SIDE + GAP) + GAP, 24 + len(objectives) * (SIDE + 22)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, objective in enumerate(objectives):
        short = objective.replace("visual.transformer.resblocks.", "block ").replace(".mlp.gelu", " mlp")
        draw.multiline_text((GAP, 24 + row * (SIDE + 22) + 40), short, "black", font)
    with tempfile.TemporaryDirectory() as folder:
        for column, setting in enumerate(settings):
            name, options = setting.split("=", 1)
            x = NAME + column * (SIDE + GAP)
            draw.text((x, 5), name, "black", font)
            for row, (picture, value) in enumerate(made(program, model, objectives, options, steps, os.path.join(folder, str(column)))):
                y = 24 + row * (SIDE + 22)
                sheet.paste(picture.resize((SIDE, SIDE), Image.LANCZOS), (x, y))
                draw.text((x, y + SIDE + 3), f"{value:.2f}", "dimgrey", font)
    sheet.save(output, quality=70)


if __name__ == "__main__":
    main()
