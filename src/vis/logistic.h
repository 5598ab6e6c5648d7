/* vis/logistic.h -- logistic regression without a bias, balanced between its two classes, by L-BFGS (Liu and Nocedal 1989):
 * what tells the pictures of a facet from others at a site.
 *
 *   loss(w) = mean over rows of c_y log(1 + exp(-y w.x)) + l2/2 |w|^2,  y = +-1,  c_y = n / (2 n_y) */
#ifndef VIS_LOGISTIC_H
#define VIS_LOGISTIC_H

#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct logistic_rows {
    const float *x;        /* (n, d) */
    const bool *positive;  /* (n) */
    int64_t n, d;
} logistic_rows;

typedef struct logistic_options {
    double l2;             /* 0: 1e-2 */
    int iterations;        /* most; 0: 200 */
    double tolerance;      /* ends when the largest slope is below that share of the first one; 0: 1e-4 */
} logistic_options;

typedef struct logistic_result {
    double loss, first_loss;
    int iterations;
    bool converged;
} logistic_result;

/** @param[in,out] w (d): where to begin, and the weights
 * @return CN_OK; CN_EINVAL (one class is empty), CN_ENOMEM */
cn_status logistic_fit(const logistic_rows *rows, const logistic_options *options, float *w, logistic_result *result, cn_error *err);

/* The share of rows on the right side, each class counting half ("balanced accuracy"). */
double logistic_accuracy(const logistic_rows *rows, const float *w);

#endif
