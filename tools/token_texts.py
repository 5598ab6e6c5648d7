"""The texts of tests/data/tokens/*.json, by subject; tools/referee_tokens.py writes the files."""
import html.entities


def spread(names, step):
    return sorted(names)[::step]


MISREAD = [
    ("cafés and naïve façades", "latin-1"), ("it’s “quoted” — really…", "cp1252"), ("😀 emoji 🎉", "cp1252"),
    ("Привет, мир", "cp1252"), ("Привет, мир", "cp1251"), ("łódź żółw", "cp1250"), ("l’humanité", "mac-roman"),
    ("l’humanité", "cp437"), ("ελληνικά", "cp1253"), ("İstanbul şehri", "cp1254"), ("ēģīkļš", "cp1257"),
    ("日本語テキスト", "cp1252"), ("العربية", "cp1252"), ("हिन्दी", "cp1252"), ("São Paulo", "iso-8859-2"),
]


def misread(text, encoding):
    out = ""
    for b in text.encode("utf-8"):
        try:
            out += bytes([b]).decode(encoding)
        except UnicodeDecodeError:
            out += chr(b)
    return out


TEXTS = {
    "words": [
        "a diagram", "a dog", "a cat", "an apple with a piece of paper saying iPod", "piggy bank", "Halle Berry",
        "spider-man", "a photo of a {}.", "itap of a goldfish.", "a bad photo of the tench.", "TRASH", "$$$",
        "don't can't won't I'm I've I'll he'd she's they're", "DON'T CAN'T I'M WE'VE THEY'LL", "'s 't 're 've 'm 'll 'd",
        "''s '''ll 'sss 'reed 'mm", "rock'n'roll o'clock 'em", "it’s they’re ‘quoted’ ‛odd‛", "ISN'T it", "'S'T'RE",
        "www.example.com/path?x=1&y=2#frag", "user@example.org", "C:\\dir\\file.txt", "snake_case camelCase kebab-case",
        "1234567890", "3.14e-10", "1,000,000.00", "50%", "#1 @2 $3", "a1b2c3", "x^2+y^2=z^2", "->=>==!=<=>=<>",
        "...", "!!!", "?!?!", "-- --- ----", "***", "((()))", "~`|", ":-) ;-) :D xD", "¯\\_(ツ)_/¯", "(╯°□°)╯︵ ┻━┻", "ಠ_ಠ",
        "<|startoftext|>", "<|endoftext|>", "<|STARTOFTEXT|>", "a<|endoftext|>b", "<|startoftext|><|endoftext|>",
        ".<|startoftext|>", "<|startoftext", "<|start oftext|>", "<<|endoftext|>>", "<|ſtartoftext|>", "'ſ 'ſs",
        "a", "I", "aa", "z" * 100, "ab" * 200, "the" * 150, "lol" * 120, "antidisestablishmentarianism" * 8,
        "pneumonoultramicroscopicsilicovolcanoconiosis", "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch",
        "x" * 1000, "😀" * 60, "é" * 300, "-" * 300, "0" * 120, "a b " * 100, "İ" * 40,
    ],
    "white": [
        " leading", "trailing ", "  both  ", "a\tb", "a\nb", "a\r\nb", "a\rb", "a\vb", "a\fb", "a\x1cb\x1db\x1eb\x1fb", "a\x85b",
        "a\xa0b", "a\u1680b", "a\u180eb", "a\u2000b\u2001b\u2002b\u2003b\u2004b\u2005b\u2006b\u2007b\u2008b\u2009b\u200ab",
        "a\u2028b", "a\u2029b", "a\u202fb", "a\u205fb", "a\u3000b", "a\u200bb", "a\u200cb", "a\u200db", "a\u2060b", "a\ufeffb",
        "\ufeffa", "a\ufeff", "\u200ba\u200b", "a\xadb", "a\u034fb", "a \u00a0\u2003\u3000 b", "\u3000全角\u3000空白\u3000",
        "\x01\x02a\x03b\x7f", "a\x08b", "\x1b[31mred\x1b[0m", "\x1b[1;32;40mx", "\x1b[", "\x1b[12", "\x1b[;;m",
        "\x1b[\u0663m", "\x1b]0;title\x07", "\ufff9a\ufffab\ufffb", "a\ufffcb", "a\ufffdb", "\u206aa\u206f", "a\u202eb\u202c",
        "line one\nline two <b>\nline &amp; three", "line &amp; one\nline <two>\nline &amp; three", "a\u0085\u2028\u2029b",
        "\u2066isolate\u2069", "tag \U000e0067\U000e0062\U000e007f", "\t\t\t", "\n\n\n", "\u3000", "\ufeff\ufeff",
    ],
    "entities": [
        "&amp;", "&amp", "&AMP;", "&amp;amp;", "&amp;amp;amp;", "&amp;lt;", "&amp;amp;lt;b&amp;amp;gt;", "&lt;b&gt;", "<b>&amp;</b>",
        "<b>&amp;amp;</b>", "<b>&amp;amp;amp;</b>", "&lt", "&gt", "&LT", "&notit;", "&notin;", "&not", "&ampx", "&copy2024", "&copy;", "&reg", "&eacute", "&eacutee;",
        "&EACUTE;", "P&EACUTE;REZ", "BUNDESSTRA&SZLIG;E", "&nTILDE;", "&NTILDE;", "&Ntilde;", "&Jscr;ohn &HilbertSpace;ancock", "&checkmark;",
        "&NotEqualTilde;", "&CounterClockwiseContourIntegral;", "&fjlig;", "&ThickSpace;x", "&nbsp;a&nbsp;", "&zwnj;&zwj;", "&hearts; &spades;",
        "&#65;", "&#65", "&#065;", "&#x41;", "&#X41;", "&#x41", "&#x1F600;", "&#128512;", "&#0;", "&#x0;", "&#1;", "&#9;a&#10;b&#13;c", "&#11;", "&#127;",
        "&#128;", "&#129;", "&#130;&#145;&#146;&#147;&#148;&#150;&#151;&#153;&#159;", "&#x80;&#x8d;&#x9f;", "&#160;", "&#xd800;", "&#xdfff;", "&#x10ffff;", "&#x110000;",
        "&#xfffe;", "&#xfdd0;", "&#xfffd;", "&#99999999999999999999;", "&#xffffffffffff;", "&#59;", "&#x3b;", "&#38;amp;", "&#38;#65;", "&#12ab;", "&#;", "&#x;", "&#xg;", "&;", "&", "& ", "&&", "&&amp;&",
        "AT&T", "R&D;", "this&not that", "a&b;c", "x<y&amp;z", "&quot;q&quot;", "&apos;s", "don&#39;t", "don&#x27;t", "don&rsquo;t", "<i>don&rsquo;t</i>", "&ldquo;q&rdquo;", "<p>&ldquo;q&rdquo;</p>",
        "&hellip;", "&ndash; &mdash;", "&euro;10 &pound;5 &yen;3 &cent;1", "&frac12; &frac34; &sup2;", "&alpha;&beta;&Gamma;", "&Sigma;&SIGMA;", "&" + "a" * 24 + ";", "&" + "a" * 40 + ";",
        "&lt;|startoftext|&gt;", "&" * 50, "&am\ufeffp;", "＆amp；", "&ａmp;", "&amp;eacute;", "&Eacute;t&eacute;",
    ] + ["&%s &%s" % (n, n.upper()) for n in spread(html.entities.html5, 45)],
    "scripts": [
        "Ελληνικά ΚΕΙΜΕΝΟ", "ΟΔΥΣΣΕΥΣ", "ΣΑΣ ΣΑΣ.", "Σ", "ΑΣ", "ΑΣ'", "ΑΣ'Α", "ΑΣ.Α", "Α\u0301Σ", "ΑΣ\u0345", "ΑΣ\u0301", "1Σ", "aΣ", "ªΣ", "ⅠΣ", "ⒶΣ", "\U0001f130Σ", "'Σ", "ΑΣ\xad", "ΑΣ:Β", "Σ Σ",
        "ΆΈΉΊΌΎΏ ΐΰ", "ᾳᾲᾴ ᾼ", "ὈΔΥΣΣΕΎΣ", "α\u0345", "x\u0345y", "İstanbul ıI", "DİYARBAKIR ığdır", "i\u0307", "I\u0307", "ẞ ß SS", "ŒUVRE œuf", "ÆØÅ æøå", "Ĳsselmeer ĳs", "ŉ", "Ǆ ǅ ǆ Ǉ ǈ ǉ Ǌ ǋ ǌ Ǳ ǲ ǳ",
        "ﬀ ﬁ ﬂ ﬃ ﬄ ﬅ ﬆ", "ﬓ ﬔ ﬕ", "שּׁ שּׂ", "ſ Kelvin K Å Ω", "\u212a \u212b \u2126", "РУССКИЙ Текст ёЁ", "Українська їжа ЇЖА Ґ", "Ѓ Ќ Џ", "Българският", "Հայերեն ՀԱՅ եւ և", "ქართული ᲥᲐᲠᲗᲣᲚᲘ", "עִבְרִית", "العَرَبِيَّة", "فارسی می‌خواهم", "اردو",
        "हिन्दी क्षत्रिय", "বাংলা", "ਪੰਜਾਬੀ", "ગુજરાતી", "தமிழ்", "తెలుగు", "ಕನ್ನಡ", "മലയാളം", "සිංහල", "ไทยภาษา", "ลาว ລາວ", "བོད་ཡིག", "မြန်မာ", "ខ្មែរ", "አማርኛ", "ᏣᎳᎩ ᎠᎢ Ꭰꭰ", "ᐃᓄᒃᑎᑐᑦ", "ᚠᚢᚦ", "ᠮᠣᠩᠭᠣᠯ", "𐐀𐐨 Deseret", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝐁𝐨𝐥𝐝", "𒀀𒁀", "𓀀", "日本語", "ひらがなカタカナ", "ﾊﾝｶｸ ｶﾞｷﾞ ﾊﾟ", "Ｆｕｌｌｗｉｄｔｈ１２３！？", "￠￡￢￣￤￥￦￨￩￮", "｟｠｡｢｣､･ｦ", "ﾡﾢￂￃ", "中文汉字漢字", "한국어 ㄱㄴ 각", "각", "꿈",
        "e\u0301 é", "A\u030a Å \u212b", "q\u0307\u0323 q\u0323\u0307", "a" + "\u0301" * 50, "a" + "\u0323\u0301" * 40, "\u0301 alone", "ự ụ\u031b", "\u0958 \u0915\u093c", "\u2adc", "\U0001d15e", "\ufb1d", "\u0344", "\u0f73", "か\u3099", "\u1100\u1161\u11a8",
        "٠١٢٣٤٥٦٧٨٩", "०१२३", "৪৫", "²³¹ ₁₂", "½ ⅓ ⅞", "Ⅷ ⅷ ⅻ", "①② ⒈ ⓐⒶ", "一二三", "〇", "𝟘𝟙𝟚", "𐄇", "🄌", "५a٦b", "1²3",
        "😀", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪🇫🇷", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "1️⃣ #️⃣", "❤ ❤️", "☺️☹", "♥♦♣♠", "→←↑↓", "∑∏∫√∞≈≠≤≥", "α+β=γ", "™®©", "€£¥₩₽₿", "°C °F", "№ §¶†‡", "«guillemets» „deutsch“ ‚x‘ ‹y›", "「日本」『語』", "、。！？", "…‥․", "‐‑‒–—―", "′″‴ ʼ ʻ ˈ", "·•‣", "␀␤", "\ue000 private", "\U000f0000", "𠀀𠮷",
        "ǰ ẖ ẗ", "ʰʷ ˢᴬ", "ͺ ͅ", "Ϲ ϲ Ͽ", "ϴ Θ", "Ⴀ ა", "Ა", "\u1e9e", "Ꙁꙁ", "Ⓩⓩ", "Ａａ", "𞤀𞤢", "ʼn", "ꟸ", "ꭜ", "ᵃ",
    ],
    "mojibake": [misread(t, e) for t, e in MISREAD] + [misread(misread(t, "latin-1"), "cp1252") for t, _ in MISREAD[:6]] + [
        "prefix " + misread(t, e) + " suffix ✓" for t, e in MISREAD[:8]] + [
        "voilÃ le travail", "Ã la mode", "Ã  la carte", "Ã quele dia", "Â© 2024", "10Â° C", "Â£5", "Â ", "Ã ", "a Â b", "æ—¥æœ¬", "â€œ like this â€�", "uÌˆnicode",
        "AHÅ™, the new sofa from IKEA®", "not such a fan of Charlotte Brontë…”", "This text is fine already :þ", "never UTF-8 at all\x85", "I\x92m \x93quoted\x94 \x80", "\x81\x8d\x8f\x90\x9d", "naÃ¯ve cafÃ© and rÃ©sumÃ©", "The more you know ðŸŒ ", "HUHLL ÐºÐ¾Ñ‚", "RÃ–SLER", "Ãœber", "DÃ¼sseldorf â€“ KÃ¶ln", "ÃƒÂ©", "ÃƒÆ’Ã‚Â©", "\xed\xa0\xbd\xed\xb8\x80", "\xc0\x80x", "â€™", "â€", "вЂ™s", "рџ�‚", "Ã�", "caf� Ã©", "ÐŸÑ€Ð¸", "Ð\x9fÑ\x80", "ø\x80", "Œ œ", "cœur Œuvre", "É™", "±°²", "«x»", "¿Qué?", "ÀÀÀ", "ôÔ", "áéíóú ÁÉÍÓÚ", "Ångström Å", "šđčćž ŠĐČĆŽ", "×²", "à²¬", "√±", "ΓΈΒ®ΓΈ", "Ã¢\u20ac\u2122", "&Atilde;&copy;", "&#195;&#169;", "&ATILDE;&SUP3;",
    ],
}
