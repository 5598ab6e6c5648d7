#!/usr/bin/env python3
"""bench/large_study.py STUDY OUT [IMAGES [UNITS]] -- a made-up study of a size that matters (200,000 pictures, 2,560 units) without a scan,
to time questions on: the tables of STUDY's schema filled with invented rows, thumbnails included, and one matrix. Its numbers mean
nothing; its histograms and counts agree. Only the standard library is needed."""
import array
import os
import random
import re
import sqlite3
import struct
import sys

LABELS, MEDIA, WORDS, TOP, BOTTOM, BUCKETS, PER_BUCKET, SIDE, BINS = 1000, 5, 980, 24, 12, 10, 6, 9, 2500


def histogram(rng, images):
    """Bins around zero, as wide as those of real units, whose counts add up to the pictures."""
    bins = sorted(rng.sample(range(1200, 4800), min(BINS, images)))
    counts = [1 + int(rng.expovariate(1) * (images - len(bins)) / (2 * len(bins))) for _ in bins]
    counts[len(bins) // 2] += images - sum(counts)
    if counts[len(bins) // 2] < 1:
        counts = [images // len(bins)] * len(bins)
        counts[0] += images - sum(counts)
    return b"".join(struct.pack("<II", b, c) for b, c in zip(bins, counts))


def main():
    source, out = sys.argv[1:3]
    images = int(sys.argv[3]) if len(sys.argv) > 3 else 200000
    units = int(sys.argv[4]) if len(sys.argv) > 4 else 2560
    rng = random.Random(1)
    os.mkdir(out)
    old = sqlite3.connect(f"file:{source}/study.sqlite?mode=ro", uri=True)
    db = sqlite3.connect(f"{out}/study.sqlite")
    db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")
    for pragma in ("application_id", "user_version"):
        db.execute(f"PRAGMA {pragma}={old.execute(f'PRAGMA {pragma}').fetchone()[0]}")
    for (sql,) in old.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"):
        db.execute(sql)
    meta = dict(old.execute("SELECT key, value FROM meta"))
    meta.update(images=images, labelled=images, failed=0, words=WORDS, resolution=288, buckets=BUCKETS)
    db.executemany("INSERT INTO meta VALUES (?,?)", meta.items())
    many = lambda table, n, rows: db.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * n)})", rows)
    name = lambda i: f"n{i * 2654435761 % 4294967296:08x}"
    many("labels", 3, ((i, f"label {name(i)}", images // LABELS) for i in range(LABELS)))
    many("media", 4, ((i, f"medium{i}", images // MEDIA, i == 4) for i in range(MEDIA)))
    many("images", 12, ((i, f"{name(i % LABELS)}/{name(i)}_{i}.jpg", i % LABELS, i % MEDIA, "a photo of something or other, more or less sharp",
                         None, None, 500, 375, "jpeg", f"{i:032x}", None) for i in range(images)))
    many("sites", 6, [(0, "visual.layer4.5.add", "map", units, SIDE, SIDE)])
    edge = 1.0
    many("units", 20, ((0, u, images, 0.0, 0.25, 0.25, -edge, edge, images // 3, 10 * rng.random(), 0, rng.randrange(LABELS), 8, rng.random(), 5.0,
                        9.0, "medium0 medium4", 2, 1, rng.random()) for u in range(units)))
    blobs = [histogram(rng, images) for _ in range(16)]
    many("histograms", 3, ((0, u, blobs[u % 16]) for u in range(units)))
    used = set()

    def examples():
        half = os.urandom(2 * SIDE * SIDE)
        half = bytes(b & 0x3b if i % 2 else b for i, b in enumerate(half))  # finite and positive
        for u in range(units):
            for kind, n in ((0, TOP), (1, BOTTOM), (2, BUCKETS * PER_BUCKET)):
                for rank, image in enumerate(sorted(rng.sample(range(images), n))):
                    used.add(image)
                    value = edge - rank / 100 if kind == 0 else -edge + rank / 100 if kind == 1 else edge * rank / n
                    yield (0, u, kind, rank, rank // PER_BUCKET if kind == 2 else None, image, value, value, 4, 4, None if kind == 2 else half)

    many("examples", 11, examples())
    picture = os.urandom(3000)
    many("thumbnails", 3, ((i, "image/jpeg", picture) for i in sorted(used)))
    many("unit_labels", 6, ((0, u, r, (u + r) % LABELS, 0.1, 20.0 - r) for u in range(units) for r in range(24)))
    many("unit_media", 6, ((0, u, m, 0.1, 100, 1.0) for u in range(units) for m in range(MEDIA)))
    many("unit_label_media", 7, ((0, u, m, 40, 0.1, 30, 1.0) for u in range(units) for m in range(MEDIA)))
    many("words", 3, ((i, f"word{name(i)}", 1) for i in range(WORDS)))
    many("unit_words", 7, ((0, u, r, (u + r) % WORDS, 0.3, 9.0, 1) for u in range(units) for r in range(8)))
    many("runs", 8, [(1, "2026-01-01T00:00:00Z", 1000.0, images, 0, "1/1", "made up", "none")])
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "src", "study", "schema.h")) as f:
        for sql in re.findall(r'"(CREATE INDEX [^"]*);"', f.read()):
            db.execute(sql)
    db.commit()
    db.close()
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({images}, {units}), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    block = array.array("f", (rng.gauss(0, 0.25) for _ in range(199 * units)))
    with open(f"{out}/layer4.5.add.mean.npy", "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        for first in range(0, images, 199):
            f.write(memoryview(block)[:min(199, images - first) * units])


if __name__ == "__main__":
    main()
