/* study/matrix.c -- stdio while growing, mmap afterwards. */
#include "study/matrix.h"

#include "base/memory.h"
#include "clipneuron/array.h"
#include "study/float16.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t row_bytes(const matrix *m)
{
    return (size_t)m->columns * cn_dtype_size(m->dtype);
}

cn_status matrix_open(matrix *m, const folder *f, const char *name, cn_dtype dtype, int64_t columns,
                      cn_error *err)
{
    cn_status st = CN_OK;
    memset(m, 0, sizeof *m);
    m->dtype = dtype;
    m->columns = columns;
    m->path = folder_path(f, name);
    CN_CHECK(m->path, CN_ENOMEM, "out of memory for a path");
    m->file = fopen(m->path, "w+be");
    CN_CHECK(m->file, CN_EIO, "%s: %s", m->path, strerror(errno));
done:
    return st;
}

cn_status matrix_row(matrix *m, const void *row, cn_error *err)
{
    if (fwrite(row, row_bytes(m), 1, m->file) != 1)
        return cn_fail(err, CN_EIO, "%s: %s", m->path, strerror(errno));
    m->rows++;
    return CN_OK;
}

cn_status matrix_map(matrix *m, cn_error *err)
{
    if (fflush(m->file) != 0)
        return cn_fail(err, CN_EIO, "%s: %s", m->path, strerror(errno));
    if (m->rows == 0 || m->columns == 0)
        return CN_OK;
    void *p = mmap(NULL, row_bytes(m) * (size_t)m->rows, PROT_READ, MAP_SHARED, fileno(m->file), 0);
    if (p == MAP_FAILED)
        return cn_fail(err, CN_ENOMEM, "%s: cannot be mapped: %s", m->path, strerror(errno));
    m->data = p;
    return CN_OK;
}

cn_status matrix_save(const matrix *m, const folder *f, const char *name, cn_dtype dtype, cn_error *err)
{
    cn_status st = CN_OK;
    cn_npy_writer *w = NULL;
    uint16_t *half = NULL;
    char *path = folder_path(f, name);
    int64_t shape[2] = {m->rows, m->columns};
    if (m->dtype != CN_DTYPE_F32)
        dtype = m->dtype;
    CN_CHECK(path, CN_ENOMEM, "out of memory for a path");
    CN_TRY(cn_npy_writer_open(&w, path, dtype, 2, shape, err));
    if (dtype == CN_DTYPE_F16) {
        half = cn_calloc((size_t)m->columns, sizeof *half);
        CN_CHECK(half, CN_ENOMEM, "out of memory for a row of %lld values", (long long)m->columns);
    }
    for (int64_t r = 0; r < m->rows; r++) {
        const char *row = (const char *)m->data + (size_t)r * row_bytes(m);
        for (int64_t c = 0; half && c < m->columns; c++)
            half[c] = float16_from(((const float *)(const void *)row)[c]);
        CN_TRY(cn_npy_writer_rows(w, half ? (const void *)half : row, 1, err));
    }
    cn_npy_writer *finished = w;
    w = NULL;
    CN_TRY(cn_npy_writer_finish(finished, err));
done:
    cn_npy_writer_discard(w);
    cn_free(half);
    cn_free(path);
    return st;
}

void matrix_close(matrix *m)
{
    if (m->data)
        munmap((void *)(uintptr_t)m->data, row_bytes(m) * (size_t)m->rows);
    if (m->file)
        fclose(m->file);
    if (m->path)
        unlink(m->path);
    cn_free(m->path);
    memset(m, 0, sizeof *m);
}
