/* vis/logistic.c -- see logistic.h. */
#include "vis/logistic.h"

#include "base/memory.h"
#include "nn/kernels.h"

#include <math.h>
#include <string.h>

#define MEMORY 8           /* pairs of steps and slope changes that L-BFGS remembers */
#define SUFFICIENT 1e-4    /* Armijo: the share of the promised descent that a step must bring */
#define MOST_HALVINGS 30

typedef struct fit {
    const logistic_rows *rows;
    double l2, share[2];        /* of one row of a class in the mean: 1 / (2 n_y) */
    const float *w;
    double *margin;             /* (n): y w.x, then d loss / d (w.x) */
    float *slope;               /* (d) */
} fit;

/* ---- loss and slope ---- */

static void margins(void *data, int64_t from, int64_t to)
{
    const fit *f = data;
    for (int64_t i = from; i < to; i++) {
        const float *x = f->rows->x + i * f->rows->d;
        float lane[16] = {0}; /* sums side by side, so that the compiler may use vectors */
        int64_t k = 0;
        double sum = 0;
        for (; k + 16 <= f->rows->d; k += 16)
            for (int l = 0; l < 16; l++)
                lane[l] += x[k + l] * f->w[k + l];
        for (int l = 0; l < 16; l++)
            sum += (double)lane[l];
        for (; k < f->rows->d; k++)
            sum += (double)x[k] * (double)f->w[k];
        f->margin[i] = f->rows->positive[i] ? sum : -sum;
    }
}

/* Slopes of a range of weights over all rows. */
static void slopes(void *data, int64_t from, int64_t to)
{
    fit *f = data;
    for (int64_t k = from; k < to; k++)
        f->slope[k] = (float)f->l2 * f->w[k];
    for (int64_t i = 0; i < f->rows->n; i++) {
        const float *x = f->rows->x + i * f->rows->d;
        const float r = (float)f->margin[i];
        for (int64_t k = from; k < to; k++)
            f->slope[k] += r * x[k];
    }
}

/* Leaves in f what `slope_of` needs. */
static double loss_of(fit *f, const float *w)
{
    const logistic_rows *rows = f->rows;
    double loss = 0, square = 0;
    f->w = w;
    nn_parallel(margins, f, rows->n, 1 + 65536 / (rows->d + 1));
    for (int64_t i = 0; i < rows->n; i++) {
        const double m = f->margin[i], share = f->share[rows->positive[i]];
        loss += share * (m > 0 ? log1p(exp(-m)) : log1p(exp(m)) - m);
        const double p = m > 0 ? exp(-m) / (1 + exp(-m)) : 1 / (1 + exp(m)); /* 1 - sigmoid(m) */
        f->margin[i] = (rows->positive[i] ? -share : share) * p;
    }
    for (int64_t k = 0; k < rows->d; k++)
        square += (double)w[k] * (double)w[k];
    return loss + f->l2 / 2 * square;
}

/* At the weights of the last loss_of. */
static void slope_of(fit *f)
{
    nn_parallel(slopes, f, f->rows->d, 1024);
}

/* ---- L-BFGS ---- */

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

typedef struct pair {
    float *step, *change; /* of weights; of slopes */
    double inverse;       /* 1 / step.change */
} pair;

/* direction = -H slope by the two loops; pairs[first..count) in the order of their making, modulo MEMORY. */
static void descent(const pair *pairs, int first, int count, const float *slope, float *direction, int64_t d)
{
    double alpha[MEMORY];
    for (int64_t k = 0; k < d; k++)
        direction[k] = -slope[k];
    for (int i = count - 1; i >= first; i--) {
        const pair *p = &pairs[i % MEMORY];
        alpha[i % MEMORY] = p->inverse * dot(p->step, direction, d);
        for (int64_t k = 0; k < d; k++)
            direction[k] -= (float)alpha[i % MEMORY] * p->change[k];
    }
    if (count > first) {
        const pair *p = &pairs[(count - 1) % MEMORY];
        const float scale = (float)(1 / (p->inverse * dot(p->change, p->change, d)));
        for (int64_t k = 0; k < d; k++)
            direction[k] *= scale;
    }
    for (int i = first; i < count; i++) {
        const pair *p = &pairs[i % MEMORY];
        const float beta = (float)(p->inverse * dot(p->change, direction, d));
        for (int64_t k = 0; k < d; k++)
            direction[k] += p->step[k] * ((float)alpha[i % MEMORY] - beta);
    }
}

static double largest(const float *x, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fabs((double)x[i]) > most ? fabs((double)x[i]) : most;
    return most;
}

cn_status logistic_fit(const logistic_rows *rows, const logistic_options *options, float *w, logistic_result *result, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t d = rows->d;
    const int iterations = options->iterations > 0 ? options->iterations : 200;
    const double tolerance = options->tolerance > 0 ? options->tolerance : 1e-4;
    pair pairs[MEMORY] = {{0}};
    fit f = {.rows = rows, .l2 = options->l2 > 0 ? options->l2 : 1e-2};
    float *direction = cn_pages_calloc((size_t)d * sizeof *direction), *tried = cn_pages_calloc((size_t)d * sizeof *tried);
    float *before = cn_pages_calloc((size_t)d * sizeof *before);
    int64_t positives = 0;
    int first = 0, count = 0;
    *result = (logistic_result){0};
    f.margin = cn_calloc((size_t)rows->n, sizeof *f.margin);
    f.slope = cn_pages_calloc((size_t)d * sizeof *f.slope);
    CN_CHECK(direction && tried && before && f.margin && f.slope, CN_ENOMEM, "out of memory for a regression of %lld values", (long long)d);
    for (int i = 0; i < MEMORY; i++) {
        pairs[i].step = cn_pages_calloc((size_t)d * sizeof(float));
        pairs[i].change = cn_pages_calloc((size_t)d * sizeof(float));
        CN_CHECK(pairs[i].step && pairs[i].change, CN_ENOMEM, "out of memory for a regression of %lld values", (long long)d);
    }
    for (int64_t i = 0; i < rows->n; i++)
        positives += rows->positive[i];
    CN_CHECK(positives > 0 && positives < rows->n, CN_EINVAL, "a regression needs rows of both classes: %lld of %lld are positive",
             (long long)positives, (long long)rows->n);
    f.share[0] = 0.5 / (double)(rows->n - positives);
    f.share[1] = 0.5 / (double)positives;
    double loss = loss_of(&f, w);
    slope_of(&f);
    const double steepest = largest(f.slope, d);
    result->first_loss = loss;
    for (; result->iterations < iterations; result->iterations++) {
        if (largest(f.slope, d) <= tolerance * steepest) {
            result->converged = true;
            break;
        }
        descent(pairs, first, count, f.slope, direction, d);
        double promise = dot(direction, f.slope, d), length = count > first ? 1 : 1 / (1e-12 + sqrt(dot(f.slope, f.slope, d))), found = loss;
        if (!(promise < 0)) { /* rounding has spoilt what is remembered */
            first = count;
            for (int64_t k = 0; k < d; k++)
                direction[k] = -f.slope[k];
            promise = -dot(f.slope, f.slope, d);
        }
        int halvings = 0;
        for (; halvings < MOST_HALVINGS; halvings++, length /= 2) {
            for (int64_t k = 0; k < d; k++)
                tried[k] = w[k] + (float)length * direction[k];
            found = loss_of(&f, tried);
            if (found <= loss + SUFFICIENT * length * promise)
                break;
        }
        if (halvings == MOST_HALVINGS) { /* as far down as fp32 goes */
            result->converged = true;
            break;
        }
        memcpy(before, f.slope, (size_t)d * sizeof *before);
        slope_of(&f);
        pair *p = &pairs[count % MEMORY];
        for (int64_t k = 0; k < d; k++) {
            p->step[k] = tried[k] - w[k];
            p->change[k] = f.slope[k] - before[k];
        }
        const double bend = dot(p->step, p->change, d);
        if (bend > 0) {
            p->inverse = 1 / bend;
            count++;
            first = count - first > MEMORY ? count - MEMORY : first;
        }
        memcpy(w, tried, (size_t)d * sizeof *w);
        loss = found;
    }
    result->loss = loss;
done:
    for (int i = 0; i < MEMORY; i++) {
        cn_pages_free(pairs[i].step);
        cn_pages_free(pairs[i].change);
    }
    cn_pages_free(direction), cn_pages_free(tried), cn_pages_free(before), cn_pages_free(f.slope);
    cn_free(f.margin);
    return st;
}

double logistic_accuracy(const logistic_rows *rows, const float *w)
{
    double right[2] = {0, 0}, all[2] = {0, 0};
    for (int64_t i = 0; i < rows->n; i++) {
        const double sum = dot(rows->x + i * rows->d, w, rows->d);
        right[rows->positive[i]] += (sum > 0) == rows->positive[i];
        all[rows->positive[i]]++;
    }
    return all[0] > 0 && all[1] > 0 ? (right[0] / all[0] + right[1] / all[1]) / 2 : right[0] + right[1] > 0 ? 1 : 0;
}
