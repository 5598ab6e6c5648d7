/* study/product.h -- products of rows with rows, in float32, in the plain C that compilers make vectors of. */
#ifndef STUDY_PRODUCT_H
#define STUDY_PRODUCT_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed (a, b) float32 on a 64-byte boundary, released with cn_free; NULL when out of memory or too many. */
float *product_floats(int64_t a, int64_t b);
/* to = from / its length; zeros stay zeros. from may be to. Returns the length. */
double product_normalise(const float *from, float *to, int64_t width);
/* out[i * stride + j] = a_i . b_j, for a (n, width) and b (m, width). */
void product_rows(const float *a, int64_t n, const float *b, int64_t m, int64_t width, float *out, int64_t stride);
/* Each row of a (n, width): less its mean, then to length 1; constant rows become 0. */
void product_standardise(float *a, int64_t n, int64_t width);
/* to (columns, rows) = from (rows, columns) transposed. */
void product_transpose(const float *from, int64_t rows, int64_t columns, float *to);

#endif
