/* compose/spelling.h -- the directions that spelling takes in the space of embeddings. */
#ifndef COMPOSE_SPELLING_H
#define COMPOSE_SPELLING_H

#include "base/check.h"

#include <stdint.h>

#define SPELLING_PAIRS 256 /* at most */

/* Orthonormal directions v that maximise v' (S_word - gamma S_class) v within the span of the differences, largest first, as many as have a positive
 * value. S_word: the mean of d d' over the n differences (n, width) that words made to embeddings of length 1; S_class: the
 * covariance of m embeddings without words (m, width). Both are divided by their traces. directions: (n, width), caller's; *k <= n of them are set. */
cn_status spelling_directions(const float *differences, int64_t n, const float *clean, int64_t m, int64_t width, double gamma, float *directions,
                              int64_t *k, cn_error *err);

/* Eigenvalues and vectors of a symmetric matrix (n, n), which is overwritten, by Jacobi's rotations; largest first. vectors: (n, n), a row each. */
cn_status spelling_eigen(double *matrix, int64_t n, double *values, double *vectors, cn_error *err);

#endif
