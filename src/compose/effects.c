/* compose/effects.c -- how far edits move logits, with intervals over images. */
#include "clipneuron/intervene.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/order.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define REPLICATES 2000

/* Logits (n, k), and how often each text is the best; best (n). */
static cn_status logits_of(const float *rows, int64_t n, int64_t width, const float *texts, int64_t k, double scale, double *logits, int64_t *best,
                           cn_error *err)
{
    for (int64_t i = 0; i < n; i++) {
        const float *e = rows + i * width;
        double square = 0;
        for (int64_t j = 0; j < width; j++)
            square += (double)e[j] * e[j];
        if (!(square > 0) || !isfinite(square))
            return cn_fail(err, CN_EINVAL, "the embedding of image %lld is not finite or has no length", (long long)i);
        best[i] = 0;
        for (int64_t t = 0; t < k; t++) {
            double dot = 0;
            for (int64_t j = 0; j < width; j++)
                dot += (double)e[j] * texts[t * width + j];
            logits[i * k + t] = scale * dot / sqrt(square);
            best[i] = logits[i * k + t] > logits[i * k + best[i]] ? t : best[i];
        }
    }
    return CN_OK;
}

static double share_of(const double *logits, int64_t k, int64_t t)
{
    double largest = logits[0], total = 0;
    for (int64_t i = 1; i < k; i++)
        largest = logits[i] > largest ? logits[i] : largest;
    for (int64_t i = 0; i < k; i++)
        total += exp(logits[i] - largest);
    return exp(logits[t] - largest) / total;
}

/* The 2.5th and 97.5th percentile of means over images drawn with replacement; the same draws for everything. */
static void interval(const double *change, int64_t n, int replicates, uint64_t seed, double *means, double *low, double *high)
{
    for (int b = 0; b < replicates; b++) {
        rng r = rng_stream(seed, (uint64_t)b, 0);
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += change[rng_below(&r, n)];
        means[b] = sum / (double)n;
    }
    qsort(means, (size_t)replicates, sizeof *means, order_doubles);
    *low = means[(int)(0.025 * (replicates - 1) + 0.5)];
    *high = means[(int)(0.975 * (replicates - 1) + 0.5)];
}

cn_status cn_effects_measure(const float *before, const float *after, int64_t n, int64_t width, const float *texts, int64_t k, double scale,
                             const cn_effect_options *options, cn_effect *effects, double *changed, cn_error *err)
{
    cn_status st = CN_OK;
    const int replicates = options && options->replicates > 0 ? options->replicates : REPLICATES;
    const uint64_t seed = options ? options->seed : 0;
    double *a = NULL, *b = NULL, *change = NULL, *means = NULL;
    int64_t *best = NULL, others = 0;
    CN_CHECK(n > 0 && k > 0, CN_EINVAL, "effects are measured on images and texts: %lld and %lld are too few", (long long)n, (long long)k);
    a = cn_calloc((size_t)n, (size_t)k * sizeof *a);
    b = cn_calloc((size_t)n, (size_t)k * sizeof *b);
    change = cn_calloc((size_t)n, 2 * sizeof *change);
    means = cn_calloc((size_t)replicates, sizeof *means);
    best = cn_calloc((size_t)n, 2 * sizeof *best);
    CN_CHECK(a && b && change && means && best, CN_ENOMEM, "out of memory for effects");
    CN_TRY(logits_of(before, n, width, texts, k, scale, a, best, err));
    CN_TRY(logits_of(after, n, width, texts, k, scale, b, best + n, err));
    for (int64_t t = 0; t < k; t++) {
        cn_effect e = {0};
        int64_t best_before = 0, best_after = 0; /* counted, then divided: n times 1/n is not 1 */
        for (int64_t i = 0; i < n; i++) {
            const double p = share_of(a + i * k, k, t), q = share_of(b + i * k, k, t);
            change[i] = b[i * k + t] - a[i * k + t];
            change[n + i] = q - p;
            e.before += a[i * k + t] / (double)n;
            e.after += b[i * k + t] / (double)n;
            e.share_before += p / (double)n;
            e.share_after += q / (double)n;
            best_before += best[i] == t;
            best_after += best[n + i] == t;
        }
        e.best_before = (double)best_before / (double)n;
        e.best_after = (double)best_after / (double)n;
        e.change = e.after - e.before;
        e.share_change = e.share_after - e.share_before;
        interval(change, n, replicates, seed, means, &e.low, &e.high);
        interval(change + n, n, replicates, seed, means, &e.share_low, &e.share_high);
        effects[t] = e;
    }
    for (int64_t i = 0; i < n; i++)
        others += best[i] != best[n + i];
    if (changed)
        *changed = (double)others / (double)n;
done:
    cn_free(a);
    cn_free(b);
    cn_free(change);
    cn_free(means);
    cn_free(best);
    return st;
}
