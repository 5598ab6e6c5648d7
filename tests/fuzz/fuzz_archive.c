/* fuzz target: rooms=study */
/* Reads the input as a tar or zip of pictures with files beside them: a collection from a stranger. */
#include "study/listing.h"

#include "base/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64], link[64];
    listing l;
    cn_error err = {0};
    const int file = memfd_create("fuzz", MFD_CLOEXEC);
    if (file < 0 || write(file, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    snprintf(link, sizeof link, "/tmp/fuzz-archive-%d.tar", (int)getpid());
    unlink(link);
    if (symlink(path, link) != 0)
        abort();
    const char *name = link;
    if (listing_read(&l, &name, 1, NULL, 0, 1, &err) != CN_OK && err.status == CN_OK)
        abort();
    for (size_t i = 0; i < l.count && i < 64; i++) {
        uint8_t *bytes = NULL;
        size_t n;
        if (listing_bytes(&l, i, &bytes, &n, NULL) == CN_OK && !bytes)
            abort();
        cn_free(bytes);
    }
    listing_free(&l);
    unlink(link);
    close(file);
    return 0;
}
