/* text/clean.c -- the cleaning steps in their order, and white space. */
#include "text/clean.h"

#include "base/check.h"
#include "text/entities.h"
#include "text/letters.h"

#include <string.h>

/* str.strip */
static void strip(runes *r)
{
    size_t start = 0;
    while (r->count && letter_is_space(r->at[r->count - 1]))
        r->count--;
    while (start < r->count && letter_is_space(r->at[start]))
        start++;
    if (start) {
        r->count -= start;
        memmove(r->at, r->at + start, r->count * sizeof *r->at);
    }
}

static void collapse_white_space(runes *r)
{
    size_t to = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (!letter_is_white(r->at[i]))
            r->at[to++] = r->at[i];
        else if (!to || r->at[to - 1] != ' ')
            r->at[to++] = ' ';
    }
    r->count = to;
}

cn_status clean_text(runes *out, const char *text, size_t length, cn_error *err)
{
    cn_status st = CN_OK;
    runes work = {0};
    CN_TRY(runes_decode(&work, text, length, err));
    CN_TRY(repair_text(out, &work, err));
    for (int i = 0; i < 2 && memchr(text, '&', length); i++) {
        work.count = 0;
        CN_TRY(entities_unescape(&work, out->at, out->count, err));
        runes swap = work;
        work = *out;
        *out = swap;
    }
    strip(out);
    collapse_white_space(out);
    strip(out);
    CN_TRY(letters_lower(out, err));
done:
    runes_free(&work);
    return st;
}
