/* vis/see.c -- the ascent: canvas -> pictures -> transforms -> network -> objectives, and back. */
#include "clipneuron/see.h"
#include "clip/grid.h"
#include "vis/canvas.h"
#include "vis/terms.h"
#include "vis/transform.h"

#include "base/cores.h"
#include "base/memory.h"
#include "base/order.h"
#include "nn/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_RATE 0.05f
#define DEFAULT_START 0.01f
#define SCORED_STEPS 8 /* before the choice of a start, whose transforms average out */
#define SMALL 160 /* px seen, below which transforms are mild for ResNets; ViTs would see the same patches in every step */
#define GREY 0.5f
/* With the default model, strength 3 leaves the picture as it is; at 20 an independent probe finds the facet in most pictures and the unit
 * is still driven beyond natural ones; at 100 the facet alone is drawn, the same for every unit (docs/see.md). The paper's own range,
 * 0.1 to 5, is the preset's. */
#define FACET_WEAKEST 5.0f
#define FACET_USUAL 20.0f
#define FACET_STRONGEST 50.0f
#define FACET_FACTOR 5.0    /* divided by the number of sites */
#define BACKGROUND_CELLS 6 /* a side, of the random colours behind a transparent picture */
#define ALPHA_COST 0.5f    /* of an opaque pixel, as a share of the objective's gradient: see run_alpha */

struct cn_see {
    const cn_model *model;
    cn_see_options o;
    int64_t n, size, seen, channels;
    int threads;
    cn_objective **objective; /* n_objectives */
    size_t n_objectives;
    const cn_site **site;     /* of all objectives, each once */
    size_t n_sites;
    bool embedding;
    cn_runner *runner;
    seeds *seeds;
    /* The facet: its sites are the first of `site`. */
    const cn_site *facet_site[CN_MAX_FACET_SITES];
    size_t n_facet_sites;
    cn_runner *plain;         /* in fp32, that measures pictures of an ascent in bf16; NULL: not yet */
    float *facet_weights[CN_MAX_FACET_SITES]; /* of the site's size at this resolution, in its layout; owned */
    vis_canvas *canvas[CN_MAX_SEE_STARTS]; /* one for each start; only the first after the choice */
    int starts;
    int64_t choice;           /* the step at whose end starts are chosen from */
    double *score;            /* (starts, n): the objective, summed over the last steps before the choice */
    vis_transforms transforms;
    vis_affine *map;          /* per picture */
    float *pictures;          /* (n, channels, size, size) */
    float *flat;              /* (n, 3, size, size): over a background; pictures itself without alpha */
    float *background;        /* the same, with alpha */
    float *pixels, *gradient; /* (n, 3, seen, seen) normalised */
    float *d_flat, *d_pictures;
    float *importance;        /* (n, size, size); NULL: not wanted */
    double *sums;
    float *value;
};

void cn_see_close(cn_see *see)
{
    if (!see)
        return;
    for (size_t i = 0; see->objective && i < see->n_objectives; i++)
        cn_objective_free(see->objective[i]);
    cn_free(see->objective);
    cn_free(see->site);
    cn_runner_free(see->runner);
    cn_runner_free(see->plain);
    seeds_free(see->seeds);
    for (int k = 0; k < CN_MAX_SEE_STARTS; k++)
        vis_canvas_close(see->canvas[k]);
    cn_free(see->score);
    cn_free(see->map);
    for (size_t i = 0; i < see->n_facet_sites; i++)
        cn_pages_free(see->facet_weights[i]);
    float *owned[] = {see->pictures, see->background, see->pixels, see->gradient, see->d_pictures, see->importance};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++)
        cn_pages_free(owned[i]);
    if (see->flat != see->pictures)
        cn_pages_free(see->flat);
    if (see->d_flat != see->d_pictures)
        cn_pages_free(see->d_flat);
    cn_free(see->sums);
    cn_free(see->value);
    cn_free(see);
}

/* Objectives, and the sites that they need together. */
static cn_status parse_objectives(cn_see *s, const char *const *text, size_t n, cn_error *err)
{
    cn_status st = CN_OK;
    size_t most = 0;
    s->objective = cn_calloc(n, sizeof *s->objective);
    CN_CHECK(s->objective, CN_ENOMEM, "out of memory for objectives");
    s->n_objectives = n;
    for (size_t i = 0; i < n; i++) {
        CN_TRY(cn_objective_parse(&s->objective[i], s->model, text[i], s->threads, err));
        most += s->objective[i]->n_sites;
        s->embedding |= s->objective[i]->embedding;
    }
    s->site = cn_calloc(most + CN_MAX_FACET_SITES + 1, sizeof *s->site);
    CN_CHECK(s->site, CN_ENOMEM, "out of memory for objectives");
    for (size_t i = 0; s->o.facets && i < cn_facets_site_count(s->o.facets); i++)
        s->site[s->n_sites++] = s->facet_site[i] = cn_facets_site(s->o.facets, i);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < s->objective[i]->n_sites; k++) {
            size_t at = 0;
            while (at < s->n_sites && s->site[at] != s->objective[i]->site[k])
                at++;
            if (at == s->n_sites)
                s->site[s->n_sites++] = s->objective[i]->site[k];
        }
done:
    return st;
}

/* Bilinear, between the centres of cells; (units, h, w) to the layout of a site with (height, width). */
static void resize_weights(const float *from, int64_t h, int64_t w, const cn_site *site, int64_t height, int64_t width, float *to)
{
    const int64_t positions = height * width;
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) {
            const clip_between b = clip_between_cells(y, x, height, width, h, w);
            for (int64_t u = 0; u < site->units; u++)
                to[clip_value_index(site, u, y * width + x, positions)] = clip_interpolate(&b, from + u * h * w, 1);
        }
}

static cn_status prepare_facet(cn_see *s, cn_error *err)
{
    cn_status st = CN_OK;
    size_t facet;
    if (!s->o.facets)
        goto done;
    CN_TRY(cn_facets_find(s->o.facets, s->o.facet ? s->o.facet : "", &facet, err));
    for (size_t i = 0; i < cn_facets_site_count(s->o.facets); i++) {
        int64_t h, w, height, width;
        const cn_site *site = s->facet_site[i];
        const float *weights = cn_facets_weights(s->o.facets, facet, i, &h, &w);
        cn_runner_site_size(s->runner, site, &height, &width);
        s->facet_weights[i] = cn_pages_calloc((size_t)(site->units * height * width) * sizeof(float));
        s->n_facet_sites++;
        CN_CHECK(s->facet_weights[i], CN_ENOMEM, "out of memory for a facet");
        resize_weights(weights, h, w, site, height, width, s->facet_weights[i]);
    }
    if (s->o.weakest == 0 && s->o.strongest == 0) {
        s->o.weakest = s->o.images_each == 1 ? FACET_USUAL : FACET_WEAKEST;
        s->o.strongest = s->o.images_each == 1 ? FACET_USUAL : FACET_STRONGEST;
    }
done:
    return st;
}

static cn_status make_room(cn_see *s, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t area = (size_t)(s->size * s->size), seen = (size_t)(s->seen * s->seen), n = (size_t)s->n, ch = (size_t)s->channels;
    s->map = cn_calloc(n, sizeof *s->map);
    s->sums = cn_calloc(n, sizeof *s->sums);
    s->score = cn_calloc(n * (size_t)s->starts, sizeof *s->score);
    s->value = cn_calloc(n, sizeof *s->value);
    s->pictures = cn_pages_calloc(n * ch * area * sizeof(float));
    s->d_pictures = cn_pages_calloc(n * ch * area * sizeof(float));
    s->flat = s->o.alpha ? cn_pages_calloc(n * 3 * area * sizeof(float)) : s->pictures;
    s->d_flat = s->o.alpha ? cn_pages_calloc(n * 3 * area * sizeof(float)) : s->d_pictures;
    s->background = s->o.alpha ? cn_pages_calloc(n * 3 * area * sizeof(float)) : NULL;
    s->pixels = cn_pages_calloc(n * 3 * seen * sizeof(float));
    s->gradient = cn_pages_calloc(n * 3 * seen * sizeof(float));
    s->importance = s->o.importance ? cn_pages_calloc(n * area * sizeof(float)) : NULL;
    CN_CHECK((!s->o.importance || s->importance) && s->map && s->sums && s->score && s->value && s->pictures && s->d_pictures && s->flat && s->d_flat && (!s->o.alpha || s->background) &&
                 s->pixels && s->gradient,
             CN_ENOMEM, "out of memory for %lld pictures of %lld px", (long long)s->n, (long long)s->size);
    for (size_t i = 0; i < n; i++)
        s->value[i] = NAN;
done:
    return st;
}

static cn_status check_options(const cn_see_options *o, size_t n, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t each = o->images_each > 0 ? (size_t)o->images_each : 1;
    CN_CHECK(n >= 1, CN_EINVAL, "nothing to see: name an objective");
    CN_CHECK(o->images_each >= 0 && each <= CN_MAX_SEE_IMAGES && n <= CN_MAX_SEE_IMAGES / each, CN_ELIMIT,
             "%zu pictures side by side, the limit is %d", n * each, CN_MAX_SEE_IMAGES);
    CN_CHECK(o->size >= 0 && o->size <= CN_MAX_SEE_SIZE, CN_EINVAL, "pictures have a side of 2 to %d px, not %d", CN_MAX_SEE_SIZE, o->size);
    CN_CHECK(o->starts >= 0 && o->starts <= CN_MAX_SEE_STARTS, CN_EINVAL, "pictures have up to %d starts, not %d", CN_MAX_SEE_STARTS, o->starts);
    CN_CHECK(o->rate >= 0 && o->rate <= 10, CN_EINVAL, "the rate is a number up to 10, not %g", (double)o->rate);
    CN_CHECK(o->relu_leak <= 1, CN_EINVAL, "ReLUs leak a share of up to 1, not %g", (double)o->relu_leak);
    CN_CHECK(o->decay >= 0 && o->decay <= 4, CN_EINVAL, "the decay is a number up to 4, not %g", (double)o->decay);
    if (o->magnitude) {
        const size_t row = (size_t)o->size / 2 + 1, plane = (size_t)o->size * row;
        bool flat = true;
        for (size_t i = 0; i < 3 * plane && flat; i++)
            flat = i % plane == 0 || !(o->magnitude[i] > 0);
        CN_CHECK(o->size > 0, CN_EINVAL, "magnitudes need a size: that of the pictures that they were measured on");
        CN_CHECK(!flat, CN_EINVAL, "the natural pictures are flat: they have no magnitudes to keep");
    }
    CN_CHECK(o->start >= 0 && o->start <= 10, CN_EINVAL, "the start is a number up to 10, not %g", (double)o->start);
done:
    return st;
}

cn_status cn_see_open(cn_see **out, const cn_model *model, const char *const *objectives, size_t n, const cn_see_options *options,
                      cn_error *err)
{
    cn_status st = CN_OK;
    const cn_model_info *info = cn_model_get_info(model);
    cn_see *s = cn_calloc(1, sizeof *s);
    *out = NULL;
    CN_CHECK(s, CN_ENOMEM, "out of memory for pictures");
    if (options)
        s->o = *options;
    CN_TRY(check_options(&s->o, n, err));
    s->model = model;
    s->o.rate = s->o.rate > 0 ? s->o.rate : DEFAULT_RATE;
    s->o.redirect_steps = s->o.redirect_steps == 0 ? CN_SEE_REDIRECT_STEPS : s->o.redirect_steps;
    s->o.relu_leak = s->o.relu_leak == 0 ? CN_SEE_RELU_LEAK : s->o.relu_leak < 0 ? 0 : s->o.relu_leak;
    s->o.images_each = s->o.images_each ? s->o.images_each : 1;
    s->starts = s->o.starts ? s->o.starts : 1;
    s->choice = s->o.redirect_steps > 0 ? s->o.redirect_steps : CN_SEE_REDIRECT_STEPS;
    s->n = (int64_t)n * s->o.images_each;
    s->size = s->o.size ? s->o.size : info->resolution;
    s->threads = s->o.threads ? s->o.threads : cn_usable_cores();
    CN_TRY(parse_objectives(s, objectives, n, err));
    const cn_runner_options run = {.tower = CN_TOWER_IMAGE, .sites = s->site, .n_sites = s->n_sites,
                                   .embedding = s->embedding || s->n_sites == 0, .batch = s->n, .threads = s->threads,
                                   .precision = s->o.precision, .backend = s->o.backend, .resolution = s->o.resolution,
                                   .activation_limit = s->o.activation_limit, .input_gradient = true, .gradient_sites = s->facet_site,
                                   .n_gradient_sites = s->o.facets ? cn_facets_site_count(s->o.facets) : 0};
    CN_TRY(cn_runner_create(&s->runner, model, &run, err));
    s->seen = cn_runner_resolution(s->runner);
    const char *usual = s->o.canvas == CN_CANVAS_PHASE ? "crops" : info->architecture == CN_ARCH_RESNET && s->seen < SMALL ? "mild" : "standard";
    CN_TRY(vis_transforms_parse(&s->transforms, s->o.transforms ? s->o.transforms : usual, err));
    for (size_t i = 0; i < n; i++)
        CN_TRY(objective_check(s->objective[i], s->runner, err));
    CN_TRY(prepare_facet(s, err));
    CN_TRY(seeds_make(&s->seeds, s->runner, s->site, s->n_sites, info->embedding, s->n, err));
    vis_canvas_options canvas = {.kind = (vis_canvas_kind)s->o.canvas, .side = (int)s->size, .n = (int)s->n, .threads = s->threads,
                                       .alpha = s->o.alpha, .decorrelate = !s->o.correlated, .decay = s->o.decay > 0 ? s->o.decay : 1,
                                       .start = s->o.start > 0 ? s->o.start : DEFAULT_START, .seed = s->o.seed, .each = s->o.images_each,
                                       .magnitude = s->o.magnitude};
    for (; canvas.number < s->starts; canvas.number++)
        CN_TRY(vis_canvas_open(&s->canvas[canvas.number], &canvas, err));
    s->channels = vis_canvas_channels(s->canvas[0]);
    CN_TRY(make_room(s, err));
    const int before = nn_set_threads(s->threads);
    vis_canvas_draw(s->canvas[0], s->pictures);
    nn_set_threads(before);
    *out = s, s = NULL;
done:
    cn_see_close(s);
    return st;
}

/* ---- one step ---- */

/* Smooth random colours, so that what is transparent cannot be relied upon. */
static void draw_background(cn_see *s, int64_t i, rng *r)
{
    float cell[3][BACKGROUND_CELLS + 1][BACKGROUND_CELLS + 1];
    for (int c = 0; c < 3; c++)
        for (int y = 0; y <= BACKGROUND_CELLS; y++)
            for (int x = 0; x <= BACKGROUND_CELLS; x++)
                cell[c][y][x] = (float)rng_unit(r);
    float *out = s->background + i * 3 * s->size * s->size;
    for (int c = 0; c < 3; c++)
        for (int64_t y = 0; y < s->size; y++)
            for (int64_t x = 0; x < s->size; x++) {
                const float fx = (float)(x * BACKGROUND_CELLS) / (float)s->size, fy = (float)(y * BACKGROUND_CELLS) / (float)s->size;
                const int cx = (int)fx, cy = (int)fy;
                const float wx = fx - (float)cx, wy = fy - (float)cy;
                out[(c * s->size + y) * s->size + x] = (1 - wy) * ((1 - wx) * cell[c][cy][cx] + wx * cell[c][cy][cx + 1]) +
                                                       wy * ((1 - wx) * cell[c][cy + 1][cx] + wx * cell[c][cy + 1][cx + 1]);
            }
}

/* flat = alpha picture + (1 - alpha) background */
static void lay_over(cn_see *s)
{
    const int64_t area = s->size * s->size;
    for (int64_t i = 0; i < s->n; i++) {
        const float *p = s->pictures + i * 4 * area, *alpha = p + 3 * area;
        for (int64_t k = 0; k < 3 * area; k++)
            s->flat[i * 3 * area + k] = alpha[k % area] * p[k] + (1 - alpha[k % area]) * s->background[i * 3 * area + k];
    }
}

/* Gradients of colours and opacity. Opacity also costs: every pixel pays a share of the mean size of its picture's gradients of
 * opacity, so that what does not help becomes transparent whatever the objective's scale is. */
static void run_alpha(cn_see *s)
{
    const int64_t area = s->size * s->size;
    for (int64_t i = 0; i < s->n; i++) {
        const float *p = s->pictures + i * 4 * area, *alpha = p + 3 * area, *d = s->d_flat + i * 3 * area;
        float *dp = s->d_pictures + i * 4 * area, *d_alpha = dp + 3 * area;
        double size = 0;
        for (int64_t k = 0; k < area; k++) {
            float sum = 0;
            for (int64_t c = 0; c < 3; c++) {
                dp[c * area + k] = d[c * area + k] * alpha[k];
                sum += d[c * area + k] * (p[c * area + k] - s->background[(i * 3 + c) * area + k]);
            }
            d_alpha[k] = sum;
            size += fabs((double)sum);
        }
        for (int64_t k = 0; k < area; k++)
            d_alpha[k] -= ALPHA_COST * (float)(size / (double)area);
    }
}

typedef struct scale_job {
    float *x;
    int64_t plane;
    const float *mean, *std;
    bool gradient;
} scale_job;

/* Pixels of 0..1 to normalised ones, or gradients back. */
static void scale_planes(void *data, int64_t from, int64_t to)
{
    const scale_job *j = data;
    for (int64_t p = from; p < to; p++) {
        float *x = j->x + p * j->plane;
        const float mean = j->mean[p % 3], factor = 1 / j->std[p % 3];
        for (int64_t k = 0; k < j->plane; k++)
            x[k] = j->gradient ? x[k] * factor : (x[k] - mean) * factor;
    }
}

static void add_noise(cn_see *s, int64_t i, rng *r)
{
    float *x = s->pixels + i * 3 * s->seen * s->seen;
    for (int64_t k = 0; k < 3 * s->seen * s->seen; k++)
        x[k] += (float)(s->transforms.noise * rng_normal(r));
}

/* Objectives of all pictures at what the runner has read; seeds too where `differentiate`. */
static cn_status evaluate(cn_see *s, const cn_runner *runner, bool differentiate, cn_error *err)
{
    cn_status st = CN_OK;
    memset(s->sums, 0, (size_t)s->n * sizeof *s->sums);
    if (differentiate)
        seeds_clear(s->seeds, runner, cn_model_get_info(s->model)->embedding, s->n);
    for (size_t i = 0; i < s->n_objectives; i++)
        CN_TRY(objective_at(s->objective[i], runner, s->seeds, (int64_t)i * s->o.images_each, s->o.images_each, differentiate, s->sums, err));
done:
    return st;
}

static void penalties(cn_see *s, float *gradient)
{
    for (size_t i = 0; i < s->n_objectives; i++)
        objective_penalties(s->objective[i], s->pixels, (int64_t)i * s->o.images_each, s->o.images_each, s->seen, gradient, s->sums);
}

/* Adds strength 5/sites sum(w a relu(g)) to the values of all pictures and its derivative, with g held fixed, to the seeds, where
 * g is the derivative of the objectives alone, which a backward pass of its own gives. */
static cn_status add_facet(cn_see *s, bool early, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_objective_gradient alone = {.sites = (const float *const *)s->seeds->at,
                                         .embedding = s->embedding ? s->seeds->embedding : NULL,
                                         .without_input = true, .redirect_relu = early, .relu_leak = early ? s->o.relu_leak : 0};
    CN_TRY(cn_runner_backward(s->runner, &alone, err));
    for (size_t k = 0; k < s->n_facet_sites; k++) {
        int64_t height, width;
        cn_runner_site_size(s->runner, s->facet_site[k], &height, &width);
        const int64_t count = s->facet_site[k]->units * height * width;
        for (int64_t i = 0; i < s->n; i++) {
            const int64_t number = i % s->o.images_each;
            const float along = s->o.images_each > 1 ? (float)number / (float)(s->o.images_each - 1) : 0;
            const float strength = s->o.weakest + along * (s->o.strongest - s->o.weakest);
            const float factor = strength * (float)(FACET_FACTOR / (double)s->n_facet_sites);
            const float *g = cn_runner_site_gradient(s->runner, k) + i * count, *a = cn_runner_site(s->runner, k) + i * count;
            float *seed = s->seeds->at[k] + i * count; /* facet sites are the first of all */
            double sum = 0;
            for (int64_t c = 0; c < count; c++) {
                const float weight = g[c] > 0 ? factor * s->facet_weights[k][c] * g[c] : 0;
                sum += (double)weight * (double)a[c];
                seed[c] += weight;
            }
            s->sums[i] += sum;
        }
    }
done:
    return st;
}

static void add_importance(cn_see *s)
{
    const int64_t area = s->size * s->size;
    for (int64_t i = 0; i < s->n; i++)
        for (int64_t c = 0; c < 3; c++)
            for (int64_t k = 0; k < area; k++)
                s->importance[i * area + k] += fabsf(s->d_flat[(i * 3 + c) * area + k]) / 3;
}

/* One step of the pictures of a canvas. */
static cn_status climb(cn_see *s, vis_canvas *canvas, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_model_info *info = cn_model_get_info(s->model);
    const int64_t number = *vis_canvas_steps(canvas);
    scale_job scale = {s->pixels, s->seen * s->seen, info->mean, info->std, false};
    const size_t pixel_bytes = (size_t)(s->n * 3 * s->seen * s->seen) * sizeof(float);
    for (int64_t i = 0; i < s->n; i++) {
        rng r = rng_stream(s->o.seed, (uint64_t)(i % s->o.images_each), 2 + (uint64_t)number);
        s->map[i] = vis_transforms_draw(&s->transforms, &r, (int)s->size, (int)s->seen);
        if (s->o.alpha)
            draw_background(s, i, &r);
    }
    const bool early = number < s->o.redirect_steps;
    vis_canvas_draw(canvas, s->pictures);
    if (s->o.alpha)
        lay_over(s);
    vis_sample(s->flat, s->pixels, s->n, 3, (int)s->size, (int)s->seen, s->map, GREY);
    for (int64_t i = 0; i < s->n && s->transforms.noise > 0; i++) {
        rng r = rng_stream(s->o.seed ^ 0x6e6f697365u, (uint64_t)(i % s->o.images_each), 2 + (uint64_t)number);
        add_noise(s, i, &r);
    }
    nn_parallel(scale_planes, &scale, s->n * 3, 1);
    CN_TRY(cn_runner_images(s->runner, s->pixels, s->n, err));
    s->seeds->redirect = early;
    CN_TRY(evaluate(s, s->runner, true, err));
    if (s->n_facet_sites)
        CN_TRY(add_facet(s, early, err));
    if (s->n_sites || s->embedding) {
        const cn_objective_gradient from = {.sites = (const float *const *)s->seeds->at,
                                            .embedding = s->embedding ? s->seeds->embedding : NULL,
                                            .redirect_relu = early,
                                            .relu_leak = early ? s->o.relu_leak : 0};
        CN_TRY(cn_runner_backward(s->runner, &from, err));
        memcpy(s->gradient, cn_runner_input_gradient(s->runner), pixel_bytes);
    } else {
        memset(s->gradient, 0, pixel_bytes);
    }
    penalties(s, s->gradient);
    for (int64_t i = 0; i < s->n; i++)
        s->value[i] = (float)s->sums[i];
    scale = (scale_job){s->gradient, s->seen * s->seen, info->mean, info->std, true};
    nn_parallel(scale_planes, &scale, s->n * 3, 1);
    memset(s->d_flat, 0, (size_t)(s->n * 3 * s->size * s->size) * sizeof(float));
    vis_sample_gradient(s->d_flat, s->gradient, s->n, 3, (int)s->size, (int)s->seen, s->map);
    if (s->o.importance && s->starts == 1)
        add_importance(s);
    if (s->o.alpha)
        run_alpha(s);
    vis_canvas_gradient(canvas, s->d_pictures);
    vis_canvas_step(canvas, s->o.rate);
done:
    return st;
}

static bool has_diversity(const cn_objective *o)
{
    for (size_t i = 0; i < o->n_terms; i++)
        if (o->term[i].kind == TERM_DIVERSITY)
            return true;
    return false;
}

/* Each picture goes on from the start that drives its objective most; pictures that are pushed apart only mean something together. */
static void choose_starts(cn_see *s)
{
    const int64_t each = s->o.images_each;
    for (int64_t i = 0; i < s->n; i++) {
        const int64_t objective = i / each;
        const bool together = has_diversity(s->objective[objective]);
        const int64_t from = together ? objective * each : i, to = together ? from + each : i + 1;
        int best = 0;
        double most = -INFINITY;
        for (int k = 0; k < s->starts; k++) {
            double score = 0;
            for (int64_t j = from; j < to; j++)
                score += s->score[k * s->n + j];
            if (score > most) {
                most = score;
                best = k;
            }
        }
        if (best)
            vis_canvas_take(s->canvas[0], s->canvas[best], i);
    }
    for (; s->starts > 1; s->starts--) {
        vis_canvas_close(s->canvas[s->starts - 1]);
        s->canvas[s->starts - 1] = NULL;
    }
}

static cn_status step(cn_see *s, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t number = *vis_canvas_steps(s->canvas[0]);
    for (int k = s->starts - 1; k >= 0; k--) { /* the first one last: what is left is of it */
        CN_TRY(climb(s, s->canvas[k], err));
        for (int64_t i = 0; i < s->n && s->starts > 1 && number >= s->choice - SCORED_STEPS; i++)
            s->score[k * s->n + i] += (double)s->value[i];
    }
    if (s->starts > 1 && number + 1 == s->choice)
        choose_starts(s);
done:
    return st;
}

cn_status cn_see_run(cn_see *see, int64_t steps, cn_error *err)
{
    cn_status st = CN_OK;
    const int before = nn_set_threads(see->threads);
    for (int64_t i = 0; i < steps; i++)
        CN_TRY(step(see, err));
    vis_canvas_draw(see->canvas[0], see->pictures);
done:
    nn_set_threads(before);
    return st;
}

/* ---- results ---- */

int64_t cn_see_steps(const cn_see *see)
{
    return *vis_canvas_steps(see->canvas[0]);
}

size_t cn_see_count(const cn_see *see)
{
    return (size_t)see->n;
}

int cn_see_size(const cn_see *see)
{
    return (int)see->size;
}

int cn_see_channels(const cn_see *see)
{
    return (int)see->channels;
}

float cn_see_value(const cn_see *see, size_t i)
{
    return i < (size_t)see->n ? see->value[i] : NAN;
}

void cn_see_picture(cn_see *see, size_t i, uint8_t *pixels)
{
    const int64_t area = see->size * see->size;
    const float *p = see->pictures + (int64_t)i * see->channels * area;
    for (int64_t k = 0; k < area; k++)
        for (int64_t c = 0; c < see->channels; c++)
            pixels[k * see->channels + c] = (uint8_t)lrintf(255 * p[c * area + k]);
}

cn_status cn_see_importance(const cn_see *see, size_t i, float *map, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t area = (size_t)(see->size * see->size);
    float *sorted = cn_calloc(area, sizeof *sorted);
    CN_CHECK(sorted, CN_ENOMEM, "out of memory for the importance of pixels");
    for (size_t k = 0; k < area; k++)
        map[k] = sorted[k] = see->importance ? see->importance[i * area + k] : 1;
    qsort(sorted, area, sizeof *sorted, order_floats);
    const float most = sorted[area * 4 / 5];
    for (size_t k = 0; k < area; k++)
        map[k] = most > 0 ? fminf(map[k] / most, 1) : 1;
done:
    cn_free(sorted);
    return st;
}

cn_status cn_see_measure(cn_see *see, float *values, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_model_info *info = cn_model_get_info(see->model);
    const int64_t area = see->size * see->size;
    const int before = nn_set_threads(see->threads);
    cn_runner *plain = see->o.precision == CN_PRECISION_F32 ? see->runner : see->plain;
    scale_job scale = {see->pixels, see->seen * see->seen, info->mean, info->std, false};
    const cn_runner_options run = {.tower = CN_TOWER_IMAGE, .sites = see->site, .n_sites = see->n_sites,
                                   .embedding = see->embedding || see->n_sites == 0, .batch = see->n, .threads = see->threads,
                                   .backend = see->o.backend, .resolution = see->o.resolution};
    const vis_transforms none = {.count = 0};
    rng r = {0};
    for (int64_t i = 0; i < see->n; i++)
        see->map[i] = vis_transforms_draw(&none, &r, (int)see->size, (int)see->seen);
    for (int64_t i = 0; i < see->n; i++) /* as it is saved: in 8 bits, and over grey where it is transparent */
        for (int64_t k = 0; k < 3 * area; k++) {
            const float *p = see->pictures + i * see->channels * area;
            const float colour = roundf(255 * p[k]) / 255, alpha = see->o.alpha ? roundf(255 * p[3 * area + k % area]) / 255 : 1;
            see->d_flat[i * 3 * area + k] = alpha * colour + (1 - alpha) * GREY;
        }
    vis_sample(see->d_flat, see->pixels, see->n, 3, (int)see->size, (int)see->seen, see->map, GREY);
    nn_parallel(scale_planes, &scale, see->n * 3, 1);
    if (!plain) {
        CN_TRY(cn_runner_create(&see->plain, see->model, &run, err));
        plain = see->plain;
    }
    CN_TRY(cn_runner_images(plain, see->pixels, see->n, err));
    CN_TRY(evaluate(see, plain, false, err));
    penalties(see, NULL);
    for (int64_t i = 0; i < see->n; i++)
        values[i] = (float)see->sums[i];
done:
    nn_set_threads(before);
    return st;
}
