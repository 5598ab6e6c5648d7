/* file/archive.h -- files inside a tar or zip, read in any order and by several threads. A plain tar is read in place; a compressed
 * one (gzip, bzip2, xz, zstd, lz4; libarchive unpacks) is first unpacked into a nameless temporary file ($TMPDIR, else /tmp) that
 * goes with the archive. Zip archives are mapped (file/zip.h). Archives come from strangers: names are data, nothing is ever
 * written under them; links, devices and sparse files are passed over.
 * Threads: any number of readers after open. */
#ifndef FILE_ARCHIVE_H
#define FILE_ARCHIVE_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARCHIVE_MAX_ENTRIES ((size_t)64 << 20)
#define ARCHIVE_MAX_DIRECTORY ((size_t)4 << 30) /* bytes of a zip's */
#define ARCHIVE_MAX_NAME 4096                  /* bytes of a name */
#define ARCHIVE_MAX_UNPACKED ((int64_t)1 << 40) /* bytes of a compressed tar */

typedef struct bundle bundle; /* an archive that is open; libarchive has taken the better name */

typedef struct bundle_entry {
    const char *name; /* as in the archive, without "./" in front; valid during the call */
    int64_t size;     /* bytes */
    int64_t at;       /* where bundle_read finds it: a number that holds for this file for ever */
} bundle_entry;

/* By its name: .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz, .tar.zst, .tar.lz4, .zip, in any case. */
bool archive_name(const char *name);

/* CN_ENOTFOUND, CN_EIO, CN_EFORMAT (no archive). */
cn_status bundle_open(bundle **out, const char *path, cn_error *err);
/* Accepts NULL. */
void bundle_close(bundle *b);

/* Calls each for every regular file, in the order of the archive; ends with what `each` returns when it fails. CN_EFORMAT: the archive is damaged
 * behind the entries that were told. */
cn_status bundle_list(bundle *b, cn_status (*each)(const bundle_entry *entry, void *user, cn_error *err), void *user, cn_error *err);

/* The bytes of an entry that bundle_list told of; CN_ELIMIT when it is larger than limit, CN_EFORMAT when they end too early.
 * *bytes: cn_free. */
cn_status bundle_read(const bundle *b, int64_t at, int64_t size, size_t limit, uint8_t **bytes, cn_error *err);

#endif
