/* text/repair.c -- the repairs of ftfy.fix_text, with its defaults, one line of text at a time.
 * Not here: the encoding repair (mojibake.c). */
#include "text/clean.h"

#include "base/check.h"
#include "text/entities.h"
#include "text/letters.h"

#include <stdbool.h>
#include <string.h>

#define SEGMENT_MAX 1000000 /* characters, ftfy's max_decode_length */
/* ftfy repeats its steps until nothing changes; "&amp;amp;amp;..." makes it do so once for each
 * "amp;". Text that needs more rounds than this is not text. */
#define ROUNDS_MAX 64

typedef struct ligature {
    uint16_t from;
    char to[4];
} ligature;

/* Letters that ftfy takes apart; U+0149 and the ones with a caron are in expand(). */
static const ligature ligatures[] = {
    {0x132, "IJ"},  {0x133, "ij"},  {0x1C7, "LJ"},   {0x1C8, "Lj"},   {0x1C9, "lj"},  {0x1CA, "NJ"},
    {0x1CB, "Nj"},  {0x1CC, "nj"},  {0x1F1, "DZ"},   {0x1F2, "Dz"},   {0x1F3, "dz"},  {0xFB00, "ff"},
    {0xFB01, "fi"}, {0xFB02, "fl"}, {0xFB03, "ffi"}, {0xFB04, "ffl"}, {0xFB06, "st"},
};

/* fix_c1_controls, fix_latin_ligatures, fix_character_width and uncurl_quotes for one character. */
static void expand(runes *out, uint32_t c)
{
    uint32_t part[18] = {c};
    size_t count = 1;
    if (c >= 0x80 && c <= 0x9F)
        part[0] = mojibake_windows_1252(c);
    switch (c) {
    case 0x149: part[0] = 0x2BC, part[1] = 'n', count = 2; break;
    case 0x1C4: part[0] = 'D', part[1] = 0x17D, count = 2; break;
    case 0x1C5: part[0] = 'D', part[1] = 0x17E, count = 2; break;
    case 0x1C6: part[0] = 'd', part[1] = 0x17E, count = 2; break;
    case 0x3000: part[0] = ' '; break;
    case 0xFB05: part[0] = 0x17F, part[1] = 't', count = 2; break;
    default: break;
    }
    if ((c >= 0x132 && c <= 0x1F3) || (c >= 0xFB00 && c <= 0xFB06))
        for (size_t k = 0; k < sizeof ligatures / sizeof ligatures[0]; k++)
            if (ligatures[k].from == c)
                for (count = 0; ligatures[k].to[count]; count++)
                    part[count] = (uint32_t)ligatures[k].to[count];
    if (c >= 0xFF01 && c <= 0xFFEF)
        count = letter_decompose(c, part);
    for (size_t k = 0; k < count; k++) {
        if (part[k] == 0x2BC || (part[k] >= 0x2018 && part[k] <= 0x201B))
            part[k] = '\'';
        else if (part[k] >= 0x201C && part[k] <= 0x201F)
            part[k] = '"';
        runes_put(out, part[k]);
    }
}

static bool is_control(uint32_t c)
{
    return c <= 0x08 || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || (c >= 0x206A && c <= 0x206F) ||
           c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

/* Length of a terminal escape "ESC [ digits and semicolons letter" at r->at[i]; 0 if it is none. */
static size_t escape_length(const runes *r, size_t i)
{
    size_t end = i + 2;
    if (r->at[i] != 0x1B || end > r->count || r->at[i + 1] != '[')
        return 0;
    while (end < r->count && (r->at[end] == ';' || letter_is_decimal(r->at[end])))
        end++;
    if (end == r->count || r->at[end] > 0x7F)
        return 0;
    uint32_t letter = r->at[end] | 0x20;
    return letter >= 'a' && letter <= 'z' ? end + 1 - i : 0;
}

/* fix_line_breaks, remove_terminal_escapes and remove_control_chars. */
static void drop_controls(runes *r)
{
    size_t to = 0;
    for (size_t i = 0; i < r->count;) {
        uint32_t c = r->at[i];
        size_t escape = escape_length(r, i);
        if (escape) {
            i += escape;
            continue;
        }
        i++;
        if (c == '\r') {
            if (i < r->count && r->at[i] == '\n')
                i++;
            c = '\n';
        } else if (c == 0x2028 || c == 0x2029) {
            c = '\n';
        }
        if (!is_control(c))
            r->at[to++] = c;
    }
    r->count = to;
}

/* Plain text that no step changes. */
static bool is_plain(const uint32_t *at, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (at[i] > 0x7E || at[i] == '&' || (at[i] < ' ' && at[i] != '\n' && at[i] != '\t' && at[i] != '\f'))
            return false;
    return true;
}

/* ftfy.fix_and_explain: all steps, again until nothing changes. */
static cn_status repair_segment(runes *segment, runes *work, bool unescape, cn_error *err)
{
    cn_status st = CN_OK;
    runes before = {0};
    for (int round = 0; round < ROUNDS_MAX; round++) {
        if (is_plain(segment->at, segment->count))
            break;
        before.count = 0;
        CN_TRY(runes_append(&before, segment->at, segment->count, err));
        if (unescape) {
            segment->count = 0;
            CN_TRY(entities_unescape_ftfy(segment, before.at, before.count, err));
        }
        CN_TRY(mojibake_repair(segment, err));
        work->count = 0;
        for (size_t i = 0; i < segment->count; i++) {
            CN_TRY(runes_reserve(work, 18, err));
            expand(work, segment->at[i]);
        }
        runes swap = *work;
        *work = *segment;
        *segment = swap;
        drop_controls(segment);
        CN_TRY(letters_compose(segment, 0, work, err));
        if (segment->count == before.count &&
            (!before.count || !memcmp(segment->at, before.at, before.count * sizeof *before.at)))
            break;
    }
done:
    runes_free(&before);
    return st;
}

cn_status repair_text(runes *out, const runes *in, cn_error *err)
{
    cn_status st = CN_OK;
    runes segment = {0}, work = {0};
    bool unescape = true;
    CN_TRY(runes_reserve(out, in->count, err));
    for (size_t i = 0; i < in->count;) {
        size_t end = i;
        bool bracket = false;
        while (end < in->count && end - i < SEGMENT_MAX) {
            uint32_t c = in->at[end++];
            bracket |= c == '<';
            if (c == '\n')
                break;
        }
        if (bracket) /* may be HTML: entities stay, from this line on */
            unescape = false;
        if (is_plain(in->at + i, end - i)) {
            CN_TRY(runes_append(out, in->at + i, end - i, err));
        } else {
            segment.count = 0;
            CN_TRY(runes_append(&segment, in->at + i, end - i, err));
            CN_TRY(repair_segment(&segment, &work, unescape, err));
            CN_TRY(runes_append(out, segment.at, segment.count, err));
        }
        i = end;
    }
done:
    runes_free(&segment);
    runes_free(&work);
    return st;
}
