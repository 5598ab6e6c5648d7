/* weights/safetensors.c -- reads safetensors: 8 bytes of header length, a JSON header, the data.
 * The header is walked with file/json.h, which allocates nothing, so that 64 MB of hostile JSON cost
 * no memory. As the format demands, tensors may not overlap; holes between them are harmless. */
#include "weights/collection.h"

#include "base/memory.h"
#include "file/json.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    cn_dtype dtype;
} dtypes[] = {
    {"F32", CN_DTYPE_F32}, {"F16", CN_DTYPE_F16},   {"BF16", CN_DTYPE_BF16}, {"F64", CN_DTYPE_F64},
    {"I64", CN_DTYPE_I64}, {"I32", CN_DTYPE_I32},   {"I16", CN_DTYPE_I16},   {"I8", CN_DTYPE_I8},
    {"U8", CN_DTYPE_U8},   {"BOOL", CN_DTYPE_BOOL},
};

/* One tensor's object: dtype, shape, data_offsets, each once. */
typedef struct description {
    cn_tensor t;
    int64_t begin, end; /* data_offsets */
    bool have_dtype, have_shape, have_offsets;
} description;

static cn_status read_dtype(json *j, description *d, const char *name, cn_error *err)
{
    cn_status st = CN_OK;
    char text[32];
    CN_TRY(json_string(j, text, sizeof text, err));
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        if (strcmp(text, dtypes[i].name) == 0) {
            d->t.dtype = dtypes[i].dtype;
            goto done;
        }
    }
    CN_CHECK(false, CN_EUNSUPPORTED, "%s: tensor %s has dtype %s, which is not read", j->what, name, text);
done:
    return st;
}

static cn_status read_shape(json *j, description *d, const char *name, cn_error *err)
{
    cn_status st = CN_OK;
    bool more;
    CN_TRY(json_array(j, err));
    for (;;) {
        CN_TRY(json_item(j, &more, err));
        if (!more)
            break;
        CN_CHECK(d->t.ndim < CN_MAX_TENSOR_DIMS, CN_ELIMIT, "%s: tensor %s has more than %d dimensions",
                 j->what, name, CN_MAX_TENSOR_DIMS);
        CN_TRY(json_integer(j, &d->t.shape[d->t.ndim++], err));
    }
done:
    return st;
}

static cn_status read_offsets(json *j, description *d, const char *name, cn_error *err)
{
    cn_status st = CN_OK;
    bool more = false;
    int n = 0;
    CN_TRY(json_array(j, err));
    for (;;) {
        CN_TRY(json_item(j, &more, err));
        if (!more)
            break;
        CN_CHECK(n < 2, CN_EFORMAT, "%s: tensor %s has more than two data_offsets", j->what, name);
        CN_TRY(json_integer(j, n++ ? &d->end : &d->begin, err));
    }
    CN_CHECK(n == 2, CN_EFORMAT, "%s: tensor %s has fewer than two data_offsets", j->what, name);
done:
    return st;
}

static cn_status read_description(json *j, description *d, const char *name, cn_error *err)
{
    cn_status st = CN_OK;
    bool more;
    char key[32];
    CN_TRY(json_object(j, err));
    for (;;) {
        CN_TRY(json_key(j, &more, key, sizeof key, err));
        if (!more)
            break;
        bool *seen = strcmp(key, "dtype") == 0          ? &d->have_dtype
                     : strcmp(key, "shape") == 0        ? &d->have_shape
                     : strcmp(key, "data_offsets") == 0 ? &d->have_offsets
                                                        : NULL;
        CN_CHECK(seen, CN_EFORMAT, "%s: tensor %s has an unknown property %s", j->what, name, key);
        CN_CHECK(!*seen, CN_EFORMAT, "%s: tensor %s has two properties %s", j->what, name, key);
        *seen = true;
        if (seen == &d->have_dtype)
            CN_TRY(read_dtype(j, d, name, err));
        else if (seen == &d->have_shape)
            CN_TRY(read_shape(j, d, name, err));
        else
            CN_TRY(read_offsets(j, d, name, err));
    }
    CN_CHECK(d->have_dtype && d->have_shape && d->have_offsets, CN_EFORMAT,
             "%s: tensor %s lacks its dtype, shape or data_offsets", j->what, name);
done:
    return st;
}

static cn_status place(description *d, const uint8_t *data, size_t size, const char *name, const char *what,
                       cn_error *err)
{
    cn_status st = CN_OK;
    cn_tensor *t = &d->t;
    CN_TRY(weights_shape(t, name, strlen(name), what, err));
    CN_CHECK(d->begin >= 0 && d->begin <= d->end && (uint64_t)d->end <= size, CN_EFORMAT,
             "%s: tensor %s lies at bytes %lld to %lld, but the data has %zu (truncated?)", what, name,
             (long long)d->begin, (long long)d->end, size);
    size_t bytes = (size_t)t->count * cn_dtype_size(t->dtype);
    CN_CHECK((size_t)(d->end - d->begin) == bytes, CN_EFORMAT, "%s: tensor %s needs %zu bytes but has %lld",
             what, name, bytes, (long long)(d->end - d->begin));
    int64_t stride = t->count ? 1 : 0; /* products of an empty shape's other dimensions could overflow */
    for (int i = t->ndim; i-- > 0;) {
        t->stride[i] = stride;
        stride *= t->shape[i];
    }
    t->data = data + d->begin;
done:
    return st;
}

static int compare_places(const void *a, const void *b)
{
    const cn_tensor *x = *(cn_tensor *const *)a, *y = *(cn_tensor *const *)b;
    if (x->data != y->data)
        return (const char *)x->data < (const char *)y->data ? -1 : 1;
    return x->count < y->count ? -1 : x->count > y->count; /* empty ones first */
}

static cn_status check_overlaps(cn_weights *w, size_t first, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    size_t count = w->count - first;
    cn_tensor **sorted = cn_calloc(count, sizeof *sorted);
    CN_CHECK(sorted, CN_ENOMEM, "%s: out of memory", path);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &w->tensors[first + i];
    qsort(sorted, count, sizeof *sorted, compare_places);
    for (size_t i = 1; i < count; i++) {
        const cn_tensor *a = sorted[i - 1], *b = sorted[i];
        const char *end = (const char *)a->data + (size_t)a->count * cn_dtype_size(a->dtype);
        CN_CHECK(end <= (const char *)b->data, CN_EFORMAT, "%s: tensors %s and %s overlap", path, a->name,
                 b->name);
    }
done:
    cn_free(sorted);
    return st;
}

/* Strings only, as the format says; what they say is of no use to us. */
static cn_status skip_metadata(json *j, cn_error *err)
{
    cn_status st = CN_OK;
    CN_CHECK(json_peek(j) == JSON_OBJECT, CN_EFORMAT, "%s: __metadata__ is not an object", j->what);
    CN_TRY(json_skip(j, err));
done:
    return st;
}

cn_status safetensors_read(cn_weights *w, const filemap *map, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    size_t first = w->count;
    uint64_t length = 0;
    CN_CHECK(map->size >= 8, CN_EFORMAT, "%s: damaged safetensors: only %zu bytes long", path, map->size);
    for (int i = 8; i-- > 0;)
        length = length << 8 | map->data[i];
    CN_CHECK(length <= CN_MAX_WEIGHTS_HEADER, CN_ELIMIT,
             "%s: the safetensors header claims %llu bytes, more than %zu", path, (unsigned long long)length,
             CN_MAX_WEIGHTS_HEADER);
    CN_CHECK(length <= map->size - 8, CN_EFORMAT,
             "%s: damaged safetensors: the header claims %llu bytes, the file has %zu (truncated?)", path,
             (unsigned long long)length, map->size);
    const uint8_t *data = map->data + 8 + length;
    size_t size = map->size - 8 - (size_t)length;

    json j;
    json_init(&j, map->data + 8, (size_t)length, path);
    CN_TRY(json_object(&j, err));
    for (;;) {
        char name[CN_MAX_TENSOR_NAME + 1];
        bool more;
        CN_TRY(json_key(&j, &more, name, sizeof name, err));
        if (!more)
            break;
        if (strcmp(name, "__metadata__") == 0) {
            CN_TRY(skip_metadata(&j, err));
            continue;
        }
        description d = {0};
        CN_TRY(read_description(&j, &d, name, err));
        CN_TRY(place(&d, data, size, name, path, err));
        CN_TRY(weights_add(w, name, strlen(name), &d.t, path, err));
    }
    CN_TRY(json_end(&j, err));
    CN_TRY(check_overlaps(w, first, path, err));
    w->format = "safetensors";
done:
    return st;
}
