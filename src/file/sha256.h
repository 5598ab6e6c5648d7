/* file/sha256.h -- SHA-256, piece by piece, through libcrypto. */
#ifndef FILE_SHA256_H
#define FILE_SHA256_H

#include "base/check.h"

#include <stddef.h>

typedef struct sha256 sha256;

/* out: owned by the caller, NULL on failure. */
CN_MUST_CHECK cn_status sha256_open(sha256 **out, cn_error *err);
CN_MUST_CHECK cn_status sha256_add(sha256 *s, const void *data, size_t size, cn_error *err);
/* hex: 64 lower-case digits and a zero. Nothing may be added afterwards. */
CN_MUST_CHECK cn_status sha256_hex(sha256 *s, char hex[65], cn_error *err);
/* Accepts NULL. */
void sha256_close(sha256 *s);

/* The sum of a whole file, which may be empty. */
CN_MUST_CHECK cn_status sha256_file(const char *path, char hex[65], cn_error *err);

#endif
