#!/usr/bin/env python3
"""Writes src/text/entity_table.c: the named character references of HTML.

usage: tools/make_entities.py > src/text/entity_table.c

The names are those of Python's html.entities.html5, which is the list of the HTML standard. Names in
capitals that the standard lacks, such as "&EACUTE;", are marked as extra: ftfy decodes them,
html.unescape does not. Needed only when the standard's list grows.
"""
import html
import html.entities

rows = []
for name, value in html.entities.html5.items():
    rows.append((name, value, 0))
    if name.endswith(";") and name == name.lower():
        upper = name.upper()
        if html.unescape("&" + upper) == "&" + upper:
            rows.append((upper, value.upper(), 1))
rows.sort()

print("/* text/entity_table.c -- the named character references of HTML, sorted by name.")
print(" * Written by tools/make_entities.py from Python's html.entities.html5; do not edit. */")
print('#include "text/entities.h"')
print()
print("const entity entity_table[] = {")
for name, value, extra in rows:
    values = ", ".join("0x%X" % ord(c) for c in value)
    print('    {"%s", {%s}, %d},' % (name, values, extra))
print("};")
print()
print("const size_t entity_count = sizeof entity_table / sizeof entity_table[0];")
