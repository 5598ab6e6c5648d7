/* compose/probe.c -- the path, the choice of a strength, and the equations. */
#include "clipneuron/probe.h"

#include "base/memory.h"
#include "clipneuron/image.h"
#include "compose/multinomial.h"
#include "compose/probeparts.h"
#include "study/raterstats.h"
#include "study/store.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FALL 0.8      /* from one strength of the path to the next */
#define FITTED 0.05   /* of the loss without units is left: the training pictures are told apart, and what comes is no longer sparse or stable */
#define WEAKEST 1e-3  /* of the strongest */
#define LOOSE 1e-2    /* tolerance of the path's points */
enum { PASSES = 3000, BISECTIONS = 8, FIVE = 5 };

/* ---- the object ---- */

const char *probe_keep(probe *p, const char *text)
{
    if (p->n_strings == p->strings_room) {
        const size_t room = p->strings_room ? 2 * p->strings_room : 64;
        char **grown = cn_reallocarray(p->strings, room, sizeof *grown);
        if (!grown)
            return NULL;
        p->strings = grown;
        p->strings_room = room;
    }
    char *copy = cn_strdup(text);
    if (copy)
        p->strings[p->n_strings++] = copy;
    return copy;
}

void cn_probe_free(cn_probe *public)
{
    probe *p = (probe *)public;
    if (!p)
        return;
    for (size_t i = 0; i < p->n_strings; i++)
        cn_free(p->strings[i]);
    cn_free(p->strings);
    cn_free(p->public.mean);
    cn_free(p->public.sd);
    cn_free(p->public.classes);
    cn_free(p->public.terms);
    cn_free(p->public.points);
    cn_free(p);
}

cn_probe_share probe_share(int64_t hits, int64_t of)
{
    cn_probe_share s = {hits, of, (double)NAN, (double)NAN, (double)NAN};
    if (of > 0) {
        s.share = (double)hits / (double)of;
        stats_wilson(s.share, (double)of, 1.96, &s.low, &s.high);
    }
    return s;
}

size_t cn_probe_find_class(const cn_probe *p, const char *name)
{
    size_t near = p->n_classes;
    for (size_t k = 0; k < p->n_classes; k++) {
        if (strcmp(p->classes[k].name, name) == 0)
            return k;
        if (near == p->n_classes && strcasecmp(p->classes[k].name, name) == 0)
            near = k;
    }
    return near;
}

void cn_probe_logits(const cn_probe *p, const float *activations, double *logits)
{
    for (size_t k = 0; k < p->n_classes; k++) {
        const cn_probe_class *c = &p->classes[k];
        logits[k] = c->intercept;
        for (size_t t = c->first; t < c->first + c->n; t++) {
            const int64_t u = p->terms[t].unit;
            const double a = p->relu && activations[u] < 0 ? 0 : (double)activations[u];
            logits[k] += p->terms[t].weight * (a - p->mean[u]) / p->sd[u];
        }
    }
}

cn_status cn_probe_check_model(const cn_probe *p, const cn_model *model, cn_error *err)
{
    char hex[65];
    cn_status st = CN_OK;
    CN_TRY(cn_model_fingerprint(model, hex, err));
    CN_CHECK(strcmp(hex, p->fingerprint) == 0, CN_EMISMATCH, "the probe is of another model: its fingerprint is %.12s..., the model's %.12s...",
             p->fingerprint, hex);
done:
    return st;
}

/* ---- pictures ---- */

/* (units): means over the positions of a site's values for one picture, in double as a scan's. */
static void spatial_means(const cn_site *site, const float *values, float *means)
{
    const bool map = site->layout == CN_SITE_MAP;
    for (int64_t u = 0; u < site->units; u++) {
        double sum = 0;
        for (int64_t i = 0; i < site->positions; i++)
            sum += (double)(map ? values[u * site->positions + i] : values[i * site->units + u]);
        means[u] = (float)(sum / (double)site->positions);
    }
}

static void softmax(double *x, size_t n)
{
    double top = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        top = fmax(top, x[i]);
    for (size_t i = 0; i < n; i++)
        sum += x[i] = exp(x[i] - top);
    for (size_t i = 0; i < n; i++)
        x[i] /= sum;
}

cn_status cn_probe_pictures(const cn_probe *p, const cn_model *model, const uint8_t *rgb, int64_t n, int threads, double *out, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_model_info *info = cn_model_get_info(model);
    const int64_t pixels = 3 * (int64_t)info->resolution * info->resolution, batch = n < 32 ? n : 32;
    const cn_site *site;
    cn_runner *runner = NULL;
    float *normal = NULL, *means = NULL;
    CN_CHECK(n > 0, CN_EINVAL, "no pictures");
    CN_TRY(cn_probe_check_model(p, model, err));
    CN_TRY(cn_model_find_site(model, p->site, &site, err));
    CN_CHECK(site->units == p->units && site->tower == CN_TOWER_IMAGE, CN_EMISMATCH, "the probe has %" PRId64 " units, %s has %" PRId64, p->units, p->site,
             site->units);
    normal = cn_calloc((size_t)(batch * pixels), sizeof *normal);
    means = cn_calloc((size_t)site->units, sizeof *means);
    CN_CHECK(normal && means, CN_ENOMEM, "out of memory for %" PRId64 " pictures", batch);
    CN_TRY(cn_runner_create(&runner, model,
                            &(cn_runner_options){.tower = CN_TOWER_IMAGE, .sites = &site, .n_sites = 1, .batch = batch, .threads = threads}, err));
    for (int64_t first = 0; first < n; first += batch) {
        const int64_t count = n - first < batch ? n - first : batch;
        cn_pixels_normalise(rgb + first * pixels, (size_t)count, info->resolution, info->mean, info->std, normal);
        CN_TRY(cn_runner_images(runner, normal, count, err));
        for (int64_t i = 0; i < count; i++) {
            double *logits = out + (first + i) * (int64_t)p->n_classes;
            spatial_means(site, cn_runner_site(runner, 0) + i * site->units * site->positions, means);
            cn_probe_logits(p, means, logits);
            softmax(logits, p->n_classes);
        }
    }
done:
    cn_runner_free(runner);
    cn_free(normal);
    cn_free(means);
    return st;
}

/* ---- accuracy ---- */

/* Weights of all classes, one list. */
typedef struct sparse {
    int32_t *feature;
    double *weight, *intercept;
    int64_t *first; /* (classes + 1) */
    int64_t n;
} sparse;

static void sparse_free(sparse *s)
{
    cn_free(s->feature);
    cn_free(s->weight);
    cn_free(s->intercept);
    cn_free(s->first);
    memset(s, 0, sizeof *s);
}

static cn_status sparse_take(sparse *s, const multinomial *m, int64_t classes, int64_t weights, cn_error *err)
{
    sparse_free(s);
    s->feature = cn_calloc((size_t)weights + 1, sizeof *s->feature);
    s->weight = cn_calloc((size_t)weights + 1, sizeof *s->weight);
    s->intercept = cn_calloc((size_t)classes, sizeof *s->intercept);
    s->first = cn_calloc((size_t)classes + 1, sizeof *s->first);
    if (!s->feature || !s->weight || !s->intercept || !s->first)
        return cn_fail(err, CN_ENOMEM, "out of memory for a probe's weights");
    for (int64_t k = 0; k < classes; k++) {
        s->first[k] = s->n;
        s->n += multinomial_weights(m, k, weights - s->n, s->feature + s->n, s->weight + s->n);
        s->intercept[k] = multinomial_intercept(m, k);
    }
    s->first[classes] = s->n;
    return CN_OK;
}

/* How many classes come before the right one; equal ones in their order. */
static int64_t place_of(const sparse *s, const float *row, int32_t y, int64_t classes, double *z)
{
    int64_t before = 0;
    for (int64_t k = 0; k < classes; k++) {
        z[k] = s->intercept[k];
        for (int64_t t = s->first[k]; t < s->first[k + 1]; t++)
            z[k] += s->weight[t] * (double)row[s->feature[t]];
    }
    for (int64_t k = 0; k < classes; k++)
        before += z[k] > z[y] || (z[k] == z[y] && k < y);
    return before;
}

static cn_status measure(cn_probe_point *point, const sparse *s, const probedata *d, cn_error *err)
{
    double *z = cn_calloc((size_t)d->classes, sizeof *z);
    int64_t one = 0, five = 0;
    if (!z)
        return cn_fail(err, CN_ENOMEM, "out of memory for %" PRId64 " classes", d->classes);
    for (int64_t i = 0; i < d->m; i++) {
        const int64_t before = place_of(s, d->x_test + i * d->units, d->y_test[i], d->classes, z);
        one += before == 0;
        five += before < FIVE;
    }
    cn_free(z);
    point->top1 = probe_share(one, d->m);
    point->top5 = probe_share(five, d->m);
    return CN_OK;
}

/* ---- the path ---- */

typedef struct fitting {
    probe *p;
    const probedata *d;
    const cn_probe_options *o;
    multinomial *m;
    sparse weights; /* of the last fit */
    bool *seen;     /* (units) */
} fitting;

static bool go_on(void *user)
{
    const fitting *f = user;
    return !f->o->progress || f->o->progress("path", (int64_t)f->p->public.n_points, 0, f->o->user);
}

/* tolerance: of the conditions; the path's points are there to be compared, and need less than the one that is kept. */
static cn_status fit(fitting *f, double strength, double tolerance, cn_error *err)
{
    cn_status st = CN_OK;
    multinomial_fit_result r;
    cn_probe *p = &f->p->public;
    CN_TRY(multinomial_fit(f->m, strength, tolerance, PASSES, go_on, f, &r, err));
    CN_TRY(sparse_take(&f->weights, f->m, f->d->classes, r.weights, err));
    cn_probe_point *point = &p->points[p->n_points];
    *point = (cn_probe_point){.strength = strength,
                              .weights = r.weights,
                              .units_a_class = (double)r.weights / (double)f->d->classes,
                              .objective = r.objective,
                              .loss = r.loss,
                              .violation = r.violation,
                              .working = r.working,
                              .missed = r.missed,
                              .passes = r.passes};
    memset(f->seen, 0, (size_t)f->d->units * sizeof *f->seen);
    for (int64_t t = 0; t < f->weights.n; t++) {
        point->units += !f->seen[f->weights.feature[t]];
        f->seen[f->weights.feature[t]] = true;
    }
    CN_TRY(measure(point, &f->weights, f->d, err));
    p->n_points++;
done:
    return st;
}

static int by_strength(const void *a, const void *b)
{
    const cn_probe_point *x = a, *y = b;
    return x->strength > y->strength ? -1 : x->strength < y->strength;
}

/* The whole path, then halvings (of the logarithm) between the two points around the wanted number; the last fit is the chosen one. */
static cn_status walk(fitting *f, cn_error *err)
{
    cn_status st = CN_OK;
    cn_probe *p = &f->p->public;
    const double loose = fmax(f->o->tolerance, LOOSE), wanted = f->o->units, strongest = multinomial_strongest(f->m);
    double over = 0, under = strongest, best = 0, distance = INFINITY, nothing = 0; /* the loss of the classes' shares */
    for (int64_t k = 0; k < f->d->classes; k++) {
        const double share = (double)f->d->class_train[k] / (double)f->d->n;
        nothing -= share * log(share);
    }
    CN_CHECK(strongest > 0, CN_EINVAL, "no unit of the site changes over the training pictures");
    for (double s = strongest * FALL; (int)p->n_points < f->o->points; s *= FALL) {
        CN_TRY(fit(f, s, loose, err));
        const double units = p->points[p->n_points - 1].units_a_class;
        if (units < wanted && !over)
            under = s;
        else if (!over)
            over = s;
        if (fabs(units - wanted) < distance)
            distance = fabs(units - wanted), best = s;
        if (units >= f->o->most_units || p->points[p->n_points - 1].loss < FITTED * nothing || s < strongest * WEAKEST)
            break;
    }
    for (int i = 0; over && i < BISECTIONS && distance > 0.02 * wanted; i++) {
        const double s = sqrt(over * under);
        CN_TRY(fit(f, s, loose, err));
        const double units = p->points[p->n_points - 1].units_a_class;
        *(units < wanted ? &under : &over) = s;
        if (fabs(units - wanted) < distance)
            distance = fabs(units - wanted), best = s;
    }
    size_t at = 0;
    while (p->points[at].strength != best)
        at++;
    for (size_t i = at; i + 1 < p->n_points; i++)
        p->points[i] = p->points[i + 1];
    p->n_points--;
    CN_TRY(fit(f, best, f->o->tolerance, err));
    qsort(p->points, p->n_points, sizeof *p->points, by_strength);
    while (p->points[p->chosen].strength != best)
        p->chosen++;
done:
    return st;
}

/* ---- equations ---- */

static int by_size(const void *a, const void *b)
{
    const cn_probe_term *x = a, *y = b;
    const double p = fabs(x->weight), q = fabs(y->weight);
    return p != q ? (p > q ? -1 : 1) : x->unit < y->unit ? -1 : x->unit > y->unit;
}

static cn_status write_equations(fitting *f, cn_error *err)
{
    cn_status st = CN_OK;
    cn_probe *p = &f->p->public;
    const probedata *d = f->d;
    const sparse *w = &f->weights;
    p->classes = cn_calloc((size_t)d->classes, sizeof *p->classes);
    p->terms = cn_calloc((size_t)w->n + 1, sizeof *p->terms);
    CN_CHECK(p->classes && p->terms, CN_ENOMEM, "out of memory for equations");
    p->n_classes = (size_t)d->classes;
    p->n_terms = (size_t)w->n;
    for (int64_t k = 0; k < d->classes; k++) {
        cn_probe_class *c = &p->classes[k];
        double total = 0;
        c->name = probe_keep(f->p, d->name[k]);
        CN_CHECK(c->name, CN_ENOMEM, "out of memory for equations");
        c->train = d->class_train[k];
        c->held_out = d->class_test[k];
        c->intercept = w->intercept[k];
        c->first = (size_t)w->first[k];
        c->n = (size_t)(w->first[k + 1] - w->first[k]);
        for (int64_t t = w->first[k]; t < w->first[k + 1]; t++)
            total += fabs(w->weight[t]);
        for (int64_t t = w->first[k]; t < w->first[k + 1]; t++) {
            const float *x = d->x + w->feature[t] * d->n;
            double level = 0;
            for (int64_t i = 0; i < d->n; i++)
                level += d->y[i] == k ? (double)x[i] : 0;
            p->terms[t] = (cn_probe_term){.class_index = (size_t)k,
                                          .unit = w->feature[t],
                                          .weight = w->weight[t],
                                          .share = fabs(w->weight[t]) / total,
                                          .level = level / (double)d->class_train[k]};
        }
        if (c->n)
            qsort(p->terms + c->first, c->n, sizeof *p->terms, by_size);
    }
done:
    return st;
}

/* ---- all of it ---- */

static cn_status check_options(const cn_study *s, cn_probe_options *o, cn_error *err)
{
    cn_status st = CN_OK;
    CN_CHECK(o->site < s->n_sites, CN_EINVAL, "%s: site %zu: the study has %zu", s->path, o->site, s->n_sites);
    o->column = o->column ? o->column : "label";
    o->mix = o->mix ? o->mix : 1;
    o->held_out = o->held_out ? o->held_out : 0.25;
    o->units = o->units ? o->units : 3;
    o->most_units = o->most_units ? o->most_units : 2 * o->units;
    o->points = o->points ? o->points : 60;
    o->tolerance = o->tolerance ? o->tolerance : 1e-3;
    o->least = o->least ? o->least : 2;
    CN_CHECK(o->mix >= 0.01 && o->mix <= 1, CN_EINVAL, "the share of L1 is %g; it is from 0.01 to 1", o->mix);
    CN_CHECK(o->held_out > 0 && o->held_out < 1, CN_EINVAL, "the share of pictures that are held out is %g; it is between 0 and 1", o->held_out);
    CN_CHECK(o->units > 0 && o->units <= 65536, CN_EINVAL, "%g units a class; from 0 to 65536", o->units);
    CN_CHECK(o->most_units >= o->units, CN_EINVAL, "the path ends at %g units a class, before the %g that are wanted", o->most_units, o->units);
    CN_CHECK(o->points >= 1 && o->points <= CN_MAX_PROBE_POINTS - BISECTIONS - 1, CN_EINVAL, "%d points; from 1 to %d", o->points,
             CN_MAX_PROBE_POINTS - BISECTIONS - 1);
    CN_CHECK(o->tolerance >= 1e-7 && o->tolerance <= 0.1, CN_EINVAL, "a tolerance of %g; from 1e-7 to 0.1", o->tolerance);
    CN_CHECK(o->least >= 1, CN_EINVAL, "%" PRId64 " training pictures at least; 1 or more", o->least);
done:
    return st;
}

static cn_status describe(probe *p, const cn_study *s, const cn_probe_options *o, probedata *d, cn_error *err)
{
    cn_status st = CN_OK;
    char date[32];
    cn_probe *q = &p->public;
    store_date(date);
    q->model_name = probe_keep(p, s->info.model_name);
    q->fingerprint = probe_keep(p, s->info.fingerprint);
    q->site = probe_keep(p, s->sites[o->site].name);
    q->column = probe_keep(p, o->column);
    q->collection = probe_keep(p, s->info.collection_name);
    q->created = probe_keep(p, date);
    q->points = cn_calloc(CN_MAX_PROBE_POINTS, sizeof *q->points);
    CN_CHECK(q->model_name && q->fingerprint && q->site && q->column && q->collection && q->created && q->points, CN_ENOMEM,
             "out of memory for a probe");
    q->relu = o->relu;
    q->mix = o->mix;
    q->held_out = o->held_out;
    q->tolerance = o->tolerance;
    q->wanted = o->units;
    q->seed = o->seed;
    q->units = d->units;
    q->train = d->n;
    q->test = d->m;
    q->without = d->without;
    q->left_classes = d->left_classes;
    q->left_pictures = d->left_pictures;
    q->mean = cn_calloc((size_t)d->units, sizeof *q->mean);
    q->sd = cn_calloc((size_t)d->units, sizeof *q->sd);
    CN_CHECK(q->mean && q->sd, CN_ENOMEM, "out of memory for a probe");
    memcpy(q->mean, d->mean, (size_t)d->units * sizeof *q->mean);
    memcpy(q->sd, d->sd, (size_t)d->units * sizeof *q->sd);
done:
    return st;
}

cn_status probe_run(cn_study *s, source *from, const cn_probe_options *options, cn_probe **out, cn_error *err)
{
    cn_status st = CN_OK;
    cn_probe_options o = options ? *options : (cn_probe_options){0};
    probedata d = {0};
    probe *p = cn_calloc(1, sizeof *p);
    fitting f = {.p = p, .d = &d, .o = &o};
    *out = NULL;
    CN_CHECK(p, CN_ENOMEM, "out of memory for a probe");
    CN_TRY(check_options(s, &o, err));
    CN_TRY(probedata_read(&d, s, &o, err));
    CN_TRY(describe(p, s, &o, &d, err));
    CN_TRY(probe_zero_shot(p, s, from, &o, &d, err));
    f.seen = cn_calloc((size_t)d.units, sizeof *f.seen);
    CN_CHECK(f.seen, CN_ENOMEM, "out of memory for a probe");
    const multinomial_data data = {d.x, d.y, d.n, d.units, d.classes};
    CN_TRY(multinomial_create(&f.m, &data, o.mix, o.threads, err));
    CN_TRY(walk(&f, err));
    CN_TRY(write_equations(&f, err));
    CN_TRY(probe_check(&p->public, &d, err));
    CN_TRY(probe_name_units(p, s, o.site, err));
    *out = &p->public, p = NULL;
done:
    sparse_free(&f.weights);
    cn_free(f.seen);
    multinomial_free(f.m);
    probedata_free(&d);
    cn_probe_free(p ? &p->public : NULL);
    return st;
}

cn_status cn_study_probe(cn_study *s, const cn_model *model, const cn_probe_options *options, cn_probe **out, cn_error *err)
{
    cn_status st = CN_OK;
    source from = {0};
    bool opened = false;
    *out = NULL;
    if (model) {
        CN_TRY(cn_study_check_model(s, model, err));
        cn_scan_options scan = {0};
        if (options)
            scan = (cn_scan_options){.threads = options->threads, .precision = options->precision, .backend = options->backend};
        CN_TRY(source_open_model(&from, model, &scan, false, err));
        opened = true;
    }
    st = probe_run(s, opened ? &from : NULL, options, out, err);
    if (opened)
        from.close(&from);
done:
    return st;
}
