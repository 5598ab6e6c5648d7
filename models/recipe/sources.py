"""Which pictures and fonts the recipe takes, and under which licence.

Everything comes from npm packages that package-lock.json pins by version and hash. An icon set is taken when its
licence (SPDX name in Iconify's collections.json) is on the list below; share-alike, GPL and non-commercial sets never are.
"""
import json
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = os.path.join(HERE, "node_modules")
ICONIFY = os.path.join(PACKAGES, "@iconify", "json")

LICENCES = {"MIT", "Apache-2.0", "ISC", "CC0-1.0", "CC-BY-4.0", "CC-BY-3.0", "OFL-1.1"}

# Animated spinners, single letters of pseudo-fonts, file-type badges and the like: nothing that a caption describes.
USELESS_SETS = {"svg-spinners", "line-md", "vscode-icons", "material-icon-theme", "catppuccin", "academicons", "bpmn",
                "unjs", "k8s", "gcp", "formkit", "nonicons", "codicon", "selfhst", "cryptocurrency", "websymbol",
                "cryptocurrency-color", "token", "token-branded", "bitcoin-icons", "fad", "topcoat", "iconmind"}

# One tag an icon may end or begin with that says how it is drawn, not what it shows.
STYLE = ("outlined|outline|filled|fill|lined|line|linear|bold|boldduotone|duotone|twotone|two-tone|solid|regular|light|thin|"
         "sharp|rounded|round|broken|bulk|stroke|color|flat|remix|alt|icon|logo|color-icon|micro|mini|big|small|"
         "emoji|o|s|r|f|l|fat|a|b|c|d|e|i|v|w|\\d+|\\d+px|1x1|4x3|sm|lg|xs|xl|block|simple|freehand|ultimate|"
         "circle-filled|rounded-filled|old|new|glyph|monotone|monochrome|basic|dynamic|gradient|original|plain|wordmark|curved|"
         "contained|straight|border|free|symbolic|medium|skin|dark|black|white")
TAIL = re.compile(r"-(?:%s)$" % STYLE)
SKIN = re.compile(r"-(?:light|medium-light|medium|medium-dark|dark)-skin-tone(?:-|$)|-(?:light|dark|default)-skin-tone$")


def sets():
    """The usable icon sets: name -> dict(title, author, licence, palette, total)."""
    with open(os.path.join(ICONIFY, "collections.json"), encoding="utf-8") as f:
        collections = json.load(f)
    found = {}
    for name, c in collections.items():
        licence = c["license"].get("spdx")
        if licence in LICENCES and name not in USELESS_SETS:
            found[name] = {"title": c["name"], "author": c["author"]["name"], "licence": licence,
                           "palette": bool(c.get("palette")), "version": c.get("version", "")}
    return found


def icons(name):
    """The JSON of one icon set."""
    with open(os.path.join(ICONIFY, "json", name + ".json"), encoding="utf-8") as f:
        return json.load(f)


def base(icon):
    """What an icon shows: its name without the tags of style and size."""
    name = icon.lower().replace("_", "-")
    if name.startswith("emojione-"):
        name = name[9:]
    while True:
        shorter = TAIL.sub("", name)
        if shorter == name or not shorter:
            return name.replace("-", " ")
        name = shorter


# Held out of training as a whole: their pictures are seen only by the evaluation and the demo. They were chosen because
# no other usable set redraws them.
HELD_OUT = {"twemoji", "fluent-emoji-high-contrast", "emojione-monotone", "streamline-emojis", "ph", "tabler", "mdi-light",
            "healthicons", "flagpack", "circle-flags", "bxl"}
ALL_LABELS = "twemoji"            # the held-out set of which every emoji is kept, for the test over all of its labels
# Company logos go by the names of things ("python", "ghost", "orange"): these sets are taken for brands only.
BRAND_SETS = {"simple-icons", "thesvg", "thesvg-color", "logos", "cib", "fa-brands", "fa6-brands", "fa7-brands",
              "streamline-logos", "skill-icons", "devicon", "devicon-plain", "file-icons", "bxl"}
# Names that mean another thing in some sets: base name -> the only sets in which it is what concepts.tsv means.
ONLY_IN = {"dizzy": {"twemoji", "noto", "noto-v1", "fluent-emoji", "fluent-emoji-flat", "fluent-emoji-high-contrast", "emojione",
                     "emojione-monotone"},
           "cross": {"ph", "tabler", "lucide", "mdi", "fa6-solid", "fa7-solid", "fa-solid"}}
NOT_IN = {"ram": {"ri", "reicon", "fluent", "picon"}, "x": {"healthicons"}, "mars": {"circle-flags"},
          "ar": {"circle-flags"}}                # the Arabic language, not Argentina
EMOJI = {"twemoji", "noto", "noto-v1", "fluent-emoji", "fluent-emoji-flat", "fluent-emoji-high-contrast", "emojione",
         "emojione-monotone", "streamline-emojis", "fluent-emoji-3d"}
FLAGS = {"flag", "circle-flags", "flagpack", "cif"}
SOLID_3D = "fluent-emoji-3d"     # a package of WebP pictures rather than an Iconify set
ATLAS = "world-atlas"            # country outlines of Natural Earth (public domain), packed by world-atlas (ISC)

FONTS_HELD_OUT = ("comic-neue courier-prime dosis lobster quicksand vollkorn yanone-kaffeesatz nunito-sans gelasio handlee "
                  "chivo baloo-2").split()


def font_licence(family):
    with open(os.path.join(PACKAGES, "@fontsource", family, "package.json"), encoding="utf-8") as f:
        return json.load(f).get("license")


def fonts(held_out):
    """Latin woff files of the fonts in training or, held out, of the others: sorted (family, path)."""
    found = []
    for family in sorted(os.listdir(os.path.join(PACKAGES, "@fontsource"))):
        if (family in FONTS_HELD_OUT) != held_out or font_licence(family) not in LICENCES:
            continue
        files = os.path.join(PACKAGES, "@fontsource", family, "files")
        for weight in (400, 700):
            path = os.path.join(files, f"{family}-latin-{weight}-normal.woff")
            if os.path.exists(path):
                found.append((family, path))
    return found


def emoji_names():
    """CLDR name -> (characters, group), in Unicode's order."""
    with open(os.path.join(PACKAGES, "unicode-emoji-json", "data-by-emoji.json"), encoding="utf-8") as f:
        return {v["slug"].replace("_", " ").replace("-", " "): (k, v["group"]) for k, v in json.load(f).items()}
