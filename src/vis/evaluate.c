/* vis/evaluate.c -- the value of an objective at the sites that a runner has read, and its derivatives there, from which
 * the runner's backward pass goes on to the pixels. */
#include "vis/terms.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

void cn_objective_needs(const cn_objective *o, cn_runner_options *options)
{
    options->tower = CN_TOWER_IMAGE;
    options->sites = o->site;
    options->n_sites = o->n_sites;
    /* A penalty on the picture alone needs no network, but a runner needs something to read. */
    options->embedding = o->embedding || o->n_sites == 0;
    options->input_gradient = true;
}

cn_status objective_check(const cn_objective *o, const cn_runner *r, cn_error *err)
{
    for (size_t i = 0; i < o->n_terms; i++) {
        const term *t = &o->term[i];
        int64_t height, width;
        if ((t->kind != TERM_UNITS && t->kind != TERM_DIRECTION) || t->y < 0)
            continue;
        cn_runner_site_size(r, o->site[t->site], &height, &width);
        if (t->y >= height || t->x >= width)
            return cn_fail(err, CN_EINVAL, "@%lld,%lld lies outside %s, which has %lld x %lld positions at %lld px", (long long)t->y,
                           (long long)t->x, o->site[t->site]->name, (long long)height, (long long)width,
                           (long long)cn_runner_resolution(r));
    }
    return CN_OK;
}

/* The values of one site of n images, wherever units and positions lie in memory. */
typedef struct values {
    const float *a;
    float *seed;       /* derivatives are added to; NULL: not wanted */
    int64_t n, units, positions, width;
    bool redirect;     /* of seeds */
    int64_t unit_step, position_step, image_step;
} values;

/* Of images first .. first + n - 1 at the runner's `index`-th site. */
static values values_of(const cn_runner *r, const cn_site *s, size_t index, int64_t first, int64_t n, float *seed)
{
    values v = {.n = n, .units = s->units};
    int64_t height;
    cn_runner_site_size(r, s, &height, &v.width);
    v.positions = height * v.width;
    v.image_step = v.units * v.positions;
    v.unit_step = s->layout == CN_SITE_MAP ? v.positions : 1;
    v.position_step = s->layout == CN_SITE_MAP ? 1 : v.units;
    v.a = cn_runner_site(r, index) + first * v.image_step;
    v.seed = seed ? seed + first * v.image_step : NULL;
    return v;
}

/* weight * (value of a unit at a position, or its mean) of image i is added to *sum, and its derivative to the seed. */
static void add_unit(const values *v, int64_t i, int64_t unit, int64_t position, double weight, double *sum)
{
    const int64_t base = i * v->image_step + unit * v->unit_step;
    if (position >= 0) {
        const int64_t at = base + position * v->position_step;
        *sum += weight * v->a[at];
        if (v->seed)
            v->seed[at] += (float)weight;
        return;
    }
    double total = 0;
    for (int64_t p = 0; p < v->positions; p++) {
        total += v->a[base + p * v->position_step];
        if (v->seed)
            v->seed[base + p * v->position_step] += (float)(weight / (double)v->positions);
    }
    *sum += weight * total / (double)v->positions;
}

/* The same for max(0, mean). A unit whose mean is not above 0 adds nothing and has no derivative, unless an ascent is to find it. */
static void add_rectified_unit(const values *v, int64_t i, int64_t unit, double weight, double *sum)
{
    const float *a = v->a + i * v->image_step + unit * v->unit_step;
    double total = 0, ignored = 0;
    for (int64_t p = 0; p < v->positions; p++)
        total += a[p * v->position_step];
    if (total > 0 || (v->redirect && weight > 0))
        add_unit(v, i, unit, -1, weight, total > 0 ? sum : &ignored);
}

static void add_units(const term *t, const values *v, double *sums)
{
    const int64_t height = v->positions / v->width;
    const int64_t position = t->y == POSITION_MEAN     ? -1
                             : t->y == POSITION_CENTER ? height / 2 * v->width + v->width / 2
                                                       : t->y * v->width + t->x;
    for (int64_t i = 0; i < v->n; i++) {
        if (t->kind == TERM_UNITS)
            for (size_t u = 0; u < t->n_units; u++)
                add_unit(v, i, t->unit[u], position, t->weight, &sums[i]);
        else
            for (int64_t u = 0; u < v->units; u++)
                if (t->vector[u] != 0 && t->relu)
                    add_rectified_unit(v, i, u, (double)t->weight * t->vector[u], &sums[i]);
                else if (t->vector[u] != 0)
                    add_unit(v, i, u, position, (double)t->weight * t->vector[u], &sums[i]);
        sums[i] += (double)t->weight * t->constant;
    }
}

static void add_energy(const term *t, const values *v, double *sums)
{
    for (int64_t i = 0; i < v->n; i++) {
        const float *a = v->a + i * v->image_step;
        double sum = 0;
        for (int64_t k = 0; k < v->image_step; k++) {
            sum += (double)a[k] * a[k];
            if (v->seed)
                v->seed[i * v->image_step + k] += 2 * t->weight * a[k] / (float)v->image_step;
        }
        sums[i] += t->weight * sum / (double)v->image_step;
    }
}

/* With A_i (units x positions), <G_i, G_j> = |A_i^T A_j|^2 for the Gram matrices G = A A^T: products of positions with
 * positions take the place of the Gram matrices themselves. cross(i, j) = A_i^T A_j, and the derivative of |cross|^2 with
 * respect to A_i is 2 A_j cross^T (4 A_i cross for i = j, which is symmetric). */
static void cross_product(const values *v, int64_t i, int64_t j, double *cross)
{
    const float *a = v->a + i * v->image_step, *b = v->a + j * v->image_step;
    memset(cross, 0, (size_t)(v->positions * v->positions) * sizeof *cross);
    for (int64_t u = 0; u < v->units; u++)
        for (int64_t p = 0; p < v->positions; p++) {
            const double x = a[u * v->unit_step + p * v->position_step];
            for (int64_t q = 0; q < v->positions && x != 0; q++)
                cross[p * v->positions + q] += x * b[u * v->unit_step + q * v->position_step];
        }
}

static double square_of(const double *cross, int64_t count)
{
    double sum = 0;
    for (int64_t k = 0; k < count; k++)
        sum += cross[k] * cross[k];
    return sum;
}

/* seed_i += factor * A_j cross^T */
static void add_cross_seed(const values *v, int64_t i, int64_t j, const double *cross, double factor)
{
    const float *b = v->a + j * v->image_step;
    float *seed = v->seed + i * v->image_step;
    for (int64_t u = 0; u < v->units; u++)
        for (int64_t p = 0; p < v->positions; p++) {
            double sum = 0;
            for (int64_t q = 0; q < v->positions; q++)
                sum += cross[p * v->positions + q] * b[u * v->unit_step + q * v->position_step];
            seed[u * v->unit_step + p * v->position_step] += (float)(factor * sum);
        }
}

/* The value of image i is - mean over the others of cos(G_i, G_j); every pair stands in two values. */
static cn_status add_diversity(const term *t, const values *v, double *sums, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t square = v->positions * v->positions;
    double *own = cn_calloc((size_t)v->n, sizeof *own);             /* |G_i|^2 */
    double *cross = cn_calloc((size_t)square + 1, sizeof *cross);
    double *lost = cn_calloc((size_t)v->n, sizeof *lost);           /* what the norms take away from the seed of i */
    CN_CHECK(own && cross && lost, CN_ENOMEM, "out of memory for the diversity of %lld images", (long long)v->n);
    if (v->n < 2)
        goto done;
    for (int64_t i = 0; i < v->n; i++) {
        cross_product(v, i, i, cross);
        own[i] = square_of(cross, square);
    }
    for (int64_t i = 0; i < v->n; i++)
        for (int64_t j = i + 1; j < v->n; j++) {
            const double norm = sqrt(own[i] * own[j]);
            if (!(norm > 0))
                continue;
            cross_product(v, i, j, cross);
            const double cosine = square_of(cross, square) / norm, share = -(double)t->weight / (double)(v->n - 1);
            sums[i] += share * cosine;
            sums[j] += share * cosine;
            if (!v->seed)
                continue;
            add_cross_seed(v, i, j, cross, 2 * share * 2 / norm);
            for (int64_t p = 0; p < v->positions; p++) /* A_j^T A_i is the transpose */
                for (int64_t q = 0; q < p; q++) {
                    const double x = cross[p * v->positions + q];
                    cross[p * v->positions + q] = cross[q * v->positions + p];
                    cross[q * v->positions + p] = x;
                }
            add_cross_seed(v, j, i, cross, 2 * share * 2 / norm);
            lost[i] -= 2 * share * cosine / own[i] / 2;
            lost[j] -= 2 * share * cosine / own[j] / 2;
        }
    for (int64_t i = 0; i < v->n && v->seed; i++)
        if (lost[i] != 0) {
            cross_product(v, i, i, cross);
            add_cross_seed(v, i, i, cross, 4 * lost[i]);
        }
done:
    cn_free(own);
    cn_free(cross);
    cn_free(lost);
    return st;
}

/* The derivative is (t - e cos / |e|) / |e|. */
double cosine_with(const float *e, const float *t, int64_t width, double weight, float *seed)
{
    double dot = 0, square = 0;
    for (int64_t k = 0; k < width; k++)
        dot += (double)e[k] * t[k], square += (double)e[k] * e[k];
    if (!(square > 0))
        return 0;
    const double norm = sqrt(square), cosine = dot / norm;
    for (int64_t k = 0; k < width && seed; k++)
        seed[k] += (float)(weight * (t[k] - e[k] * cosine / norm) / norm);
    return cosine;
}

static void add_text(const term *t, const float *embedding, int64_t width, int64_t n, float *seed, double *sums)
{
    for (int64_t i = 0; i < n; i++)
        sums[i] += t->weight * cosine_with(embedding + i * width, t->vector, width, t->weight, seed ? seed + i * width : NULL);
}

/* Of p = std x + mean in 0..1, for normalised x; the derivative is with respect to x. */
static void add_penalty(const term *t, const cn_model_info *info, const float *pixels, int64_t first, int64_t n, int64_t side,
                        float *gradient, double *sums)
{
    const int64_t plane = side * side;
    const double share = t->weight / (3.0 * (double)plane);
    for (int64_t i = first; i < first + n; i++)
        for (int c = 0; c < 3; c++) {
            const float *x = pixels + (i * 3 + c) * plane;
            float *dx = gradient ? gradient + (i * 3 + c) * plane : NULL;
            const float std = info->std[c], mean = info->mean[c];
            double sum = 0;
            for (int64_t k = 0; k < plane; k++) {
                const float p = std * x[k] + mean - 0.5f;
                float slope = 0;
                if (t->kind == TERM_L1) {
                    sum += fabsf(p);
                    slope = (float)((p > 0) - (p < 0));
                } else if (t->kind == TERM_L2) {
                    sum += (double)p * p;
                    slope = 2 * p;
                } else {
                    for (int next = 0; next < 2; next++) { /* the neighbour to the right, and below */
                        const int64_t other = k + (next ? side : 1);
                        if (next ? other >= plane : other % side == 0)
                            continue;
                        const float d = std * (x[other] - x[k]);
                        sum += fabsf(d);
                        if (dx) {
                            dx[other] += (float)(share * std * ((d > 0) - (d < 0)));
                            slope -= (float)((d > 0) - (d < 0));
                        }
                    }
                }
                if (dx)
                    dx[k] += (float)(share * std * slope);
            }
            sums[i] += share * sum;
        }
}

void seeds_free(seeds *s)
{
    if (!s)
        return;
    for (size_t i = 0; s->at && i < s->n_sites; i++)
        cn_pages_free(s->at[i]);
    cn_free(s->at);
    cn_pages_free(s->embedding);
    cn_free(s);
}

static int64_t values_at(const cn_runner *r, const cn_site *site)
{
    int64_t height, width;
    cn_runner_site_size(r, site, &height, &width);
    return site->units * height * width;
}

cn_status seeds_make(seeds **out, const cn_runner *r, const cn_site *const *site, size_t n_sites, int64_t embedding, int64_t batch,
                     cn_error *err)
{
    cn_status st = CN_OK;
    seeds *s = cn_calloc(1, sizeof *s);
    *out = NULL;
    CN_CHECK(s, CN_ENOMEM, "out of memory for derivatives");
    s->site = site;
    s->n_sites = n_sites;
    s->batch = batch;
    s->side = cn_runner_resolution(r);
    s->at = cn_calloc(n_sites + 1, sizeof *s->at);
    CN_CHECK(s->at, CN_ENOMEM, "out of memory for derivatives");
    for (size_t i = 0; i < n_sites; i++) {
        const size_t bytes = (size_t)(batch * values_at(r, site[i])) * sizeof(float);
        s->at[i] = cn_pages_calloc(bytes);
        CN_CHECK(s->at[i], CN_ENOMEM, "%zu bytes for derivatives at %s", bytes, site[i]->name);
    }
    if (cn_runner_embedding(r)) {
        s->embedding = cn_pages_calloc((size_t)(batch * embedding) * sizeof(float));
        CN_CHECK(s->embedding, CN_ENOMEM, "out of memory for derivatives");
    }
    *out = s, s = NULL;
done:
    seeds_free(s);
    return st;
}

void seeds_clear(seeds *s, const cn_runner *r, int64_t embedding, int64_t n)
{
    for (size_t i = 0; i < s->n_sites; i++)
        memset(s->at[i], 0, (size_t)(n * values_at(r, s->site[i])) * sizeof(float));
    if (s->embedding)
        memset(s->embedding, 0, (size_t)(n * embedding) * sizeof(float));
}

static bool reads_site(const term *t)
{
    return t->kind == TERM_UNITS || t->kind == TERM_DIRECTION || t->kind == TERM_ENERGY || t->kind == TERM_DIVERSITY;
}

cn_status objective_at(const cn_objective *o, const cn_runner *r, seeds *s, int64_t first, int64_t n, bool differentiate, double *sums,
                       cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t width = cn_model_get_info(o->model)->embedding;
    for (size_t i = 0; i < o->n_terms; i++) {
        const term *t = &o->term[i];
        if (t->kind == TERM_TEXT)
            add_text(t, cn_runner_embedding(r) + first * width, width, n, differentiate ? s->embedding + first * width : NULL, sums + first);
        if (!reads_site(t))
            continue;
        size_t index = 0;
        while (s->site[index] != o->site[t->site])
            index++; /* the runner reads all that its objectives need */
        values v = values_of(r, o->site[t->site], index, first, n, differentiate ? s->at[index] : NULL);
        v.redirect = s->redirect;
        if (t->kind == TERM_ENERGY)
            add_energy(t, &v, sums + first);
        else if (t->kind == TERM_DIVERSITY)
            CN_TRY(add_diversity(t, &v, sums + first, err));
        else
            add_units(t, &v, sums + first);
    }
done:
    return st;
}

void objective_penalties(const cn_objective *o, const float *pixels, int64_t first, int64_t n, int64_t side, float *gradient, double *sums)
{
    for (size_t i = 0; i < o->n_terms; i++)
        if (o->term[i].kind == TERM_L1 || o->term[i].kind == TERM_L2 || o->term[i].kind == TERM_TV)
            add_penalty(&o->term[i], cn_model_get_info(o->model), pixels, first, n, side, gradient, sums);
}

cn_status cn_objective_evaluate(cn_objective *o, cn_runner *runner, const float *pixels, int64_t n, float *values_out,
                                float *gradient, bool redirect_relu, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t side = cn_runner_resolution(runner), width = cn_model_get_info(o->model)->embedding;
    double *sums = cn_calloc((size_t)n + 1, sizeof *sums);
    CN_CHECK(sums, CN_ENOMEM, "out of memory for an objective");
    CN_TRY(objective_check(o, runner, err));
    if (o->seeds && (o->seeds->batch < n || o->seeds->side != side)) {
        seeds_free(o->seeds);
        o->seeds = NULL;
    }
    if (!o->seeds)
        CN_TRY(seeds_make(&o->seeds, runner, o->site, o->n_sites, width, n, err));
    if (gradient)
        seeds_clear(o->seeds, runner, width, n);
    o->seeds->redirect = redirect_relu;
    CN_TRY(objective_at(o, runner, o->seeds, 0, n, gradient != NULL, sums, err));
    if (gradient) {
        const size_t bytes = (size_t)(n * 3 * side * side) * sizeof *gradient;
        const cn_objective_gradient from = {.sites = (const float *const *)o->seeds->at,
                                            .embedding = o->embedding ? o->seeds->embedding : NULL,
                                            .redirect_relu = redirect_relu};
        if (o->n_sites || o->embedding) {
            CN_TRY(cn_runner_backward(runner, &from, err));
            memcpy(gradient, cn_runner_input_gradient(runner), bytes);
        } else {
            memset(gradient, 0, bytes);
        }
    }
    objective_penalties(o, pixels, 0, n, side, gradient, sums);
    for (int64_t i = 0; i < n && values_out; i++)
        values_out[i] = (float)sums[i];
done:
    cn_free(sums);
    return st;
}
