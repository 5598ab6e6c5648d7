/* study/unitstats.c -- one pass over the images, Pebay's updates for the central moments. */
#include "study/unitstats.h"

#include "base/memory.h"
#include "study/finebins.h"
#include "study/float16.h"

#include <math.h>
#include <string.h>

static void *array(int64_t a, int64_t b, size_t element)
{
    size_t count;
    return a < 0 || b < 0 || !cn_mul_size((size_t)a, (size_t)b, &count) ? NULL : cn_calloc(count, element);
}

static cn_status extremes_init(unit_extremes *e, int64_t units, int64_t map, int k, cn_error *err)
{
    cn_status st = CN_OK;
    e->k = k;
    e->held = array(units, 1, sizeof *e->held);
    e->examples = array(units, k, sizeof *e->examples);
    CN_CHECK(e->held && e->examples, CN_ENOMEM, "out of memory for %d examples of %lld units", k,
             (long long)units);
    if (map) {
        e->maps = array(units * k, map, sizeof *e->maps);
        CN_CHECK(e->maps, CN_ENOMEM, "out of memory for the maps of %d examples of %lld units", k,
                 (long long)units);
    }
done:
    return st;
}

cn_status unitstats_init(unitstats *s, int64_t units, int64_t map, int top, int bottom,
                         const int64_t groups[UNIT_PARTITIONS], cn_error *err)
{
    cn_status st = CN_OK;
    memset(s, 0, sizeof *s);
    s->units = units;
    s->map = map;
    s->mean = array(units, 1, sizeof *s->mean);
    s->m2 = array(units, 1, sizeof *s->m2);
    s->m3 = array(units, 1, sizeof *s->m3);
    s->m4 = array(units, 1, sizeof *s->m4);
    s->min = array(units, 1, sizeof *s->min);
    s->max = array(units, 1, sizeof *s->max);
    s->positive = array(units, 1, sizeof *s->positive);
    s->bins = array(units, FINEBINS, sizeof *s->bins);
    CN_CHECK(s->mean && s->m2 && s->m3 && s->m4 && s->min && s->max && s->positive && s->bins, CN_ENOMEM,
             "out of memory for the statistics of %lld units", (long long)units);
    CN_TRY(extremes_init(&s->top, units, map, top, err));
    CN_TRY(extremes_init(&s->bottom, units, map, bottom, err));
    for (int p = 0; p < UNIT_PARTITIONS; p++) {
        unit_groups *g = &s->partition[p];
        g->groups = groups[p];
        g->images = array(g->groups, 1, sizeof *g->images);
        g->sums = array(g->groups, units, sizeof *g->sums);
        CN_CHECK(g->images && g->sums, CN_ENOMEM, "out of memory for the sums of %lld labels over %lld units",
                 (long long)g->groups, (long long)units);
        if (p == UNIT_LABELS)
            continue;
        g->positive = array(g->groups, units, sizeof *g->positive);
        CN_CHECK(g->positive, CN_ENOMEM, "out of memory for the counts of %lld media over %lld units",
                 (long long)g->groups, (long long)units);
    }
done:
    return st;
}

void unitstats_free(unitstats *s)
{
    cn_free(s->mean);
    cn_free(s->m2);
    cn_free(s->m3);
    cn_free(s->m4);
    cn_free(s->min);
    cn_free(s->max);
    cn_free(s->positive);
    cn_free(s->bins);
    for (int i = 0; i < 2; i++) {
        unit_extremes *e = i ? &s->bottom : &s->top;
        cn_free(e->held);
        cn_free(e->examples);
        cn_free(e->maps);
    }
    for (int p = 0; p < UNIT_PARTITIONS; p++) {
        cn_free(s->partition[p].images);
        cn_free(s->partition[p].sums);
        cn_free(s->partition[p].positive);
    }
    memset(s, 0, sizeof *s);
}

static void keep_map(const unitstats *s, const unit_values *v, int64_t unit, uint16_t *map)
{
    const float *from = v->map + unit * v->unit_stride;
    for (int64_t p = 0; p < s->map; p++)
        map[p] = float16_from(from[p * v->position_stride]);
}

/* Inserts into the sorted list of a unit if the value is among its k best. Images come in rising
 * order, so an equal value ranks behind those that are there. sign: +1 keeps the largest. */
static void extremes_add(unit_extremes *e, const unitstats *s, const unit_values *v, int64_t unit, float sign)
{
    unit_example *list = e->examples + unit * e->k;
    int held = e->held[unit];
    float value = v->value[unit];
    if (e->k == 0 || (held == e->k && sign * value <= sign * list[held - 1].value))
        return;
    int slot = held == e->k ? list[held - 1].slot : held;
    int at = held == e->k ? held - 1 : held;
    while (at > 0 && sign * list[at - 1].value < sign * value) {
        list[at] = list[at - 1];
        at--;
    }
    list[at] = (unit_example){.image = v->image,
                              .value = value,
                              .peak = v->peak[unit],
                              .position = v->position[unit],
                              .slot = slot};
    if (held < e->k)
        e->held[unit]++;
    if (e->maps && v->map)
        keep_map(s, v, unit, e->maps + (unit * e->k + slot) * s->map);
}

void unitstats_add(unitstats *s, const unit_values *v)
{
    double n = (double)++s->count;
    for (int64_t u = 0; u < s->units; u++) {
        float value = v->value[u];
        double delta = (double)value - s->mean[u];
        double delta_n = delta / n, delta_n2 = delta_n * delta_n;
        double term = delta * delta_n * (n - 1);
        s->m4[u] += term * delta_n2 * (n * n - 3 * n + 3) + 6 * delta_n2 * s->m2[u] - 4 * delta_n * s->m3[u];
        s->m3[u] += term * delta_n * (n - 2) - 3 * delta_n * s->m2[u];
        s->m2[u] += term;
        s->mean[u] += delta_n;
        if (s->count == 1 || value < s->min[u])
            s->min[u] = value;
        if (s->count == 1 || value > s->max[u])
            s->max[u] = value;
        s->positive[u] += value > 0;
        s->bins[(size_t)u * FINEBINS + finebins_index(value)]++;
        extremes_add(&s->top, s, v, u, 1.0f);
        extremes_add(&s->bottom, s, v, u, -1.0f);
    }
    for (int p = 0; p < UNIT_PARTITIONS; p++) {
        unit_groups *g = &s->partition[p];
        if (v->group[p] < 0 || v->group[p] >= g->groups)
            continue;
        g->images[v->group[p]]++;
        double *sums = g->sums + v->group[p] * s->units;
        for (int64_t u = 0; u < s->units; u++)
            sums[u] += v->value[u];
        if (!g->positive)
            continue;
        int32_t *positive = g->positive + v->group[p] * s->units;
        for (int64_t u = 0; u < s->units; u++)
            positive[u] += v->value[u] > 0;
    }
}

unit_summary unitstats_summary(const unitstats *s, int64_t u)
{
    unit_summary r = {.count = s->count, .dead = true};
    if (s->count == 0)
        return r;
    double n = (double)s->count, variance = s->m2[u] / n;
    r.positive = s->positive[u];
    r.mean = s->mean[u];
    r.sd = sqrt(variance > 0 ? variance : 0);
    r.rms = sqrt(r.mean * r.mean + variance);
    r.min = s->min[u];
    r.max = s->max[u];
    /* A unit that is constant may still wobble by the last bit of fp32 arithmetic. */
    double size = fmax(fabs(r.min), fabs(r.max));
    r.dead = s->count > 1 ? r.max - r.min <= 1e-6 * size : size == 0;
    r.kurtosis = r.dead || variance <= 0 ? 0 : s->m4[u] / n / (variance * variance);
    return r;
}

const unit_example *unitstats_top(const unitstats *s, int64_t unit, int *n)
{
    *n = s->top.held[unit];
    return s->top.examples + unit * s->top.k;
}

const unit_example *unitstats_bottom(const unitstats *s, int64_t unit, int *n)
{
    *n = s->bottom.held[unit];
    return s->bottom.examples + unit * s->bottom.k;
}

static const uint16_t *example_map(const unit_extremes *e, int64_t map, int64_t unit, const unit_example *x)
{
    return e->maps ? e->maps + (unit * e->k + x->slot) * map : NULL;
}

const uint16_t *unitstats_top_map(const unitstats *s, int64_t unit, const unit_example *e)
{
    return example_map(&s->top, s->map, unit, e);
}

const uint16_t *unitstats_bottom_map(const unitstats *s, int64_t unit, const unit_example *e)
{
    return example_map(&s->bottom, s->map, unit, e);
}

double group_z(double group_mean, int64_t n, double mean, double sd, int64_t all)
{
    if (n <= 0 || n >= all || !(sd > 0))
        return 0;
    double correction = (double)(all - n) / (double)(all - 1); /* drawing without replacement */
    return (group_mean - mean) / (sd * sqrt(correction / (double)n));
}
