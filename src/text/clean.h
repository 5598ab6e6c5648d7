/* text/clean.h -- from the user's text to the lower-case line that is split into words.
 * The steps and their order are those of openai/CLIP: ftfy.fix_text, html.unescape twice, strip,
 * white space to single blanks, lower(). docs/tokenizer.md lists them. */
#ifndef TEXT_CLEAN_H
#define TEXT_CLEAN_H

#include "text/runes.h"

/* Appends to out (an empty one). */
cn_status clean_text(runes *out, const char *text, size_t length, cn_error *err);

/* ftfy.fix_text: appends the repaired text of in to out. */
cn_status repair_text(runes *out, const runes *in, cn_error *err);

/* ftfy.fix_encoding, in place. */
cn_status mojibake_repair(runes *text, cn_error *err);

/* Byte 0x80..0x9F as Windows-1252 has it; the five bytes that it leaves open stay as they are. */
uint32_t mojibake_windows_1252(uint32_t c);

#endif
