/* study/coarse.c -- pictures come one by one and are written unit by unit: a block of them at a time, each unit's piece to its place. */
#include "study/coarse.h"

#include "base/memory.h"
#include "base/path.h"
#include "file/npyheader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_BYTES ((int64_t)8 << 20)
#define TILE 64 /* units that are turned at a time: a cache line of a row */
#define MOST_PICTURES 4096

/* ---- writing ---- */

static cn_status write_at(const coarse_writer *w, const void *data, size_t size, off_t at, cn_error *err)
{
    for (const char *from = data; size > 0;) {
        const ssize_t n = pwrite(w->fd, from, size, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return cn_fail(err, CN_EIO, "%s: cannot be written: %s", w->path, strerror(n < 0 ? errno : ENOSPC));
        from += n;
        size -= (size_t)n;
        at += n;
    }
    return CN_OK;
}

cn_status coarse_open(coarse_writer *w, const char *path, int64_t units, int64_t images, const float *low, const float *high, cn_error *err)
{
    cn_status st = CN_OK;
    char header[NPY_HEADER_ROOM];
    size_t data_size;
    const int64_t shape[2] = {units, images}, fits = BLOCK_BYTES / (units + 1) + 1;
    memset(w, 0, sizeof *w);
    w->fd = -1;
    w->units = units;
    w->images = images;
    w->block = fits < MOST_PICTURES ? fits : MOST_PICTURES;
    w->path = cn_strdup(path);
    w->low = cn_calloc((size_t)units + 1, sizeof *w->low);
    w->scale = cn_calloc((size_t)units + 1, sizeof *w->scale);
    w->rows = cn_calloc((size_t)w->block, (size_t)units + 1);
    CN_CHECK(w->path && w->low && w->scale && w->rows, CN_ENOMEM, "out of memory for the levels of %" PRId64 " units", units);
    for (int64_t u = 0; u < units; u++) {
        const float scale = COARSE_LEVELS / (high[u] - low[u]);
        w->low[u] = low[u];
        w->scale[u] = isfinite(scale) ? scale : 0;
    }
    CN_TRY(npyheader_make(header, &w->header, &data_size, CN_DTYPE_U8, 2, shape, path, err));
    w->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    CN_CHECK(w->fd >= 0, CN_EIO, "%s: cannot be written: %s", path, strerror(errno));
    CN_TRY(write_at(w, header, w->header, 0, err));
done:
    return st;
}

static cn_status write_block(coarse_writer *w, cn_error *err)
{
    static _Thread_local uint8_t turned[TILE][MOST_PICTURES];
    cn_status st = CN_OK;
    for (int64_t u = 0; u < w->units; u += TILE) {
        const int64_t wide = w->units - u < TILE ? w->units - u : TILE;
        for (int64_t i = 0; i < w->held; i++)
            for (int64_t k = 0; k < wide; k++)
                turned[k][i] = w->rows[i * w->units + u + k];
        for (int64_t k = 0; k < wide; k++)
            CN_TRY(write_at(w, turned[k], (size_t)w->held, (off_t)w->header + (u + k) * w->images + w->done, err));
    }
    w->done += w->held;
    w->held = 0;
done:
    return st;
}

cn_status coarse_add(coarse_writer *w, const float *row, cn_error *err)
{
    uint8_t *to = w->rows + w->held * w->units;
    for (int64_t u = 0; u < w->units; u++) {
        const float level = (row[u] - w->low[u]) * w->scale[u];
        const float most = level < COARSE_LEVELS - 1 ? level : COARSE_LEVELS - 1;
        to[u] = (uint8_t)(most > 0 ? most : 0);
    }
    w->held++;
    return w->held == w->block ? write_block(w, err) : CN_OK;
}

cn_status coarse_finish(coarse_writer *w, cn_error *err)
{
    cn_status st = CN_OK;
    CN_TRY(write_block(w, err));
    const int fd = w->fd;
    w->fd = -1;
    CN_CHECK(close(fd) == 0, CN_EIO, "%s: cannot be written: %s", w->path, strerror(errno));
done:
    return st;
}

void coarse_close(coarse_writer *w)
{
    if (w->path && w->fd >= 0)
        close(w->fd);
    cn_free(w->path);
    cn_free(w->low);
    cn_free(w->scale);
    cn_free(w->rows);
    memset(w, 0, sizeof *w);
}

/* ---- reading ---- */

cn_status coarse_file(cn_arrays **file, const cn_study *s, size_t site, cn_error *err)
{
    cn_status st = CN_OK;
    char name[300];
    struct stat info;
    char *path = NULL;
    *file = NULL;
    CN_CHECK(!strchr(s->sites[site].short_name, '/'), CN_EFORMAT, "%s: the study is damaged: a site is called like a path", s->path);
    snprintf(name, sizeof name, "%.256s.coarse.npy", s->sites[site].short_name);
    path = path_join(s->path, name);
    CN_CHECK(path, CN_ENOMEM, "out of memory for a name");
    if (stat(path, &info) != 0)
        goto done;
    CN_TRY(cn_arrays_open(file, path, err));
    const cn_tensor *t = cn_arrays_count(*file) == 1 ? cn_arrays_at(*file, 0) : NULL;
    CN_CHECK(t && t->ndim == 2 && t->dtype == CN_DTYPE_U8 && t->shape[0] == s->sites[site].units && t->shape[1] == s->info.images &&
                 (t->count == 0 || (t->stride[0] == t->shape[1] && t->stride[1] == 1)),
             CN_EFORMAT, "%s: the study is damaged: is not a (%" PRId64 ", %" PRId64 ") array of uint8", path, s->sites[site].units,
             s->info.images);
done:
    if (st != CN_OK) {
        cn_arrays_close(*file);
        *file = NULL;
    }
    cn_free(path);
    return st;
}

bool coarse_unit_of(coarse_unit *u, const cn_arrays *file, int64_t unit, double low, double high, bool half, double divisor)
{
    const cn_tensor *t = cn_arrays_at(file, 0);
    const double step = (high - low) / COARSE_LEVELS;
    /* A value's level is found in float32: wrong by far less than a hundredth of a level. float16 has 11 bits, below 2^-14 steps of 2^-24. */
    const double slack = step / 100 + (half ? ldexp(fmax(fabs(low), fabs(high)), -11) + ldexp(1, -24) : 0);
    u->level = (const uint8_t *)t->data + unit * t->shape[1];
    for (int l = 0; l < COARSE_LEVELS; l++)
        u->value[l] = (low + l * step - slack) / divisor;
    u->width = (step + 2 * slack) / divisor;
    return step > 0 && isfinite(u->value[0]) && isfinite(u->value[COARSE_LEVELS - 1]) && isfinite(u->width);
}
