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

cn_status unitstats_init(unitstats *s, const unit_shape *shape, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t units = shape->units;
    memset(s, 0, sizeof *s);
    s->units = units;
    s->map = shape->map;
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
    CN_TRY(extremes_init(&s->top, units, s->map, shape->top, err));
    CN_TRY(extremes_init(&s->bottom, units, s->map, shape->bottom, err));
    CN_TRY(levels_init(&s->levels, units, shape->buckets, shape->per_bucket, err));
    for (int p = 0; p < UNIT_PARTITIONS; p++) {
        unit_groups *g = &s->partition[p];
        g->groups = shape->groups[p];
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
    levels_free(&s->levels);
    for (int p = 0; p < UNIT_PARTITIONS; p++) {
        cn_free(s->partition[p].images);
        cn_free(s->partition[p].sums);
        cn_free(s->partition[p].positive);
    }
    memset(s, 0, sizeof *s);
}

/* Does a rank before b? sign: +1 when the largest come first. */
static bool before(float a, int32_t image_a, float b, int32_t image_b, float sign)
{
    return a != b ? sign * a > sign * b : image_a < image_b;
}

/* Where to keep the map of an example, which goes into the sorted list of a unit if it is among its k best: its slot; -1: it is not. */
static int64_t extremes_add(unit_extremes *e, int64_t unit, unit_example x, float sign)
{
    unit_example *list = e->examples + unit * e->k;
    const int held = e->held[unit];
    if (e->k == 0 || (held == e->k && !before(x.value, x.image, list[held - 1].value, list[held - 1].image, sign)))
        return -1;
    int at = held == e->k ? held - 1 : held;
    x.slot = held == e->k ? list[at].slot : held;
    for (; at > 0 && before(x.value, x.image, list[at - 1].value, list[at - 1].image, sign); at--)
        list[at] = list[at - 1];
    list[at] = x;
    if (held < e->k)
        e->held[unit]++;
    return unit * e->k + x.slot;
}

static void add_example(unit_extremes *e, const unitstats *s, const unit_values *v, int64_t unit, float sign)
{
    const unit_example x = {.image = v->image, .value = v->value[unit], .peak = v->peak[unit], .position = v->position[unit]};
    const int64_t slot = extremes_add(e, unit, x, sign);
    if (slot < 0 || !e->maps || !v->map)
        return;
    const float *from = v->map + unit * v->unit_stride;
    uint16_t *to = e->maps + slot * s->map;
    if (v->position_stride == 1)
        float16_row(to, from, (size_t)s->map);
    else
        for (int64_t p = 0; p < s->map; p++)
            to[p] = float16_from(from[p * v->position_stride]);
}

static void add_moments(unitstats *s, const float *values)
{
    const double n = (double)s->count;
    const bool first = s->count == 1;
    for (int64_t u = 0; u < s->units; u++) {
        float value = values[u];
        double delta = (double)value - s->mean[u];
        double delta_n = delta / n, delta_n2 = delta_n * delta_n;
        double term = delta * delta_n * (n - 1);
        s->m4[u] += term * delta_n2 * (n * n - 3 * n + 3) + 6 * delta_n2 * s->m2[u] - 4 * delta_n * s->m3[u];
        s->m3[u] += term * delta_n * (n - 2) - 3 * delta_n * s->m2[u];
        s->m2[u] += term;
        s->mean[u] += delta_n;
        s->min[u] = first || value < s->min[u] ? value : s->min[u];
        s->max[u] = first || value > s->max[u] ? value : s->max[u];
        s->positive[u] += value > 0;
    }
}

cn_status unitstats_add(unitstats *s, const unit_values *v, cn_error *err)
{
    cn_status st = CN_OK;
    s->count++;
    add_moments(s, v->value);
    for (int64_t u = 0; u < s->units; u++) {
        const float value = v->value[u];
        s->bins[(size_t)u * FINEBINS + finebins_index(value)]++;
        add_example(&s->top, s, v, u, 1.0f);
        add_example(&s->bottom, s, v, u, -1.0f);
        const level_picture p = {.key = v->key, .image = v->image, .value = value, .peak = v->peak[u], .position = v->position[u]};
        CN_TRY(levels_add(&s->levels, u, &p, err));
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
done:
    return st;
}

/* ---- parts ---- */

/* Pebay 2008: the central sums of two parts together. */
static void merge_moments(unitstats *s, const unitstats *part, int64_t u)
{
    const double a = (double)s->count, b = (double)part->count, n = a + b, d = part->mean[u] - s->mean[u], d2 = d * d;
    const double m2 = s->m2[u], m3 = s->m3[u], part2 = part->m2[u], part3 = part->m3[u];
    s->m4[u] += part->m4[u] + d2 * d2 * a * b * (a * a - a * b + b * b) / (n * n * n) + 6 * d2 * (a * a * part2 + b * b * m2) / (n * n) +
                4 * d * (a * part3 - b * m3) / n;
    s->m3[u] += part3 + d2 * d * a * b * (a - b) / (n * n) + 3 * d * (a * part2 - b * m2) / n;
    s->m2[u] += part2 + d2 * a * b / n;
    s->mean[u] += d * b / n;
}

static void merge_extremes(unit_extremes *e, const unit_extremes *part, int64_t units, int64_t map, const int32_t *number, float sign)
{
    for (int64_t u = 0; u < units; u++)
        for (int i = 0; i < part->held[u]; i++) {
            unit_example x = part->examples[u * part->k + i];
            const int64_t from = u * part->k + x.slot;
            x.image = number[x.image];
            const int64_t slot = extremes_add(e, u, x, sign);
            if (slot < 0)
                break; /* nor will those behind it */
            if (e->maps)
                memcpy(e->maps + slot * map, part->maps + from * map, (size_t)map * sizeof *e->maps);
        }
}

static void merge_groups(unit_groups *g, const unit_groups *part, int64_t units, const int64_t *number)
{
    for (int64_t i = 0; i < part->groups; i++) {
        const int64_t to = number[i];
        g->images[to] += part->images[i];
        for (int64_t u = 0; u < units; u++)
            g->sums[to * units + u] += part->sums[i * units + u];
        for (int64_t u = 0; g->positive && u < units; u++)
            g->positive[to * units + u] += part->positive[i * units + u];
    }
}

cn_status unitstats_merge(unitstats *s, const unitstats *part, const unit_numbers *numbers, cn_error *err)
{
    cn_status st = CN_OK;
    if (part->count == 0)
        return CN_OK;
    for (int64_t u = 0; u < s->units; u++) {
        merge_moments(s, part, u);
        s->min[u] = s->count ? fminf(s->min[u], part->min[u]) : part->min[u];
        s->max[u] = s->count ? fmaxf(s->max[u], part->max[u]) : part->max[u];
        s->positive[u] += part->positive[u];
    }
    s->count += part->count;
    for (size_t i = 0; i < (size_t)s->units * FINEBINS; i++)
        s->bins[i] += part->bins[i];
    merge_extremes(&s->top, &part->top, s->units, s->map, numbers->image, 1);
    merge_extremes(&s->bottom, &part->bottom, s->units, s->map, numbers->image, -1);
    CN_TRY(levels_merge(&s->levels, &part->levels, numbers->image, err));
    for (int p = 0; p < UNIT_PARTITIONS; p++)
        if (numbers->group[p] && s->partition[p].groups)
            merge_groups(&s->partition[p], &part->partition[p], s->units, numbers->group[p]);
done:
    return st;
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
