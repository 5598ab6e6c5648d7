/* compose/auc.h -- the area under the ROC curve by rank sums, its bootstrap interval, and false discovery rates. Pure arithmetic.
 *
 * AUC = P(a positive lies above a negative) + P(they are equal)/2 = (R - n1 (n1 + 1)/2)/(n1 n0), R the sum of the positives' midranks (Mann
 * and Whitney 1947; Bamber 1975). */
#ifndef COMPOSE_AUC_H
#define COMPOSE_AUC_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* order: (n) from the lowest value to the highest; twice: (n) twice the midrank of each value, a whole number: 2 is the lowest one.
 * n < 2^30; values are finite. */
void auc_ranks(const float *values, int64_t n, int32_t *order, int32_t *twice);
/* From twice the rank sum of n1 of n values. */
double auc_from_sum(double twice_sum, int64_t n1, int64_t n);

#define AUC_LANES 16 /* resamples that are made together */

/* What resamples of one collection of pictures share. Pictures come in `items` of `each` (the drawings of a word), which are drawn
 * together: picture i belongs to item i / each. */
typedef struct auc_sample {
    int64_t items, each;
    uint64_t seed;
} auc_sample;

/* How often every item is in each of AUC_LANES resamples: (items, AUC_LANES); block: which of them, 0, 1, ... */
void auc_weights(const auc_sample *s, int64_t block, uint8_t *weights);

/* The AUC in AUC_LANES resamples: negatives by the weights, positives (pictures of the items that `positive` marks; n1 pictures) one by one with replacement, by
 * a stream of (seed, stream, block). places: room for n1 * AUC_LANES. A resample without negatives gives NaN. */
void auc_resample(const auc_sample *s, const int32_t *order, const int32_t *twice, const bool *positive, int64_t n1, uint64_t stream,
                  int64_t block, const uint8_t *weights, uint32_t *places, double out[AUC_LANES]);
/* Percentile interval of n resamples, which it sorts; NaN ones do not count. confidence 0.95: from the 2.5th to the 97.5th. NaN when there are none. */
void auc_interval(double *resamples, size_t n, double confidence, double *low, double *high);

/* Benjamini and Hochberg 1995: q[i] is the smallest false discovery rate at which p[i] is a discovery. */
cn_status auc_fdr(const double *p, size_t n, double *q, cn_error *err);

#endif
