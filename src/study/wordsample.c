/* study/wordsample.c -- a heap of keys in memory, rows appended to a file. */
#include "study/wordsample.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool before(const sampled *a, const sampled *b)
{
    return a->key != b->key ? a->key < b->key : a->image < b->image;
}

static void swap(sampled *a, sampled *b)
{
    const sampled x = *a;
    *a = *b;
    *b = x;
}

static void sink(wordsample *w, int64_t i)
{
    for (;;) {
        int64_t last = i;
        for (int64_t child = 2 * i + 1; child <= 2 * i + 2 && child < w->count; child++)
            if (before(&w->heap[last], &w->heap[child]))
                last = child;
        if (last == i)
            return;
        swap(&w->heap[i], &w->heap[last]);
        i = last;
    }
}

static void insert(wordsample *w, sampled x)
{
    if (w->count == w->most) {
        if (w->most == 0 || !before(&x, &w->heap[0]))
            return;
        w->heap[0] = x;
        sink(w, 0);
        return;
    }
    int64_t i = w->count++;
    w->heap[i] = x;
    for (; i > 0 && before(&w->heap[(i - 1) / 2], &w->heap[i]); i = (i - 1) / 2)
        swap(&w->heap[(i - 1) / 2], &w->heap[i]);
}

static void file_name(char name[40], int64_t number)
{
    snprintf(name, 40, "sample.%lld.raw", (long long)number);
}

static cn_status load(wordsample *w, const part *p, const cn_arrays *saved, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_tensor *keys = cn_arrays_find(saved, "sample.keys"), *images = cn_arrays_find(saved, "sample.images"),
                    *rows = cn_arrays_find(saved, "sample.rows");
    CN_CHECK(keys && images && rows && keys->dtype == CN_DTYPE_I64 && images->dtype == CN_DTYPE_I32 && rows->dtype == CN_DTYPE_I64 &&
                 keys->ndim == 1 && images->ndim == 1 && rows->ndim == 1 && images->count == keys->count && rows->count == keys->count &&
                 keys->count <= w->most,
             CN_EFORMAT, "%s: damaged: its sample for words", p->path);
    for (int64_t i = 0; i < keys->count; i++) {
        sampled x;
        memcpy(&x.key, (const char *)keys->data + 8 * i, 8);
        memcpy(&x.image, (const char *)images->data + 4 * i, 4);
        memcpy(&x.row, (const char *)rows->data + 8 * i, 8);
        CN_CHECK(x.image >= 0 && x.image < p->state.images && x.row >= 0 && x.row < p->state.sample_rows, CN_EFORMAT,
                 "%s: damaged: its sample for words", p->path);
        insert(w, x);
    }
done:
    return st;
}

static cn_status begin(wordsample *w, const part *p, int64_t most, char name[40], cn_error *err)
{
    memset(w, 0, sizeof *w);
    w->most = most;
    w->file = p->state.sample_file;
    w->heap = cn_calloc((size_t)most + 1, sizeof *w->heap);
    file_name(name, w->file);
    return w->heap ? CN_OK : cn_fail(err, CN_ENOMEM, "out of memory for the sample of pictures that words are scored on");
}

cn_status wordsample_open(wordsample *w, const part *p, int64_t columns, int64_t most, const cn_arrays *saved, cn_error *err)
{
    cn_status st = CN_OK;
    char name[40];
    CN_TRY(begin(w, p, most, name, err));
    CN_TRY(matrix_open(&w->rows, p, name, CN_DTYPE_F32, columns, p->state.sample_rows, err));
    if (saved)
        CN_TRY(load(w, p, saved, err));
done:
    return st;
}

cn_status wordsample_read(wordsample *w, const part *p, int64_t columns, int64_t most, const cn_arrays *saved, cn_error *err)
{
    cn_status st = CN_OK;
    char name[40];
    CN_TRY(begin(w, p, most, name, err));
    CN_TRY(matrix_read(&w->rows, p, name, CN_DTYPE_F32, columns, p->state.sample_rows, err));
    CN_TRY(load(w, p, saved, err));
done:
    return st;
}

bool wordsample_wants(const wordsample *w, uint64_t key)
{
    return w->count < w->most || (w->most && key <= w->heap[0].key);
}

cn_status wordsample_add(wordsample *w, uint64_t key, int32_t image, const float *row, cn_error *err)
{
    cn_status st = CN_OK;
    const sampled x = {key, image, w->rows.rows};
    CN_TRY(matrix_row(&w->rows, row, err));
    insert(w, x);
done:
    return st;
}

/* The rows that are wanted, into a file of their own. */
static cn_status compact(wordsample *w, const part *p, cn_error *err)
{
    cn_status st = CN_OK;
    char name[40];
    matrix fresh = {0};
    file_name(name, w->file + 1);
    CN_TRY(matrix_map(&w->rows, err));
    CN_TRY(matrix_open(&fresh, p, name, CN_DTYPE_F32, w->rows.columns, 0, err));
    for (int64_t i = 0; i < w->count; i++) {
        CN_TRY(matrix_row(&fresh, (const float *)w->rows.data + w->heap[i].row * w->rows.columns, err));
        w->heap[i].row = i;
    }
    matrix_close(&w->rows);
    w->rows = fresh;
    memset(&fresh, 0, sizeof fresh);
    w->file++;
done:
    matrix_close(&fresh);
    return st;
}

cn_status wordsample_save(wordsample *w, part *p, cn_npz_writer *out, cn_error *err)
{
    cn_status st = CN_OK;
    int64_t *keys = cn_calloc((size_t)w->count + 1, sizeof *keys), *rows = cn_calloc((size_t)w->count + 1, sizeof *rows);
    int32_t *images = cn_calloc((size_t)w->count + 1, sizeof *images);
    CN_CHECK(keys && rows && images, CN_ENOMEM, "out of memory for the sample of pictures that words are scored on");
    if (w->rows.rows > 4 * w->most)
        CN_TRY(compact(w, p, err));
    CN_TRY(matrix_flush(&w->rows, err));
    for (int64_t i = 0; i < w->count; i++) {
        memcpy(&keys[i], &w->heap[i].key, sizeof *keys);
        images[i] = w->heap[i].image;
        rows[i] = w->heap[i].row;
    }
    CN_TRY(cn_npz_writer_add(out, "sample.keys", CN_DTYPE_I64, 1, &w->count, keys, err));
    CN_TRY(cn_npz_writer_add(out, "sample.images", CN_DTYPE_I32, 1, &w->count, images, err));
    CN_TRY(cn_npz_writer_add(out, "sample.rows", CN_DTYPE_I64, 1, &w->count, rows, err));
    p->state.sample_file = w->file;
    p->state.sample_rows = w->rows.rows;
done:
    cn_free(keys);
    cn_free(rows);
    cn_free(images);
    return st;
}

void wordsample_saved(wordsample *w, const part *p)
{
    char name[40];
    if (w->file == 0)
        return;
    file_name(name, w->file - 1);
    char *old = part_file(p, name);
    if (old)
        unlink(old);
    cn_free(old);
}

void wordsample_close(wordsample *w)
{
    matrix_close(&w->rows);
    cn_free(w->heap);
    memset(w, 0, sizeof *w);
}
