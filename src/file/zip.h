/* file/zip.h -- reads zip archives that lie in memory (usually a filemap), as torch.save and numpy
 * write them. The central directory is the truth; every entry is checked in zip_open: inside the file,
 * not over another one, its local header agreeing. Stored entries are read in place; deflated ones
 * are inflated on demand up to a limit that the caller names. Encryption, volumes and other
 * compression methods are refused. Threads: any number of readers after open. */
#ifndef FILE_ZIP_H
#define FILE_ZIP_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct zip_entry {
    const char *name;      /* zero-terminated; borrowed from the zip */
    const uint8_t *data;   /* as stored in the file, `packed` bytes */
    uint64_t packed, size; /* bytes in the file, bytes after inflating */
    uint64_t header;       /* offset of the local header */
    uint32_t crc;
    bool deflated;
} zip_entry;

typedef struct zip zip;

/* Does this look like a zip at all (a local header or an empty archive at its start)? */
bool zip_probe(const uint8_t *data, size_t size);
/* data must outlive the zip; `what` is the file name for messages, and is copied. */
CN_MUST_CHECK cn_status zip_open(zip **out, const uint8_t *data, size_t size, const char *what,
                                 cn_error *err);
/* The same with limits of one's own in place of those for weights: entries, and bytes of the directory. */
CN_MUST_CHECK cn_status zip_open_large(zip **out, const uint8_t *data, size_t size, const char *what,
                                       size_t max_entries, size_t max_directory, cn_error *err);
/* Accepts NULL. */
void zip_close(zip *z);

size_t zip_count(const zip *z);
/* In the order of the directory. */
const zip_entry *zip_at(const zip *z, size_t i);
const zip_entry *zip_find(const zip *z, const char *name);

/* The bytes of an entry: *data lies in the file when *owned is NULL, else *owned must be freed with
 * cn_free. Refuses (CN_ELIMIT) entries of more than `limit` bytes before it allocates. The checksum of
 * deflated entries is verified; that of stored ones is not, since some writers leave it out and it
 * would mean reading gigabytes. */
CN_MUST_CHECK cn_status zip_read(const zip *z, const zip_entry *e, size_t limit, const uint8_t **data,
                                 size_t *size, uint8_t **owned, cn_error *err);

#endif
