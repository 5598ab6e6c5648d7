/* compose/attribute.c -- gradients, integrated gradients and ablations of a site's values for one image. Everything but the first run puts
 * values at the site (cn_site_edit), so what lies below a site that nothing passes by is computed once. */
#include "clipneuron/attribute.h"

#include "base/check.h"
#include "base/memory.h"
#include "clip/grid.h"
#include "vis/terms.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 16, FIRST_STEPS = 16, MOST_STEPS = 1024, ABLATED = 16 };

/* Gauss-Legendre with four points on (0, 1). */
static const double gauss_point[4] = {0.0694318442029737, 0.3300094782075719, 0.6699905217924281, 0.9305681557970263};
static const double gauss_weight[4] = {0.1739274225687269, 0.3260725774312731, 0.3260725774312731, 0.1739274225687269};

typedef struct attributor {
    const cn_model *model;
    const cn_site *site;
    cn_runner *runner;    /* reads the embedding and differentiates at the site, whose values it is given */
    const float *goal;
    double length;        /* of the image's embedding; 0: not held */
    int64_t width, count; /* of an embedding; values of the site */
    float *x, *base;      /* (count), in the site's layout */
    float *given;         /* (BATCH, count) */
    float *pixels;        /* (BATCH, 3, R, R): the image again and again */
    float *seed;          /* (BATCH, width) */
    double *slope;        /* (count): mean gradient along the path */
} attributor;

static void attributor_close(attributor *w)
{
    cn_runner_free(w->runner);
    cn_free(w->x);
    cn_free(w->base);
    cn_free(w->given);
    cn_free(w->pixels);
    cn_free(w->seed);
    cn_free(w->slope);
}

/* Holds the length of the image's embedding, unless f is not to. */
static cn_status measure(attributor *w, const float *e, bool renormalise, cn_error *err)
{
    double square = 0;
    for (int64_t k = 0; k < w->width; k++)
        square += (double)e[k] * e[k];
    w->length = renormalise ? 0 : sqrt(square);
    return square > 0 && isfinite(square) ? CN_OK : cn_fail(err, CN_EINVAL, "the image has no embedding of this model with a direction");
}

/* f of an embedding; its derivative is added to seed (NULL: not wanted). */
static double value_of(const attributor *w, const float *e, float *seed)
{
    double dot = 0;
    if (w->length == 0)
        return cosine_with(e, w->goal, w->width, 1, seed);
    for (int64_t k = 0; k < w->width; k++) {
        dot += (double)e[k] * w->goal[k];
        if (seed)
            seed[k] += (float)(w->goal[k] / w->length);
    }
    return dot / w->length;
}

/* x, f(x) and df/dx. */
static cn_status first_run(attributor *w, const float *pixels, const cn_attribution_options *o, double *value, float *gradient, cn_error *err)
{
    cn_status st = CN_OK;
    cn_runner *r = NULL;
    const cn_runner_options run = {.tower = CN_TOWER_IMAGE, .sites = &w->site, .n_sites = 1, .embedding = true, .batch = 1,
                                   .threads = o->threads, .gradient_sites = &w->site, .n_gradient_sites = 1};
    CN_TRY(cn_runner_create(&r, w->model, &run, err));
    CN_TRY(cn_runner_images(r, pixels, 1, err));
    CN_TRY(measure(w, cn_runner_embedding(r), o->renormalise, err));
    memcpy(w->x, cn_runner_site(r, 0), (size_t)w->count * sizeof *w->x);
    memset(w->seed, 0, (size_t)w->width * sizeof *w->seed);
    *value = value_of(w, cn_runner_embedding(r), w->seed);
    const cn_objective_gradient from = {.embedding = w->seed};
    CN_TRY(cn_runner_backward(r, &from, err));
    memcpy(gradient, cn_runner_site_gradient(r, 0), (size_t)w->count * sizeof *gradient);
done:
    cn_runner_free(r);
    return st;
}

static cn_status attributor_open(attributor *w, const cn_model *model, const float *goal, const float *pixels, const cn_attribution_options *o,
                                 cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t image = 3 * (int64_t)cn_model_get_info(model)->resolution * cn_model_get_info(model)->resolution;
    w->model = model;
    w->goal = goal;
    w->site = o->site ? o->site : cn_model_default_site(model);
    CN_CHECK(w->site && w->site->tower == CN_TOWER_IMAGE, CN_EINVAL, "%s is no site of the image tower", w->site ? w->site->name : "the default");
    CN_CHECK(o->steps >= 0 && o->steps <= CN_MAX_ATTRIBUTION_STEPS, CN_EINVAL, "1 to %d steps, not %d", CN_MAX_ATTRIBUTION_STEPS, o->steps);
    w->width = cn_model_get_info(model)->embedding;
    w->count = w->site->units * w->site->positions;
    w->x = cn_calloc((size_t)w->count, sizeof *w->x);
    w->base = cn_calloc((size_t)w->count, sizeof *w->base);
    w->given = cn_calloc((size_t)w->count * BATCH, sizeof *w->given);
    w->pixels = cn_calloc((size_t)image * BATCH, sizeof *w->pixels);
    w->seed = cn_calloc((size_t)w->width * BATCH, sizeof *w->seed);
    w->slope = cn_calloc((size_t)w->count, sizeof *w->slope);
    CN_CHECK(w->x && w->base && w->given && w->pixels && w->seed && w->slope, CN_ENOMEM, "out of memory for an attribution");
    for (int i = 0; i < BATCH; i++)
        memcpy(w->pixels + i * image, pixels, (size_t)image * sizeof *pixels);
    for (int64_t u = 0; u < w->site->units && o->baseline; u++)
        for (int64_t p = 0; p < w->site->positions; p++)
            w->base[clip_value_index(w->site, u, p, w->site->positions)] = o->baseline[u];
    const cn_site_edit put = {.site = w->site, .values = w->given};
    const cn_runner_options run = {.tower = CN_TOWER_IMAGE, .embedding = true, .batch = BATCH, .threads = o->threads, .gradient_sites = &w->site,
                                   .n_gradient_sites = 1, .edits = &put, .n_edits = 1};
    CN_TRY(cn_runner_create(&w->runner, model, &run, err));
done:
    return st;
}

/* The mean gradient on the path from base to x, at `steps` points. */
static cn_status integrate(attributor *w, int steps, cn_error *err)
{
    cn_status st = CN_OK;
    const int parts = steps / 4;
    memset(w->slope, 0, (size_t)w->count * sizeof *w->slope);
    for (int first = 0; first < steps; first += BATCH) {
        const int n = steps - first < BATCH ? steps - first : BATCH;
        for (int i = 0; i < n; i++) {
            const int k = first + i;
            const float share = (float)((k / 4 + gauss_point[k % 4]) / parts);
            for (int64_t j = 0; j < w->count; j++)
                w->given[i * w->count + j] = w->base[j] + share * (w->x[j] - w->base[j]);
        }
        CN_TRY(cn_runner_images(w->runner, w->pixels, n, err));
        memset(w->seed, 0, (size_t)(n * w->width) * sizeof *w->seed);
        for (int i = 0; i < n; i++)
            value_of(w, cn_runner_embedding(w->runner) + i * w->width, w->seed + i * w->width);
        const cn_objective_gradient from = {.embedding = w->seed};
        CN_TRY(cn_runner_backward(w->runner, &from, err));
        const float *gradient = cn_runner_site_gradient(w->runner, 0);
        for (int i = 0; i < n; i++)
            for (int64_t j = 0; j < w->count; j++)
                w->slope[j] += gauss_weight[(first + i) % 4] / parts * gradient[i * w->count + j];
    }
done:
    return st;
}

static void complete(const attributor *w, cn_attribution *a, int steps)
{
    double sum = 0, absolute = 0;
    for (int64_t j = 0; j < w->count; j++) {
        const double part = w->slope[j] * ((double)w->x[j] - w->base[j]);
        sum += part;
        absolute += fabs(part);
    }
    const double whole = a->value - a->baseline_value, scale = fabs(whole) > 1e-4 * absolute ? fabs(whole) : absolute;
    a->sum = sum;
    a->error = scale > 0 ? fabs(sum - whole) / scale : 0;
    a->steps = steps;
}

typedef struct ranked {
    int64_t unit;
    double size;
} ranked;

static int larger_first(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return x->size != y->size ? (x->size < y->size ? 1 : -1) : (x->unit > y->unit) - (x->unit < y->unit);
}

static double unit_sum(const cn_attribution *a, const float *parts, int64_t unit)
{
    double sum = 0;
    for (int64_t p = 0; p < a->positions; p++)
        sum += parts[unit * a->positions + p];
    return sum;
}

static cn_status ablate(attributor *w, cn_attribution *a, int most, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t n = most < a->units ? most : a->units;
    ranked *order = cn_calloc((size_t)a->units, sizeof *order);
    a->ablation = cn_calloc((size_t)n + 1, sizeof *a->ablation);
    CN_CHECK(order && a->ablation, CN_ENOMEM, "out of memory for an attribution");
    for (int64_t u = 0; u < a->units; u++)
        order[u] = (ranked){u, fabs(unit_sum(a, a->integrated, u))};
    qsort(order, (size_t)a->units, sizeof *order, larger_first);
    for (int64_t first = 0; first < n; first += BATCH) {
        const int64_t some = n - first < BATCH ? n - first : BATCH;
        for (int64_t i = 0; i < some; i++) {
            float *values = w->given + i * w->count;
            memcpy(values, w->x, (size_t)w->count * sizeof *values);
            for (int64_t p = 0; p < a->positions; p++) {
                const int64_t at = clip_value_index(w->site, order[first + i].unit, p, a->positions);
                values[at] = w->base[at];
            }
        }
        CN_TRY(cn_runner_images(w->runner, w->pixels, some, err));
        for (int64_t i = 0; i < some; i++) {
            const int64_t unit = order[first + i].unit;
            const float *e = cn_runner_embedding(w->runner) + i * w->width;
            a->ablation[a->n_ablations++] = (cn_ablation){.unit = unit, .integrated = unit_sum(a, a->integrated, unit),
                                                          .gradient = unit_sum(a, a->gradient, unit),
                                                          .exact = a->value - value_of(w, e, NULL),
                                                          .logit = a->value - cosine_with(e, w->goal, w->width, 0, NULL)};
        }
    }
done:
    cn_free(order);
    return st;
}

cn_status cn_attribution_compute(cn_attribution **out, const cn_model *model, const float *pixels, const float *goal,
                                 const cn_attribution_options *options, cn_error *err)
{
    static const cn_attribution_options defaults;
    const cn_attribution_options *o = options ? options : &defaults;
    cn_status st = CN_OK;
    attributor w = {0};
    float *gradient = NULL;
    cn_attribution *a = cn_calloc(1, sizeof *a);
    *out = NULL;
    CN_CHECK(a, CN_ENOMEM, "out of memory for an attribution");
    CN_TRY(attributor_open(&w, model, goal, pixels, o, err));
    a->site = w.site;
    a->units = w.site->units;
    a->positions = w.site->positions;
    a->class_token = w.site->layout == CN_SITE_TOKENS;
    a->height = w.site->height;
    a->width = w.site->width;
    if (a->class_token) { /* patches form a square */
        for (a->height = 1; (a->height + 1) * (a->height + 1) <= a->positions - 1;)
            a->height++;
        a->width = a->height;
    }
    a->activation = cn_calloc((size_t)a->units, sizeof *a->activation);
    a->gradient = cn_calloc((size_t)w.count, sizeof *a->gradient);
    a->integrated = cn_calloc((size_t)w.count, sizeof *a->integrated);
    gradient = cn_calloc((size_t)w.count, sizeof *gradient);
    CN_CHECK(a->activation && a->gradient && a->integrated && gradient, CN_ENOMEM, "out of memory for an attribution");
    CN_TRY(first_run(&w, pixels, o, &a->value, gradient, err));
    memcpy(w.given, w.base, (size_t)w.count * sizeof *w.given);
    CN_TRY(cn_runner_images(w.runner, w.pixels, 1, err));
    a->baseline_value = value_of(&w, cn_runner_embedding(w.runner), NULL);
    for (int steps = o->steps ? (o->steps + 3) / 4 * 4 : FIRST_STEPS;; steps *= 2) {
        CN_TRY(integrate(&w, steps, err));
        complete(&w, a, steps);
        if (o->steps || a->error <= CN_ATTRIBUTION_TOLERANCE / 2 || steps >= MOST_STEPS)
            break;
    }
    for (int64_t u = 0; u < a->units; u++) {
        double sum = 0;
        for (int64_t p = 0; p < a->positions; p++) {
            const int64_t at = clip_value_index(w.site, u, p, a->positions);
            sum += w.x[at];
            a->gradient[u * a->positions + p] = gradient[at] * (w.x[at] - w.base[at]);
            a->integrated[u * a->positions + p] = (float)(w.slope[at] * ((double)w.x[at] - w.base[at]));
        }
        a->activation[u] = (float)(sum / (double)a->positions);
    }
    if (o->ablate >= 0)
        CN_TRY(ablate(&w, a, o->ablate ? o->ablate : ABLATED, err));
    *out = a, a = NULL;
done:
    cn_free(gradient);
    attributor_close(&w);
    cn_attribution_free(a);
    return st;
}

void cn_attribution_free(cn_attribution *a)
{
    if (!a)
        return;
    cn_free(a->activation);
    cn_free(a->gradient);
    cn_free(a->integrated);
    cn_free(a->ablation);
    cn_free(a);
}

void cn_attribution_map(const cn_attribution *a, int64_t unit, float *map)
{
    const int64_t cells = a->height * a->width, skip = a->class_token;
    for (int64_t i = 0; i < cells; i++) {
        double sum = 0;
        for (int64_t u = unit < 0 ? 0 : unit; u < (unit < 0 ? a->units : unit + 1); u++)
            sum += a->integrated[u * a->positions + skip + i];
        map[i] = (float)sum;
    }
}
