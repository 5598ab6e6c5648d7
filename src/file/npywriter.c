/* file/npywriter.c -- .npy and .npz files, written whole or piece by piece. */
#include "clipneuron/array.h"

#include "base/check.h"
#include "base/memory.h"
#include "file/npyheader.h"
#include "file/output.h"
#include "file/zipwriter.h"

#include <stdio.h>
#include <string.h>

struct cn_npy_writer {
    output *out;
    int64_t rows_left;
    size_t row_size; /* bytes */
};

cn_status cn_npy_write(const char *path, cn_dtype dtype, int ndim, const int64_t *shape, const void *data,
                       cn_error *err)
{
    cn_status st = CN_OK;
    output *o = NULL;
    char header[NPY_HEADER_ROOM];
    size_t size, data_size;
    CN_TRY(npyheader_make(header, &size, &data_size, dtype, ndim, shape, path, err));
    CN_TRY(output_open(&o, path, err));
    CN_TRY(output_write(o, header, size, err));
    CN_TRY(output_write(o, data, data_size, err));
    st = output_commit(o, err);
    o = NULL;
done:
    output_discard(o);
    return st;
}

cn_status cn_npy_writer_open(cn_npy_writer **out, const char *path, cn_dtype dtype, int ndim,
                             const int64_t *shape, cn_error *err)
{
    cn_status st = CN_OK;
    cn_npy_writer *w = NULL;
    char header[NPY_HEADER_ROOM];
    size_t size, data_size;
    *out = NULL;
    CN_CHECK(ndim >= 1, CN_EINVAL, "%s: an array that is written by rows needs a dimension", path);
    CN_TRY(npyheader_make(header, &size, &data_size, dtype, ndim, shape, path, err));
    w = cn_calloc(1, sizeof *w);
    CN_CHECK(w, CN_ENOMEM, "%s: out of memory", path);
    w->rows_left = shape[0];
    w->row_size = shape[0] ? data_size / (size_t)shape[0] : 0;
    CN_TRY(output_open(&w->out, path, err));
    CN_TRY(output_write(w->out, header, size, err));
    *out = w, w = NULL;
done:
    cn_npy_writer_discard(w);
    return st;
}

cn_status cn_npy_writer_rows(cn_npy_writer *w, const void *data, int64_t rows, cn_error *err)
{
    if (rows < 0 || rows > w->rows_left)
        return cn_fail(err, CN_EINVAL, "%s: %lld rows given, %lld are left", output_path(w->out),
                       (long long)rows, (long long)w->rows_left);
    w->rows_left -= rows;
    return output_write(w->out, data, (size_t)rows * w->row_size, err);
}

cn_status cn_npy_writer_finish(cn_npy_writer *w, cn_error *err)
{
    cn_status st = CN_OK;
    CN_CHECK(w->rows_left == 0, CN_EINVAL, "%s: %lld rows are missing", output_path(w->out),
             (long long)w->rows_left);
    st = output_commit(w->out, err);
    w->out = NULL;
done:
    cn_npy_writer_discard(w);
    return st;
}

void cn_npy_writer_discard(cn_npy_writer *w)
{
    if (w)
        output_discard(w->out);
    cn_free(w);
}

struct cn_npz_writer {
    zipwriter *zip;
};

cn_status cn_npz_writer_open(cn_npz_writer **out, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    *out = NULL;
    cn_npz_writer *w = cn_calloc(1, sizeof *w);
    CN_CHECK(w, CN_ENOMEM, "%s: out of memory", path);
    CN_TRY(zipwriter_open(&w->zip, path, err));
    *out = w, w = NULL;
done:
    cn_npz_writer_discard(w);
    return st;
}

static cn_status add_member(cn_npz_writer *w, const char *name, const void *header, size_t size, const void *data, size_t data_size,
                            cn_error *err)
{
    cn_status st = CN_OK;
    const size_t length = strlen(name);
    char *member = NULL;
    CN_CHECK(length > 0, CN_EINVAL, "an array of a .npz file needs a name");
    member = cn_malloc(length + sizeof ".npy");
    CN_CHECK(member, CN_ENOMEM, "%s: out of memory", name);
    snprintf(member, length + sizeof ".npy", "%s.npy", name);
    CN_TRY(zipwriter_add(w->zip, member, header, size, data, data_size, err));
done:
    cn_free(member);
    return st;
}

cn_status cn_npz_writer_add(cn_npz_writer *w, const char *name, cn_dtype dtype, int ndim,
                            const int64_t *shape, const void *data, cn_error *err)
{
    cn_status st = CN_OK;
    char header[NPY_HEADER_ROOM];
    size_t size, data_size;
    CN_TRY(npyheader_make(header, &size, &data_size, dtype, ndim, shape, name, err));
    CN_TRY(add_member(w, name, header, size, data, data_size, err));
done:
    return st;
}

/* The next character of UTF-8; U+FFFD for a byte that begins none. */
static uint32_t next_character(const unsigned char **text)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *s = *text;
    const size_t length = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
    uint32_t c = length == 1 ? s[0] : s[0] & (0x7fu >> length);
    bool good = length > 0 && s[0] <= 0xf4;
    for (size_t i = 1; good && i < length; i++) {
        good = (s[i] & 0xc0) == 0x80; /* a text's zero ends this */
        c = c << 6 | (s[i] & 0x3f);
    }
    good = good && c >= smallest[length] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
    *text += good ? length : 1;
    return good ? c : 0xfffd;
}

cn_status cn_npz_writer_add_texts(cn_npz_writer *w, const char *name, const char *const *texts, size_t n, size_t most, cn_error *err)
{
    cn_status st = CN_OK;
    char header[NPY_HEADER_ROOM];
    size_t size, data_size, width = 1;
    unsigned char *data = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t length = 0;
        for (const unsigned char *s = (const unsigned char *)texts[i]; *s; length++)
            (void)next_character(&s);
        width = length > width ? length : width;
    }
    CN_TRY(npyheader_make_text(header, &size, &data_size, width, n, name, err));
    CN_CHECK(data_size <= most, CN_ELIMIT, "%s: %zu texts of %zu characters make more than %zu bytes", name, n, width, most);
    data = cn_calloc(data_size + 1, 1);
    CN_CHECK(data, CN_ENOMEM, "%s: out of memory", name);
    for (size_t i = 0; i < n; i++) {
        unsigned char *to = data + 4 * width * i;
        for (const unsigned char *s = (const unsigned char *)texts[i]; *s; to += 4) {
            const uint32_t c = next_character(&s);
            for (int k = 0; k < 4; k++)
                to[k] = (unsigned char)(c >> 8 * k);
        }
    }
    CN_TRY(add_member(w, name, header, size, data, data_size, err));
done:
    cn_free(data);
    return st;
}

cn_status cn_npz_writer_finish(cn_npz_writer *w, cn_error *err)
{
    cn_status st = zipwriter_commit(w->zip, err);
    w->zip = NULL;
    cn_npz_writer_discard(w);
    return st;
}

void cn_npz_writer_discard(cn_npz_writer *w)
{
    if (w)
        zipwriter_discard(w->zip);
    cn_free(w);
}
