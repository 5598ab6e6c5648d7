/* tests/clip/altered.h -- golden models with other weights, in a file of their own. After cmocka.h. */
#ifndef TESTS_CLIP_ALTERED_H
#define TESTS_CLIP_ALTERED_H

#include "models.h"

#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* Sets count of a tensor's `values` float16 numbers to zero, from number `first` on. */
typedef struct zeros {
    const char *tensor;
    size_t values, first, count;
} zeros;

static inline void zero_in_file(char *bytes, const zeros *z)
{
    char key[200];
    unsigned long from = 0, to = 0;
    uint64_t header;
    memcpy(&header, bytes, sizeof header);
    snprintf(key, sizeof key, "\"%s\"", z->tensor);
    const char *at = strstr(bytes + 8, key);
    at = at ? strstr(at, "data_offsets") : NULL;
    at = at ? strchr(at, '[') : NULL;
    assert_non_null(at);
    assert_int_equal(sscanf(at, "[%lu,%lu", &from, &to), 2);
    assert_int_equal(to - from, 2 * z->values);
    assert_true(z->first + z->count <= z->values);
    memset(bytes + 8 + header + from + 2 * z->first, 0, 2 * z->count);
}

/* A golden model of that name with n runs of zeros. */
static inline cn_model *open_with_zeros(const char *name, const zeros *z, size_t n)
{
    char golden[512], path[] = "/tmp/cn-altered-XXXXXX", named[64];
    snprintf(golden, sizeof golden, CN_TEST_DATA "/golden/%s.safetensors", name);
    FILE *f = fopen(golden, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    const size_t size = (size_t)ftell(f);
    char *bytes = calloc(1, size + 1);
    assert_non_null(bytes);
    rewind(f);
    assert_int_equal(fread(bytes, 1, size, f), size);
    fclose(f);
    for (size_t i = 0; i < n; i++)
        zero_in_file(bytes, &z[i]);
    const int fd = mkstemp(path);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
    snprintf(named, sizeof named, "%s.safetensors", path);
    assert_int_equal(rename(path, named), 0);
    cn_model *m = open_model(named);
    unlink(named);
    free(bytes);
    return m;
}

#endif
