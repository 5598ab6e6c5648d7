/* study/unitfile.c -- histograms sparse, examples by rank, levels one unit behind the other. */
#include "study/unitfile.h"

#include "base/memory.h"
#include "study/finebins.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const group_names[UNIT_PARTITIONS] = {"labels", "media", "pairs"};

/* ---- writing ---- */

static cn_status put(cn_npz_writer *out, int number, const char *name, cn_dtype dtype, int64_t a, int64_t b, int64_t c, const void *data,
                     cn_error *err)
{
    char full[64];
    const int64_t shape[] = {a, b, c};
    snprintf(full, sizeof full, "%d.%s", number, name);
    return cn_npz_writer_add(out, full, dtype, c ? 3 : b ? 2 : 1, shape, data, err);
}

static cn_status save_bins(const unitstats *s, int number, cn_npz_writer *out, cn_error *err)
{
    cn_status st = CN_OK;
    size_t full = 0, at = 0;
    int32_t *pairs = NULL;
    int64_t *ends = cn_calloc((size_t)s->units, sizeof *ends);
    const size_t all = (size_t)s->units * FINEBINS;
    for (size_t i = 0; i < all; i++)
        full += s->bins[i] > 0;
    pairs = cn_calloc(full ? full : 1, 2 * sizeof *pairs);
    CN_CHECK(ends && pairs, CN_ENOMEM, "out of memory for %zu bins", full);
    for (int64_t u = 0; u < s->units; u++) {
        const uint32_t *bins = s->bins + (size_t)u * FINEBINS;
        for (int32_t i = 0; i < FINEBINS; i++)
            if (bins[i]) {
                pairs[2 * at] = i;
                pairs[2 * at + 1] = (int32_t)bins[i];
                at++;
            }
        ends[u] = (int64_t)at;
    }
    CN_TRY(put(out, number, "bins.ends", CN_DTYPE_I64, s->units, 0, 0, ends, err));
    CN_TRY(put(out, number, "bins", CN_DTYPE_I32, (int64_t)full, 2, 0, pairs, err));
done:
    cn_free(ends);
    cn_free(pairs);
    return st;
}

static cn_status save_extremes(const unit_extremes *e, int64_t units, int64_t map, int number, const char *name, cn_npz_writer *out,
                               cn_error *err)
{
    cn_status st = CN_OK;
    char part[32];
    const size_t all = (size_t)units * (size_t)e->k;
    int32_t *numbers = cn_calloc(all, 2 * sizeof *numbers);
    float *values = cn_calloc(all, 2 * sizeof *values);
    uint16_t *maps = e->maps ? cn_calloc(all, (size_t)map * sizeof *maps) : NULL;
    CN_CHECK(numbers && values && (maps || !e->maps), CN_ENOMEM, "out of memory for the examples of %lld units", (long long)units);
    for (int64_t u = 0; u < units; u++)
        for (int i = 0; i < e->held[u]; i++) {
            const int64_t at = u * e->k + i;
            const unit_example *x = &e->examples[at];
            numbers[2 * at] = x->image;
            numbers[2 * at + 1] = x->position;
            values[2 * at] = x->value;
            values[2 * at + 1] = x->peak;
            if (maps)
                memcpy(maps + at * map, e->maps + (u * e->k + x->slot) * map, (size_t)map * sizeof *maps);
        }
    snprintf(part, sizeof part, "%s.held", name);
    CN_TRY(put(out, number, part, CN_DTYPE_I32, units, 0, 0, e->held, err));
    snprintf(part, sizeof part, "%s.numbers", name);
    CN_TRY(put(out, number, part, CN_DTYPE_I32, units, e->k, 2, numbers, err));
    snprintf(part, sizeof part, "%s.values", name);
    CN_TRY(put(out, number, part, CN_DTYPE_F32, units, e->k, 2, values, err));
    if (maps) {
        snprintf(part, sizeof part, "%s.maps", name);
        CN_TRY(put(out, number, part, CN_DTYPE_F16, units, e->k, map, maps, err));
    }
done:
    cn_free(numbers);
    cn_free(values);
    cn_free(maps);
    return st;
}

static cn_status save_levels(const levels *l, int number, cn_npz_writer *out, cn_error *err)
{
    cn_status st = CN_OK;
    size_t held = 0, at = 0;
    int64_t *keys = NULL;
    int32_t *numbers = NULL;
    float *values = NULL;
    int64_t *ends = cn_calloc((size_t)l->units, sizeof *ends);
    CN_CHECK(ends, CN_ENOMEM, "out of memory for the levels of %lld units", (long long)l->units);
    for (int64_t u = 0; u < l->units; u++)
        ends[u] = (int64_t)(held += (size_t)l->unit[u].count);
    keys = cn_calloc(held ? held : 1, sizeof *keys);
    numbers = cn_calloc(held ? held : 1, 2 * sizeof *numbers);
    values = cn_calloc(held ? held : 1, 2 * sizeof *values);
    CN_CHECK(keys && numbers && values, CN_ENOMEM, "out of memory for the levels of %lld units", (long long)l->units);
    for (int64_t u = 0; u < l->units; u++)
        for (int32_t i = 0; i < l->unit[u].count; i++, at++) {
            const level_picture *p = &l->unit[u].held[i];
            memcpy(&keys[at], &p->key, sizeof *keys);
            numbers[2 * at] = p->image;
            numbers[2 * at + 1] = p->position;
            values[2 * at] = p->value;
            values[2 * at + 1] = p->peak;
        }
    CN_TRY(put(out, number, "levels.ends", CN_DTYPE_I64, l->units, 0, 0, ends, err));
    CN_TRY(put(out, number, "levels.keys", CN_DTYPE_I64, (int64_t)held, 0, 0, keys, err));
    CN_TRY(put(out, number, "levels.numbers", CN_DTYPE_I32, (int64_t)held, 2, 0, numbers, err));
    CN_TRY(put(out, number, "levels.values", CN_DTYPE_F32, (int64_t)held, 2, 0, values, err));
done:
    cn_free(ends);
    cn_free(keys);
    cn_free(numbers);
    cn_free(values);
    return st;
}

cn_status unitfile_save(const unitstats *s, int number, cn_npz_writer *out, cn_error *err)
{
    cn_status st = CN_OK;
    char name[32];
    CN_TRY(put(out, number, "count", CN_DTYPE_I64, 1, 0, 0, &s->count, err));
    CN_TRY(put(out, number, "mean", CN_DTYPE_F64, s->units, 0, 0, s->mean, err));
    CN_TRY(put(out, number, "m2", CN_DTYPE_F64, s->units, 0, 0, s->m2, err));
    CN_TRY(put(out, number, "m3", CN_DTYPE_F64, s->units, 0, 0, s->m3, err));
    CN_TRY(put(out, number, "m4", CN_DTYPE_F64, s->units, 0, 0, s->m4, err));
    CN_TRY(put(out, number, "min", CN_DTYPE_F32, s->units, 0, 0, s->min, err));
    CN_TRY(put(out, number, "max", CN_DTYPE_F32, s->units, 0, 0, s->max, err));
    CN_TRY(put(out, number, "positive", CN_DTYPE_I64, s->units, 0, 0, s->positive, err));
    CN_TRY(save_bins(s, number, out, err));
    CN_TRY(save_extremes(&s->top, s->units, s->map, number, "top", out, err));
    CN_TRY(save_extremes(&s->bottom, s->units, s->map, number, "bottom", out, err));
    CN_TRY(save_levels(&s->levels, number, out, err));
    for (int p = 0; p < UNIT_PARTITIONS; p++) {
        const unit_groups *g = &s->partition[p];
        if (!g->groups)
            continue;
        snprintf(name, sizeof name, "%s.images", group_names[p]);
        CN_TRY(put(out, number, name, CN_DTYPE_I64, g->groups, 0, 0, g->images, err));
        snprintf(name, sizeof name, "%s.sums", group_names[p]);
        CN_TRY(put(out, number, name, CN_DTYPE_F64, g->groups, s->units, 0, g->sums, err));
        snprintf(name, sizeof name, "%s.positive", group_names[p]);
        if (g->positive)
            CN_TRY(put(out, number, name, CN_DTYPE_I32, g->groups, s->units, 0, g->positive, err));
    }
done:
    return st;
}

/* ---- reading ---- */

typedef struct input {
    const cn_arrays *arrays;
    const char *path;
    int number;
    int64_t images, map;
    cn_error *err;
} input;

static cn_status damaged(const input *in, const char *name)
{
    return cn_fail(in->err, CN_EFORMAT, "%s: damaged, or of another scan: %d.%s", in->path, in->number, name);
}

/* The array of that name and shape; a: -1 for any. *n, when asked for: its first dimension. */
static cn_status find(const input *in, const char *name, cn_dtype dtype, int64_t a, int64_t b, int64_t c, const void **data, int64_t *n)
{
    char full[64];
    snprintf(full, sizeof full, "%d.%s", in->number, name);
    *data = NULL;
    const cn_tensor *t = cn_arrays_find(in->arrays, full);
    const int dims = c ? 3 : b ? 2 : 1;
    if (!t || t->dtype != dtype || t->ndim != dims || (a >= 0 && t->shape[0] != a) || (b && t->shape[1] != b) || (c && t->shape[2] != c))
        return damaged(in, name);
    int64_t stride = 1;
    for (int d = dims - 1; d >= 0 && t->count; d--) {
        if (t->shape[d] > 1 && t->stride[d] != stride)
            return damaged(in, name);
        stride *= t->shape[d];
    }
    *data = t->data;
    if (n)
        *n = t->shape[0];
    return CN_OK;
}

static cn_status get(const input *in, const char *name, cn_dtype dtype, int64_t a, int64_t b, int64_t c, void *to)
{
    const void *data;
    const cn_status st = find(in, name, dtype, a, b, c, &data, NULL);
    if (st == CN_OK && a)
        memcpy(to, data, (size_t)a * (size_t)(b ? b : 1) * (size_t)(c ? c : 1) * cn_dtype_size(dtype));
    return st;
}

static int32_t int_at(const void *data, int64_t i) /* arrays of a file need not be aligned */
{
    int32_t x;
    memcpy(&x, (const char *)data + i * (int64_t)sizeof x, sizeof x);
    return x;
}

static int64_t long_at(const void *data, int64_t i)
{
    int64_t x;
    memcpy(&x, (const char *)data + i * (int64_t)sizeof x, sizeof x);
    return x;
}

static float float_at(const void *data, int64_t i)
{
    float x;
    memcpy(&x, (const char *)data + i * (int64_t)sizeof x, sizeof x);
    return x;
}

/* Ends of runs: rising, up to n. */
static bool good_ends(const void *ends, int64_t units, int64_t n)
{
    int64_t last = 0;
    for (int64_t u = 0; u < units; u++) {
        const int64_t end = long_at(ends, u);
        if (end < last || end > n)
            return false;
        last = end;
    }
    return last == n;
}

static bool good_place(const input *in, int32_t image, int32_t position)
{
    return image >= 0 && image < in->images && position >= -1 && position < (in->map ? in->map : INT16_MAX);
}

static cn_status load_bins(unitstats *s, const input *in)
{
    cn_status st = CN_OK;
    const void *ends, *pairs;
    int64_t n;
    CN_TRY(find(in, "bins.ends", CN_DTYPE_I64, s->units, 0, 0, &ends, NULL));
    CN_TRY(find(in, "bins", CN_DTYPE_I32, -1, 2, 0, &pairs, &n));
    if (!good_ends(ends, s->units, n))
        CN_TRY(damaged(in, "bins.ends"));
    int64_t at = 0;
    for (int64_t u = 0; u < s->units; u++) {
        int64_t total = 0;
        for (; at < long_at(ends, u); at++) {
            const int32_t bin = int_at(pairs, 2 * at), count = int_at(pairs, 2 * at + 1);
            if (bin < 0 || bin >= FINEBINS || count < 0)
                CN_TRY(damaged(in, "bins"));
            s->bins[u * FINEBINS + bin] = (uint32_t)count;
            total += count;
        }
        if (total != s->count)
            CN_TRY(damaged(in, "bins"));
    }
done:
    return st;
}

static cn_status load_extremes(unit_extremes *e, int64_t units, const input *in, const char *name)
{
    cn_status st = CN_OK;
    char held[32], numbers[32], values[32], maps[32];
    const void *n, *v;
    snprintf(held, sizeof held, "%s.held", name);
    snprintf(numbers, sizeof numbers, "%s.numbers", name);
    snprintf(values, sizeof values, "%s.values", name);
    snprintf(maps, sizeof maps, "%s.maps", name);
    CN_TRY(get(in, held, CN_DTYPE_I32, units, 0, 0, e->held));
    CN_TRY(find(in, numbers, CN_DTYPE_I32, units, e->k, 2, &n, NULL));
    CN_TRY(find(in, values, CN_DTYPE_F32, units, e->k, 2, &v, NULL));
    if (e->maps)
        CN_TRY(get(in, maps, CN_DTYPE_F16, units, e->k, in->map, e->maps));
    for (int64_t u = 0; u < units; u++) {
        if (e->held[u] < 0 || e->held[u] > e->k)
            CN_TRY(damaged(in, held));
        for (int i = 0; i < e->held[u]; i++) {
            const int64_t at = u * e->k + i;
            unit_example *x = &e->examples[at];
            *x = (unit_example){.image = int_at(n, 2 * at), .position = int_at(n, 2 * at + 1), .value = float_at(v, 2 * at), .peak = float_at(v, 2 * at + 1), .slot = i};
            if (!good_place(in, x->image, x->position) || !isfinite(x->value) || !isfinite(x->peak))
                CN_TRY(damaged(in, numbers));
        }
    }
done:
    return st;
}

static cn_status load_levels(levels *l, const unitstats *s, const input *in)
{
    cn_status st = CN_OK;
    cn_error *err = in->err;
    const void *ends, *keys, *numbers, *values;
    int64_t n, at = 0;
    CN_TRY(find(in, "levels.ends", CN_DTYPE_I64, l->units, 0, 0, &ends, NULL));
    CN_TRY(find(in, "levels.keys", CN_DTYPE_I64, -1, 0, 0, &keys, &n));
    CN_TRY(find(in, "levels.numbers", CN_DTYPE_I32, n, 2, 0, &numbers, NULL));
    CN_TRY(find(in, "levels.values", CN_DTYPE_F32, n, 2, 0, &values, NULL));
    if (!good_ends(ends, l->units, n))
        CN_TRY(damaged(in, "levels.ends"));
    for (int64_t u = 0; u < l->units; u++)
        for (; at < long_at(ends, u); at++) {
            level_picture p = {.image = int_at(numbers, 2 * at), .position = int_at(numbers, 2 * at + 1), .value = float_at(values, 2 * at), .peak = float_at(values, 2 * at + 1)};
            memcpy(&p.key, (const char *)keys + at * 8, sizeof p.key);
            if (!good_place(in, p.image, p.position) || !isfinite(p.peak) || !(p.value >= s->min[u] && p.value <= s->max[u]))
                CN_TRY(damaged(in, "levels.values"));
            CN_TRY(levels_add(l, u, &p, err));
        }
    for (int64_t u = 0; s->count && u < l->units; u++)
        levels_widen(l, u, s->min[u], s->max[u]);
done:
    return st;
}

static cn_status load_groups(unitstats *s, const input *in)
{
    cn_status st = CN_OK;
    char name[32];
    for (int p = 0; p < UNIT_PARTITIONS; p++) {
        unit_groups *g = &s->partition[p];
        if (!g->groups)
            continue;
        snprintf(name, sizeof name, "%s.images", group_names[p]);
        CN_TRY(get(in, name, CN_DTYPE_I64, g->groups, 0, 0, g->images));
        for (int64_t i = 0; i < g->groups; i++)
            if (g->images[i] < 0 || g->images[i] > s->count)
                CN_TRY(damaged(in, name));
        snprintf(name, sizeof name, "%s.sums", group_names[p]);
        CN_TRY(get(in, name, CN_DTYPE_F64, g->groups, s->units, 0, g->sums));
        snprintf(name, sizeof name, "%s.positive", group_names[p]);
        if (g->positive)
            CN_TRY(get(in, name, CN_DTYPE_I32, g->groups, s->units, 0, g->positive));
    }
done:
    return st;
}

cn_status unitfile_load(unitstats *s, int number, const unit_shape *shape, int64_t images, const cn_arrays *arrays, const char *path,
                        cn_error *err)
{
    cn_status st = CN_OK;
    const input in = {arrays, path, number, images, shape->map, err};
    CN_TRY(unitstats_init(s, shape, err));
    CN_TRY(get(&in, "count", CN_DTYPE_I64, 1, 0, 0, &s->count));
    if (s->count < 0 || s->count > images)
        CN_TRY(damaged(&in, "count"));
    CN_TRY(get(&in, "mean", CN_DTYPE_F64, s->units, 0, 0, s->mean));
    CN_TRY(get(&in, "m2", CN_DTYPE_F64, s->units, 0, 0, s->m2));
    CN_TRY(get(&in, "m3", CN_DTYPE_F64, s->units, 0, 0, s->m3));
    CN_TRY(get(&in, "m4", CN_DTYPE_F64, s->units, 0, 0, s->m4));
    CN_TRY(get(&in, "min", CN_DTYPE_F32, s->units, 0, 0, s->min));
    CN_TRY(get(&in, "max", CN_DTYPE_F32, s->units, 0, 0, s->max));
    CN_TRY(get(&in, "positive", CN_DTYPE_I64, s->units, 0, 0, s->positive));
    for (int64_t u = 0; u < s->units; u++)
        if (!isfinite(s->mean[u]) || !isfinite(s->m2[u]) || !isfinite(s->m3[u]) || !isfinite(s->m4[u]) || !isfinite(s->min[u]) ||
            !isfinite(s->max[u]) || s->min[u] > s->max[u])
            CN_TRY(damaged(&in, "moments"));
    CN_TRY(load_bins(s, &in));
    CN_TRY(load_extremes(&s->top, s->units, &in, "top"));
    CN_TRY(load_extremes(&s->bottom, s->units, &in, "bottom"));
    CN_TRY(load_levels(&s->levels, s, &in));
    CN_TRY(load_groups(s, &in));
done:
    return st;
}
