/* file/filemap.h -- a regular file, mapped read-only. Empty files, folders, pipes and devices are
 * refused, so that data is never NULL and size never 0 after a successful open.
 * Another process that shortens the file while it is mapped makes reads fault (SIGBUS); the program
 * itself never does that, since output.h replaces files instead of rewriting them. */
#ifndef FILE_FILEMAP_H
#define FILE_FILEMAP_H

#include "base/check.h"

#include <stddef.h>
#include <stdint.h>

typedef struct filemap {
    const uint8_t *data;
    size_t size; /* bytes */
} filemap;

/* CN_ENOTFOUND when there is no such file, CN_EIO, CN_EFORMAT when empty, CN_EUNSUPPORTED when not a
 * regular file. *m is empty on failure. */
cn_status filemap_open(filemap *m, const char *path, cn_error *err);
/* Accepts an empty (zeroed) map. */
void filemap_close(filemap *m);
/* Tells the system that no page is needed for now; reads stay valid. */
void filemap_drop(const filemap *m);

#endif
