/* tests/fuzz/fuzz_weights.h -- what the fuzz targets of checkpoints share: bytes become a file in memory,
 * which is opened and read completely. */
#ifndef TESTS_FUZZ_WEIGHTS_H
#define TESTS_FUZZ_WEIGHTS_H

#include "clipneuron/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* A file that lives in memory; -1 on failure. path: at least 64 bytes. */
static inline int memory_file(const uint8_t *data, size_t size, char path[64])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0)
        return -1;
    if (write(fd, data, size) != (ssize_t)size) {
        close(fd);
        return -1;
    }
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

/* Reading takes a buffer of exactly count floats, so that the sanitizer sees every step too far. */
static inline void read_tensor(const cn_tensor *t)
{
    if (t->count < 0 || t->ndim < 0 || t->ndim > CN_MAX_TENSOR_DIMS || !t->name ||
        cn_dtype_size(t->dtype) == 0)
        abort();
    if (t->count > 1 << 22)
        return;
    float *numbers = malloc((size_t)t->count * sizeof *numbers);
    if (numbers)
        cn_tensor_read_f32(t, numbers);
    free(numbers);
}

static inline void open_and_read(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memory_file(data, size, path);
    if (fd < 0)
        return;
    cn_error err = {0};
    cn_weights *w;
    if (cn_weights_open(&w, path, &err) == CN_OK) {
        char hex[65];
        for (size_t i = 0; i < cn_weights_count(w); i++) {
            const cn_tensor *t = cn_weights_at(w, i);
            if (cn_weights_find(w, t->name) != t)
                abort();
            read_tensor(t);
        }
        if (cn_weights_fingerprint(w, hex, &err) != CN_OK)
            abort();
        cn_weights_close(w);
    } else if (err.text[0] == '\0' || w) {
        abort();
    }
    close(fd);
}

#endif
