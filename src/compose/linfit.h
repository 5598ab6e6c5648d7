/* compose/linfit.h -- embeddings of pictures predicted from their units' activations, and how well predicted cosines fit true ones. Pure
 * arithmetic. */
#ifndef COMPOSE_LINFIT_H
#define COMPOSE_LINFIT_H

#include "base/check.h"

#include <stdint.h>

enum { LINFIT_LEAST = 8 }; /* pictures in either half */

typedef struct linfit_data {
    int64_t n, first;        /* pictures; of which the first ones make the mean picture */
    int64_t units, width;
    const float *values;     /* (units, n) */
    const float *embedding;  /* (n, width) of length 1 */
    const double *length;    /* (n) before that */
    const float *directions; /* (units, width) */
} linfit_data;

typedef struct linfit {
    int64_t n, width;
    float *mean;      /* (width): e0, the mean embedding of the first half, not normalised */
    double length;    /* mean length of the first half's embeddings */
    float *predicted; /* (n, width) of length 1: of the second half */
    const float *seen; /* (n, width) of length 1: true ones; borrowed from the data */
} linfit;

/* CN_EINVAL when a half is too small. On failure f holds what linfit_free accepts. */
cn_status linfit_open(linfit *f, const linfit_data *d, cn_error *err);
void linfit_free(linfit *f);

typedef struct linfit_score {
    double r, r2;
} linfit_score;

/* x predicted, y true; 0 and 0 where y or x is constant. */
linfit_score linfit_compare(const double *x, const double *y, int64_t n);
/* Predicted and true products with a text (width), (n) each. */
void linfit_products(const linfit *f, const float *text, double *predicted, double *seen);

typedef struct linfit_interval {
    linfit_score low, high;
} linfit_interval;
/* The 2.5 and 97.5 percentiles over `samples` bootstrap samples of pictures. */
cn_status linfit_bootstrap(const double *x, const double *y, int64_t n, int samples, uint64_t seed, linfit_interval *out, cn_error *err);

#endif
