/* text/badness.c -- is this text mojibake? Short sequences of characters that hardly occur otherwise.
 * The rules are those of ftfy.badness, as steps over classes instead of a pattern. */
#include "text/letters.h"
#include "text/mojibake.h"

#include <string.h>

#define COMMON MOJIBAKE_COMMON
#define BAD MOJIBAKE_BAD
#define LAW MOJIBAKE_LAW
#define CURRENCY MOJIBAKE_CURRENCY
#define START MOJIBAKE_START
#define END MOJIBAKE_END
#define NUMERIC MOJIBAKE_NUMERIC
#define UPPER MOJIBAKE_UPPER_ACCENTED
#define LOWER MOJIBAKE_LOWER_ACCENTED
#define COMMON_LETTER (MOJIBAKE_UPPER_COMMON | MOJIBAKE_LOWER_COMMON)
#define BOX MOJIBAKE_BOX
#define SIGNS (LOWER | UPPER | BOX | START | END | CURRENCY | NUMERIC | LAW)

uint32_t mojibake_mask(uint32_t c)
{
    size_t low = 0, high = mojibake_class_count;
    if (c < 0x80)
        return 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (mojibake_classes[middle].c == c)
            return mojibake_classes[middle].mask;
        if (mojibake_classes[middle].c < c)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

#define WINDOW 7 /* the longest rule */

/* A window on the text: characters and their classes from the present position on, zeros beyond the end. */
typedef struct window {
    uint32_t c[WINDOW], mask[WINDOW];
    size_t left; /* characters from here to the end of the text */
} window;

static bool is_one_of(uint32_t c, const uint16_t *set)
{
    for (; *set; set++)
        if (*set == c)
            return true;
    return false;
}

#define ONE_OF(c, ...) is_one_of((c), (const uint16_t[]){__VA_ARGS__, 0})

static bool is_lower_ascii(uint32_t c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_ascii_letter(uint32_t c)
{
    return is_lower_ascii(c) || (c >= 'A' && c <= 'Z');
}

static bool is_word(uint32_t c) /* \w */
{
    letter_class kind = letter_class_of(c);
    return c == '_' || kind == LETTER_WORD || kind == LETTER_NUMBER;
}

/* Two characters of these classes side by side. */
static bool bad_pair(const window *w)
{
    static const struct {
        uint32_t first, second;
    } pairs[] = {
        {SIGNS | BAD, BAD},
        {BAD, SIGNS},
        {LOWER | MOJIBAKE_LOWER_COMMON | BOX | END | CURRENCY | NUMERIC, UPPER},
        {BOX | END | CURRENCY | NUMERIC, LOWER},
        {LOWER | BOX | END, CURRENCY},
        {UPPER | BOX, NUMERIC | LAW},
        {CURRENCY | NUMERIC | BOX, START},
        {BOX, MOJIBAKE_KAOMOJI | END},
        {LOWER | UPPER | CURRENCY | NUMERIC | START | END | LAW, BOX},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if ((w->mask[0] & pairs[i].first) && (w->mask[1] & pairs[i].second))
            return true;
    return false;
}

static bool bad_triple(const window *w)
{
    const uint32_t *m = w->mask;
    if (is_ascii_letter(w->c[0]) && (m[1] & COMMON_LETTER) && (m[2] & BAD))
        return true;
    if (letter_is_space(w->c[0]) && (m[1] & UPPER) && (m[2] & CURRENCY))
        return true;
    if (is_lower_ascii(w->c[0]) && (m[1] & UPPER) && (m[2] & (START | CURRENCY)))
        return true;
    if ((m[0] & (LOWER | UPPER | BOX | CURRENCY | END)) && (m[1] & START) && (m[2] & NUMERIC))
        return true;
    if ((m[0] & (LOWER | UPPER | CURRENCY | NUMERIC | BOX | LAW)) && (m[1] & END) && (m[2] & START))
        return true;
    return (m[0] & (LOWER | UPPER)) && (m[1] & (START | END)) && w->left > 2 && is_word(w->c[2]);
}

/* What may follow U+00D8 or U+00D9 in Arabic that was read as Windows-1252. */
static bool arabic_rest(uint32_t c, uint32_t mask)
{
    return (mask & (COMMON | CURRENCY | BAD | NUMERIC | START)) ||
           ONE_OF(c, 0x178, 0x160, 0xAE, 0xB0, 0xB5, 0xBB);
}

static bool is_a_hat(uint32_t c) /* A with tilde or circumflex: the first byte of Latin-1's upper half */
{
    return c == 0xC2 || c == 0xC3;
}

/* Sequences of Windows-1252 and MacRoman. */
static bool bad_latin(const window *w)
{
    const uint32_t *c = w->c, *m = w->mask;
    if (w->left < 2)
        return false;
    if ((c[0] == 0x152 || c[0] == 0x153) && !is_ascii_letter(c[1]))
        return true;
    if ((m[0] & UPPER) && c[1] == 0xB0)
        return true;
    if (ONE_OF(c[0], 0xC2, 0xC3, 0xCE, 0xD0) &&
        ((m[1] & (START | END)) || ONE_OF(c[1], 0x20AC, 0x153, 0x160, 0x161, 0xA2, 0xA3, 0x178, 0x17E, 0xA0,
                                          0xAD, 0xAE, 0xA9, 0xB0, 0xB7, 0xBB, 0x2013, 0x2014, 0xB4)))
        return true;
    if (c[0] == 0xD7 && (c[1] == 0xB2 || c[1] == 0xB3))
        return true;
    if ((c[0] == 0xD8 || c[0] == 0xD9) && (c[2] == 0xD8 || c[2] == 0xD9) && arabic_rest(c[1], m[1]) &&
        arabic_rest(c[3], m[3]))
        return true;
    if (c[0] == 0xE0 && ONE_OF(c[1], 0xB2, 0xB5, 0xB9, 0xBC, 0xBD, 0xBE))
        return true;
    if (c[0] == 0xC3 && (c[1] == 0xA0 || c[1] == 0xA1))
        return true;
    if (c[0] == 0x221A &&
        ONE_OF(c[1], 0xB1, 0x2202, 0x2020, 0x2260, 0xAE, 0x2122, 0xB4, 0x2264, 0x2265, 0xA5, 0xB5, 0xF8))
        return true;
    if (c[0] == 0x2248 && (c[1] == 0xB0 || c[1] == 0xA2))
        return true;
    if (c[0] == 0x201A && c[1] == 0xC4 &&
        ONE_OF(c[2], 0xEC, 0xEE, 0xEF, 0xF2, 0xF4, 0xFA, 0xF9, 0xFB, 0x2020, 0xB0, 0xA2, 0x3C0))
        return true;
    if (c[0] == 0x201A && (c[1] == 0xE2 || c[1] == 0xF3) && ONE_OF(c[2], 0xE0, 0xE4, 0xB0, 0xEA))
        return true;
    /* A-hats before a blank that may have been U+00A0. */
    if (is_lower_ascii(c[0]) &&
        ((is_a_hat(c[1]) && c[2] == ' ') || (letter_is_space(c[1]) && is_a_hat(c[2]) && c[3] == ' ')))
        return true;
    return (is_lower_ascii(c[0]) || ONE_OF(c[0], '.', ',', '?', '!') || (m[0] & END)) && c[1] == 0xC2 &&
           (c[2] == ' ' || (m[2] & (START | END)));
}

/* Sequences of the code pages for other scripts. */
static bool bad_other(const window *w)
{
    const uint32_t *c = w->c, *m = w->mask;
    const uint32_t odd = MOJIBAKE_C1 | BAD | START | END | CURRENCY;
    static const uint32_t five[] = {0x413, 0x45E, 0x412, 0x402, 0x412};
    if (c[0] == 0x432 && c[1] == 0x402) /* Windows-1251 */
        return true;
    if (ONE_OF(c[0], 0x412, 0x413, 0x420, 0x421) && ONE_OF(c[2], 0x412, 0x413, 0x420, 0x421) &&
        ((m[1] & odd) || c[1] == 0xB0 || c[1] == 0xB5))
        return true;
    /* Windows-1251 on top of Windows-1252; a Latin letter nearby is wanted */
    if (!memcmp(c, five, sizeof five) && c[5] != '\n' && (is_ascii_letter(c[6]) || c[6] == ' '))
        return true;
    if (c[0] == 0x3B2 && c[1] == 0x20AC && ONE_OF(c[2], 0x2122, 0xA0, 0x386, 0xAD, 0xAE, 0xB0)) /* 1253 */
        return true;
    if (ONE_OF(c[0], 0x392, 0x393, 0x39E, 0x39F) && ONE_OF(c[2], 0x392, 0x393, 0x39E, 0x39F) &&
        ((m[1] & odd) || c[1] == 0xB0))
        return true;
    return c[0] == 0x101 && c[1] == 0x20AC; /* 1257 */
}

bool mojibake_is_bad(const uint32_t *at, size_t count)
{
    window w = {.left = count};
    for (size_t k = 0; k < WINDOW && k < count; k++) {
        w.c[k] = at[k];
        w.mask[k] = mojibake_mask(at[k]);
    }
    if (count > 1 && is_a_hat(at[0]) && at[1] == ' ')
        return true;
    for (size_t i = 0; i < count; i++, w.left--) {
        /* Every rule has a character beyond ASCII among its first three. */
        if ((w.c[0] | w.c[1] | w.c[2]) > 0x7F)
            if ((w.mask[0] & MOJIBAKE_C1) || bad_pair(&w) || bad_triple(&w) || bad_latin(&w) || bad_other(&w))
                return true;
        memmove(w.c, w.c + 1, (WINDOW - 1) * sizeof w.c[0]);
        memmove(w.mask, w.mask + 1, (WINDOW - 1) * sizeof w.mask[0]);
        bool more = i + WINDOW < count;
        w.c[WINDOW - 1] = more ? at[i + WINDOW] : 0;
        w.mask[WINDOW - 1] = more ? mojibake_mask(at[i + WINDOW]) : 0;
    }
    return false;
}
