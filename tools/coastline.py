#!/usr/bin/env python3
"""tools/coastline.py land-110m.json > src/compose/coastline.c -- Natural Earth's land (1:110m, public domain), from the TopoJSON of the npm
package world-atlas, as rings of tenths of a degree. Points nearer than a degree to the last one are left out."""
import json
import sys

with open(sys.argv[1]) as f:
    topology = json.load(f)
scale, offset = topology["transform"]["scale"], topology["transform"]["translate"]


def arc(index):
    points, x, y = [], 0, 0
    for dx, dy in topology["arcs"][index if index >= 0 else ~index]:
        x, y = x + dx, y + dy
        points.append((x * scale[0] + offset[0], y * scale[1] + offset[1]))
    return points if index >= 0 else points[::-1]


rings = []
for geometry in topology["objects"]["land"]["geometries"]:
    for polygon in geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]:
        for ring in polygon:
            points = [p for index in ring for p in arc(index)]
            kept = []
            for x, y in points:
                if not kept or max(abs(x - kept[-1][0]), abs(y - kept[-1][1])) >= 1:
                    kept.append((x, y))
            if len(kept) >= 3 and max(y for _, y in kept) > -60:
                rings.append([(round(10 * x), round(10 * y)) for x, y in kept])
numbers = []
for ring in rings:
    numbers.append("%d" % len(ring))
    numbers.extend("%d,%d" % p for p in ring)
print("/* compose/coastline.c -- made by tools/coastline.py from Natural Earth's land, 1:110m (public domain). */\n"
      '#include "compose/coastline.h"\n\n/* clang-format off */\nconst int16_t coastline[] = {')
line = "   "
for n in numbers:
    if len(line) + len(n) > 138:
        print(line)
        line = "   "
    line += " " + n + ","
print(line)
print("    0,\n};\n/* clang-format on */")
