/* text/runes.h -- a growing array of code points, to and from UTF-8.
 * All cleaning works on these; bytes exist only at both ends. */
#ifndef TEXT_RUNES_H
#define TEXT_RUNES_H

#include "clipneuron/error.h"
#include <stddef.h>
#include <stdint.h>

#define RUNE_REPLACEMENT 0xFFFDu

typedef struct runes {
    uint32_t *at;
    size_t count, room;
} runes;

void runes_free(runes *r); /* leaves an empty one */
/* Makes room for `more` code points after the present ones. */
cn_status runes_reserve(runes *r, size_t more, cn_error *err);
cn_status runes_append(runes *r, const uint32_t *at, size_t count, cn_error *err);

/* Into room that runes_reserve made. */
static inline void runes_put(runes *r, uint32_t c)
{
    r->at[r->count++] = c;
}

/* Appends UTF-8. Invalid bytes become U+FFFD, one for each longest part of a sequence, as Python's
 * errors="replace" does. */
cn_status runes_decode(runes *r, const char *text, size_t length, cn_error *err);

/* One code point from s[*i..length); moves *i on. As runes_decode. */
uint32_t rune_next(const unsigned char *s, size_t length, size_t *i);
/* Returns the number of bytes. */
size_t rune_encode(uint32_t c, unsigned char out[4]);

#endif
