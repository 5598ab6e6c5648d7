/* study/html.h -- writes HTML so that nothing a user named can become markup: literals go through
 * html_raw, everything else through html_text, html_attribute or html_number. Bytes that are no UTF-8
 * become U+FFFD, control characters spaces. After a failure the rest is ignored; html_finish reports. */
#ifndef STUDY_HTML_H
#define STUDY_HTML_H

#include "base/check.h"
#include "file/output.h"

#include <stddef.h>
#include <stdint.h>

typedef struct html {
    output *out;
    cn_error *err;
    cn_status status;
    unsigned char *defined; /* (images) ids of pictures that are on the page already, or NULL; the caller's */
    int64_t images;
} html;

/* Markup of the program's own: a literal. */
void html_raw(html *h, const char *markup);
/* Text of anybody's. */
void html_text(html *h, const char *text);
/*  name="value", with a space before. name is a literal. */
void html_attribute(html *h, const char *name, const char *value);
/* Numbers and words of the program's own; the result is escaped like text. */
CN_PRINTF(2, 3) void html_format(html *h, const char *format, ...);
/* data:TYPE;base64,... ; type is a literal. */
void html_data(html *h, const char *type, const void *bytes, size_t size);
/* The bytes alone. */
void html_base64(html *h, const void *bytes, size_t size);
/* 12,345 */
void html_count(html *h, int64_t n);

/* One code point from at least one byte of text, and how many bytes it took; 0xfffd for what is no UTF-8. */
uint32_t utf8_next(const char *text, size_t *length);
/* A copy that Pango accepts, cut where the room ends: valid UTF-8, without control characters or marks that turn the direction of text. */
void utf8_clean(const char *text, char *out, size_t room);

#endif
