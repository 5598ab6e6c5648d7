/* text/entities.h -- HTML character references: "&amp;", "&#38;", "&#x26;".
 * Two ways of decoding, because the original uses both: Python's html.unescape (as a browser does,
 * also without semicolon) and ftfy's unescape_html (only where it is unambiguous). */
#ifndef TEXT_ENTITIES_H
#define TEXT_ENTITIES_H

#include "text/runes.h"

#define ENTITY_NAME_MAX 32 /* "CounterClockwiseContourIntegral;" */

typedef struct entity {
    char name[ENTITY_NAME_MAX + 1]; /* with its semicolon, where it has one */
    uint32_t value[3];              /* up to three characters, zeros after them */
    int extra;                      /* 1: known to ftfy only */
} entity;

extern const entity entity_table[];
extern const size_t entity_count;

/* Appends the decoded text of in[0..count) to out. */
cn_status entities_unescape(runes *out, const uint32_t *in, size_t count, cn_error *err);
cn_status entities_unescape_ftfy(runes *out, const uint32_t *in, size_t count, cn_error *err);

#endif
