/* file/zipwriter.h -- writes zip archives of stored (uncompressed) entries, with zip64 records where
 * sizes need them. Atomic, through output.h. Times are fixed, so equal content gives equal files. */
#ifndef FILE_ZIPWRITER_H
#define FILE_ZIPWRITER_H

#include "base/check.h"

#include <stddef.h>

typedef struct zipwriter zipwriter;

CN_MUST_CHECK cn_status zipwriter_open(zipwriter **out, const char *path, cn_error *err);
/* One entry made of two parts, head (may be NULL) and data. CN_EINVAL for an empty, over-long or
 * repeated name. */
CN_MUST_CHECK cn_status zipwriter_add(zipwriter *z, const char *name, const void *head, size_t head_size,
                                      const void *data, size_t data_size, cn_error *err);
/* Frees z in any case. */
CN_MUST_CHECK cn_status zipwriter_commit(zipwriter *z, cn_error *err);
/* Accepts NULL. */
void zipwriter_discard(zipwriter *z);

#endif
