#!/usr/bin/env python3
"""Writes src/text/mojibake_table.c: the characters that appear when UTF-8 was read in a wrong encoding.

usage: tools/make_mojibake.py > src/text/mojibake_table.c

The classes and the choice of encodings are facts about the behaviour of ftfy 6 (github.com/rspeer/python-ftfy);
the code pages are Python's codecs. tools/referee_tokens.py imports this file for the same facts.
"""

# The encodings in the order in which they are tried. "sloppy" ones read bytes that Windows leaves
# open as Latin-1, and byte 1A as U+FFFD.
ENCODINGS = [
    ("latin-1", False), ("cp1252", True), ("cp1251", True), ("cp1250", True), ("cp1253", True),
    ("cp1254", True), ("cp1257", True), ("iso-8859-2", False), ("mac-roman", False), ("cp437", False),
]


def span(first, last):
    return "".join(chr(c) for c in range(ord(first), ord(last) + 1))


CLASSES = {
    "COMMON": "\u00a0\u00ad\u00b7\u00b4–—―…’",
    "C1": span("\x80", "\x9f"),
    "BAD": "¦¤¨¬¯¸ƒˆˇ˘˛˜†‡‰⌐◊\ufffdªº",
    "LAW": "¶§",
    "CURRENCY": "¢£¥₧€",
    "START": "¡«¿©\u0384\u0385‘‚“„•‹\uf8ff",
    "END": "®»˝”›™",
    "NUMERIC": "²³¹±¼½¾×\u00b5÷⁄∂\u2206\u220f\u2211√∞∩∫≈≠≡≤≥№",
    "KAOMOJI": span("Ò", "Ö") + span("Ù", "Ü") + span("ò", "ö") + span("ø", "ü") + "ŐŌŪŲ°",
    "UPPER_ACCENTED": span("À", "Ñ") + "ØÜÝĂĀĄĆČĎĐĘĚĒĖĞĢİĪĶĹĽŁĻŃŇŅŒŘŚŞŠŢŤŮŰŸŹŻŽҐ",
    "LOWER_ACCENTED": "ß" + span("à", "ñ") + "ăąāćčďđęěēėğģįīķĺľłļœŕśşšťüźżžґ\ufb01\ufb02",
    "UPPER_COMMON": "Þ" + span("Α", "Ω") + "ΆΈΉΊΌΎΏΪΫ" + span("Ё", "Я"),
    "LOWER_COMMON": span("α", "ω") + "άέήίΰ" + span("а", "џ"),
    "BOX": "│┌┐┘├┤┬┼" + span("═", "╬") + "▀▄█▌▐░▒▓",
    # What a byte of UTF-8 looks like in those encodings that resemble Latin-1.
    "FIRST_OF_2": "ĂÂÄĀÅÃÆĆČÇĎĐÉĚÊËĖÈĒĘÐĞĢÍÎÏİÌĪĶĹĻŁŃŇŅÑÓÔÖŐÒŌØÕŘŚŠŞŢÞÚÛÜŰÙŪŲŮÝŹŽŻß×"
                  "ΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫάέήί" + span("В", "Я"),
    "FIRST_OF_3": "áăâäàāąåãæćčçďéěêëėèēęģíîïìīįķĺļŕźΰ" + span("α", "ο") + span("а", "п"),
    "FIRST_OF_4": "đðğóšπσру",
    "REST_STRICT": span("\x80", "\xbf") + "ĄÆĽŁØŖŚŠŞŤŸŹŽŻŒąæƒľłøŗśšşťźžżœˆˇ˘˛˜˝\u0384\u0385ΆΈΉΊΌΎΏ"
                   "ЁЂЃЄЅІЇЈЉЊЋЌЎЏёђѓєѕіїјљњћќўџҐґ†‡‰‹›€№™",
    "REST_LOOSE": " –—―‘’‚“”„•…",
}


def page(encoding, sloppy):
    """What bytes 0x80 to 0xFF mean."""
    chars = []
    for b in range(0x80, 0x100):
        try:
            chars.append(bytes([b]).decode(encoding))
        except UnicodeDecodeError:
            assert sloppy, encoding
            chars.append(chr(b))
    return "".join(chars)


def main():
    masks = {}
    for bit, chars in enumerate(CLASSES.values()):
        for c in chars:
            masks[c] = masks.get(c, 0) | 1 << bit
    del masks[" "]  # ASCII is left to the code
    print("/* text/mojibake_table.c -- code pages, and the classes of the characters of mojibake.")
    print(" * Written by tools/make_mojibake.py; do not edit. */")
    print('#include "text/mojibake.h"')
    print()
    print("const mojibake_page mojibake_pages[MOJIBAKE_PAGES] = {")
    for encoding, sloppy in ENCODINGS:
        print("    {/* %s */\n     %d,\n     {" % (encoding, sloppy))
        codes = ["0x%X," % ord(c) for c in page(encoding, sloppy)]
        for i in range(0, 128, 16):
            print("      " + " ".join(codes[i:i + 16]))
        print("     }},")
    print("};")
    print()
    print("const mojibake_class mojibake_classes[] = {")
    rows = ["{0x%X, 0x%X}," % (ord(c), masks[c]) for c in sorted(masks)]
    for i in range(0, len(rows), 6):
        print("    " + " ".join(rows[i:i + 6]))
    print("};")
    print()
    print("const size_t mojibake_class_count = sizeof mojibake_classes / sizeof mojibake_classes[0];")


if __name__ == "__main__":
    main()
