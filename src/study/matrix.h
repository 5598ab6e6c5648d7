/* study/matrix.h -- a matrix that grows by rows in a file, is mapped when complete, and is saved as
 * .npy then: its number of rows is known only when the last picture is decoded. */
#ifndef STUDY_MATRIX_H
#define STUDY_MATRIX_H

#include "base/check.h"
#include "clipneuron/weights.h"
#include "study/studyfolder.h"

#include <stdio.h>

typedef struct matrix {
    FILE *file;
    char *path;
    cn_dtype dtype; /* CN_DTYPE_F32 or CN_DTYPE_I16 */
    int64_t rows, columns;
    const void *data; /* after matrix_map; NULL while rows is 0 */
} matrix;

/* `name` is a file of the temporary folder. */
cn_status matrix_open(matrix *m, const folder *f, const char *name, cn_dtype dtype, int64_t columns,
                      cn_error *err);
cn_status matrix_row(matrix *m, const void *row, cn_error *err);
/* No rows may follow. */
cn_status matrix_map(matrix *m, cn_error *err);
/* Writes folder/name; F32 matrices are converted to `dtype` (F32 or F16). */
cn_status matrix_save(const matrix *m, const folder *f, const char *name, cn_dtype dtype, cn_error *err);
/* Unmaps and removes the growing file. Accepts a zeroed matrix. */
void matrix_close(matrix *m);

#endif
