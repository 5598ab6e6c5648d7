/* compose/nmf.h -- non-negative factorisation V = W H by hierarchical alternating least squares (Cichocki and Phan 2009): each column of W and
 * each row of H in turn gets its best value with all else held, so the error never rises. Pure arithmetic. */
#ifndef COMPOSE_NMF_H
#define COMPOSE_NMF_H

#include "base/check.h"

#include <stdint.h>

typedef struct nmf_problem {
    const double *v; /* (rows, columns), none negative */
    int64_t rows, columns;
    int factors;
} nmf_problem;

typedef struct nmf_options {
    int iterations;   /* most */
    double tolerance; /* ends when an iteration lowers the error by a smaller share of |V| */
    uint64_t seed;
} nmf_options;

/* w (rows, factors), h (factors, columns): caller's buffers, filled; each row of h has length 1 unless it is 0.
 * errors: NULL, or (iterations): |V - WH| / |V| after each. *done: how many there were; *error: the last. */
cn_status nmf_fit(const nmf_problem *p, const nmf_options *o, double *w, double *h, double *errors, int *done, double *error, cn_error *err);

#endif
