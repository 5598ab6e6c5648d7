/* text/mojibake.c -- text that was decoded in a wrong encoding, as ftfy.fix_encoding repairs it:
 * UTF-8 that was read as Latin-1, Windows-125x, MacRoman and the like is encoded again and read
 * properly, as a whole or in the parts that allow it. badness.c says whether to try at all. */
#include "text/mojibake.h"

#include "base/check.h"
#include "base/memory.h"
#include "text/clean.h"

#include <assert.h>
#include <string.h>

#define ROUNDS_MAX 64 /* mojibake of mojibake ...: each round at least halves real text */
#define DEPTH_MAX 8

#define SUBSTITUTE 0x1A /* the byte that stands for a lost one */

uint32_t mojibake_windows_1252(uint32_t c)
{
    return c >= 0x80 && c <= 0x9F ? mojibake_pages[MOJIBAKE_WINDOWS_1252].high[c - 0x80] : c;
}

/* Scratch: two byte strings of one size, and text. */
typedef struct bench {
    unsigned char *bytes, *more;
    size_t count, room;
} bench;

static cn_status bench_reserve(bench *b, size_t characters, cn_error *err)
{
    cn_status st = CN_OK;
    size_t room = 3 * characters + 8; /* a lost byte becomes three of U+FFFD */
    if (b->bytes && b->more && room <= b->room)
        return CN_OK;
    b->room = 0;
    cn_free(b->bytes);
    cn_free(b->more);
    b->more = NULL;
    b->bytes = cn_malloc(room);
    CN_CHECK(b->bytes, CN_ENOMEM, "out of memory to repair %zu characters", characters);
    b->more = cn_malloc(room);
    CN_CHECK(b->more, CN_ENOMEM, "out of memory to repair %zu characters", characters);
    b->room = room;
done:
    return st;
}

/* The byte of c in a code page; -1 when it has none. */
static int page_byte(const mojibake_page *page, uint32_t c)
{
    if (c < 0x80)
        return page->sloppy && c == SUBSTITUTE ? -1 : (int)c;
    if (page->sloppy && c == 0xFFFD)
        return SUBSTITUTE;
    if (c >= 0x80 && c <= 0xFF && page->high[c - 0x80] == c)
        return (int)c;
    for (int i = 0; i < 128; i++)
        if (page->high[i] == c)
            return 0x80 + i;
    return -1;
}

static bool page_encode(const mojibake_page *page, bench *b, const runes *text)
{
    assert(b->bytes); /* the bench was made for texts of this length */
    for (size_t i = 0; i < text->count; i++) {
        int byte = page_byte(page, text->at[i]);
        if (byte < 0)
            return false;
        b->bytes[i] = (unsigned char)byte;
    }
    b->count = text->count;
    return true;
}

static bool within(unsigned byte, unsigned low, unsigned high)
{
    return byte >= low && byte <= high;
}

static bool is_rest(unsigned byte) /* a later byte of UTF-8 */
{
    return within(byte, 0x80, 0xBF);
}

static bool begins(const unsigned char *s, size_t left, const char *word)
{
    size_t length = strlen(word);
    return left >= length && !memcmp(s, word, length);
}

/* A rest byte that may stand beside a blank: not 85 or A0, which white space may have been. */
static bool is_sure_rest(unsigned byte)
{
    return is_rest(byte) && byte != 0x85 && byte != 0xA0;
}

/* Length of a sequence at s that would be UTF-8 if its blank were byte A0; else 0. */
static size_t altered_length(const unsigned char *s, size_t left)
{
    if (left < 2)
        return 0;
    if (s[1] == ' ' &&
        (s[0] == 0xC2 || s[0] == 0xC3 || s[0] == 0xC5 || s[0] == 0xCE || s[0] == 0xD0 || s[0] == 0xD9))
        return 2;
    if (left > 2 && ((within(s[0], 0xE2, 0xE3) && s[1] == ' ' && is_sure_rest(s[2])) ||
                     (within(s[0], 0xE0, 0xE3) && is_sure_rest(s[1]) && s[2] == ' ')))
        return 3;
    if (left > 3 && s[0] == 0xF0) {
        int blanks = 0, rests = 0;
        for (int k = 1; k < 4; k++) {
            blanks += s[k] == ' ';
            rests += is_rest(s[k]);
        }
        if (blanks == 1 && rests == 2)
            return 4;
    }
    return 0;
}

static void swap_bytes(bench *b, size_t count)
{
    unsigned char *swap = b->bytes;
    b->bytes = b->more;
    b->more = swap;
    b->count = count;
}

/* Blanks that were byte A0 become A0 again. "\xC3 " as a word by itself keeps its blank as well. */
static void restore_byte_a0(bench *b)
{
    size_t i = 0, to = 0;
    while (i < b->count && !altered_length(b->bytes + i, b->count - i))
        i++;
    if (i == b->count)
        return;
    for (i = 0; i < b->count;) {
        const unsigned char *s = b->bytes + i;
        size_t left = b->count - i;
        if (begins(s, left, "\xC3 ") && !begins(s + 2, left - 2, " ") && !begins(s + 2, left - 2, "quele") &&
            !begins(s + 2, left - 2, "quela") && !begins(s + 2, left - 2, "quilo") &&
            !begins(s + 2, left - 2, "s ")) {
            memcpy(b->more + to, "\xC3\xA0 ", 3);
            to += 3;
            i += 2;
        } else {
            b->more[to++] = *s;
            i++;
        }
    }
    swap_bytes(b, to);
    for (i = 0; i < b->count;) {
        size_t length = altered_length(b->bytes + i, b->count - i);
        for (size_t k = 0; k < length; k++)
            if (b->bytes[i + k] == ' ')
                b->bytes[i + k] = 0xA0;
        i += length ? length : 1;
    }
}

/* A rest byte, a lost one, or -- where `question` allows it -- one that became a question mark. */
static bool is_lossy(unsigned byte, bool rest, bool question)
{
    return byte == SUBSTITUTE || (rest && is_rest(byte)) || (question && byte == '?');
}

/* Length of a sequence of UTF-8 (or of two surrogates) at s that has lost a byte; else 0. */
static size_t lossy_length(const unsigned char *s, size_t left)
{
    if (left > 1 &&
        ((within(s[0], 0xC2, 0xDF) && s[1] == SUBSTITUTE) || (within(s[0], 0xC2, 0xC3) && s[1] == '?')))
        return 2;
    if (left > 5 && s[0] == 0xED && within(s[1], 0xA0, 0xAF) && s[3] == 0xED && within(s[4], 0xB0, 0xBF) &&
        ((is_lossy(s[2], false, true) && is_lossy(s[5], true, true)) ||
         (is_lossy(s[2], true, true) && is_lossy(s[5], false, true))))
        return 6;
    if (left > 2 && within(s[0], 0xE0, 0xEF) &&
        ((is_lossy(s[1], false, true) && is_lossy(s[2], true, false)) ||
         (is_lossy(s[1], true, false) && is_lossy(s[2], false, true))))
        return 3;
    if (left > 3 && within(s[0], 0xF0, 0xF4))
        for (int lost = 1; lost < 4; lost++) {
            bool all = true;
            for (int k = 1; k < 4; k++)
                all = all && is_lossy(s[k], k != lost, k == lost);
            if (all)
                return 4;
        }
    return s[0] == SUBSTITUTE ? 1 : 0;
}

static void replace_lossy(bench *b)
{
    size_t to = 0;
    for (size_t i = 0; i < b->count;) {
        size_t length = lossy_length(b->bytes + i, b->count - i);
        if (length) {
            memcpy(b->more + to, "\xEF\xBF\xBD", 3);
            to += 3;
            i += length;
        } else {
            b->more[to++] = b->bytes[i++];
        }
    }
    swap_bytes(b, to);
}

/* UTF-8, or its variants with zero as C0 80 and with surrogate pairs as three bytes each. Into out,
 * which has room; false if it is none of them. */
static bool decode_strictly(runes *out, const bench *b)
{
    const unsigned char *s = b->bytes;
    out->count = 0;
    for (size_t i = 0; i < b->count;) {
        size_t left = b->count - i, before = i;
        if (left > 1 && s[i] == 0xC0 && s[i + 1] == 0x80) {
            runes_put(out, 0);
            i += 2;
            continue;
        }
        if (left > 5 && s[i] == 0xED && within(s[i + 1], 0xA0, 0xAF) && is_rest(s[i + 2]) &&
            s[i + 3] == 0xED && within(s[i + 4], 0xB0, 0xBF) && is_rest(s[i + 5])) {
            runes_put(out, 0x10000 + ((s[i + 1] & 0x0Fu) << 16) + ((s[i + 2] & 0x3Fu) << 10) +
                               ((s[i + 4] & 0x0Fu) << 6) + (s[i + 5] & 0x3Fu));
            i += 6;
            continue;
        }
        uint32_t c = rune_next(s, b->count, &i);
        if (c == RUNE_REPLACEMENT && (i - before != 3 || memcmp(s + before, "\xEF\xBF\xBD", 3) != 0))
            return false;
        runes_put(out, c);
    }
    return true;
}

static cn_status repair(runes *text, bench *b, int depth, cn_error *err);

/* Length of a run of characters at `at` that look like UTF-8 in a wrong encoding; else 0. */
static size_t run_length(const uint32_t *at, size_t left)
{
    static const uint32_t first[3] = {MOJIBAKE_FIRST_OF_2, MOJIBAKE_FIRST_OF_3, MOJIBAKE_FIRST_OF_4};
    size_t i = 0;
    while (i < left) {
        uint32_t mask = mojibake_mask(at[i]);
        size_t length = 0;
        for (size_t k = 0; k < 3 && !length; k++) {
            if (!(mask & first[k]) || left - i < k + 2)
                continue;
            length = k + 2;
            for (size_t rest = 1; rest < k + 2 && length; rest++)
                if (at[i + rest] != ' ' &&
                    !(mojibake_mask(at[i + rest]) & (MOJIBAKE_REST_STRICT | MOJIBAKE_REST_LOOSE)))
                    length = 0;
        }
        if (!length)
            break;
        i += length;
    }
    return i;
}

/* ftfy's decode_inconsistent_utf8: repairs each run by itself. */
static cn_status repair_runs(runes *text, bench *b, int depth, cn_error *err)
{
    cn_status st = CN_OK;
    runes out = {0}, part = {0};
    for (size_t i = 0; i < text->count;) {
        size_t length = 0;
        if (!i || !(mojibake_mask(text->at[i - 1]) & MOJIBAKE_REST_STRICT))
            length = run_length(text->at + i, text->count - i);
        if (!length) {
            CN_TRY(runes_append(&out, text->at + i++, 1, err));
            continue;
        }
        part.count = 0;
        CN_TRY(runes_append(&part, text->at + i, length, err));
        if (length < text->count && mojibake_is_bad(part.at, part.count))
            CN_TRY(repair(&part, b, depth + 1, err));
        CN_TRY(runes_append(&out, part.at, part.count, err));
        i += length;
    }
    runes swap = *text;
    *text = out;
    out = swap;
done:
    runes_free(&out);
    runes_free(&part);
    return st;
}

static bool same(const runes *a, const runes *b)
{
    return a->count == b->count && (!a->count || !memcmp(a->at, b->at, a->count * sizeof *a->at));
}

/* One step of the repair: before -> text. */
static cn_status repair_once(runes *text, const runes *before, bench *b, int depth, cn_error *err)
{
    cn_status st = CN_OK;
    text->count = 0;
    CN_TRY(runes_reserve(text, 3 * before->count, err));
    CN_TRY(bench_reserve(b, before->count, err));
    for (int k = 0; k < MOJIBAKE_PAGES; k++) {
        if (!page_encode(&mojibake_pages[k], b, before))
            continue;
        if (k != MOJIBAKE_MACROMAN)
            restore_byte_a0(b);
        if (mojibake_pages[k].sloppy)
            replace_lossy(b);
        if (decode_strictly(text, b))
            return CN_OK;
    }
    text->count = 0;
    CN_TRY(runes_append(text, before->at, before->count, err));
    if (depth < DEPTH_MAX) {
        CN_TRY(repair_runs(text, b, depth, err));
        if (!same(text, before))
            return CN_OK;
    }
    /* Latin-1 that was meant as Windows-1252, or single characters of it. */
    for (size_t i = 0; i < text->count; i++)
        text->at[i] = mojibake_windows_1252(text->at[i]);
done:
    return st;
}

static cn_status repair(runes *text, bench *b, int depth, cn_error *err)
{
    cn_status st = CN_OK;
    runes next = {0};
    for (int round = 0; round < ROUNDS_MAX && mojibake_is_bad(text->at, text->count); round++) {
        CN_TRY(repair_once(&next, text, b, depth, err));
        bool done = same(&next, text);
        runes swap = next;
        next = *text;
        *text = swap;
        if (done)
            break;
    }
done:
    runes_free(&next);
    return st;
}

cn_status mojibake_repair(runes *text, cn_error *err)
{
    bench b = {0};
    size_t i = 0;
    while (i < text->count && text->at[i] < 0x80)
        i++;
    if (i == text->count) /* ASCII */
        return CN_OK;
    cn_status st = repair(text, &b, 0, err);
    cn_free(b.bytes);
    cn_free(b.more);
    return st;
}
