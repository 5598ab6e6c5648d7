/* text/split.h -- cuts clean text into the pieces that are merged each on its own, as the pattern
 *   <|startoftext|> | <|endoftext|> | 's|'t|'re|'ve|'m|'ll|'d | \p{L}+ | \p{N} | [^\s\p{L}\p{N}]+
 * does, ignoring case. */
#ifndef TEXT_SPLIT_H
#define TEXT_SPLIT_H

#include "text/runes.h"
#include <stdbool.h>

/* The next piece at or after *at: r->at[*start..*at). False at the end of the text. */
bool split_next(const runes *r, size_t *at, size_t *start);

#endif
