/* study/rowfile.h -- a matrix of a study (embeddings.npy, SITE.mean.npy, ...), mapped and read row by row. Untrusted: shape and dtype are
 * checked when it is opened, every number when it is read. */
#ifndef STUDY_ROWFILE_H
#define STUDY_ROWFILE_H

#include "clipneuron/array.h"
#include "study/reader.h"

typedef struct rowfile {
    cn_arrays *arrays;
    const cn_tensor *tensor;
    char *path;
    int64_t rows, columns;
} rowfile;

/* CN_ENOTFOUND when the study has no such file (scan --matrices none), CN_EFORMAT when it is not (rows, columns) of float32 or
 * float16. On failure f holds what rowfile_close accepts. */
cn_status rowfile_open(rowfile *f, const cn_study *s, const char *name, int64_t rows, int64_t columns, cn_error *err);
/* "SITE.mean.npy" and the like. */
cn_status rowfile_open_site(rowfile *f, const cn_study *s, size_t site, const char *what, int64_t rows, int64_t columns, cn_error *err);
/* out: (columns). CN_EFORMAT when a value is not finite. */
cn_status rowfile_read(const rowfile *f, int64_t row, float *out, cn_error *err);
/* Accepts a zeroed one. */
void rowfile_close(rowfile *f);

#endif
