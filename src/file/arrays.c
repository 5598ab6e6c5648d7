/* file/arrays.c -- reads .npy and .npz files into a list of named arrays over the mapped file. */
#include "clipneuron/array.h"

#include "base/check.h"
#include "base/memory.h"
#include "file/filemap.h"
#include "file/npyheader.h"
#include "file/zip.h"

#include <string.h>

/* What the compressed members of one .npz may inflate to, all together. */
#define ARRAYS_MAX_INFLATED ((size_t)2 << 30) /* bytes */

struct cn_arrays {
    filemap map;
    zip *zip;
    cn_tensor *arrays;
    char **names;
    uint8_t **inflated; /* NULL for those that lie in the map */
    size_t count;
};

static cn_status open_npz(cn_arrays *a, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    size_t inflated = 0;
    CN_TRY(zip_open(&a->zip, a->map.data, a->map.size, path, err));
    size_t count = zip_count(a->zip);
    CN_CHECK(count <= CN_MAX_TENSORS, CN_ELIMIT, "%s: %zu arrays, more than %d", path, count, CN_MAX_TENSORS);
    a->arrays = cn_calloc(count, sizeof *a->arrays);
    a->names = cn_calloc(count, sizeof *a->names);
    a->inflated = cn_calloc(count, sizeof *a->inflated);
    CN_CHECK(a->arrays && a->names && a->inflated, CN_ENOMEM, "%s: out of memory", path);
    for (size_t i = 0; i < count; i++) {
        const zip_entry *e = zip_at(a->zip, i);
        size_t length = strlen(e->name), size;
        const uint8_t *data;
        CN_CHECK(length > 4 && strcmp(e->name + length - 4, ".npy") == 0, CN_EFORMAT,
                 "%s: %s is not a .npy array", path, e->name);
        CN_CHECK(length - 4 <= CN_MAX_TENSOR_NAME, CN_ELIMIT, "%s: an array's name has more than %d bytes",
                 path, CN_MAX_TENSOR_NAME);
        a->count = i + 1; /* from here on close frees what this member got */
        a->names[i] = cn_strndup(e->name, length - 4);
        CN_CHECK(a->names[i], CN_ENOMEM, "%s: out of memory", path);
        CN_TRY(zip_read(a->zip, e, e->deflated ? ARRAYS_MAX_INFLATED - inflated : SIZE_MAX, &data, &size,
                        &a->inflated[i], err));
        if (e->deflated)
            inflated += size;
        CN_TRY(npyheader_parse(&a->arrays[i], data, size, path, err));
        a->arrays[i].name = a->names[i];
    }
done:
    return st;
}

cn_status cn_arrays_open(cn_arrays **out, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    *out = NULL;
    cn_arrays *a = cn_calloc(1, sizeof *a);
    CN_CHECK(a, CN_ENOMEM, "%s: out of memory", path);
    CN_TRY(filemap_open(&a->map, path, err));
    if (npyheader_probe(a->map.data, a->map.size)) {
        a->arrays = cn_calloc(1, sizeof *a->arrays);
        CN_CHECK(a->arrays, CN_ENOMEM, "%s: out of memory", path);
        CN_TRY(npyheader_parse(a->arrays, a->map.data, a->map.size, path, err));
        a->arrays[0].name = "";
        a->count = 1;
    } else {
        CN_CHECK(zip_probe(a->map.data, a->map.size), CN_EFORMAT, "%s: neither a .npy nor a .npz file", path);
        CN_TRY(open_npz(a, path, err));
    }
    *out = a, a = NULL;
done:
    cn_arrays_close(a);
    return st;
}

void cn_arrays_close(cn_arrays *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->count; i++) {
        if (a->names)
            cn_free(a->names[i]);
        if (a->inflated)
            cn_free(a->inflated[i]);
    }
    cn_free(a->names);
    cn_free(a->inflated);
    cn_free(a->arrays);
    zip_close(a->zip);
    filemap_close(&a->map);
    cn_free(a);
}

size_t cn_arrays_count(const cn_arrays *a)
{
    return a->count;
}

const cn_tensor *cn_arrays_at(const cn_arrays *a, size_t i)
{
    return &a->arrays[i];
}

const cn_tensor *cn_arrays_find(const cn_arrays *a, const char *name)
{
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->arrays[i].name, name) == 0)
            return &a->arrays[i];
    return NULL;
}
