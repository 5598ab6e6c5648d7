/* vis/probeclass.c -- one class of a probe's .npz as a linear function of a site. */
#include "vis/probeclass.h"

#include "base/memory.h"
#include "clip/sitenames.h"
#include "clipneuron/array.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { ABOUT_FINGERPRINT = 1, ABOUT_SITE = 2, NEAREST = 3, NAME_SHOWN = 60 };

typedef struct reader {
    cn_arrays *arrays;
    const char *path;
    cn_error *err;
} reader;

/* The array `name`, of one dimension without gaps; count < 0: of any length. Borrowed from the file. */
static cn_status find(const reader *r, const char *name, cn_dtype dtype, int64_t count, const cn_tensor **out)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    const cn_tensor *t = cn_arrays_find(r->arrays, name);
    CN_CHECK(t, CN_EFORMAT, "%s: no probe: it has no array %s", r->path, name);
    CN_CHECK(t->dtype == dtype && t->ndim == 1 && (count < 0 || t->count == count) && (t->count == 0 || t->stride[0] == 1), CN_EFORMAT,
             "%s: the probe is damaged: the array %s", r->path, name);
    *out = t;
done:
    return st;
}

/* The i-th element; it may lie at any byte. */
static double real_at(const cn_tensor *t, int64_t i)
{
    double x;
    memcpy(&x, (const char *)t->data + (size_t)i * sizeof x, sizeof x);
    return x;
}

static int32_t whole_at(const cn_tensor *t, int64_t i)
{
    int32_t x;
    memcpy(&x, (const char *)t->data + (size_t)i * sizeof x, sizeof x);
    return x;
}

/* The text behind `at` in an array of texts that zeros end; NULL: none. at NULL: the first. */
static const char *next_text(const cn_tensor *texts, const char *at)
{
    const char *begin = texts->data, *end = begin + texts->count;
    const char *next = at ? at + strlen(at) + 1 : begin;
    return next < end ? next : NULL;
}

static cn_status find_texts(const reader *r, const char *name, const cn_tensor **out)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    CN_TRY(find(r, name, CN_DTYPE_U8, -1, out));
    const char *bytes = (*out)->data;
    CN_CHECK((*out)->count > 0 && bytes[(*out)->count - 1] == 0, CN_EFORMAT, "%s: the probe is damaged: the array %s", r->path, name);
done:
    return st;
}

static cn_status no_class(const reader *r, const cn_tensor *names, const char *wanted)
{
    const char *best[NEAREST];
    int distance[NEAREST];
    size_t found = 0, all = 0, at = 0;
    char text[NEAREST * (NAME_SHOWN + 4) + 1] = "";
    for (const char *name = next_text(names, NULL); name; name = next_text(names, name), all++) {
        const int d = clip_name_distance(wanted, name);
        size_t k = found;
        while (k > 0 && distance[k - 1] > d)
            k--;
        if (k == NEAREST)
            continue;
        found += found < NEAREST;
        memmove(best + k + 1, best + k, (found - 1 - k) * sizeof *best);
        memmove(distance + k + 1, distance + k, (found - 1 - k) * sizeof *distance);
        best[k] = name, distance[k] = d;
    }
    for (size_t k = 0; k < found && at < sizeof text; k++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s\"%.*s\"", k ? ", " : "", NAME_SHOWN, best[k]);
    return cn_fail(r->err, CN_ENOTFOUND, "%s: the probe has no class \"%.*s\"; nearest of %zu: %s", r->path, NAME_SHOWN, wanted, all, text);
}

/* The number of a class. */
static cn_status find_class(const reader *r, const char *wanted, int64_t *number, int64_t *count)
{
    cn_status st = CN_OK;
    const cn_tensor *names;
    int64_t near = -1, same = -1, n = 0;
    CN_TRY(find_texts(r, "class_names", &names));
    for (const char *name = next_text(names, NULL); name; name = next_text(names, name), n++) {
        if (same < 0 && strcmp(name, wanted) == 0)
            same = n;
        if (near < 0 && strcasecmp(name, wanted) == 0)
            near = n;
    }
    *number = same >= 0 ? same : near;
    *count = n;
    if (*number < 0)
        CN_TRY(no_class(r, names, wanted));
done:
    return st;
}

static cn_status read_about(const reader *r, const cn_model *model, probeclass *out)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    const cn_tensor *settings, *about;
    const char *text[PROBE_TEXTS] = {NULL};
    char fingerprint[65];
    CN_TRY(find(r, "settings", CN_DTYPE_F64, PROBE_SETTINGS, &settings));
    CN_CHECK(real_at(settings, 0) == PROBE_FORMAT, CN_EUNSUPPORTED, "%s: a probe of format %g; this program reads %d", r->path,
             real_at(settings, 0), PROBE_FORMAT);
    out->relu = real_at(settings, 1) != 0;
    CN_TRY(find_texts(r, "about", &about));
    for (int i = 0; i < PROBE_TEXTS; i++) {
        text[i] = next_text(about, i ? text[i - 1] : NULL);
        CN_CHECK(text[i], CN_EFORMAT, "%s: the probe is damaged: the array about", r->path);
    }
    CN_TRY(cn_model_fingerprint(model, fingerprint, err));
    CN_CHECK(strcmp(text[ABOUT_FINGERPRINT], fingerprint) == 0, CN_EMISMATCH,
             "%s: the probe is of another model: its fingerprint is %.12s..., the model's %.12s...", r->path, text[ABOUT_FINGERPRINT], fingerprint);
    CN_TRY(cn_model_find_site(model, text[ABOUT_SITE], &out->site, err));
done:
    return st;
}

static cn_status read_equation(const reader *r, int64_t number, int64_t classes, probeclass *out)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    const cn_tensor *intercept, *mean, *sd, *of, *unit, *weight;
    const int64_t units = out->site->units;
    double *w = cn_calloc((size_t)units, sizeof *w);
    bool any = false;
    out->weight = cn_calloc((size_t)units, sizeof *out->weight);
    CN_CHECK(w && out->weight, CN_ENOMEM, "%s: out of memory for a probe", r->path);
    CN_TRY(find(r, "intercept", CN_DTYPE_F64, classes, &intercept));
    CN_TRY(find(r, "mean", CN_DTYPE_F64, units, &mean));
    CN_TRY(find(r, "sd", CN_DTYPE_F64, units, &sd));
    CN_TRY(find(r, "class", CN_DTYPE_I32, -1, &of));
    CN_TRY(find(r, "unit", CN_DTYPE_I32, of->count, &unit));
    CN_TRY(find(r, "weight", CN_DTYPE_F64, of->count, &weight));
    out->constant = real_at(intercept, number);
    for (int64_t t = 0; t < of->count; t++) {
        const int32_t u = whole_at(unit, t);
        if (whole_at(of, t) != number)
            continue;
        CN_CHECK(u >= 0 && u < units && real_at(sd, u) > 0, CN_EFORMAT, "%s: the probe is damaged: weight %lld", r->path, (long long)t);
        w[u] += real_at(weight, t) / real_at(sd, u);
        out->constant -= real_at(weight, t) * real_at(mean, u) / real_at(sd, u);
        any = true;
    }
    for (int64_t u = 0; u < units; u++) {
        out->weight[u] = (float)w[u];
        CN_CHECK(isfinite(out->weight[u]), CN_EFORMAT, "%s: the probe is damaged: the weight of unit %lld", r->path, (long long)u);
    }
    CN_CHECK(isfinite(out->constant), CN_EFORMAT, "%s: the probe is damaged: a class's constant", r->path);
    CN_CHECK(any, CN_EINVAL, "%s: this class has no unit in its equation: nothing can raise its logit", r->path);
done:
    cn_free(w);
    return st;
}

cn_status probeclass_read(probeclass *out, const cn_model *model, const char *path, const char *name, cn_error *err)
{
    cn_status st = CN_OK;
    reader r = {NULL, path, err};
    int64_t number, classes;
    *out = (probeclass){0};
    CN_TRY(cn_arrays_open(&r.arrays, path, err));
    CN_TRY(read_about(&r, model, out));
    CN_TRY(find_class(&r, name, &number, &classes));
    CN_TRY(read_equation(&r, number, classes, out));
done:
    cn_arrays_close(r.arrays);
    if (st != CN_OK)
        probeclass_free(out);
    return st;
}

void probeclass_free(probeclass *c)
{
    cn_free(c->weight);
    *c = (probeclass){0};
}
