/* compose/lanes.h -- sums over long columns of float32 and exponentials of them, in plain C that compilers make vectors of, compiled for
 * the CPU's widest as well. Sums are float32 over at most VECTOR_BLOCK values. */
#ifndef COMPOSE_LANES_H
#define COMPOSE_LANES_H

#include <stdint.h>

#define VECTOR_BLOCK 1024

typedef struct vector_kernels {
    /* out[i * stride + j] += a_i . b_j for rows a (n, lda) and b (m, ldb), the first `width` <= VECTOR_BLOCK of each. */
    void (*products)(const float *a, int64_t n, int64_t lda, const float *b, int64_t m, int64_t ldb, int64_t width, float *out,
                     int64_t stride);
    /* out_i = exp(z_i - shift_i), to 2e-7 relative; below exp(-87): that. */
    void (*exponentials)(const float *z, const float *shift, int64_t n, float *out);
} vector_kernels;

/* For this CPU; static. */
const vector_kernels *vector_kernels_get(void);
/* The plain ones; static. */
extern const vector_kernels vector_kernels_plain;

#endif
