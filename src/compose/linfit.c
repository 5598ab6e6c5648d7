/* compose/linfit.c -- prediction and its figures. */
#include "compose/linfit.h"

#include "base/memory.h"
#include "base/order.h"
#include "study/product.h"
#include "base/rng.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

cn_status linfit_open(linfit *f, const linfit_data *d, cn_error *err)
{
    cn_status st = CN_OK;
    float *centred = NULL, *across = NULL;
    double *sum = NULL;
    memset(f, 0, sizeof *f);
    f->n = d->n - d->first;
    f->width = d->width;
    CN_CHECK(d->first >= LINFIT_LEAST && f->n >= LINFIT_LEAST, CN_EINVAL, "%" PRId64 " pictures are too few to predict one half from the other",
             d->n);
    f->seen = d->embedding + d->first * d->width;
    f->mean = product_floats(1, d->width);
    f->predicted = product_floats(f->n, d->width);
    centred = product_floats(f->n, d->units);
    across = product_floats(d->width, d->units);
    sum = cn_calloc((size_t)d->width, sizeof *sum);
    CN_CHECK(f->mean && f->predicted && centred && across && sum, CN_ENOMEM, "out of memory for %" PRId64 " predicted pictures", f->n);
    for (int64_t i = 0; i < d->first; i++)
        for (int64_t k = 0; k < d->width; k++)
            sum[k] += d->length[i] * (double)d->embedding[i * d->width + k];
    for (int64_t k = 0; k < d->width; k++) {
        f->mean[k] = (float)(sum[k] / (double)d->first);
    }
    for (int64_t i = 0; i < d->first; i++)
        f->length += d->length[i] / (double)d->first;
    for (int64_t u = 0; u < d->units; u++) {
        const float *row = d->values + u * d->n;
        double mean = 0;
        for (int64_t i = 0; i < d->first; i++)
            mean += (double)row[i];
        mean /= (double)d->first;
        for (int64_t i = 0; i < f->n; i++)
            centred[i * d->units + u] = (float)((double)row[d->first + i] - mean);
    }
    product_transpose(d->directions, d->units, d->width, across);
    product_rows(centred, f->n, across, d->width, d->units, f->predicted, d->width);
    for (int64_t i = 0; i < f->n; i++) {
        float *row = f->predicted + i * d->width;
        for (int64_t k = 0; k < d->width; k++)
            row[k] += f->mean[k];
        product_normalise(row, row, d->width);
    }
done:
    cn_free(centred);
    cn_free(across);
    cn_free(sum);
    return st;
}

void linfit_free(linfit *f)
{
    cn_free(f->mean);
    cn_free(f->predicted);
    memset(f, 0, sizeof *f);
}

/* Sums of a comparison, so that a bootstrap sample is one pass. Values are cosines: no cancellation to speak of in double. */
typedef struct sums {
    double n, x, y, xx, yy, xy, errors;
} sums;

static void add(sums *s, double x, double y)
{
    s->n += 1;
    s->x += x;
    s->y += y;
    s->xx += x * x;
    s->yy += y * y;
    s->xy += x * y;
    s->errors += (y - x) * (y - x);
}

static linfit_score score(const sums *s)
{
    const double vx = s->xx - s->x * s->x / s->n, vy = s->yy - s->y * s->y / s->n, c = s->xy - s->x * s->y / s->n;
    linfit_score out = {0, 0};
    if (vy > 1e-14 * s->n) {
        out.r2 = 1 - s->errors / vy;
        if (vx > 1e-14 * s->n)
            out.r = fmax(-1, fmin(1, c / sqrt(vx * vy)));
    }
    return out;
}

linfit_score linfit_compare(const double *x, const double *y, int64_t n)
{
    sums s = {0};
    for (int64_t i = 0; i < n; i++)
        add(&s, x[i], y[i]);
    return score(&s);
}

void linfit_products(const linfit *f, const float *text, double *predicted, double *seen)
{
    for (int64_t i = 0; i < f->n; i++) {
        double p = 0, c = 0;
        for (int64_t k = 0; k < f->width; k++) {
            p += (double)f->predicted[i * f->width + k] * (double)text[k];
            c += (double)f->seen[i * f->width + k] * (double)text[k];
        }
        predicted[i] = p;
        seen[i] = c;
    }
}

cn_status linfit_bootstrap(const double *x, const double *y, int64_t n, int samples, uint64_t seed, linfit_interval *out, cn_error *err)
{
    double *r = cn_calloc((size_t)samples, sizeof *r), *r2 = cn_calloc((size_t)samples, sizeof *r2);
    if (!r || !r2) {
        cn_free(r);
        cn_free(r2);
        return cn_fail(err, CN_ENOMEM, "out of memory for %d samples", samples);
    }
    for (int b = 0; b < samples; b++) {
        rng random = rng_stream(seed, 0x11f, (uint64_t)b);
        sums s = {0};
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = rng_below(&random, n);
            add(&s, x[at], y[at]);
        }
        const linfit_score one = score(&s);
        r[b] = one.r;
        r2[b] = one.r2;
    }
    qsort(r, (size_t)samples, sizeof *r, order_doubles);
    qsort(r2, (size_t)samples, sizeof *r2, order_doubles);
    const int low = (int)(0.025 * samples), high = samples - 1 - low;
    *out = (linfit_interval){{r[low], r2[low]}, {r[high], r2[high]}};
    cn_free(r);
    cn_free(r2);
    return CN_OK;
}
