/* study/wordsample.h -- the pictures that words are scored on: those with the smallest keys (sample_key), whatever the order in
 * which pictures come or parts are put together, with their embeddings and activations in a file. */
#ifndef STUDY_WORDSAMPLE_H
#define STUDY_WORDSAMPLE_H

#include "clipneuron/array.h"
#include "study/matrix.h"
#include "study/part.h"

typedef struct sampled {
    uint64_t key;
    int32_t image;
    int64_t row; /* in its matrix */
} sampled;

typedef struct wordsample {
    sampled *heap; /* the one with the largest key first */
    int64_t count, most;
    matrix rows;
    int64_t file; /* number of the rows' file */
} wordsample;

/* Opens the sample of a part, with nothing in it when the part has nothing yet. columns: float32 values of a row.
 * On failure w holds what wordsample_close accepts. */
cn_status wordsample_open(wordsample *w, const part *p, int64_t columns, int64_t most, const cn_arrays *saved, cn_error *err);
/* The same of a complete part, to be read only. */
cn_status wordsample_read(wordsample *w, const part *p, int64_t columns, int64_t most, const cn_arrays *saved, cn_error *err);
/* Would this picture be taken? Rows of pictures that are not need not be made. */
bool wordsample_wants(const wordsample *w, uint64_t key);
cn_status wordsample_add(wordsample *w, uint64_t key, int32_t image, const float *row, cn_error *err);
/* To disk: rows, flushed, and what is in `out`; p->state says which rows count. Now and then the file is made anew without rows
 * that are no longer wanted; wordsample_saved then removes the old one. */
cn_status wordsample_save(wordsample *w, part *p, cn_npz_writer *out, cn_error *err);
void wordsample_saved(wordsample *w, const part *p);
/* Accepts a zeroed sample. */
void wordsample_close(wordsample *w);

#endif
