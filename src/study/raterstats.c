/* study/raterstats.c -- Wilson's interval, Cohen's kappa, Krippendorff's alpha and its bootstrap. */
#include "study/raterstats.h"

#include "base/memory.h"
#include "base/order.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* By bisection of erfc: exact enough, and there is no hurry. */
double stats_z(double confidence)
{
    double low = 0, high = 40;
    for (int i = 0; i < 100; i++) {
        const double middle = (low + high) / 2;
        if (1 - erfc(middle / sqrt(2)) < confidence)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

void stats_wilson(double p, double n, double z, double *low, double *high)
{
    const double zz = z * z / n, centre = (p + zz / 2) / (1 + zz), half = z / (1 + zz) * sqrt(fmax(p * (1 - p), 0) / n + zz / (4 * n));
    *low = p <= 0 ? 0 : fmax(centre - half, 0); /* rounding must not leave a sliver at the ends */
    *high = p >= 1 ? 1 : fmin(centre + half, 1);
}

/* How many raters chose each category for an image; returns the number of answers. */
static double count(const stats_answers *a, size_t image, double *counts)
{
    double n = 0;
    memset(counts, 0, a->categories * sizeof *counts);
    for (size_t r = 0; r < a->raters; r++) {
        const int c = a->answer[image * a->raters + r];
        if (c >= 0) {
            counts[c]++;
            n++;
        }
    }
    return n;
}

#define MOST 64 /* categories; more than CN_MAX_CATEGORIES */

int64_t stats_shared(const stats_answers *a)
{
    double counts[MOST];
    int64_t shared = 0;
    for (size_t i = 0; i < a->images; i++)
        shared += count(a, i, counts) >= 2;
    return shared;
}

double stats_percent(const stats_answers *a)
{
    double counts[MOST], sum = 0, shared = 0;
    for (size_t i = 0; i < a->images; i++) {
        const double n = count(a, i, counts);
        if (n < 2)
            continue;
        double agree = 0;
        for (size_t c = 0; c < a->categories; c++)
            agree += counts[c] * (counts[c] - 1);
        sum += agree / (n * (n - 1));
        shared++;
    }
    return shared > 0 ? sum / shared : (double)NAN;
}

double stats_kappa(const stats_answers *a)
{
    double first[MOST] = {0}, second[MOST] = {0}, n = 0, agree = 0, chance = 0;
    if (a->raters != 2)
        return (double)NAN;
    for (size_t i = 0; i < a->images; i++) {
        const int x = a->answer[2 * i], y = a->answer[2 * i + 1];
        if (x < 0 || y < 0)
            continue;
        first[x]++, second[y]++, n++;
        agree += x == y;
    }
    for (size_t c = 0; c < a->categories; c++)
        chance += first[c] * second[c];
    chance /= n * n;
    return n > 0 && chance < 1 ? (agree / n - chance) / (1 - chance) : (double)NAN;
}

/* alpha = 1 - observed / expected disagreement. With n_c the number of answers c on shared images and n their sum:
 * observed = sum over images of (m^2 - sum n_uc^2) / (m - 1), for an image with m answers, n_uc of them c;
 * expected = (n^2 - sum n_c^2) / (n - 1). Both are the coincidence matrix off its diagonal. */
typedef struct sums {
    double observed, total[MOST], n;
} sums;

static void add_image(sums *s, const double *counts, double n, size_t categories)
{
    double same = 0;
    for (size_t c = 0; c < categories; c++) {
        same += counts[c] * counts[c];
        s->total[c] += counts[c];
    }
    s->observed += (n * n - same) / (n - 1);
    s->n += n;
}

static double alpha_of(const sums *s, size_t categories)
{
    double same = 0;
    for (size_t c = 0; c < categories; c++)
        same += s->total[c] * s->total[c];
    const double expected = (s->n * s->n - same) / (s->n - 1);
    return s->n > 1 && expected > 0 ? 1 - s->observed / expected : (double)NAN; /* one category alone: nothing to disagree on */
}

double stats_alpha(const stats_answers *a)
{
    double counts[MOST];
    sums s = {0};
    for (size_t i = 0; i < a->images; i++) {
        const double n = count(a, i, counts);
        if (n >= 2)
            add_image(&s, counts, n, a->categories);
    }
    return alpha_of(&s, a->categories);
}

static double quantile(const double *sorted, size_t n, double q)
{
    const double at = q * (double)(n - 1);
    const size_t i = (size_t)at;
    return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

cn_status stats_alpha_interval(const stats_answers *a, double confidence, int resamples, uint64_t seed, double *low, double *high,
                               cn_error *err)
{
    cn_status st = CN_OK;
    double counts[MOST];
    size_t n = 0, valid = 0;
    rng r = {seed};
    size_t *shared = cn_reallocarray(NULL, a->images + 1, sizeof *shared);
    double *alphas = cn_reallocarray(NULL, (size_t)resamples + 1, sizeof *alphas);
    *low = *high = (double)NAN;
    CN_CHECK(shared && alphas, CN_ENOMEM, "out of memory for a bootstrap");
    for (size_t i = 0; i < a->images; i++)
        if (count(a, i, counts) >= 2)
            shared[n++] = i;
    for (int k = 0; k < resamples && n > 1; k++) {
        sums s = {0};
        for (size_t i = 0; i < n; i++) {
            const size_t image = shared[rng_bits(&r) % n];
            const double m = count(a, image, counts);
            add_image(&s, counts, m, a->categories);
        }
        const double alpha = alpha_of(&s, a->categories);
        if (!isnan(alpha))
            alphas[valid++] = alpha;
    }
    if (valid > 0 && 2 * valid >= (size_t)resamples) {
        qsort(alphas, valid, sizeof *alphas, order_doubles);
        *low = quantile(alphas, valid, (1 - confidence) / 2);
        *high = quantile(alphas, valid, (1 + confidence) / 2);
    }
done:
    cn_free(shared);
    cn_free(alphas);
    return st;
}
