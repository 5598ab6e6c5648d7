/* text/letters.c -- Unicode classes, lower case and form C, as Python has them. */
#include "text/letters.h"

#include "base/check.h"
#include "base/memory.h"

#include <string.h>
#include <utf8proc.h>

bool letter_is_white(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= '\t' && c <= '\r');
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool letter_is_space(uint32_t c)
{
    return letter_is_white(c) || (c >= 0x1C && c <= 0x1F);
}

bool letter_is_decimal(uint32_t c)
{
    if (c < 0x80)
        return c >= '0' && c <= '9';
    return utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_ND;
}

letter_class letter_class_of(uint32_t c)
{
    if (c < 0x80) {
        uint32_t folded = c | 0x20;
        if (folded >= 'a' && folded <= 'z')
            return LETTER_WORD;
        if (c >= '0' && c <= '9')
            return LETTER_NUMBER;
        return letter_is_white(c) ? LETTER_SPACE : LETTER_OTHER;
    }
    if (letter_is_white(c))
        return LETTER_SPACE;
    /* The pattern ignores case, and the upper case of this mark is a letter: Python's regex module
     * then finds it neither in \p{L} nor outside of it. */
    if (c == 0x345)
        return LETTER_NOTHING;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return LETTER_WORD;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return LETTER_NUMBER;
    default: return LETTER_OTHER;
    }
}

/* Unicode's Case_Ignorable: marks, modifiers, format characters and punctuation inside words. */
static bool case_ignorable(uint32_t c)
{
    switch (c) {
    case '\'':
    case '.':
    case ':':
    case 0xB7:
    case 0x387:
    case 0x55F:
    case 0x5F4:
    case 0x2018:
    case 0x2019:
    case 0x2024:
    case 0x2027:
    case 0xFE13:
    case 0xFE52:
    case 0xFE55:
    case 0xFF07:
    case 0xFF0E:
    case 0xFF1A: return true;
    default: break;
    }
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK: return true;
    default: return false;
    }
}

/* Unicode's Cased, of a character that is not Case_Ignorable (which leaves out the many cased
 * modifier letters). */
static bool cased(uint32_t c)
{
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT: return true;
    default: break;
    }
    return c == 0xAA || c == 0xBA || (c >= 0x2160 && c <= 0x217F) || (c >= 0x24B6 && c <= 0x24E9) ||
           (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

/* A capital sigma becomes a final one after a cased letter, unless another one follows. Before and
 * after say what the nearest character that is not ignorable is. */
typedef struct sigma {
    bool cased_before;
    size_t known; /* next_cased holds for every position before this one */
    bool next_cased;
} sigma;

static bool cased_after(const runes *r, size_t i, sigma *s)
{
    if (i < s->known)
        return s->next_cased;
    size_t j = i;
    while (j < r->count && case_ignorable(r->at[j]))
        j++;
    s->next_cased = j < r->count && cased(r->at[j]);
    s->known = j;
    return s->next_cased;
}

cn_status letters_lower(runes *r, cn_error *err)
{
    cn_status st = CN_OK;
    sigma s = {0};
    size_t dotted = 0;
    for (size_t i = 0; i < r->count; i++) {
        uint32_t c = r->at[i], lower = c;
        if (c < 0x80) {
            if (c >= 'A' && c <= 'Z')
                lower = c + 32;
        } else if (c == 0x130) {
            dotted++;
        } else if (c == 0x3A3) {
            lower = s.cased_before && !cased_after(r, i + 1, &s) ? 0x3C2 : 0x3C3;
        } else {
            lower = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
        }
        r->at[i] = lower;
        if (!case_ignorable(c))
            s.cased_before = cased(c);
    }
    if (dotted) { /* U+0130 becomes i and a combining dot */
        CN_TRY(runes_reserve(r, dotted, err));
        size_t to = r->count + dotted;
        for (size_t i = r->count; i-- > 0;) {
            if (r->at[i] == 0x130) {
                r->at[--to] = 0x307;
                r->at[--to] = 'i';
            } else {
                r->at[--to] = r->at[i];
            }
        }
        r->count += dotted;
    }
done:
    return st;
}

static unsigned combining_class(uint32_t c)
{
    return c < 0x300 ? 0 : (unsigned)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}

/* Stable sort of marks by combining class. Counting keeps a hostile run of a million marks linear. */
static cn_status sort_marks(uint32_t *at, size_t count, runes *work, cn_error *err)
{
    cn_status st = CN_OK;
    if (count <= 32) {
        for (size_t i = 1; i < count; i++) {
            uint32_t c = at[i];
            unsigned order = combining_class(c);
            size_t j = i;
            for (; j > 0 && combining_class(at[j - 1]) > order; j--)
                at[j] = at[j - 1];
            at[j] = c;
        }
        return CN_OK;
    }
    size_t start[257] = {0};
    work->count = 0;
    CN_TRY(runes_append(work, at, count, err));
    for (size_t i = 0; i < count; i++)
        start[(combining_class(at[i]) & 0xFF) + 1]++;
    for (size_t k = 1; k < 257; k++)
        start[k] += start[k - 1];
    for (size_t i = 0; i < count; i++)
        at[start[combining_class(work->at[i]) & 0xFF]++] = work->at[i];
done:
    return st;
}

static cn_status sort_all_marks(runes *r, runes *work, cn_error *err)
{
    cn_status st = CN_OK;
    for (size_t i = 0; i < r->count;) {
        size_t end = i;
        while (end < r->count && combining_class(r->at[end]))
            end++;
        if (end - i > 1)
            CN_TRY(sort_marks(r->at + i, end - i, work, err));
        i = end + 1;
    }
done:
    return st;
}

cn_status letters_compose(runes *r, size_t from, runes *work, cn_error *err)
{
    cn_status st = CN_OK;
    const utf8proc_option_t options = UTF8PROC_COMPOSE | UTF8PROC_STABLE;
    runes split = {0};
    size_t i = from;
    while (i < r->count && r->at[i] < 0x300)
        i++;
    if (i == r->count) /* composed already */
        return CN_OK;
    for (i = from; i < r->count; i++) {
        CN_TRY(runes_reserve(&split, 18, err));
        if (r->at[i] < 0xC0) {
            runes_put(&split, r->at[i]);
            continue;
        }
        int boundary = 0;
        utf8proc_ssize_t n = utf8proc_decompose_char(
            (utf8proc_int32_t)r->at[i], (utf8proc_int32_t *)split.at + split.count, 18, options, &boundary);
        CN_CHECK(n > 0 && n <= 18, CN_EINVAL, "character U+%04X cannot be normalized", (unsigned)r->at[i]);
        split.count += (size_t)n;
    }
    CN_TRY(sort_all_marks(&split, work, err));
    utf8proc_ssize_t n =
        utf8proc_normalize_utf32((utf8proc_int32_t *)split.at, (utf8proc_ssize_t)split.count, options);
    CN_CHECK(n >= 0, CN_EINVAL, "%zu characters cannot be normalized", split.count);
    r->count = from;
    CN_TRY(runes_append(r, split.at, (size_t)n, err));
done:
    runes_free(&split);
    return st;
}

size_t letter_decompose(uint32_t c, uint32_t out[18])
{
    int boundary = 0;
    utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)c, (utf8proc_int32_t *)out, 18,
                                UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_STABLE, &boundary);
    if (n <= 0 || n > 18) {
        out[0] = c;
        return 1;
    }
    return (size_t)n;
}
