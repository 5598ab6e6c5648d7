/* study/rowfile.c -- numpy's format is read by src/file; this is what a study may hold. */
#include "study/rowfile.h"

#include "base/memory.h"
#include "base/path.h"
#include "study/float16.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

cn_status rowfile_open(rowfile *f, const cn_study *s, const char *name, int64_t rows, int64_t columns, cn_error *err)
{
    cn_status st = CN_OK;
    struct stat info;
    memset(f, 0, sizeof *f);
    CN_CHECK(!strchr(name, '/'), CN_EFORMAT, "%s: the study is damaged: a site is called like a path", s->path);
    f->path = path_join(s->path, name);
    CN_CHECK(f->path, CN_ENOMEM, "out of memory for a path");
    CN_CHECK(stat(f->path, &info) == 0, CN_ENOTFOUND, "%s: the study has no %s (scan --matrices none leaves them out)", s->path, name);
    CN_TRY(cn_arrays_open(&f->arrays, f->path, err));
    const cn_tensor *t = cn_arrays_count(f->arrays) == 1 ? cn_arrays_at(f->arrays, 0) : NULL;
    CN_CHECK(t && t->ndim == 2 && (t->dtype == CN_DTYPE_F32 || t->dtype == CN_DTYPE_F16) && t->shape[0] == rows && t->shape[1] == columns &&
                 t->stride[0] == columns && t->stride[1] == 1,
             CN_EFORMAT, "%s: the study is damaged: is not a (%" PRId64 ", %" PRId64 ") matrix of float32 or float16", f->path, rows, columns);
    f->tensor = t;
    f->rows = rows;
    f->columns = columns;
done:
    return st;
}

cn_status rowfile_open_site(rowfile *f, const cn_study *s, size_t site, const char *what, int64_t rows, int64_t columns, cn_error *err)
{
    char name[512];
    snprintf(name, sizeof name, "%.256s.%s.npy", s->sites[site].short_name, what);
    return rowfile_open(f, s, name, rows, columns, err);
}

cn_status rowfile_read(const rowfile *f, int64_t row, float *out, cn_error *err)
{
    const size_t size = cn_dtype_size(f->tensor->dtype);
    const char *from = (const char *)f->tensor->data + (size_t)row * (size_t)f->columns * size;
    bool finite = true;
    if (f->tensor->dtype == CN_DTYPE_F32) {
        memcpy(out, from, (size_t)f->columns * size);
    } else {
        for (int64_t i = 0; i < f->columns; i++) {
            uint16_t half;
            memcpy(&half, from + (size_t)i * size, sizeof half);
            out[i] = float16_to(half);
        }
    }
    for (int64_t i = 0; i < f->columns; i++)
        finite = finite && isfinite(out[i]);
    return finite ? CN_OK : cn_fail(err, CN_EFORMAT, "%s: the study is damaged: row %" PRId64 " has values that are not finite", f->path, row);
}

void rowfile_close(rowfile *f)
{
    cn_arrays_close(f->arrays);
    cn_free(f->path);
    memset(f, 0, sizeof *f);
}
