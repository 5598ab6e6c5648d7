/* study/matrix.h -- a matrix that grows by rows in a file of a part, and is mapped to be read. */
#ifndef STUDY_MATRIX_H
#define STUDY_MATRIX_H

#include "base/check.h"
#include "clipneuron/weights.h"
#include "study/part.h"

#include <stdio.h>

typedef struct matrix {
    FILE *file; /* NULL: read only */
    char *path;
    cn_dtype dtype; /* CN_DTYPE_F32 or CN_DTYPE_I16 */
    int64_t rows, columns;
    const void *data; /* after matrix_map; NULL while rows is 0 */
    size_t mapped;    /* bytes */
} matrix;

/* `name` is a file of the part, of which `rows` rows count; what follows them is cut off. */
cn_status matrix_open(matrix *m, const part *p, const char *name, cn_dtype dtype, int64_t columns, int64_t rows, cn_error *err);
/* The same to be read only, and mapped. */
cn_status matrix_read(matrix *m, const part *p, const char *name, cn_dtype dtype, int64_t columns, int64_t rows, cn_error *err);
cn_status matrix_row(matrix *m, const void *row, cn_error *err);
/* Rows so far are on the disk afterwards. */
cn_status matrix_flush(matrix *m, cn_error *err);
/* Rows so far can be read in m->data until the next row is added and this is called again. */
cn_status matrix_map(matrix *m, cn_error *err);
const void *matrix_at(const matrix *m, int64_t row);
/* Gives the memory back that rows take which were read. They can be read again. */
void matrix_let_go(const matrix *m);
/* Accepts a zeroed matrix. The file stays. */
void matrix_close(matrix *m);

#endif
