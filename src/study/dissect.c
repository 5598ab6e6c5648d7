/* study/dissect.c -- products in place of sums of logarithms: one logarithm for each unit and text. */
#include "study/dissect.h"

#include <math.h>
#include <string.h>

int64_t dissect_pictures(int64_t n)
{
    int64_t k = n / DISSECT_PART;
    k = k < DISSECT_LEAST ? DISSECT_LEAST : k > DISSECT_MOST ? DISSECT_MOST : k;
    return k < n ? k : n;
}

void dissect_members(int64_t k, double *p)
{
    for (int64_t i = 0; i < k; i++)
        p[i] = DISSECT_START - (double)i / (double)k * (DISSECT_START - DISSECT_END);
}

void dissect_strongest(const float *values, int64_t units, int64_t n, int64_t k, int32_t *top)
{
    for (int64_t u = 0; u < units; u++) {
        const float *row = values + u * n;
        int32_t *best = top + u * k;
        int64_t held = 0;
        for (int64_t i = 0; i < n; i++) {
            if (held == k && !(row[i] > row[best[k - 1]]))
                continue;
            int64_t at = held < k ? held++ : k - 1;
            for (; at > 0 && row[i] > row[best[at - 1]]; at--)
                best[at] = best[at - 1];
            best[at] = (int32_t)i;
        }
    }
}

void dissect_evidence(const float *shares, int64_t texts, const int32_t *top, int64_t units, int64_t k, double *out)
{
    double p[DISSECT_MOST];
    dissect_members(k, p);
    for (int64_t u = 0; u < units; u++) {
        double *row = out + u * texts;
        for (int64_t t = 0; t < texts; t++)
            row[t] = 1;
        for (int64_t i = 0; i < k; i++) {
            const float *share = shares + top[u * k + i] * texts;
            const double in = p[i], rest = 1 - p[i];
            for (int64_t t = 0; t < texts; t++)
                row[t] *= rest + in * (double)share[t];
        }
        for (int64_t t = 0; t < texts; t++)
            row[t] = log(row[t]); /* at least log((1 - START)^MOST) */
    }
}

void dissect_scores(double *out, int64_t units, int64_t texts, const bool *dead)
{
    int64_t live = 0;
    for (int64_t u = 0; u < units; u++)
        live += !dead[u];
    for (int64_t t = 0; t < texts; t++) {
        double top = -INFINITY, sum = 0;
        for (int64_t u = 0; u < units; u++)
            if (!dead[u])
                top = fmax(top, out[u * texts + t]);
        for (int64_t u = 0; u < units; u++)
            if (!dead[u])
                sum += exp(out[u * texts + t] - top);
        const double base = live ? top + log(sum / (double)live) : 0;
        for (int64_t u = 0; u < units; u++)
            out[u * texts + t] -= base;
    }
}
