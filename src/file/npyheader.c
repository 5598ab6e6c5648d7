/* file/npyheader.c -- makes and parses .npy headers. The header is a Python dict literal with three
 * known keys; the parser accepts just that, never a general expression. */
#include "file/npyheader.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

static const char magic[] = "\x93NUMPY";
#define MAGIC_SIZE 6

static const struct {
    const char *descr;
    cn_dtype dtype;
} descrs[] = {
    {"<f4", CN_DTYPE_F32}, {"<f2", CN_DTYPE_F16}, {"<f8", CN_DTYPE_F64},
    {"<i8", CN_DTYPE_I64}, {"<i4", CN_DTYPE_I32}, {"<i2", CN_DTYPE_I16},
    {"|i1", CN_DTYPE_I8},  {"|u1", CN_DTYPE_U8},  {"|b1", CN_DTYPE_BOOL},
};

static cn_status make(char bytes[NPY_HEADER_ROOM], size_t *size, size_t *data_size, const char *descr, size_t element, int ndim,
                      const int64_t *shape, const char *what, cn_error *err)
{
    cn_status st = CN_OK;
    char dims[24 * CN_MAX_TENSOR_DIMS + 1] = "";
    size_t fill = 0;
    *data_size = element;
    for (int i = 0; i < ndim; i++) {
        CN_CHECK(shape[i] >= 0 && cn_mul_size(*data_size, (size_t)shape[i], data_size), CN_EINVAL,
                 "%s: an array of this shape is not possible", what);
        fill += (size_t)snprintf(dims + fill, sizeof dims - fill, "%lld%s", (long long)shape[i],
                                 ndim == 1      ? ","
                                 : i + 1 < ndim ? ", "
                                                : "");
    }
    int n = snprintf(bytes + 10, NPY_HEADER_ROOM - 10,
                     "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, dims);
    /* Padded with spaces and a newline to a multiple of 64, so that the data can be mapped aligned. */
    *size = ((size_t)n + 10 + 1 + 63) / 64 * 64;
    memset(bytes + 10 + n, ' ', *size - 10 - (size_t)n);
    bytes[*size - 1] = '\n';
    memcpy(bytes, magic, MAGIC_SIZE);
    bytes[6] = 1;
    bytes[7] = 0;
    bytes[8] = (char)((*size - 10) & 0xff);
    bytes[9] = (char)((*size - 10) >> 8);
done:
    return st;
}

cn_status npyheader_make(char bytes[NPY_HEADER_ROOM], size_t *size, size_t *data_size, cn_dtype dtype,
                         int ndim, const int64_t *shape, const char *what, cn_error *err)
{
    cn_status st = CN_OK;
    const char *descr = NULL;
    for (size_t i = 0; i < sizeof descrs / sizeof descrs[0]; i++)
        if (descrs[i].dtype == dtype)
            descr = descrs[i].descr;
    CN_CHECK(descr, CN_EINVAL, "%s: numpy has no type %s", what, cn_dtype_name(dtype));
    CN_CHECK(ndim >= 0 && ndim <= CN_MAX_TENSOR_DIMS, CN_EINVAL, "%s: %d dimensions, at most %d", what, ndim,
             CN_MAX_TENSOR_DIMS);
    CN_TRY(make(bytes, size, data_size, descr, cn_dtype_size(dtype), ndim, shape, what, err));
done:
    return st;
}

cn_status npyheader_make_text(char bytes[NPY_HEADER_ROOM], size_t *size, size_t *data_size, size_t width, size_t count,
                              const char *what, cn_error *err)
{
    cn_status st = CN_OK;
    char descr[32];
    const int64_t shape = (int64_t)count;
    size_t element;
    CN_CHECK(cn_mul_size(width, 4, &element) && shape >= 0, CN_EINVAL, "%s: an array of this shape is not possible", what);
    snprintf(descr, sizeof descr, "<U%zu", width);
    CN_TRY(make(bytes, size, data_size, descr, element, 1, &shape, what, err));
done:
    return st;
}

bool npyheader_probe(const uint8_t *data, size_t size)
{
    return size >= 10 && memcmp(data, magic, MAGIC_SIZE) == 0;
}

/* A cursor over the dict literal. */
typedef struct literal {
    const char *at, *end;
} literal;

static void skip_space(literal *l)
{
    while (l->at < l->end && (*l->at == ' ' || *l->at == '\n' || *l->at == '\t'))
        l->at++;
}

static bool accept(literal *l, const char *token)
{
    skip_space(l);
    size_t n = strlen(token);
    if ((size_t)(l->end - l->at) < n || memcmp(l->at, token, n) != 0)
        return false;
    l->at += n;
    return true;
}

static bool read_quoted(literal *l, char *text, size_t room)
{
    skip_space(l);
    if (l->at == l->end || (*l->at != '\'' && *l->at != '"'))
        return false;
    char quote = *l->at++;
    size_t fill = 0;
    for (; l->at < l->end && *l->at != quote; l->at++) {
        if (*l->at == '\\' || fill + 1 >= room)
            return false;
        text[fill++] = *l->at;
    }
    text[fill] = '\0';
    return accept(l, quote == '"' ? "\"" : "'");
}

/* (), (3,), (3, 4) */
static bool read_shape(literal *l, cn_tensor *t, bool *too_many)
{
    if (!accept(l, "("))
        return false;
    t->ndim = 0;
    while (!accept(l, ")")) {
        int64_t n = 0;
        skip_space(l);
        if (l->at == l->end || *l->at < '0' || *l->at > '9')
            return false;
        for (; l->at < l->end && *l->at >= '0' && *l->at <= '9'; l->at++)
            if (__builtin_mul_overflow(n, (int64_t)10, &n) ||
                __builtin_add_overflow(n, (int64_t)(*l->at - '0'), &n))
                return false;
        (void)accept(l, "L"); /* Python 2 wrote long integers so */
        if (t->ndim == CN_MAX_TENSOR_DIMS) {
            *too_many = true;
            return false;
        }
        t->shape[t->ndim++] = n;
        if (!accept(l, ",")) {
            if (!accept(l, ")"))
                return false;
            break;
        }
    }
    return true;
}

static cn_status parse_dict(cn_tensor *t, literal *l, bool *fortran, const char *what, cn_error *err)
{
    cn_status st = CN_OK;
    bool have_descr = false, have_order = false, have_shape = false, too_many = false;
    char key[16], descr[16] = ""; /* zeros, so that the comparison of descr + 1 is defined for an empty one */
    CN_CHECK(accept(l, "{"), CN_EFORMAT, "%s: damaged .npy header: no dict", what);
    while (!accept(l, "}")) {
        CN_CHECK(read_quoted(l, key, sizeof key) && accept(l, ":"), CN_EFORMAT,
                 "%s: damaged .npy header: a key is expected", what);
        if (strcmp(key, "descr") == 0 && !have_descr) {
            skip_space(l);
            CN_CHECK(l->at == l->end || *l->at != '[', CN_EUNSUPPORTED,
                     "%s: structured numpy types are not read", what);
            CN_CHECK(read_quoted(l, descr, sizeof descr), CN_EFORMAT, "%s: damaged .npy header: no type",
                     what);
            have_descr = true;
        } else if (strcmp(key, "fortran_order") == 0 && !have_order) {
            *fortran = accept(l, "True");
            CN_CHECK(*fortran || accept(l, "False"), CN_EFORMAT,
                     "%s: damaged .npy header: fortran_order is no bool", what);
            have_order = true;
        } else if (strcmp(key, "shape") == 0 && !have_shape) {
            bool good = read_shape(l, t, &too_many);
            CN_CHECK(!too_many, CN_ELIMIT, "%s: the array has more than %d dimensions", what,
                     CN_MAX_TENSOR_DIMS);
            CN_CHECK(good, CN_EFORMAT, "%s: damaged .npy header: malformed shape", what);
            have_shape = true;
        } else {
            CN_CHECK(false, CN_EFORMAT, "%s: damaged .npy header: key %s is unknown or repeated", what, key);
        }
        if (!accept(l, ",")) {
            CN_CHECK(accept(l, "}"), CN_EFORMAT, "%s: damaged .npy header: the dict does not end", what);
            break;
        }
    }
    skip_space(l);
    CN_CHECK(l->at == l->end && have_descr && have_order && have_shape, CN_EFORMAT,
             "%s: damaged .npy header: a key is missing, or text follows the dict", what);
    CN_CHECK(strchr(descr, 'O') == NULL, CN_EUNSUPPORTED,
             "%s: the array holds Python objects (a pickle), which is never loaded", what);
    for (size_t i = 0; i < sizeof descrs / sizeof descrs[0]; i++) {
        /* Types of one byte are written with any byte order mark. */
        bool equal = strcmp(descr + 1, descrs[i].descr + 1) == 0;
        if (descr[0] && equal &&
            (descr[0] == descrs[i].descr[0] || descrs[i].descr[0] == '|' || descr[0] == '=')) {
            t->dtype = descrs[i].dtype;
            goto done;
        }
    }
    CN_CHECK(false, CN_EUNSUPPORTED,
             "%s: numpy type %s is not read (little-endian floats, signed integers, u1 and b1 are)", what,
             descr);
done:
    return st;
}

cn_status npyheader_parse(cn_tensor *t, const uint8_t *data, size_t size, const char *what, cn_error *err)
{
    cn_status st = CN_OK;
    CN_CHECK(npyheader_probe(data, size), CN_EFORMAT, "%s: not a .npy array", what);
    unsigned version = data[6];
    CN_CHECK(version >= 1 && version <= 3, CN_EUNSUPPORTED, "%s: .npy version %u is not known", what,
             version);
    size_t start = version == 1 ? 10 : 12, length = 0;
    CN_CHECK(size >= start, CN_EFORMAT, "%s: damaged .npy: cut short", what);
    for (size_t i = start; i-- > 8;)
        length = length << 8 | data[i];
    CN_CHECK(length <= NPY_MAX_HEADER, CN_ELIMIT, "%s: the .npy header claims %zu bytes, more than %d", what,
             length, NPY_MAX_HEADER);
    CN_CHECK(length <= size - start, CN_EFORMAT, "%s: damaged .npy: cut short within the header", what);
    bool fortran = false;
    literal l = {(const char *)data + start, (const char *)data + start + length};
    CN_TRY(parse_dict(t, &l, &fortran, what, err));

    size_t bytes = cn_dtype_size(t->dtype), room = size - start - length;
    bool empty = false;
    for (int i = 0; i < t->ndim; i++)
        empty |= t->shape[i] == 0;
    t->count = empty ? 0 : 1;
    for (int i = 0; i < t->ndim; i++) {
        /* The strides of an empty array mean nothing, but must not overflow. */
        int k = fortran ? i : t->ndim - 1 - i;
        t->stride[k] = t->count;
        CN_CHECK(!__builtin_mul_overflow(t->count, t->shape[k], &t->count), CN_EFORMAT,
                 "%s: damaged .npy: the shape's product overflows", what);
    }
    CN_CHECK((uint64_t)t->count <= SIZE_MAX / bytes && (size_t)t->count * bytes == room, CN_EFORMAT,
             "%s: damaged .npy: the shape needs %lld elements of %zu bytes, but %zu bytes follow", what,
             (long long)t->count, bytes, room);
    t->data = data + start + length;
done:
    return st;
}
