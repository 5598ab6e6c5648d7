/* compose/atlas.c -- codes of words as a few non-negative factors, arranged around a disc. */
#include "base/memory.h"
#include "clipneuron/textunits.h"
#include "compose/nmf.h"
#include "base/check.h"
#include "base/rng.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* What units say against a word is a feature of its own: feature 2u is unit u's weight above zero, 2u + 1 below. */
typedef struct features {
    double *v; /* (rows, columns) */
    int64_t rows, columns;
    int64_t *feature; /* (columns): those that some word has */
} features;

static void features_free(features *f)
{
    cn_free(f->v);
    cn_free(f->feature);
}

static cn_status read_features(features *f, const cn_codes *codes, cn_error *err)
{
    cn_status st = CN_OK;
    const int last = CN_CODE_LEVELS - 1;
    int64_t *column = cn_calloc(codes->units + 1, 2 * sizeof *column);
    *f = (features){.rows = (int64_t)codes->n};
    f->feature = cn_calloc(codes->units + 1, 2 * sizeof *f->feature);
    CN_CHECK(column && f->feature, CN_ENOMEM, "out of memory for an atlas");
    for (size_t i = 0; i < codes->n; i++)
        for (size_t k = 0; k < codes->codes[i].level[last].n; k++) {
            const cn_code_term *t = &codes->codes[i].level[last].terms[k];
            const int64_t at = 2 * t->unit + (t->weight < 0);
            if (!column[at]) {
                f->feature[f->columns++] = at;
                column[at] = f->columns;
            }
        }
    CN_CHECK(f->rows >= 3 && f->columns >= 2, CN_EINVAL, "%" PRId64 " words with %" PRId64 " units are too few for an atlas", f->rows, f->columns);
    f->v = cn_calloc((size_t)f->rows, (size_t)f->columns * sizeof *f->v);
    CN_CHECK(f->v, CN_ENOMEM, "out of memory for an atlas");
    for (size_t i = 0; i < codes->n; i++)
        for (size_t k = 0; k < codes->codes[i].level[last].n; k++) {
            const cn_code_term *t = &codes->codes[i].level[last].terms[k];
            f->v[(int64_t)i * f->columns + column[2 * t->unit + (t->weight < 0)] - 1] = fabs(t->weight);
        }
done:
    cn_free(column);
    return st;
}

/* The best of several starts. w, h as in nmf_fit. */
static cn_status fit(const nmf_problem *p, const cn_atlas_options *o, uint64_t stream, double *w, double *h, double *error, int *iterations,
                     cn_error *err)
{
    cn_status st = CN_OK;
    const size_t nw = (size_t)p->rows * (size_t)p->factors, nh = (size_t)p->columns * (size_t)p->factors;
    double *best = cn_calloc(nw + nh, sizeof *best), one;
    int done;
    *error = INFINITY;
    CN_CHECK(best, CN_ENOMEM, "out of memory for an atlas");
    for (int r = 0; r < o->restarts; r++) {
        rng random = rng_stream(o->seed, stream, (uint64_t)r);
        const nmf_options no = {.iterations = o->iterations, .tolerance = 1e-6, .seed = rng_bits(&random)};
        CN_TRY(nmf_fit(p, &no, w, h, NULL, &done, &one, err));
        if (one < *error) {
            *error = one;
            *iterations = done;
            memcpy(best, w, nw * sizeof *w);
            memcpy(best + nw, h, nh * sizeof *h);
        }
    }
    memcpy(w, best, nw * sizeof *w);
    memcpy(h, best + nw, nh * sizeof *h);
done:
    cn_free(best);
    return st;
}

/* Every column's numbers in another order: the units' weights stay, and that words share them goes. */
static void shuffle(const features *f, double *v, uint64_t seed, int number)
{
    memcpy(v, f->v, (size_t)(f->rows * f->columns) * sizeof *v);
    rng random = rng_stream(seed, 0xa71a5, (uint64_t)number);
    for (int64_t j = 0; j < f->columns; j++)
        for (int64_t i = f->rows - 1; i > 0; i--) {
            const int64_t k = rng_below(&random, i + 1);
            const double x = v[i * f->columns + j];
            v[i * f->columns + j] = v[k * f->columns + j];
            v[k * f->columns + j] = x;
        }
}

static cn_status measure_shuffled(cn_atlas *a, const features *f, const cn_atlas_options *o, cn_error *err)
{
    cn_status st = CN_OK;
    int as_good = 0, ignored;
    double error;
    double *v = cn_calloc((size_t)f->rows, (size_t)f->columns * sizeof *v);
    double *w = cn_calloc((size_t)f->rows, (size_t)a->factors * sizeof *w), *h = cn_calloc((size_t)f->columns, (size_t)a->factors * sizeof *h);
    CN_CHECK(v && w && h, CN_ENOMEM, "out of memory for an atlas");
    const nmf_problem p = {.v = v, .rows = f->rows, .columns = f->columns, .factors = a->factors};
    for (int i = 0; i < o->shuffles; i++) {
        shuffle(f, v, o->seed, i);
        CN_TRY(fit(&p, o, 1 + (uint64_t)i, w, h, &error, &ignored, err));
        a->shuffled += error / o->shuffles;
        as_good += error <= a->error;
    }
    a->shuffles = o->shuffles;
    a->p = (double)(1 + as_good) / (double)(1 + o->shuffles);
done:
    cn_free(v);
    cn_free(w);
    cn_free(h);
    return st;
}

/* ---- the order around the rim ---- */

typedef struct ring {
    int n, now[CN_MAX_ATLAS_FACTORS], best[CN_MAX_ATLAS_FACTORS];
    double alike[CN_MAX_ATLAS_FACTORS][CN_MAX_ATLAS_FACTORS], value;
} ring;

/* All orders that begin with factor 0: at most 7! of them. The first of equal ones stays. */
static void arrange(ring *r, int placed)
{
    if (placed == r->n) {
        double value = 0;
        for (int i = 0; i < r->n; i++)
            value += r->alike[r->now[i]][r->now[(i + 1) % r->n]];
        if (value > r->value + 1e-12) {
            r->value = value;
            memcpy(r->best, r->now, sizeof r->best);
        }
        return;
    }
    for (int i = placed; i < r->n; i++) {
        const int x = r->now[placed];
        r->now[placed] = r->now[i];
        r->now[i] = x;
        arrange(r, placed + 1);
        r->now[i] = r->now[placed];
        r->now[placed] = x;
    }
}

static void order_factors(ring *r, const double *w, int64_t rows, int n)
{
    *r = (ring){.n = n, .value = -INFINITY};
    for (int a = 0; a < n; a++) {
        r->now[a] = r->best[a] = a;
        for (int b = 0; b < n; b++) {
            double aa = 0, bb = 0, ab = 0;
            for (int64_t i = 0; i < rows; i++) {
                aa += w[i * n + a] * w[i * n + a];
                bb += w[i * n + b] * w[i * n + b];
                ab += w[i * n + a] * w[i * n + b];
            }
            r->alike[a][b] = aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
        }
    }
    arrange(r, 1);
}

static void fill_factor(cn_atlas *a, int to, const features *f, const double *h)
{
    for (int t = 0; t < 4; t++) {
        int64_t best = -1;
        for (int64_t j = 0; j < f->columns; j++) {
            bool taken = h[j] <= 0;
            for (int k = 0; k < t; k++)
                taken = taken || (a->factor[to].unit[k] == f->feature[j] / 2 && (a->factor[to].weight[k] < 0) == (f->feature[j] % 2 != 0));
            if (!taken && (best < 0 || h[j] > h[best]))
                best = j;
        }
        a->factor[to].unit[t] = best < 0 ? -1 : f->feature[best] / 2;
        a->factor[to].weight[t] = best < 0 ? 0 : f->feature[best] % 2 ? -h[best] : h[best];
    }
}

static void place_words(cn_atlas *a, const cn_codes *codes, const ring *r, const double *w)
{
    for (size_t i = 0; i < a->n; i++) {
        double sum = 0;
        cn_atlas_word *word = &a->words[i];
        word->word = codes->codes[i].word;
        for (int k = 0; k < a->factors; k++)
            sum += w[(int64_t)i * a->factors + k];
        for (int k = 0; k < a->factors && sum > 0; k++) {
            const double angle = 6.283185307179586 * k / a->factors;
            word->load[k] = w[(int64_t)i * a->factors + r->best[k]] / sum;
            word->x += word->load[k] * cos(angle);
            word->y += word->load[k] * sin(angle);
        }
    }
}

cn_status cn_atlas_create(cn_atlas **out, const cn_codes *codes, const cn_atlas_options *options, cn_error *err)
{
    cn_status st = CN_OK;
    cn_atlas_options o = {0};
    features f = {0};
    ring r;
    double *w = NULL, *h = NULL;
    cn_atlas *a = cn_calloc(1, sizeof *a);
    *out = NULL;
    CN_CHECK(a, CN_ENOMEM, "out of memory for an atlas");
    if (options)
        o = *options;
    o.factors = o.factors ? o.factors : 6;
    o.restarts = o.restarts ? o.restarts : 8;
    o.iterations = o.iterations ? o.iterations : 500;
    o.shuffles = o.shuffles ? o.shuffles : 19;
    CN_CHECK(o.factors >= 2 && o.factors <= CN_MAX_ATLAS_FACTORS, CN_EINVAL, "%d factors: an atlas has 2 to %d", o.factors, CN_MAX_ATLAS_FACTORS);
    CN_CHECK(o.restarts > 0 && o.iterations > 0 && o.shuffles > 0, CN_EINVAL, "an atlas with a negative number of starts, iterations or shuffles");
    a->factors = o.factors;
    a->n = codes->n;
    CN_TRY(read_features(&f, codes, err));
    w = cn_calloc((size_t)f.rows, (size_t)o.factors * sizeof *w);
    h = cn_calloc((size_t)f.columns, (size_t)o.factors * sizeof *h);
    a->words = cn_calloc(codes->n, sizeof *a->words);
    CN_CHECK(w && h && a->words, CN_ENOMEM, "out of memory for an atlas");
    const nmf_problem p = {.v = f.v, .rows = f.rows, .columns = f.columns, .factors = o.factors};
    CN_TRY(fit(&p, &o, 0, w, h, &a->error, &a->iterations, err));
    CN_TRY(measure_shuffled(a, &f, &o, err));
    order_factors(&r, w, f.rows, o.factors);
    for (int k = 0; k < o.factors; k++)
        fill_factor(a, k, &f, h + (int64_t)r.best[k] * f.columns);
    place_words(a, codes, &r, w);
    *out = a, a = NULL;
done:
    cn_atlas_free(a);
    features_free(&f);
    cn_free(w);
    cn_free(h);
    return st;
}

void cn_atlas_free(cn_atlas *atlas)
{
    if (!atlas)
        return;
    cn_free(atlas->words);
    cn_free(atlas);
}
