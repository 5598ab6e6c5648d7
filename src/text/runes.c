/* text/runes.c -- a growing array of code points, to and from UTF-8. */
#include "text/runes.h"

#include "base/check.h"
#include "base/memory.h"

#include <string.h>

void runes_free(runes *r)
{
    cn_free(r->at);
    *r = (runes){0};
}

cn_status runes_reserve(runes *r, size_t more, cn_error *err)
{
    if (more <= r->room - r->count)
        return CN_OK;
    size_t room = r->room + r->room / 2;
    if (room < r->count + more)
        room = r->count + more;
    uint32_t *at = cn_reallocarray(r->at, room, sizeof *at);
    if (!at)
        return cn_fail(err, CN_ENOMEM, "out of memory for %zu characters of text", room);
    r->at = at;
    r->room = room;
    return CN_OK;
}

cn_status runes_append(runes *r, const uint32_t *at, size_t count, cn_error *err)
{
    cn_status st = CN_OK;
    if (!count)
        return CN_OK;
    CN_TRY(runes_reserve(r, count, err));
    memcpy(r->at + r->count, at, count * sizeof *at);
    r->count += count;
done:
    return st;
}

uint32_t rune_next(const unsigned char *s, size_t length, size_t *i)
{
    unsigned char lead = s[(*i)++];
    if (lead < 0x80)
        return lead;
    /* The range of the second byte depends on the first: no overlong forms, no surrogates, nothing
     * beyond U+10FFFF. */
    unsigned low = 0x80, high = 0xBF;
    int more;
    uint32_t c;
    if (lead >= 0xC2 && lead <= 0xDF) {
        more = 1;
        c = lead & 0x1Fu;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        more = 2;
        c = lead & 0x0Fu;
        if (lead == 0xE0)
            low = 0xA0;
        if (lead == 0xED)
            high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        more = 3;
        c = lead & 0x07u;
        if (lead == 0xF0)
            low = 0x90;
        if (lead == 0xF4)
            high = 0x8F;
    } else {
        return RUNE_REPLACEMENT;
    }
    while (more-- > 0) {
        if (*i >= length || s[*i] < low || s[*i] > high)
            return RUNE_REPLACEMENT;
        c = c << 6 | (s[(*i)++] & 0x3Fu);
        low = 0x80;
        high = 0xBF;
    }
    return c;
}

cn_status runes_decode(runes *r, const char *text, size_t length, cn_error *err)
{
    cn_status st = CN_OK;
    CN_TRY(runes_reserve(r, length, err));
    for (size_t i = 0; i < length;)
        runes_put(r, rune_next((const unsigned char *)text, length, &i));
done:
    return st;
}

size_t rune_encode(uint32_t c, unsigned char out[4])
{
    if (c < 0x80) {
        out[0] = (unsigned char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (unsigned char)(0xC0 | c >> 6);
        out[1] = (unsigned char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (unsigned char)(0xE0 | c >> 12);
        out[1] = (unsigned char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (unsigned char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (unsigned char)(0xF0 | c >> 18);
    out[1] = (unsigned char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (unsigned char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (unsigned char)(0x80 | (c & 0x3F));
    return 4;
}
