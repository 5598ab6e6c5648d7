/* text/letters.h -- what Unicode says of characters, in the words of the Python code that the
 * tokenizer follows: str.isspace, str.lower, unicodedata.normalize and the classes of its pattern.
 * The tables are utf8proc's; this is the only header of the room that knows it is there. */
#ifndef TEXT_LETTERS_H
#define TEXT_LETTERS_H

#include "text/runes.h"
#include <stdbool.h>

/* The classes of the tokenizer's pattern: \p{L}, \p{N}, \s, and what is none of them. */
typedef enum letter_class {
    LETTER_WORD,
    LETTER_NUMBER,
    LETTER_SPACE,
    LETTER_OTHER,
    LETTER_NOTHING /* matches none of the pattern's classes, so it is dropped */
} letter_class;

letter_class letter_class_of(uint32_t c);
bool letter_is_white(uint32_t c);   /* \s of a pattern: the property White_Space */
bool letter_is_space(uint32_t c);   /* str.isspace: White_Space and U+001C..1F */
bool letter_is_decimal(uint32_t c); /* \d of a pattern: category Nd */

/* str.lower. In place but for U+0130, which becomes two. */
cn_status letters_lower(runes *r, cn_error *err);
/* Normalization form C of r->at[from..]. `work` is scratch. */
cn_status letters_compose(runes *r, size_t from, runes *work, cn_error *err);
/* The compatibility decomposition of one character into out; returns its length (at most 18). */
size_t letter_decompose(uint32_t c, uint32_t out[18]);

#endif
