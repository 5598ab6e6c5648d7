/* compose/roc.c -- the area under a ROC curve, and of the difference of two, with intervals. Sorted once; a bootstrap sample is a count for each picture, and its area one walk
 * along the order. */
#include "clipneuron/direction.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/order.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct scored {
    double score;
    int64_t row;
} scored;

static int rising_scores(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score ? -1 : 1) : (x->row > y->row) - (x->row < y->row);
}

/* times: how often each row counts. */
static double area(const scored *order, const bool *positive, const int32_t *times, int64_t n)
{
    double pairs = 0, below = 0, positives = 0;
    for (int64_t i = 0; i < n;) {
        double here[2] = {0, 0};
        const double score = order[i].score;
        for (; i < n && order[i].score == score; i++)
            here[positive[order[i].row]] += times[order[i].row];
        pairs += here[1] * (below + here[0] / 2);
        below += here[0];
        positives += here[1];
    }
    return pairs / (positives * below);
}

/* NULL when out of memory. */
static scored *sorted(const double *scores, int64_t n)
{
    scored *order = cn_calloc((size_t)n + 1, sizeof *order);
    for (int64_t i = 0; order && i < n; i++)
        order[i] = (scored){scores[i], i};
    if (order)
        qsort(order, (size_t)n, sizeof *order, rising_scores);
    return order;
}

/* The area of a, less that of b unless it is NULL: the same pictures for both in every resample. */
static cn_status measure(const double *a, const double *b, const bool *positive, int64_t n, int replicates, uint64_t seed, cn_auc *out, cn_error *err)
{
    cn_status st = CN_OK;
    scored *first = sorted(a, n), *second = b ? sorted(b, n) : NULL;
    int32_t *times = cn_calloc((size_t)n + 1, sizeof *times);
    int64_t *rows = cn_calloc((size_t)n + 1, sizeof *rows), positives = 0; /* positive ones first */
    double *areas = cn_calloc((size_t)replicates + 1, sizeof *areas);
    CN_CHECK(first && (second || !b) && times && rows && areas, CN_ENOMEM, "out of memory for the scores of %lld pictures", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        times[i] = 1;
        positives += positive[i];
    }
    for (int64_t i = 0, p = 0, q = positives; i < n; i++)
        rows[positive[i] ? p++ : q++] = i;
    out->value = area(first, positive, times, n) - (second ? area(second, positive, times, n) : 0);
    if (positives == 0 || positives == n)
        out->value = NAN;
    out->low = out->high = out->value;
    if (replicates < 1 || isnan(out->value))
        goto done;
    for (int k = 0; k < replicates; k++) {
        rng r = rng_stream(seed, (uint64_t)k, 1);
        memset(times, 0, (size_t)n * sizeof *times);
        for (int64_t i = 0; i < n; i++)
            times[rows[i < positives ? rng_below(&r, positives) : positives + rng_below(&r, n - positives)]]++;
        areas[k] = area(first, positive, times, n) - (second ? area(second, positive, times, n) : 0);
    }
    qsort(areas, (size_t)replicates, sizeof *areas, order_doubles);
    out->low = areas[(int)(0.025 * (replicates - 1) + 0.5)];
    out->high = areas[(int)(0.975 * (replicates - 1) + 0.5)];
done:
    cn_free(first);
    cn_free(second);
    cn_free(times);
    cn_free(rows);
    cn_free(areas);
    return st;
}

cn_status cn_auc_measure(const double *scores, const bool *positive, int64_t n, int replicates, uint64_t seed, cn_auc *out, cn_error *err)
{
    return measure(scores, NULL, positive, n, replicates, seed, out, err);
}

cn_status cn_auc_difference(const double *a, const double *b, const bool *positive, int64_t n, int replicates, uint64_t seed, cn_auc *out,
                            cn_error *err)
{
    return measure(a, b, positive, n, replicates, seed, out, err);
}
