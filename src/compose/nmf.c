/* compose/nmf.c -- HALS. */
#include "compose/nmf.h"

#include "base/memory.h"
#include "base/rng.h"

#include <inttypes.h>
#include <math.h>

/* |V - WH|^2, from scratch: the fit is judged by what it is and not by sums that were carried along. */
static double squared_error(const nmf_problem *p, const double *w, const double *h)
{
    double sum = 0;
    for (int64_t i = 0; i < p->rows; i++)
        for (int64_t j = 0; j < p->columns; j++) {
            double x = p->v[i * p->columns + j];
            for (int k = 0; k < p->factors; k++)
                x -= w[i * p->factors + k] * h[(int64_t)k * p->columns + j];
            sum += x * x;
        }
    return sum;
}

/* Column k of W: max(0, w_k + (V h_k - W (H h_k)) / |h_k|^2). A factor that died stays 0. */
static void update_w(const nmf_problem *p, double *w, const double *h, int k)
{
    const double *hk = h + (int64_t)k * p->columns;
    double products[64] = {0}; /* H h_k; factors are few */
    for (int m = 0; m < p->factors; m++)
        for (int64_t j = 0; j < p->columns; j++)
            products[m] += h[(int64_t)m * p->columns + j] * hk[j];
    if (products[k] <= 0)
        return;
    for (int64_t i = 0; i < p->rows; i++) {
        double slope = 0;
        for (int64_t j = 0; j < p->columns; j++)
            slope += p->v[i * p->columns + j] * hk[j];
        for (int m = 0; m < p->factors; m++)
            slope -= w[i * p->factors + m] * products[m];
        w[i * p->factors + k] = fmax(0, w[i * p->factors + k] + slope / products[k]);
    }
}

static void update_h(const nmf_problem *p, const double *w, double *h, int k)
{
    double products[64] = {0}; /* W^T w_k */
    for (int64_t i = 0; i < p->rows; i++)
        for (int m = 0; m < p->factors; m++)
            products[m] += w[i * p->factors + m] * w[i * p->factors + k];
    if (products[k] <= 0)
        return;
    for (int64_t j = 0; j < p->columns; j++) {
        double slope = 0;
        for (int64_t i = 0; i < p->rows; i++)
            slope += p->v[i * p->columns + j] * w[i * p->factors + k];
        for (int m = 0; m < p->factors; m++)
            slope -= products[m] * h[(int64_t)m * p->columns + j];
        double *x = h + (int64_t)k * p->columns + j;
        *x = fmax(0, *x + slope / products[k]);
    }
}

/* Lengths go from H into W. */
static void scale(const nmf_problem *p, double *w, double *h)
{
    for (int k = 0; k < p->factors; k++) {
        double length = 0, *row = h + (int64_t)k * p->columns;
        for (int64_t j = 0; j < p->columns; j++)
            length += row[j] * row[j];
        length = sqrt(length);
        for (int64_t j = 0; j < p->columns && length > 0; j++)
            row[j] /= length;
        for (int64_t i = 0; i < p->rows; i++)
            w[i * p->factors + k] *= length;
    }
}

cn_status nmf_fit(const nmf_problem *p, const nmf_options *o, double *w, double *h, double *errors, int *done, double *error, cn_error *err)
{
    double size = 0, sum = 0;
    *done = 0;
    *error = 0;
    if (p->factors < 1 || p->factors > 64 || p->rows < 1 || p->columns < 1)
        return cn_fail(err, CN_EINVAL, "%d factors of %" PRId64 " x %" PRId64 " numbers", p->factors, p->rows, p->columns);
    for (int64_t i = 0; i < p->rows * p->columns; i++) {
        if (!(p->v[i] >= 0) || !isfinite(p->v[i]))
            return cn_fail(err, CN_EINVAL, "a matrix with negative numbers has no non-negative factors");
        size += p->v[i] * p->v[i];
        sum += p->v[i];
    }
    rng random = rng_stream(o->seed, 0x4af, (uint64_t)p->factors);
    const double level = sqrt(sum / (double)(p->rows * p->columns) / p->factors);
    for (int64_t i = 0; i < p->rows * p->factors; i++)
        w[i] = level * (0.1 + rng_unit(&random));
    for (int64_t i = 0; i < p->factors * p->columns; i++)
        h[i] = level * (0.1 + rng_unit(&random));
    if (size <= 0)
        return CN_OK;
    double last = INFINITY;
    for (int n = 0; n < o->iterations; n++) {
        for (int k = 0; k < p->factors; k++)
            update_w(p, w, h, k);
        for (int k = 0; k < p->factors; k++)
            update_h(p, w, h, k);
        *error = sqrt(squared_error(p, w, h) / size);
        if (errors)
            errors[n] = *error;
        *done = n + 1;
        if (last - *error < o->tolerance)
            break;
        last = *error;
    }
    scale(p, w, h);
    return CN_OK;
}
