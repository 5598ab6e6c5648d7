/* compose/auc.c -- ranks, resamples, false discovery rates. */
#include "compose/auc.h"

#include "base/memory.h"
#include "base/order.h"
#include "base/rng.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b, void *values)
{
    const float *v = values;
    const int32_t i = *(const int32_t *)a, k = *(const int32_t *)b;
    return v[i] < v[k] ? -1 : v[i] > v[k] ? 1 : i < k ? -1 : i > k;
}

void auc_ranks(const float *values, int64_t n, int32_t *order, int32_t *twice)
{
    union {
        const float *in;
        void *out;
    } v = {values}; /* qsort_r's argument is not const */
    for (int64_t i = 0; i < n; i++)
        order[i] = (int32_t)i;
    qsort_r(order, (size_t)n, sizeof *order, by_value, v.out);
    for (int64_t i = 0, k; i < n; i = k) {
        for (k = i + 1; k < n && values[order[k]] == values[order[i]];)
            k++;
        for (int64_t j = i; j < k; j++)
            twice[order[j]] = (int32_t)(i + k + 1); /* ranks i+1 .. k, whose mean is (i + k + 1)/2 */
    }
}

double auc_from_sum(double twice_sum, int64_t n1, int64_t n)
{
    const double a = (double)n1, b = (double)(n - n1);
    return (twice_sum - a * (a + 1)) / (2 * a * b);
}

void auc_weights(const auc_sample *s, int64_t block, uint8_t *weights)
{
    memset(weights, 0, (size_t)s->items * AUC_LANES);
    for (int lane = 0; lane < AUC_LANES; lane++) {
        rng r = rng_stream(s->seed, 0x6e6567, (uint64_t)block * AUC_LANES + (uint64_t)lane);
        for (int64_t i = 0; i < s->items; i++)
            weights[rng_below(&r, s->items) * AUC_LANES + lane]++;
    }
}

void auc_resample(const auc_sample *s, const int32_t *order, const int32_t *twice, const bool *positive, int64_t n1, uint64_t stream,
                  int64_t block, const uint8_t *weights, uint32_t *places, double out[AUC_LANES])
{
    const int64_t n = s->items * s->each;
    uint32_t below[AUC_LANES] = {0};
    int64_t found = 0;
    for (int64_t i = 0, k; i < n; i = k) {
        const int64_t first = found; /* positives among equal values stand half above the negatives among them */
        for (k = i; k < n && twice[order[k]] == twice[order[i]]; k++)
            if (positive[order[k] / s->each]) {
                for (int lane = 0; lane < AUC_LANES; lane++)
                    places[found * AUC_LANES + lane] = below[lane];
                found++;
            }
        for (int64_t j = i; j < k; j++) {
            const int64_t item = order[j] / s->each;
            if (!positive[item])
                for (int lane = 0; lane < AUC_LANES; lane++)
                    below[lane] += weights[item * AUC_LANES + lane];
        }
        for (int64_t p = first; p < found; p++)
            for (int lane = 0; lane < AUC_LANES; lane++)
                places[p * AUC_LANES + lane] += below[lane];
    }
    for (int lane = 0; lane < AUC_LANES; lane++) {
        rng r = rng_stream(s->seed, stream, (uint64_t)block * AUC_LANES + (uint64_t)lane);
        double sum = 0;
        for (int64_t i = 0; i < n1; i++)
            sum += (double)places[rng_below(&r, n1) * AUC_LANES + lane];
        out[lane] = below[lane] ? sum / (2 * (double)n1 * (double)below[lane]) : (double)NAN;
    }
}

void auc_interval(double *resamples, size_t n, double confidence, double *low, double *high)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(resamples[i]))
            resamples[kept++] = resamples[i];
    *low = *high = (double)NAN;
    if (!kept)
        return;
    qsort(resamples, kept, sizeof *resamples, order_doubles);
    const size_t cut = (size_t)floor((1 - confidence) / 2 * (double)kept);
    *low = resamples[cut];
    *high = resamples[kept - 1 - cut];
}

static int by_p(const void *a, const void *b, void *p)
{
    const double *v = p;
    const size_t i = *(const size_t *)a, k = *(const size_t *)b;
    return v[i] < v[k] ? -1 : v[i] > v[k] ? 1 : i < k ? -1 : i > k;
}

cn_status auc_fdr(const double *p, size_t n, double *q, cn_error *err)
{
    union {
        const double *in;
        void *out;
    } v = {p};
    if (n == 0)
        return CN_OK;
    size_t *order = cn_reallocarray(NULL, n, sizeof *order);
    if (!order)
        return cn_fail(err, CN_ENOMEM, "out of memory for %zu tests", n);
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    qsort_r(order, n, sizeof *order, by_p, v.out);
    double least = 1;
    for (size_t i = n; i-- > 0;) {
        least = fmin(least, p[order[i]] * (double)n / (double)(i + 1));
        q[order[i]] = least;
    }
    cn_free(order);
    return CN_OK;
}
