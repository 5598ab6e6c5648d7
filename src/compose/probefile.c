/* compose/probefile.c -- a probe as a .npz of plain numbers; texts are bytes, each ended by a zero, since readers of strangers' arrays
 * had better not know numpy's strings. Objectives read one class of it without this file: vis/probeclass.c. */
#include "base/memory.h"
#include "base/path.h"
#include "clipneuron/array.h"
#include "compose/probeparts.h"
#include "vis/probeclass.h"
#include "study/reader.h"
#include "study/served.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { FORMAT = PROBE_FORMAT, SETTINGS = PROBE_SETTINGS, CHECKS = 9, POINTS = 15, TEXTS = PROBE_TEXTS };

/* ---- writing ---- */

/* Texts one after the other; owned by the caller. */
static unsigned char *join(const char *const *text, size_t n, int64_t *size)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < n; i++)
        total += strlen(text[i]) + 1;
    unsigned char *bytes = cn_malloc(total + 1);
    for (size_t i = 0; bytes && i < n; i++) {
        memcpy(bytes + at, text[i], strlen(text[i]) + 1);
        at += strlen(text[i]) + 1;
    }
    *size = (int64_t)total;
    return bytes;
}

static cn_status add_texts(cn_npz_writer *w, const char *name, const char *const *text, size_t n, cn_error *err)
{
    int64_t size;
    unsigned char *bytes = join(text, n, &size);
    if (!bytes)
        return cn_fail(err, CN_ENOMEM, "out of memory for a probe's texts");
    const cn_status st = cn_npz_writer_add(w, name, CN_DTYPE_U8, 1, &size, bytes, err);
    cn_free(bytes);
    return st;
}

static void settings_of(const cn_probe *p, double out[SETTINGS])
{
    const double all[SETTINGS] = {FORMAT,
                                  p->relu,
                                  p->mix,
                                  p->held_out,
                                  p->tolerance,
                                  p->wanted,
                                  (double)(p->seed >> 32),
                                  (double)(p->seed & 0xffffffff),
                                  (double)p->train,
                                  (double)p->test,
                                  (double)p->without,
                                  (double)p->left_classes,
                                  (double)p->left_pictures,
                                  (double)p->chosen,
                                  (double)p->zero1.hits,
                                  (double)p->zero1.of,
                                  (double)p->zero5.hits,
                                  (double)p->zero5.of,
                                  (double)p->zero_known,
                                  p->check_slope,
                                  p->check_r};
    memcpy(out, all, sizeof all);
}

static void check_of(const cn_probe_check *c, double out[CHECKS])
{
    const double all[CHECKS] = {c->predicted,           c->measured,          c->low, c->high, (double)c->pictures, (double)c->before.hits,
                                (double)c->before.of, (double)c->after.hits, (double)c->after.of};
    memcpy(out, all, sizeof all);
}

static void point_of(const cn_probe_point *x, double out[POINTS])
{
    const double all[POINTS] = {x->strength,         (double)x->weights,   (double)x->units,     x->units_a_class,    x->objective,
                                x->loss,             x->violation,         (double)x->working,   (double)x->missed,   x->passes,
                                (double)x->top1.hits, (double)x->top1.of, (double)x->top5.hits, (double)x->top5.of, 0};
    memcpy(out, all, sizeof all);
}

cn_status cn_probe_save(const cn_probe *p, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    cn_npz_writer *w = NULL;
    const size_t k = p->n_classes, t = p->n_terms, most = k + t + (size_t)p->n_points + 1;
    const char **texts = cn_calloc(most + 1, sizeof *texts);
    double *real = cn_calloc(most, (CHECKS + POINTS) * sizeof *real), settings[SETTINGS];
    int32_t *whole = cn_calloc(t + 1, sizeof *whole);
    int64_t *counts = cn_calloc(k + 1, sizeof *counts);
    uint8_t *named = cn_calloc(t + 1, sizeof *named);
    const int64_t classes = (int64_t)k, terms = (int64_t)t, points[2] = {(int64_t)p->n_points, POINTS}, checks[2] = {classes, CHECKS},
                  n_settings = SETTINGS;
    const char *about[TEXTS] = {p->model_name, p->fingerprint,        p->site, p->column, p->collection, p->created, p->zero_shot_template ? p->zero_shot_template : "",
                                p->zero_shot_why ? p->zero_shot_why : ""};
    CN_CHECK(texts && real && whole && counts && named, CN_ENOMEM, "%s: out of memory for a probe", path);
    CN_TRY(cn_npz_writer_open(&w, path, err));
    settings_of(p, settings);
    CN_TRY(cn_npz_writer_add(w, "settings", CN_DTYPE_F64, 1, &n_settings, settings, err));
    CN_TRY(add_texts(w, "about", about, TEXTS, err));
    for (size_t i = 0; i < k; i++)
        texts[i] = p->classes[i].name;
    CN_TRY(add_texts(w, "class_names", texts, k, err));
    for (size_t i = 0; i < k; i++)
        counts[i] = p->classes[i].train;
    CN_TRY(cn_npz_writer_add(w, "class_train", CN_DTYPE_I64, 1, &classes, counts, err));
    for (size_t i = 0; i < k; i++)
        counts[i] = p->classes[i].held_out;
    CN_TRY(cn_npz_writer_add(w, "class_held_out", CN_DTYPE_I64, 1, &classes, counts, err));
    for (size_t i = 0; i < k; i++)
        real[i] = p->classes[i].intercept;
    CN_TRY(cn_npz_writer_add(w, "intercept", CN_DTYPE_F64, 1, &classes, real, err));
    for (size_t i = 0; i < k; i++)
        check_of(&p->classes[i].check, real + i * CHECKS);
    CN_TRY(cn_npz_writer_add(w, "checks", CN_DTYPE_F64, 2, checks, real, err));
    for (size_t i = 0; i < t; i++)
        whole[i] = (int32_t)p->terms[i].class_index;
    CN_TRY(cn_npz_writer_add(w, "class", CN_DTYPE_I32, 1, &terms, whole, err));
    for (size_t i = 0; i < t; i++)
        whole[i] = (int32_t)p->terms[i].unit;
    CN_TRY(cn_npz_writer_add(w, "unit", CN_DTYPE_I32, 1, &terms, whole, err));
    for (size_t i = 0; i < t; i++)
        real[i] = p->terms[i].weight;
    CN_TRY(cn_npz_writer_add(w, "weight", CN_DTYPE_F64, 1, &terms, real, err));
    for (size_t i = 0; i < t; i++)
        real[i] = p->terms[i].level;
    CN_TRY(cn_npz_writer_add(w, "level", CN_DTYPE_F64, 1, &terms, real, err));
    for (size_t i = 0; i < t; i++)
        named[i] = p->terms[i].named, texts[i] = p->terms[i].name;
    CN_TRY(cn_npz_writer_add(w, "named", CN_DTYPE_U8, 1, &terms, named, err));
    CN_TRY(add_texts(w, "unit_names", texts, t, err));
    CN_TRY(cn_npz_writer_add(w, "mean", CN_DTYPE_F64, 1, &p->units, p->mean, err));
    CN_TRY(cn_npz_writer_add(w, "sd", CN_DTYPE_F64, 1, &p->units, p->sd, err));
    for (size_t i = 0; i < p->n_points; i++)
        point_of(&p->points[i], real + i * POINTS);
    CN_TRY(cn_npz_writer_add(w, "points", CN_DTYPE_F64, 2, points, real, err));
    cn_npz_writer *complete = w;
    w = NULL;
    CN_TRY(cn_npz_writer_finish(complete, err));
done:
    cn_npz_writer_discard(w);
    cn_free(texts);
    cn_free(real);
    cn_free(whole);
    cn_free(counts);
    cn_free(named);
    return st;
}

cn_status cn_probe_write_direction(const cn_probe *p, size_t k, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    float *out = NULL;
    CN_CHECK(k < p->n_classes, CN_EINVAL, "class %zu: the probe has %zu", k, p->n_classes);
    CN_CHECK(!p->relu, CN_EUNSUPPORTED, "a probe behind a ReLU is no direction before it");
    out = cn_calloc((size_t)p->units, sizeof *out);
    CN_CHECK(out, CN_ENOMEM, "out of memory for a direction");
    for (size_t t = p->classes[k].first; t < p->classes[k].first + p->classes[k].n; t++)
        out[p->terms[t].unit] = (float)(p->terms[t].weight / p->sd[p->terms[t].unit]);
    CN_TRY(cn_npy_write(path, CN_DTYPE_F32, 1, &p->units, out, err));
done:
    cn_free(out);
    return st;
}

/* ---- reading ---- */

typedef struct taker {
    const cn_arrays *a;
    const char *path;
    cn_error *err;
} taker;

/* A copy of an array, owned by the caller; rows < 0: as many as there are, up to `most`, left in *count. */
static cn_status take(const taker *r, const char *name, cn_dtype dtype, int64_t rows, int64_t columns, int64_t most, int64_t *count, void **out)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    const cn_tensor *t = cn_arrays_find(r->a, name);
    *out = NULL;
    CN_CHECK(t, CN_EFORMAT, "%s: no probe: it has no array %s", r->path, name);
    CN_CHECK(t->dtype == dtype && t->ndim == (columns ? 2 : 1) && t->shape[0] >= 0 && t->shape[0] <= most && (rows < 0 || t->shape[0] == rows) &&
                 (!columns || t->shape[1] == columns) && (t->count == 0 || t->stride[t->ndim - 1] == 1) &&
                 (!columns || t->count == 0 || t->stride[0] == columns),
             CN_EFORMAT, "%s: the probe is damaged: the array %s", r->path, name);
    *out = cn_calloc((size_t)t->count + 1, cn_dtype_size(dtype));
    CN_CHECK(*out, CN_ENOMEM, "%s: out of memory for a probe", r->path);
    if (t->count)
        memcpy(*out, t->data, (size_t)t->count * cn_dtype_size(dtype));
    if (count)
        *count = t->shape[0];
done:
    return st;
}

/* n texts out of an array of bytes, kept in the probe. out: (n). */
static cn_status take_texts(probe *p, const taker *r, const char *name, size_t n, const char **out)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    void *data = NULL;
    int64_t size;
    CN_TRY(take(r, name, CN_DTYPE_U8, -1, 0, (int64_t)1 << 30, &size, &data));
    const char *at = data, *end = at + size;
    for (size_t i = 0; i < n; i++) {
        const char *zero = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
        CN_CHECK(zero, CN_EFORMAT, "%s: the probe is damaged: the array %s has %zu texts, not %zu", r->path, name, i, n);
        out[i] = probe_keep(p, at);
        CN_CHECK(out[i], CN_ENOMEM, "%s: out of memory for a probe", r->path);
        at = zero + 1;
    }
    CN_CHECK(at == end, CN_EFORMAT, "%s: the probe is damaged: the array %s has more than %zu texts", r->path, name, n);
done:
    cn_free(data);
    return st;
}

/* A whole number from 0 on, as it lies in a double; -1 for anything else. */
static int64_t whole_of(double x)
{
    return x >= 0 && x <= 0x1p53 && x == floor(x) ? (int64_t)x : -1;
}

static bool share_of(double hits, double of, cn_probe_share *out)
{
    const int64_t a = whole_of(hits), b = whole_of(of);
    *out = probe_share(a, b);
    return a >= 0 && b >= a;
}

static cn_status read_settings(probe *p, const taker *r)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    void *data = NULL;
    const char *about[TEXTS];
    cn_probe *q = &p->public;
    CN_TRY(take(r, "settings", CN_DTYPE_F64, SETTINGS, 0, SETTINGS, NULL, &data));
    const double *s = data;
    CN_CHECK(s[0] == FORMAT, CN_EUNSUPPORTED, "%s: a probe of format %g; this program reads %d", r->path, s[0], FORMAT);
    q->relu = s[1] != 0;
    q->mix = s[2];
    q->held_out = s[3];
    q->tolerance = s[4];
    q->wanted = s[5];
    const int64_t high = whole_of(s[6]), low = whole_of(s[7]), chosen = whole_of(s[13]);
    q->train = whole_of(s[8]);
    q->test = whole_of(s[9]);
    q->without = whole_of(s[10]);
    q->left_classes = whole_of(s[11]);
    q->left_pictures = whole_of(s[12]);
    q->zero_known = whole_of(s[18]);
    CN_CHECK(isfinite(q->mix) && isfinite(q->held_out) && isfinite(q->tolerance) && isfinite(q->wanted) && high >= 0 && high <= UINT32_MAX &&
                 low >= 0 && low <= UINT32_MAX && q->train >= 0 && q->test >= 0 && q->without >= 0 && q->left_classes >= 0 &&
                 q->left_pictures >= 0 && chosen >= 0 && q->zero_known >= 0 && share_of(s[14], s[15], &q->zero1) &&
                 share_of(s[16], s[17], &q->zero5),
             CN_EFORMAT, "%s: the probe is damaged: its settings", r->path);
    q->seed = (uint64_t)high << 32 | (uint64_t)low;
    q->chosen = (size_t)chosen;
    q->check_slope = s[19];
    q->check_r = s[20];
    CN_TRY(take_texts(p, r, "about", TEXTS, about));
    q->model_name = about[0];
    q->fingerprint = about[1];
    q->site = about[2];
    q->column = about[3];
    q->collection = about[4];
    q->created = about[5];
    q->zero_shot_template = about[6];
    q->zero_shot_why = *about[7] ? about[7] : NULL;
done:
    cn_free(data);
    return st;
}

static cn_status read_points(probe *p, const taker *r)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    void *data = NULL;
    int64_t n;
    cn_probe *q = &p->public;
    CN_TRY(take(r, "points", CN_DTYPE_F64, -1, POINTS, CN_MAX_PROBE_POINTS, &n, &data));
    q->points = cn_calloc((size_t)n + 1, sizeof *q->points);
    CN_CHECK(q->points, CN_ENOMEM, "%s: out of memory for a probe", r->path);
    q->n_points = (size_t)n;
    CN_CHECK(q->chosen < q->n_points, CN_EFORMAT, "%s: the probe is damaged: its points", r->path);
    for (int64_t i = 0; i < n; i++) {
        const double *s = (const double *)data + i * POINTS;
        cn_probe_point *x = &q->points[i];
        bool good = true;
        for (int k = 0; k < POINTS; k++)
            good = good && isfinite(s[k]);
        *x = (cn_probe_point){.strength = s[0],
                              .weights = whole_of(s[1]),
                              .units = whole_of(s[2]),
                              .units_a_class = s[3],
                              .objective = s[4],
                              .loss = s[5],
                              .violation = s[6],
                              .working = whole_of(s[7]),
                              .missed = whole_of(s[8]),
                              .passes = s[9] >= 0 && s[9] < 1e9 ? (int)s[9] : 0};
        CN_CHECK(good && share_of(s[10], s[11], &x->top1) && share_of(s[12], s[13], &x->top5), CN_EFORMAT,
                 "%s: the probe is damaged: its points", r->path);
    }
done:
    cn_free(data);
    return st;
}

static cn_status read_classes(probe *p, const taker *r)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    void *intercept = NULL, *train = NULL, *test = NULL, *checks = NULL;
    const char **names = NULL;
    int64_t n;
    cn_probe *q = &p->public;
    CN_TRY(take(r, "intercept", CN_DTYPE_F64, -1, 0, CN_MAX_PROBE_CLASSES, &n, &intercept));
    CN_TRY(take(r, "class_train", CN_DTYPE_I64, n, 0, n, NULL, &train));
    CN_TRY(take(r, "class_held_out", CN_DTYPE_I64, n, 0, n, NULL, &test));
    CN_TRY(take(r, "checks", CN_DTYPE_F64, n, CHECKS, n, NULL, &checks));
    q->classes = cn_calloc((size_t)n + 1, sizeof *q->classes);
    names = cn_calloc((size_t)n + 1, sizeof *names);
    CN_CHECK(q->classes && names, CN_ENOMEM, "%s: out of memory for a probe", r->path);
    CN_CHECK(n >= 2, CN_EFORMAT, "%s: the probe is damaged: %" PRId64 " classes", r->path, n);
    q->n_classes = (size_t)n;
    CN_TRY(take_texts(p, r, "class_names", (size_t)n, names));
    for (int64_t k = 0; k < n; k++) {
        const double *s = (const double *)checks + k * CHECKS;
        cn_probe_class *c = &q->classes[k];
        *c = (cn_probe_class){.name = names[k],
                              .train = ((const int64_t *)train)[k],
                              .held_out = ((const int64_t *)test)[k],
                              .intercept = ((const double *)intercept)[k],
                              .check = {.predicted = s[0], .measured = s[1], .low = s[2], .high = s[3], .pictures = whole_of(s[4])}};
        CN_CHECK(isfinite(c->intercept) && c->train >= 0 && c->held_out >= 0 && isfinite(s[0]) && c->check.pictures >= 0 &&
                     share_of(s[5], s[6], &c->check.before) && share_of(s[7], s[8], &c->check.after),
                 CN_EFORMAT, "%s: the probe is damaged: class %" PRId64, r->path, k);
    }
done:
    cn_free(intercept);
    cn_free(train);
    cn_free(test);
    cn_free(checks);
    cn_free(names);
    return st;
}

static cn_status read_terms(probe *p, const taker *r)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    void *class_index = NULL, *unit = NULL, *weight = NULL, *level = NULL, *named = NULL, *mean = NULL, *sd = NULL;
    const char **names = NULL;
    int64_t n;
    cn_probe *q = &p->public;
    CN_TRY(take(r, "mean", CN_DTYPE_F64, -1, 0, (int64_t)1 << 24, &q->units, &mean));
    q->mean = mean, mean = NULL;
    CN_TRY(take(r, "sd", CN_DTYPE_F64, q->units, 0, q->units, NULL, &sd));
    q->sd = sd, sd = NULL;
    for (int64_t u = 0; u < q->units; u++)
        CN_CHECK(isfinite(q->mean[u]) && isfinite(q->sd[u]) && q->sd[u] >= 0, CN_EFORMAT, "%s: the probe is damaged: unit %" PRId64, r->path, u);
    CN_TRY(take(r, "class", CN_DTYPE_I32, -1, 0, CN_MAX_PROBE_WEIGHTS, &n, &class_index));
    CN_TRY(take(r, "unit", CN_DTYPE_I32, n, 0, n, NULL, &unit));
    CN_TRY(take(r, "weight", CN_DTYPE_F64, n, 0, n, NULL, &weight));
    CN_TRY(take(r, "level", CN_DTYPE_F64, n, 0, n, NULL, &level));
    CN_TRY(take(r, "named", CN_DTYPE_U8, n, 0, n, NULL, &named));
    q->terms = cn_calloc((size_t)n + 1, sizeof *q->terms);
    names = cn_calloc((size_t)n + 1, sizeof *names);
    CN_CHECK(q->terms && names, CN_ENOMEM, "%s: out of memory for a probe", r->path);
    CN_TRY(take_texts(p, r, "unit_names", (size_t)n, names));
    q->n_terms = (size_t)n;
    for (int64_t t = 0; t < n; t++) {
        const int32_t k = ((const int32_t *)class_index)[t], u = ((const int32_t *)unit)[t];
        cn_probe_term *x = &q->terms[t];
        CN_CHECK(k >= 0 && (size_t)k < q->n_classes && u >= 0 && u < q->units && q->sd[u] > 0 && isfinite(((const double *)weight)[t]) &&
                     isfinite(((const double *)level)[t]) && (t == 0 || (size_t)k >= q->terms[t - 1].class_index),
                 CN_EFORMAT, "%s: the probe is damaged: weight %" PRId64, r->path, t);
        *x = (cn_probe_term){.class_index = (size_t)k,
                             .unit = u,
                             .weight = ((const double *)weight)[t],
                             .level = ((const double *)level)[t],
                             .named = ((const uint8_t *)named)[t] != 0,
                             .name = names[t]};
        cn_probe_class *c = &q->classes[k];
        if (c->n++ == 0)
            c->first = (size_t)t;
    }
    for (size_t k = 0; k < q->n_classes; k++) {
        double total = 0;
        for (size_t t = q->classes[k].first; t < q->classes[k].first + q->classes[k].n; t++)
            total += fabs(q->terms[t].weight);
        for (size_t t = q->classes[k].first; t < q->classes[k].first + q->classes[k].n; t++)
            q->terms[t].share = total > 0 ? fabs(q->terms[t].weight) / total : 0;
    }
done:
    cn_free(class_index);
    cn_free(unit);
    cn_free(weight);
    cn_free(level);
    cn_free(named);
    cn_free(mean);
    cn_free(sd);
    cn_free(names);
    return st;
}

cn_status cn_probe_load(cn_probe **out, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    cn_arrays *a = NULL;
    probe *p = cn_calloc(1, sizeof *p);
    *out = NULL;
    CN_CHECK(p, CN_ENOMEM, "%s: out of memory for a probe", path);
    CN_TRY(cn_arrays_open(&a, path, err));
    const taker r = {a, path, err};
    CN_TRY(read_settings(p, &r));
    CN_TRY(read_points(p, &r));
    CN_TRY(read_classes(p, &r));
    CN_TRY(read_terms(p, &r));
    *out = &p->public, p = NULL;
done:
    cn_arrays_close(a);
    cn_probe_free(p ? &p->public : NULL);
    return st;
}

/* ---- in a study ---- */

cn_status cn_study_keep_probe(cn_study *s, const cn_probe *p, cn_error *err)
{
    cn_status st = CN_OK;
    size_t site = 0;
    char *path = path_join(s->path, CN_STUDY_PROBE);
    CN_CHECK(path, CN_ENOMEM, "out of memory for a path");
    CN_CHECK(strcmp(p->fingerprint, s->info.fingerprint) == 0, CN_EMISMATCH, "%s: the probe is of another model", s->path);
    while (site < s->n_sites && strcmp(s->sites[site].name, p->site) != 0)
        site++;
    CN_CHECK(site < s->n_sites && s->sites[site].units == p->units, CN_EMISMATCH, "%s: the study has not the probe's site, %s", s->path, p->site);
    CN_TRY(cn_probe_save(p, path, err));
    CN_TRY(served_keep(s, site, p, err));
done:
    cn_free(path);
    return st;
}

cn_status cn_study_kept_probe(cn_probe **out, cn_study *s, cn_error *err)
{
    cn_status st = CN_OK;
    cn_probe *p = NULL;
    struct stat info;
    char *path = path_join(s->path, CN_STUDY_PROBE);
    *out = NULL;
    CN_CHECK(path, CN_ENOMEM, "out of memory for a path");
    CN_CHECK(stat(path, &info) == 0, CN_ENOTFOUND, "%s: the study keeps no probe", s->path);
    CN_TRY(cn_probe_load(&p, path, err));
    /* A scan that replaces a study leaves the file where it is. Dates are ISO's. */
    CN_CHECK(strcmp(p->fingerprint, s->info.fingerprint) == 0 && strcmp(p->created, s->info.created) >= 0, CN_ENOTFOUND,
             "%s: the probe is from before the study was scanned again", path);
    *out = p, p = NULL;
done:
    cn_probe_free(p);
    cn_free(path);
    return st;
}
