/* study/raterstats.h -- how certain a share is, and how far raters agree. Plain arithmetic on arrays. */
#ifndef STUDY_RATERSTATS_H
#define STUDY_RATERSTATS_H

#include "base/check.h"

#include <stddef.h>
#include <stdint.h>

/* The quantile of the standard normal distribution for a two-sided interval: 1.96 for 0.95. */
double stats_z(double confidence);

/* Wilson's interval (Wilson 1927) of a share p of n > 0 trials, n need not be whole. */
void stats_wilson(double p, double n, double z, double *low, double *high);

/* Answers below are (images, raters), row-major: a category 0..categories-1, or -1 for none. All measures look at images
 * with at least two answers and are NaN where they are not defined. */
typedef struct stats_answers {
    const int *answer;
    size_t images, raters, categories;
} stats_answers;

/* Images with at least two answers. */
int64_t stats_shared(const stats_answers *a);
/* Mean over them of the share of pairs of raters that agree. */
double stats_percent(const stats_answers *a);
/* Cohen's kappa (Cohen 1960) of the two raters. */
double stats_kappa(const stats_answers *a);
/* Krippendorff's alpha, nominal, any number of raters, answers may be missing (Krippendorff 2011). */
double stats_alpha(const stats_answers *a);
/* Percentiles of alpha when shared images are drawn anew with replacement `resamples` times; draws on which alpha is not
 * defined do not count, and more of them than others leave both NaN. */
cn_status stats_alpha_interval(const stats_answers *a, double confidence, int resamples, uint64_t seed, double *low, double *high,
                               cn_error *err);

#endif
