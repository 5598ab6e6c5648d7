/* file/json.h -- a strict JSON reader that walks over the text and allocates nothing.
 * For headers and configurations from strangers: the caller asks for what it expects, in the order of
 * the text, and a 64 MB file of brackets costs no memory. Depth is limited, strings must be UTF-8
 * without zero bytes, numbers must follow the grammar. It does not look for duplicate keys: the
 * caller knows which keys matter.
 *
 *   json_object(&j, err);
 *   for (;;) { json_key(&j, &more, key, sizeof key, err); if (!more) break; ...read or json_skip... }
 *   json_end(&j, err);
 */
#ifndef FILE_JSON_H
#define FILE_JSON_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_MAX_DEPTH 64

typedef struct json {
    const char *begin, *at, *end;
    const char *what; /* file name for messages; borrowed */
    int depth;
    bool fresh; /* just behind an opening bracket: no comma is due */
} json;

typedef enum json_kind {
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
    JSON_NOTHING /* the end of the text, or a character that starts no value */
} json_kind;

/* text need not end in a zero. Borrowed while j is used. */
void json_init(json *j, const void *text, size_t size, const char *what);
/* What comes next. */
json_kind json_peek(json *j);

CN_MUST_CHECK cn_status json_object(json *j, cn_error *err);
/* Moves to the next member and reads its key; *more = false behind the last one. */
CN_MUST_CHECK cn_status json_key(json *j, bool *more, char *key, size_t room, cn_error *err);
CN_MUST_CHECK cn_status json_array(json *j, cn_error *err);
/* Moves to the next element; *more = false behind the last one. */
CN_MUST_CHECK cn_status json_item(json *j, bool *more, cn_error *err);

/* Zero-terminated; CN_ELIMIT when it needs more than `room` bytes. */
CN_MUST_CHECK cn_status json_string(json *j, char *text, size_t room, cn_error *err);
/* A whole number; 1.0 and 1e3 are refused. */
CN_MUST_CHECK cn_status json_integer(json *j, int64_t *value, cn_error *err);
/* Checks one value of any kind and passes over it. */
CN_MUST_CHECK cn_status json_skip(json *j, cn_error *err);
/* Nothing but white space may be left. */
CN_MUST_CHECK cn_status json_end(json *j, cn_error *err);

/* Is this well-formed UTF-8 without control characters? For names that come from other places. */
bool json_clean_text(const char *text, size_t size);

#endif
