/* compose/multinomial.h -- multinomial logistic regression with an L1 or elastic-net penalty, along a path of falling strengths.
 *
 *   F(W, b) = 1/n sum_i [log sum_k exp(z_ik) - z_iy(i)] + s (m |W|_1 + (1 - m)/2 |W|_2^2),   z_ik = w_k . x_i + b_k
 *
 * with strength s and mix m. Class after class in turn takes a proximal Newton step on its own weights and its intercept, others held: the
 * quadratic model has the true Hessian of that block (weights p_k (1 - p_k)), is minimised by coordinate descent, and a line search on F
 * guards the step. Only a working set is looked at: non-zero weights and what the sequential strong rule lets through
 * (Tibshirani et al. 2012: |slope at the last solution| >= m (2 s - s_last)). The slopes of all weights are then computed (one blocked
 * product), those that violate the conditions of optimality join, and so on until none does: the result does not depend on the rule.
 *
 * Data are float32, sums over more than VECTOR_BLOCK values are double. Results do not depend on the number of threads. */
#ifndef COMPOSE_MULTINOMIAL_H
#define COMPOSE_MULTINOMIAL_H

#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct multinomial_data {
    const float *x;   /* (features, n): a row for each feature; best with mean 0 and sd 1. Borrowed */
    const int32_t *y; /* (n): 0..classes-1; every class occurs. Borrowed */
    int64_t n, features, classes;
} multinomial_data;

typedef struct multinomial multinomial;

/* Weights are 0, intercepts those of the classes' shares. mix: 0 < m <= 1. @return CN_ENOMEM */
cn_status multinomial_create(multinomial **out, const multinomial_data *data, double mix, int threads, cn_error *err);
void multinomial_free(multinomial *m);

/* The least strength at which all weights are 0. */
double multinomial_strongest(const multinomial *m);

typedef struct multinomial_fit_result {
    double objective, loss;     /* F; its first term */
    double violation;           /* the largest slope of F that is not balanced, in parts of s m */
    int64_t weights;            /* that are not 0 */
    int64_t working;            /* pairs of class and feature in the working set at the end */
    int64_t missed;             /* that the strong rule left out though they belonged in */
    int passes, rounds;         /* over the classes; of slopes of all weights */
    bool converged;
} multinomial_fit_result;

typedef bool multinomial_go_on(void *user);

/* Goes on from where the last call ended ("warm start"), at a lower or higher strength.
 * tolerance: of the violation. @return CN_ECANCELED when go_on says false; CN_ENOMEM */
cn_status multinomial_fit(multinomial *m, double strength, double tolerance, int most_passes, multinomial_go_on *go_on, void *user,
                          multinomial_fit_result *result, cn_error *err);

/* The non-zero weights of a class in the order of features: up to `most` of them; how many there are. */
int64_t multinomial_weights(const multinomial *m, int64_t k, int64_t most, int32_t *feature, double *weight);
double multinomial_intercept(const multinomial *m, int64_t k);

#endif
