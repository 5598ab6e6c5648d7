/* compose/pairtest.c -- units in blocks: the values of a block are ranked once, and everything after that is sums of ranks. */
#include "compose/pairtest.h"

#include "base/memory.h"
#include "compose/auc.h"
#include "base/rng.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { UNITS = 16 }; /* a block */

/* A medium of a block. */
typedef struct ranked {
    int64_t pictures;
    float *values;                   /* (UNITS, pictures) */
    int32_t *order, *twice;          /* (UNITS, pictures) */
    int32_t *sums;                   /* (items, UNITS): twice the ranks of an item's pictures, added */
    int32_t *identity, *shuffled;    /* (items) */
    int32_t *used;                   /* (members): each member's number among those that any group with enough pictures has */
    int64_t n_used;
    bool *valid;    /* (groups) */
    double *auc;    /* (groups, UNITS) of the block; NaN where not valid */
    uint8_t *weights;                /* (items, AUC_LANES) */
    bool *positive;                  /* (items) */
} ranked;

typedef struct work {
    const pairtest *t;
    ranked media[CN_MAX_MULTIMODAL_MEDIA];
    bool *tested;        /* (groups) */
    double *largest;     /* (UNITS): of a shuffle */
    uint32_t *places;    /* of the largest group */
    double *resamples;   /* (blocks of lanes) */
    int64_t n_tested;
    double *kind[2];     /* (n_tested, UNITS): mean AUC of the block's units in media that are not written, and that are */
} work;

static int64_t members(const pairtest_medium *m, int64_t g)
{
    return m->start[g + 1] - m->start[g];
}

static void work_free(work *w)
{
    for (int m = 0; m < CN_MAX_MULTIMODAL_MEDIA; m++) {
        ranked *r = &w->media[m];
        cn_free(r->values), cn_free(r->order), cn_free(r->twice), cn_free(r->sums), cn_free(r->identity), cn_free(r->shuffled);
        cn_free(r->used), cn_free(r->valid), cn_free(r->auc), cn_free(r->weights), cn_free(r->positive);
    }
    cn_free(w->tested), cn_free(w->largest), cn_free(w->places), cn_free(w->resamples);
    cn_free(w->kind[0]), cn_free(w->kind[1]);
}

/* Numbers the items that take part, and says which groups are large enough. */
static cn_status open_medium(work *w, int number, cn_error *err)
{
    cn_status st = CN_OK;
    const pairtest *t = w->t;
    const pairtest_medium *m = &t->media[number];
    ranked *r = &w->media[number];
    const size_t groups = (size_t)t->groups, items = (size_t)m->items;
    r->pictures = m->items * m->each;
    const size_t pictures = (size_t)r->pictures;
    r->values = cn_reallocarray(NULL, pictures + 1, UNITS * sizeof *r->values);
    r->order = cn_reallocarray(NULL, pictures + 1, UNITS * sizeof *r->order);
    r->twice = cn_reallocarray(NULL, pictures + 1, UNITS * sizeof *r->twice);
    r->sums = cn_reallocarray(NULL, items + 1, UNITS * sizeof *r->sums);
    r->identity = cn_reallocarray(NULL, items + 1, sizeof *r->identity);
    r->shuffled = cn_reallocarray(NULL, items + 1, sizeof *r->shuffled);
    r->used = cn_reallocarray(NULL, (size_t)m->start[t->groups] + 1, sizeof *r->used);
    r->valid = cn_calloc(groups + 1, sizeof *r->valid);
    r->auc = cn_reallocarray(NULL, groups + 1, UNITS * sizeof *r->auc);
    r->weights = cn_reallocarray(NULL, items + 1, AUC_LANES * sizeof *r->weights);
    r->positive = cn_calloc(items + 1, sizeof *r->positive);
    CN_CHECK(r->values && r->order && r->twice && r->sums && r->identity && r->shuffled && r->used && r->valid && r->auc &&
                 r->weights && r->positive,
             CN_ENOMEM, "out of memory for the ranks of %lld pictures", (long long)r->pictures);
    for (int64_t i = 0; i < m->items; i++) {
        r->identity[i] = (int32_t)i;
        r->shuffled[i] = -1;
    }
    for (int64_t g = 0; g < t->groups; g++) {
        const int64_t pictures_of = members(m, g) * m->each;
        r->valid[g] = pictures_of >= t->least && pictures_of > 0 && pictures_of < r->pictures;
        if (!r->valid[g])
            continue;
        for (int64_t k = m->start[g]; k < m->start[g + 1]; k++) {
            int32_t *number_of = &r->shuffled[m->member[k]]; /* borrowed for that */
            if (*number_of < 0)
                *number_of = (int32_t)r->n_used++;
            r->used[k] = *number_of;
        }
    }
done:
    return st;
}

static cn_status work_open(work *w, cn_error *err)
{
    cn_status st = CN_OK;
    const pairtest *t = w->t;
    int64_t largest = 1;
    for (int m = 0; m < t->n_media; m++)
        CN_TRY(open_medium(w, m, err));
    w->tested = cn_calloc((size_t)t->groups + 1, sizeof *w->tested);
    w->largest = cn_calloc(UNITS, sizeof *w->largest);
    CN_CHECK(w->tested && w->largest, CN_ENOMEM, "out of memory for %lld groups", (long long)t->groups);
    for (int64_t g = 0; g < t->groups; g++) {
        bool written = false, other = false;
        for (int m = 0; m < t->n_media; m++) {
            const bool valid = w->media[m].valid[g];
            written = written || (valid && t->media[m].written);
            other = other || (valid && !t->media[m].written);
            const int64_t pictures = members(&t->media[m], g) * t->media[m].each;
            largest = valid && pictures > largest ? pictures : largest;
        }
        w->tested[g] = t->single ? written || other : written && other;
        w->n_tested += w->tested[g];
    }
    for (int k = 0; k < 2; k++)
        w->kind[k] = cn_reallocarray(NULL, (size_t)w->n_tested + 1, UNITS * sizeof *w->kind[k]);
    w->places = cn_reallocarray(NULL, (size_t)largest, AUC_LANES * sizeof *w->places);
    w->resamples = cn_reallocarray(NULL, ((size_t)t->resamples + AUC_LANES - 1) / AUC_LANES, AUC_LANES * sizeof *w->resamples);
    CN_CHECK(w->places && w->resamples && w->kind[0] && w->kind[1], CN_ENOMEM, "out of memory for %d resamples", t->resamples);
done:
    return st;
}

/* ---- ranks and AUCs of a block ---- */

static cn_status rank_block(work *w, const int64_t *unit, size_t n, cn_error *err)
{
    cn_status st = CN_OK;
    const pairtest *t = w->t;
    for (int k = 0; k < t->n_media; k++) {
        const pairtest_medium *m = &t->media[k];
        ranked *r = &w->media[k];
        memset(r->sums, 0, (size_t)m->items * UNITS * sizeof *r->sums);
        if (!r->pictures)
            continue;
        CN_TRY(t->load(t->user, k, unit, n, r->values, err));
        for (size_t u = 0; u < n; u++) {
            int32_t *twice = r->twice + (int64_t)u * r->pictures;
            auc_ranks(r->values + (int64_t)u * r->pictures, r->pictures, r->order + (int64_t)u * r->pictures, twice);
            for (int64_t i = 0; i < r->pictures; i++)
                r->sums[i / m->each * UNITS + (int64_t)u] += twice[i];
        }
    }
done:
    return st;
}

/* AUCs of a group for all units of the block, its members replaced by those that `from` says (NULL: themselves). */
static void group_auc(const pairtest_medium *m, const ranked *r, int64_t g, const int32_t *from, double out[UNITS])
{
    double sum[UNITS] = {0};
    for (int64_t k = m->start[g]; k < m->start[g + 1]; k++) {
        const int32_t *s = r->sums + (int64_t)(from ? from[r->used[k]] : m->member[k]) * UNITS;
        for (int u = 0; u < UNITS; u++)
            sum[u] += (double)s[u];
    }
    const int64_t n1 = members(m, g) * m->each;
    for (int u = 0; u < UNITS; u++)
        out[u] = auc_from_sum(sum[u], n1, r->pictures);
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double statistic(double written, double other)
{
    return written < other ? written : other;
}

/* A lone medium's: standard deviations of the null from 1/2, so that large groups count as much as small ones, whose AUC is high more often by chance. */
static double standardised(const pairtest *t, const ranked *r, int64_t g, double auc)
{
    const double n1 = (double)(members(&t->media[0], g) * t->media[0].each), n = (double)r->pictures;
    return (auc - 0.5) / sqrt((n + 1) / (12 * n1 * (n - n1)));
}

/* ---- null 1 ---- */

static void shuffle_items(const work *w, int number, int shuffle)
{
    const pairtest_medium *m = &w->t->media[number];
    const ranked *r = &w->media[number];
    rng random = rng_stream(w->t->seed, 0x73687566 + (uint64_t)number, (uint64_t)shuffle);
    memcpy(r->shuffled, r->identity, (size_t)m->items * sizeof *r->shuffled);
    for (int64_t i = 0; i < r->n_used; i++) { /* the first n_used of Fisher and Yates' shuffle */
        const int64_t k = i + rng_below(&random, m->items - i);
        const int32_t swap = r->shuffled[i];
        r->shuffled[i] = r->shuffled[k];
        r->shuffled[k] = swap;
    }
}

/* The sum of AUCs of each kind of media, and how many. */
typedef struct kinds {
    double sum[2][UNITS];
    int count[2];
} kinds;

static void add_medium(kinds *k, bool written, const double auc[UNITS])
{
    for (int u = 0; u < UNITS; u++)
        k->sum[written][u] += auc[u];
    k->count[written]++;
}

/* The mean AUC of a kind; -1 where there is none. */
static double mean_of(const kinds *k, bool written, int u)
{
    return k->count[written] ? k->sum[written][u] / k->count[written] : -1;
}

/* The largest T of each unit in a shuffle. */
static void largest_of_shuffle(const work *w, int shuffle, double largest[UNITS])
{
    const pairtest *t = w->t;
    for (int m = 0; m < t->n_media; m++)
        shuffle_items(w, m, shuffle);
    for (int u = 0; u < UNITS; u++)
        largest[u] = -DBL_MAX;
    for (int64_t g = 0; g < t->groups; g++) {
        kinds k = {0};
        double auc[UNITS];
        if (!w->tested[g])
            continue;
        for (int m = 0; m < t->n_media; m++) {
            if (!w->media[m].valid[g])
                continue;
            group_auc(&t->media[m], &w->media[m], g, w->media[m].shuffled, auc);
            add_medium(&k, t->media[m].written, auc);
        }
        for (int u = 0; u < UNITS; u++)
            largest[u] = larger(largest[u], t->single ? standardised(t, &w->media[0], g, mean_of(&k, false, u))
                                                      : statistic(mean_of(&k, true, u), mean_of(&k, false, u)));
    }
}

/* ---- null 2 ---- */

/* How many tested groups have a mean AUC of a kind that is at least (or above) a score. */
static int64_t high(const work *w, int kind, size_t u, double score, bool above)
{
    int64_t count = 0;
    for (int64_t i = 0; i < w->n_tested; i++) {
        const double auc = w->kind[kind][i * UNITS + (int64_t)u];
        count += above ? auc > score : auc >= score;
    }
    return count;
}

/* P(the largest T is at least (or above) a score) when the writing of n groups is dealt out among their pictures. T reaches the score where one of a groups with
 * such pictures meets one of b with such writing; that none does has the hypergeometric probability C(n - b, a)/C(n, a). */
static double chance_of(const work *w, size_t u, double score, bool above)
{
    const int64_t n = w->n_tested, a = high(w, 0, u, score, above), b = high(w, 1, u, score, above);
    double none = 1;
    for (int64_t i = 0; i < a && none > 0; i++)
        none *= n - b - i > 0 ? (double)(n - b - i) / (double)(n - i) : 0;
    return 1 - none;
}

/* P(T >= score) of any one group. */
static double matched(const work *w, size_t u, double score)
{
    const double n = (double)w->n_tested;
    return (double)high(w, 0, u, score, false) / n * (double)high(w, 1, u, score, false) / n;
}

/* ---- the best groups of a unit ---- */

/* AUCs, their means by kind, and the groups with the largest T. */
static void measure(work *w, size_t n, size_t first, pairtest_result *out)
{
    const pairtest *t = w->t;
    int64_t at_tested = 0;
    for (int64_t g = 0; g < t->groups; g++) {
        kinds k = {0};
        for (int m = 0; m < t->n_media; m++) {
            double *auc = w->media[m].auc + g * UNITS;
            if (!w->media[m].valid[g])
                continue;
            group_auc(&t->media[m], &w->media[m], g, NULL, auc);
            add_medium(&k, t->media[m].written, auc);
        }
        for (size_t u = 0; u < n; u++) {
            const double other = mean_of(&k, false, (int)u), written = mean_of(&k, true, (int)u);
            pairtest_pair *pairs = out->pairs + (first + u) * (size_t)t->best;
            double *mean = &out->mean[(first + u) * (size_t)t->groups + (size_t)g];
            *mean = k.count[0] && k.count[1] ? (written + other) / 2 : k.count[0] ? other : k.count[1] ? written : (double)NAN;
            if (!w->tested[g])
                continue;
            w->kind[0][at_tested * UNITS + (int64_t)u] = other;
            w->kind[1][at_tested * UNITS + (int64_t)u] = written;
            const double score = t->single ? standardised(t, &w->media[0], g, other) : statistic(written, other);
            int at = t->best;
            while (at > 0 && (pairs[at - 1].group < 0 || pairs[at - 1].score < score))
                at--;
            if (at == t->best)
                continue;
            memmove(pairs + at + 1, pairs + at, (size_t)(t->best - 1 - at) * sizeof *pairs);
            pairs[at].group = g;
            pairs[at].score = score;
        }
        at_tested += w->tested[g];
    }
    for (size_t u = 0; u < n; u++) {
        const pairtest_pair *best = &out->pairs[(first + u) * (size_t)t->best];
        out->above += best->group >= 0 && best->score > t->level;
    }
}

/* AUCs of a unit's best groups in a medium. */
static void fill_in(const work *w, int number, size_t u, pairtest_pair *pairs)
{
    const pairtest *t = w->t;
    const pairtest_medium *m = &t->media[number];
    const ranked *r = &w->media[number];
    for (int k = 0; k < t->best; k++) {
        cn_medium_auc *a = &pairs[k].media[number];
        const int64_t g = pairs[k].group;
        if (g < 0)
            continue;
        a->images = members(m, g) * m->each;
        if (r->valid[g])
            a->auc = r->auc[g * UNITS + (int64_t)u];
    }
}

/* All intervals of a block in a medium: the weights of a block of resamples are made once and serve all of its units. */
static cn_status bootstrap(work *w, int number, size_t n, pairtest_pair *pairs, cn_error *err)
{
    cn_status st = CN_OK;
    const pairtest *t = w->t;
    const pairtest_medium *m = &t->media[number];
    ranked *r = &w->media[number];
    const auc_sample sample = {.items = m->items, .each = m->each, .seed = t->seed + (uint64_t)number};
    const int64_t blocks = (t->resamples + AUC_LANES - 1) / AUC_LANES;
    const size_t room = (size_t)blocks * AUC_LANES, rows = n * (size_t)t->best;
    double *all = cn_reallocarray(NULL, rows * room + 1, sizeof *all);
    CN_CHECK(all, CN_ENOMEM, "out of memory for %d resamples", t->resamples);
    for (int64_t b = 0; b < blocks; b++) {
        auc_weights(&sample, b, r->weights);
        for (size_t i = 0; i < rows; i++) {
            const int64_t g = pairs[i].group;
            const size_t u = i / (size_t)t->best;
            if (g < 0 || !r->valid[g])
                continue;
            for (int64_t k = m->start[g]; k < m->start[g + 1]; k++)
                r->positive[m->member[k]] = true;
            auc_resample(&sample, r->order + (int64_t)u * r->pictures, r->twice + (int64_t)u * r->pictures, r->positive,
                         members(m, g) * m->each, 0x706f73 + (uint64_t)g, b, r->weights, w->places, all + i * room + (size_t)b * AUC_LANES);
            for (int64_t k = m->start[g]; k < m->start[g + 1]; k++)
                r->positive[m->member[k]] = false;
        }
    }
    for (size_t i = 0; i < rows; i++)
        if (pairs[i].group >= 0 && r->valid[pairs[i].group])
            auc_interval(all + i * room, (size_t)t->resamples, t->confidence, &pairs[i].media[number].low, &pairs[i].media[number].high);
done:
    cn_free(all);
    return st;
}

static cn_status run_block(work *w, size_t first, size_t n, pairtest_result *out, cn_error *err)
{
    cn_status st = CN_OK;
    const pairtest *t = w->t;
    pairtest_pair *pairs = out->pairs + first * (size_t)t->best;
    const size_t rows = n * (size_t)t->best;
    CN_TRY(rank_block(w, t->unit + first, n, err));
    measure(w, n, first, out);
    for (int b = 0; b < t->shuffles; b++) {
        largest_of_shuffle(w, b, w->largest);
        for (size_t i = 0; i < rows; i++)
            pairs[i].p_pictures += w->largest[i / (size_t)t->best] >= pairs[i].score;
    }
    for (size_t u = 0; u < n && !t->single; u++)
        out->by_chance += chance_of(w, u, t->level, true);
    for (size_t i = 0; i < rows; i++) {
        const bool none = pairs[i].group < 0;
        pairs[i].p_pictures = none ? 1 : (1 + pairs[i].p_pictures) / (1 + (double)t->shuffles);
        pairs[i].p_names = none ? 1 : t->single ? (double)NAN : chance_of(w, i / (size_t)t->best, pairs[i].score, false);
        pairs[i].p = t->single ? pairs[i].p_pictures : larger(pairs[i].p_pictures, pairs[i].p_names);
        pairs[i].matched = none || t->single ? (double)NAN : matched(w, i / (size_t)t->best, pairs[i].score);
    }
    for (int m = 0; m < t->n_media; m++) {
        for (size_t u = 0; u < n; u++)
            fill_in(w, m, u, pairs + u * (size_t)t->best);
        CN_TRY(bootstrap(w, m, n, pairs, err));
    }
done:
    return st;
}

cn_status pairtest_run(const pairtest *t, pairtest_result *out, cn_error *err)
{
    cn_status st = CN_OK;
    work w = {.t = t};
    memset(out, 0, sizeof *out);
    CN_TRY(work_open(&w, err));
    out->pairs = cn_calloc(t->n_units * (size_t)t->best + 1, sizeof *out->pairs);
    out->mean = cn_reallocarray(NULL, t->n_units + 1, ((size_t)t->groups + 1) * sizeof *out->mean);
    CN_CHECK(out->pairs && out->mean, CN_ENOMEM, "out of memory for %zu units and %lld groups", t->n_units, (long long)t->groups);
    out->tested = w.n_tested;
    for (size_t i = 0; i < t->n_units * (size_t)t->best; i++) {
        out->pairs[i].group = -1;
        for (int m = 0; m < CN_MAX_MULTIMODAL_MEDIA; m++)
            out->pairs[i].media[m] = (cn_medium_auc){.auc = (double)NAN, .low = (double)NAN, .high = (double)NAN};
    }
    for (size_t first = 0; first < t->n_units; first += UNITS) {
        const size_t n = t->n_units - first < UNITS ? t->n_units - first : UNITS;
        CN_CHECK(!t->progress || t->progress(t->what, (int64_t)first, (int64_t)t->n_units, t->progress_user), CN_ECANCELED, "cancelled");
        CN_TRY(run_block(&w, first, n, out, err));
    }
    if (t->single)
        out->by_chance = (double)NAN;
    CN_CHECK(!t->progress || t->progress(t->what, (int64_t)t->n_units, (int64_t)t->n_units, t->progress_user), CN_ECANCELED, "cancelled");
done:
    work_free(&w);
    return st;
}

void pairtest_free(pairtest_result *r)
{
    cn_free(r->pairs);
    cn_free(r->mean);
    memset(r, 0, sizeof *r);
}
