/* file/output.h -- how every file of this program is written.
 * The bytes go to a hidden temporary file in the same folder; output_commit flushes it to the disk
 * and renames it, so a reader sees the old file or the whole new one, never a part, and a failure
 * (full disk, permissions) leaves nothing behind. A path that names a device or pipe (/dev/stdout,
 * /dev/null) is written directly. A symbolic link keeps pointing where it did.
 * Errors are CN_EIO with the file's name and the system's reason; once one write failed, the others and
 * the commit fail too, so callers may check the commit alone. One thread per output. */
#ifndef FILE_OUTPUT_H
#define FILE_OUTPUT_H

#include "base/check.h"

#include <stddef.h>
#include <stdint.h>

typedef struct output output;

/* out: owned by the caller, NULL on failure. */
CN_MUST_CHECK cn_status output_open(output **out, const char *path, cn_error *err);
/* Buffered. */
CN_MUST_CHECK cn_status output_write(output *o, const void *data, size_t size, cn_error *err);
CN_MUST_CHECK cn_status output_text(output *o, const char *text, cn_error *err);
CN_PRINTF(3, 4) CN_MUST_CHECK cn_status output_printf(output *o, cn_error *err, const char *fmt, ...);
/* Bytes written so far. */
uint64_t output_position(const output *o);
/* The path as given to open; borrowed. */
const char *output_path(const output *o);
/* Moves the file to its name. Frees o in any case; on failure the temporary file is gone. */
CN_MUST_CHECK cn_status output_commit(output *o, cn_error *err);
/* Gives up and removes what was written. Accepts NULL. */
void output_discard(output *o);

/* All of the above for bytes that are already in memory. */
CN_MUST_CHECK cn_status output_file(const char *path, const void *data, size_t size, cn_error *err);

#endif
