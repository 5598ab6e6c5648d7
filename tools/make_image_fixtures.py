#!/usr/bin/env python3
"""Makes tests/data/images: tiny picture files of every kind, and what Pillow makes of them and of resizing.

Needs python3-pil and python3-numpy; run from the repository root after a change here, and commit the result.
The program's tests read the files only.

  decode.txt   FILE WIDTH HEIGHT CRC32(rgb) CRC32(blended over #0ac81e) CRC32(rgb after EXIF orientation)
  preprocess.txt  FILE SIZE CRC32(the original's order) CRC32(RGB first) CRC32(the original's order, turned upright)
               of Resize(SIZE, BICUBIC), CenterCrop(SIZE): the original's order resizes the file's own mode, then RGB
  resize.txt   SEED WIDTH HEIGHT resize OUT_W OUT_H CRC32 | ... preprocess SIZE SIZE CRC32
               | ... crop OUT_W OUT_H CRC32 LEFT TOP RIGHT BOTTOM
"""
import io
import os
import struct
import sys
import zlib

import numpy as np
from PIL import Image, ImageOps, ImageSequence  # noqa: F401

OUT = "tests/data/images"
BACKGROUND = (10, 200, 30)


def noise(seed, count):
    """The same bytes as noise() in tests/image/test_resize.c; odd seeds give only 0 and 255."""
    v = np.arange(count, dtype=np.uint64) * 2654435761 + seed * 97531
    v &= 0xFFFFFFFF
    v ^= v >> 15
    v = v * 2246822519 & 0xFFFFFFFF
    v ^= v >> 13
    return np.where(v & 1, 255, 0).astype(np.uint8) if seed % 2 else (v & 255).astype(np.uint8)


def picture(width, height, channels=3, seed=4):
    """Something between a gradient and noise, so that it packs and still differs everywhere."""
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    grain = noise(seed, width * height * channels).reshape(height, width, channels)
    return ((x * 9 + y * (5 + 3 * c) + 40 * c + grain // 8) % 256).astype(np.uint8)


# ---- a PNG writer for the kinds that Pillow does not write ----

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack_rows(samples, depth):
    """samples (h, w, c) -> filtered rows (filter types cycle over all five)."""
    h = samples.shape[0]
    if depth == 16:
        raw = samples.astype(">u2").reshape(h, -1).view(np.uint8)
    elif depth == 8:
        raw = samples.astype(np.uint8).reshape(h, -1)
    else:
        bits = ((samples.reshape(h, -1, 1) >> np.arange(depth - 1, -1, -1)) & 1).astype(np.uint8).reshape(h, -1)
        raw = np.packbits(bits, axis=1)
    step = max(1, samples.shape[2] * depth // 8)
    out, above = b"", np.zeros(raw.shape[1], np.int64)
    for y in range(h):
        row = raw[y].astype(np.int64)
        left = np.concatenate([np.zeros(step, np.int64), row])[: row.size]
        corner = np.concatenate([np.zeros(step, np.int64), above])[: row.size]
        p = left + above - corner
        da, db, dc = abs(p - left), abs(p - above), abs(p - corner)
        paeth = np.where((da <= db) & (da <= dc), left, np.where(db <= dc, above, corner))
        guess = [0, left, above, (left + above) // 2, paeth][y % 5]
        out += bytes([y % 5]) + ((row - guess) % 256).astype(np.uint8).tobytes()
        above = row
    return out


def png(samples, depth, colour_type, interlaced=False, before=b"", after=b""):
    h, w = samples.shape[:2]
    if interlaced:
        data = b""
        for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
            part = samples[y0::dy, x0::dx]
            if part.size:
                data += pack_rows(part, depth)
    else:
        data = pack_rows(samples, depth)
    header = struct.pack(">IIBBBBB", w, h, depth, colour_type, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(data, 9)) + after
            + chunk(b"IEND", b""))


def samples(width, height, channels, depth, seed=4):
    p = picture(width, height, channels, seed).astype(np.int64)
    if depth == 16:
        low = noise(seed + 2, p.size).reshape(p.shape)
        wide = p * 256 + low
        if channels == 1:  # so that not all of it is clipped
            wide = np.where(p % 3 == 0, p, wide)
        return wide
    return p >> (8 - depth)


def exif(orientation, big=True):
    e = ">" if big else "<"
    entries = [(0x010F, 2, 4, b"abc\0"), (0x0112, 3, 1, struct.pack(e + "HH", orientation, 0))]
    body = struct.pack(e + "H", len(entries)) + b"".join(struct.pack(e + "HHI", t, k, n) + v for t, k, n, v in entries)
    return (b"MM\0*" if big else b"II*\0") + struct.pack(e + "I", 8) + body + struct.pack(e + "I", 0)


def save(image, **how):
    f = io.BytesIO()
    image.save(f, **how)
    return f.getvalue()


def rgb(width, height, seed=4):
    return Image.fromarray(picture(width, height, 3, seed))


def pngs():
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
    palette = chunk(b"PLTE", noise(8, 768).tobytes())
    for colour_type, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
        for depth in depths:
            for interlaced in (False, True):
                s = samples(11, 9, channels[colour_type], depth)
                before = chunk(b"PLTE", noise(8, 3 << depth).tobytes()) if colour_type == 3 else b""
                yield (f"type{colour_type}-{depth}bit{'-adam7' if interlaced else ''}.png",
                       png(s, depth, colour_type, interlaced, before))
    s = samples(11, 9, 1, 8)
    yield "palette-short.png", png(s, 8, 3, before=chunk(b"PLTE", noise(8, 300).tobytes()))
    yield "palette-trns.png", png(s, 8, 3, before=palette + chunk(b"tRNS", noise(10, 200).tobytes()))
    yield "grey-trns.png", png(s % 4, 8, 0, before=chunk(b"tRNS", struct.pack(">H", 2)))
    yield "grey4-trns.png", png(s % 16, 4, 0, before=chunk(b"tRNS", struct.pack(">H", 7)))
    few = samples(11, 9, 3, 8) // 128 * 128
    yield "rgb-trns.png", png(few, 8, 2, before=chunk(b"tRNS", struct.pack(">HHH", 0, 128, 0)))
    yield "rgb-palette-hint.png", png(samples(11, 9, 3, 8), 8, 2, before=palette)
    yield "one-pixel.png", png(samples(1, 1, 3, 8), 8, 2)
    yield "narrow-adam7.png", png(samples(1, 7, 3, 8), 8, 2, True)
    yield "flat-adam7.png", png(samples(7, 1, 1, 2), 2, 0, True)
    yield "orientation3.png", png(samples(5, 3, 3, 8), 8, 2, before=chunk(b"eXIf", exif(3)))
    yield "orientation6-late.png", png(samples(5, 3, 3, 8), 8, 2, after=chunk(b"eXIf", exif(6, big=False)))
    bad_text = b"\0\0\0\4tEXtabcd\1\2\3\4"  # wrong checksum in a chunk that does not matter
    yield "bad-text-checksum.png", png(samples(5, 3, 3, 8), 8, 2, after=bad_text)


def modes():
    """Files for the resize in each of Pillow's modes: sides of odd ratios, and what sets the modes apart."""
    rgba = picture(31, 17, 4)
    y, x = np.mgrid[0:17, 0:31]
    rgba[:, :, 3] = np.where(x < 9, 0, np.where(x < 16, 128, np.where(x < 22, 255, np.where(x < 25, 1, (x * 31 + y * 17) % 256))))
    yield "mode-rgba.png", png(rgba, 8, 6)
    yield "mode-rgba-turned.png", png(rgba[:, 7:20], 8, 6, before=chunk(b"eXIf", exif(6)))
    yield "mode-rgba-clear.png", png(rgba[:, :9], 8, 6)
    yield "mode-rgba-opaque.png", png(np.where(np.arange(4) == 3, 255, rgba[:13, :19]), 8, 6)
    yield "mode-la.png", png(rgba[:, :, 2:], 8, 4)
    yield "mode-la-turned.png", png(rgba[:9, 5:28, 2:], 8, 4, before=chunk(b"eXIf", exif(7)))
    yield "mode-la16.png", png(samples(13, 29, 2, 16), 16, 4)
    sharp = np.where(noise(3, 31 * 9 * 4).reshape(9, 31, 4) > 0, 255, rgba[:9, :31])  # overshoots
    yield "mode-rgba-sharp.png", png(sharp, 8, 6)
    yield "mode-rgba.webp", save(Image.fromarray(rgba), format="WEBP", lossless=True, exact=True)
    bits = (picture(61, 17, 1) > 120).astype(np.int64)
    yield "mode-1.png", png(bits, 1, 0)
    yield "mode-1-turned.png", png(bits[:, :23], 1, 0, before=chunk(b"eXIf", exif(5)))
    indices = picture(7, 53, 1).astype(np.int64) // 16
    palette = chunk(b"PLTE", noise(8, 16 * 3).tobytes())
    yield "mode-p.png", png(indices, 4, 3, before=palette)
    yield "mode-p-trns.png", png(indices, 4, 3, before=palette + chunk(b"tRNS", noise(10, 12).tobytes()))
    yield "mode-p-turned.png", png(indices[:17], 4, 3, before=palette + chunk(b"eXIf", exif(8)))
    yield "mode-p.gif", save(rgb(43, 29).quantize(32), format="GIF")
    table = bytes(v for i in range(256) for v in (i, i, i))
    small = bytearray(save(Image.fromarray(indices[:, :, 0].astype(np.uint8)), format="GIF", optimize=False))
    entries = 2 << (small[10] & 7)
    small[13:13 + 3 * entries] = table[:3 * entries]  # a palette that Pillow takes for grey
    yield "mode-l-ramp.gif", bytes(small)
    small[13] = 1
    yield "mode-p-no-ramp.gif", bytes(small)
    grey16 = picture(31, 14, 1).astype(np.int64) * 2 - 90
    yield "mode-i.png", png(np.where(noise(5, grey16.size).reshape(grey16.shape) > 0, grey16.clip(0), grey16 * 0), 16, 0)
    yield "mode-i-wide.png", png(samples(31, 5, 1, 16), 16, 0, True)
    yield "mode-i-turned.png", png(grey16.clip(0)[:, :9], 16, 0, before=chunk(b"eXIf", exif(5)))
    cmyk = Image.fromarray(picture(41, 12, 4), mode="CMYK")
    yield "mode-cmyk.jpg", save(cmyk, format="JPEG", quality=70)
    yield "mode-cmyk-turned.jpg", save(cmyk.crop((0, 0, 21, 9)), format="JPEG", quality=70, exif=b"Exif\0\0" + exif(5))


def jpegs():
    for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
        yield f"ycc-{name}.jpg", save(rgb(19, 13), format="JPEG", quality=85, subsampling=sampling)
        yield f"progressive-{name}.jpg", save(rgb(19, 13), format="JPEG", quality=60, subsampling=sampling, progressive=True)
    yield "wide-420.jpg", save(rgb(67, 3), format="JPEG", quality=50, subsampling=2)
    yield "grey.jpg", save(Image.fromarray(picture(19, 13, 1)[:, :, 0]), format="JPEG", quality=85)
    yield "one-pixel.jpg", save(rgb(1, 1), format="JPEG", quality=85, subsampling=2)
    cmyk = save(Image.fromarray(picture(19, 13, 4), mode="CMYK"), format="JPEG", quality=85)
    at = cmyk.index(b"\xff\xee\0\x0eAdobe")
    yield "cmyk.jpg", cmyk
    yield "ycck.jpg", cmyk[:at + 15] + b"\2" + cmyk[at + 16:]
    yield "cmyk-no-adobe.jpg", cmyk[:at] + cmyk[at + 16:]
    plain = save(rgb(19, 13), format="JPEG", quality=85, subsampling=0)
    yield "rgb-adobe.jpg", plain[:2] + b"\xff\xee\0\x0eAdobe\0d\0\0\0\0\0" + plain[2:]
    for o in range(1, 9):
        yield f"orientation{o}.jpg", save(Image.fromarray(picture(9, 5, 1)[:, :, 0]), format="JPEG", quality=60,
                                          exif=b"Exif\0\0" + exif(o, big=o % 2 == 0))
    yield "no-end-mark.jpg", save(rgb(16, 16), format="JPEG", quality=85)[:-2]  # refused, as in Pillow
    yield "rubbish-behind.jpg", save(rgb(16, 16), format="JPEG", quality=85) + b"rubbish" * 9
    broken = bytearray(save(rgb(32, 32), format="JPEG", quality=85))
    broken[-60:-30] = bytes(range(30))
    yield "damaged-data.jpg", bytes(broken)  # libjpeg repairs what it can, with a warning


def webps():
    rgba = Image.fromarray(picture(19, 13, 4))
    yield "lossy.webp", save(rgb(19, 13), format="WEBP", quality=70)
    yield "lossless.webp", save(rgb(19, 13), format="WEBP", lossless=True)
    yield "lossy-alpha.webp", save(rgba, format="WEBP", quality=70)
    yield "lossless-alpha.webp", save(rgba, format="WEBP", lossless=True, exact=True)
    yield "orientation8.webp", save(rgb(9, 5), format="WEBP", quality=70, exif=exif(8))
    frames = [rgb(15, 11, s) for s in (4, 6)]
    yield "animation.webp", save(frames[0], format="WEBP", save_all=True, append_images=frames[1:], quality=50)
    for name, image in (("", rgb(8, 6)), ("-alpha", Image.fromarray(picture(8, 6, 4)))):
        inner = save(image, format="WEBP", lossless=True, exact=True)[12:]
        inner = inner[inner.index(b"VP8L"):]
        u24 = lambda v: struct.pack("<I", v)[:3]
        frame = u24(2) + u24(1) + u24(7) + u24(5) + u24(100) + b"\0" + inner  # offset 4,2
        chunks = (b"VP8X" + struct.pack("<I", 10) + b"\x12\0\0\0" + u24(19) + u24(9)
                  + b"ANIM" + struct.pack("<I", 6) + b"\xff\xff\xff\xff\0\0" + b"ANMF" + struct.pack("<I", len(frame)) + frame)
        yield f"animation-offset{name}.webp", b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def gifs():
    p = rgb(19, 13).quantize(64)
    yield "palette.gif", save(p, format="GIF", interlace=0)
    yield "interlaced.gif", save(p, format="GIF", interlace=1)
    yield "interlaced-flat.gif", save(rgb(19, 3).quantize(8), format="GIF", interlace=1)
    yield "transparent.gif", save(p, format="GIF", transparency=5)
    yield "grey.gif", save(Image.fromarray(picture(19, 13, 1)[:, :, 0]), format="GIF")
    yield "two-colours.gif", save(rgb(19, 13).quantize(2), format="GIF")
    yield "four-colours.gif", save(rgb(19, 13).quantize(4), format="GIF")
    yield "one-pixel.gif", save(rgb(1, 1).quantize(2), format="GIF")
    yield "animation.gif", save(p, format="GIF", save_all=True, append_images=[rgb(19, 13, 6).quantize(64)])
    yield "full-table.gif", save(Image.fromarray(noise(4, 70 * 70).reshape(70, 70)), format="GIF")
    for name, extra in (("", {}), ("-transparent", {"transparency": 3})):
        small = bytearray(save(rgb(9, 7).quantize(16), format="GIF", interlace=0, **extra))
        small[6:10] = struct.pack("<HH", 14, 12)  # a larger screen
        at = small.index(b"," + struct.pack("<HHHH", 0, 0, 9, 7))
        small[at + 1:at + 5] = struct.pack("<HH", 3, 2)
        yield f"offset{name}.gif", bytes(small)
        small[6:10] = struct.pack("<HH", 4, 4)  # a smaller one
        yield f"small-screen{name}.gif", bytes(small)


def crc(image):
    return "%08x" % zlib.crc32(np.asarray(image).tobytes())


def describe(name, data):
    image = Image.open(io.BytesIO(data))
    image.load()
    if name == "grey4-trns.png":  # Pillow compares the 4-bit number with the sample stretched to 8 bits
        image.info["transparency"] *= 17
    plain = image.convert("RGB")
    with_alpha = image.convert("RGBA") if image.mode != "I" else plain.convert("RGBA")
    blended = Image.new("RGB", plain.size, BACKGROUND)
    blended.paste(with_alpha.convert("RGB"), mask=with_alpha.getchannel("A"))
    return f"{name} {plain.width} {plain.height} {crc(plain)} {crc(blended)} {crc(ImageOps.exif_transpose(image).convert('RGB'))}"


def fitted(width, height, size):
    """torchvision's Resize(size) and CenterCrop(size)."""
    short, long = min(width, height), max(width, height)
    longer = int(size * long / short)
    w, h = (size, longer) if width <= height else (longer, size)
    return w, h, int(round((w - size) / 2.0)), int(round((h - size) / 2.0))


def preprocess(image, size):
    w, h, left, top = fitted(*image.size, size)
    return crc(image.resize((w, h), Image.BICUBIC).crop((left, top, left + size, top + size)).convert("RGB"))


def preprocesses(name, data):
    image = Image.open(io.BytesIO(data))
    image.load()
    short = min(image.size)
    for size in sorted({1, 4, 7, 16, 45, short, short + 1, max(1, short - 1)}) if short < 64 else (16, 64, short):
        yield (f"{name} {size} {preprocess(image, size)} {preprocess(image.convert('RGB'), size)}"
               f" {preprocess(ImageOps.exif_transpose(image), size)}")


def resizes():
    image = lambda seed, w, h: Image.fromarray(noise(seed, w * h * 3).reshape(h, w, 3))
    sides = (1, 2, 3, 5, 8, 13, 31, 64)
    seed = 0
    for w, h in [(a, b) for a in sides for b in sides if (a + b) % 3] + [(97, 61), (200, 150), (500, 375), (301, 7), (3, 300), (2000, 3), (1, 1500)]:
        for ow, oh in ((1, 1), (w, h), (w, 7), (5, h), (16, 16), (17, 33), (48, 21), (w * 2, h * 3), (w + 1, max(1, h - 1))):
            seed += 1
            out = image(seed, w, h).resize((ow, oh), Image.BICUBIC)
            yield f"{seed} {w} {h} resize {ow} {oh} {crc(out)}"
    for w, h in ((500, 375), (375, 500), (640, 427), (97, 96), (96, 96), (33, 500), (1000, 64), (7, 5), (1, 1), (1, 40), (1280, 719), (481, 321), (225, 224), (224, 331)):
        for size in (1, 2, 15, 16, 63, 64, 96, 224, 288):
            seed += 1
            rw, rh, left, top = fitted(w, h, size)
            out = image(seed, w, h).resize((rw, rh), Image.BICUBIC).crop((left, top, left + size, top + size))
            yield f"{seed} {w} {h} preprocess {size} {size} {crc(out)}"
    for w, h in ((96, 96), (500, 375), (31, 17)):
        for l, t, r, b in ((0, 0, 1, 1), (0.5, 0.25, 0.875, 0.625), (0, 0.5, 0.5, 1), (0.3, 0.1, 0.45, 0.15)):
            for ow, oh in ((32, 32), (61, 40), (7, 90)):
                seed += 1
                box = [float(np.float32(v)) for v in (l * w, t * h, r * w, b * h)]
                out = image(seed, w, h).resize((ow, oh), Image.BICUBIC, box=box)
                yield f"{seed} {w} {h} crop {ow} {oh} {crc(out)} {' '.join('%.9g' % v for v in box)}"


def main():
    os.makedirs(OUT, exist_ok=True)
    lines, preprocessed = [], []
    for maker in (pngs, jpegs, webps, gifs, modes):
        for name, data in maker():
            if len(data) > 2048 and name != "full-table.gif":
                sys.exit(f"{name}: {len(data)} bytes")
            with open(os.path.join(OUT, name), "wb") as f:
                f.write(data)
            try:
                lines.append(describe(name, data))
                preprocessed.extend(preprocesses(name, data))
            except Exception as e:
                print(f"{name}: Pillow: {e}")
    with open(os.path.join(OUT, "decode.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")
    with open(os.path.join(OUT, "preprocess.txt"), "w") as f:
        f.write("\n".join(preprocessed) + "\n")
    with open(os.path.join(OUT, "resize.txt"), "w") as f:
        f.write("\n".join(resizes()) + "\n")


main()
