/* study/levels.c -- which pictures may still be taken, and which are. */
#include "study/levels.h"

#include "base/memory.h"
#include "study/sample.h"

#include <stdlib.h>
#include <string.h>

#define CELLS_A_BUCKET 5 /* two cells are less than the half bucket that is counted on */
#define HALF 0.49        /* of a bucket; less than a half, so that rounding does not matter */
#define BORDER 1e-3f     /* of a cell: this near to the next one, rounding decides which it is */
#define FIRST_ROOM 64

static int cells(const levels *l)
{
    return l->buckets * CELLS_A_BUCKET;
}

cn_status levels_init(levels *l, int64_t units, int buckets, int per, cn_error *err)
{
    cn_status st = CN_OK;
    size_t all;
    memset(l, 0, sizeof *l);
    l->buckets = buckets;
    l->per = per;
    CN_CHECK(cn_mul_size((size_t)units, (size_t)cells(l), &all), CN_ENOMEM, "out of memory for the levels of %lld units", (long long)units);
    l->unit = cn_calloc((size_t)units, sizeof *l->unit);
    l->limits = cn_calloc(all, sizeof *l->limits);
    CN_CHECK(l->unit && l->limits, CN_ENOMEM, "out of memory for the levels of %lld units", (long long)units);
    l->units = units;
    for (size_t i = 0; i < all; i++)
        l->limits[i] = UINT64_MAX;
    for (int64_t u = 0; u < units; u++) {
        l->unit[u].limits = l->limits + u * cells(l);
        l->unit[u].low_limit = UINT64_MAX;
    }
done:
    return st;
}

void levels_free(levels *l)
{
    for (int64_t u = 0; u < l->units; u++)
        cn_free(l->unit[u].held);
    cn_free(l->unit);
    cn_free(l->limits);
    memset(l, 0, sizeof *l);
}

static bool before(const level_picture *a, const level_picture *b)
{
    return a->key != b->key ? a->key < b->key : a->image < b->image;
}

static int by_value(const void *a, const void *b)
{
    const level_picture *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return before(x, y) ? -1 : before(y, x); /* keys: so that no order of coming shows */
}

/* Puts p among the `per` smallest, best first; *n of them are there. */
static void keep_smallest(const level_picture **list, int *n, int per, const level_picture *p)
{
    if (*n == per && !before(p, list[per - 1]))
        return;
    int at = *n < per ? (*n)++ : per - 1;
    for (; at > 0 && before(p, list[at - 1]); at--)
        list[at] = list[at - 1];
    list[at] = p;
}

/* Whether `per` of the pictures from `from` on, in direction `step`, up to `reach` away in value, come before p. Those held are sorted by value. */
static bool crowded(const level_unit *u, int32_t i, int32_t step, double reach, int per)
{
    const level_picture *p = &u->held[i];
    int n = 0;
    for (int32_t k = i + step; k >= 0 && k < u->count; k += step) {
        double away = step > 0 ? (double)u->held[k].value - p->value : (double)p->value - u->held[k].value;
        if (away > reach)
            break;
        n += before(&u->held[k], p);
        if (n == per)
            return true;
    }
    /* Equal values lie on both sides. */
    for (int32_t k = i - step; n < per && k >= 0 && k < u->count && u->held[k].value == p->value; k -= step)
        n += before(&u->held[k], p);
    return n >= per;
}

static cn_status set_limits(const levels *l, level_unit *u, cn_error *err)
{
    cn_status st = CN_OK;
    const int n_cells = cells(l);
    int n = 0, cell = 0;
    const level_picture **smallest = cn_calloc((size_t)l->per, sizeof *smallest);
    CN_CHECK(smallest, CN_ENOMEM, "out of memory for %d examples", l->per);
    u->cells_low = u->low;
    u->cells_scale = u->high > u->low ? (float)((double)n_cells / ((double)u->high - u->low)) : 0;
    u->low_limit = UINT64_MAX;
    for (int c = 0; c < n_cells; c++)
        u->limits[c] = UINT64_MAX;
    for (int32_t i = 0; i <= u->count; i++) {
        const int next = i < u->count ? bucket_of(u->held[i].value, u->low, u->high, n_cells) : -1;
        if (i && next != cell) {
            if (n == l->per)
                u->limits[cell] = smallest[n - 1]->key;
            n = 0;
        }
        if (i < u->count)
            keep_smallest(smallest, &n, l->per, &u->held[i]);
        cell = next;
        if (n == l->per && u->held[i].value == u->low)
            u->low_limit = smallest[n - 1]->key;
    }
done:
    cn_free(smallest);
    return st;
}

cn_status levels_prune(levels *l, int64_t unit, cn_error *err)
{
    level_unit *u = &l->unit[unit];
    const double reach = HALF * ((double)u->high - u->low) / l->buckets;
    if (u->count == 0)
        return CN_OK;
    qsort(u->held, (size_t)u->count, sizeof *u->held, by_value);
    /* Marked first, taken out afterwards: what goes may still count, for it is in the collection, and in the bucket. */
    int32_t kept = 0;
    bool *out = cn_calloc((size_t)u->count, sizeof *out);
    if (!out)
        return cn_fail(err, CN_ENOMEM, "out of memory for the levels of a unit");
    for (int32_t i = 0; i < u->count; i++)
        out[i] = crowded(u, i, -1, reach, l->per) && crowded(u, i, 1, reach, l->per);
    for (int32_t i = 0; i < u->count; i++)
        if (!out[i])
            u->held[kept++] = u->held[i];
    u->count = kept;
    cn_free(out);
    return set_limits(l, u, err);
}

/* True only when it can be told at once that p will never be taken: from the two cells beside its own. */
static bool refused(const levels *l, const level_unit *u, const level_picture *p)
{
    if (p->value == u->cells_low && u->low_limit < p->key)
        return true;
    const float at = (p->value - u->cells_low) * u->cells_scale;
    if (!(at >= 1 && at < (float)(cells(l) - 1)))
        return false;
    const int cell = (int)at;
    const float within = at - (float)cell;
    return within > BORDER && within < 1 - BORDER && u->limits[cell - 1] < p->key && u->limits[cell + 1] < p->key;
}

void levels_widen(levels *l, int64_t unit, float low, float high)
{
    level_unit *u = &l->unit[unit];
    if (!u->any || low < u->low)
        u->low = low;
    if (!u->any || high > u->high)
        u->high = high;
    u->any = true;
}

static cn_status hold(levels *l, int64_t unit, const level_picture *p, cn_error *err)
{
    cn_status st = CN_OK;
    level_unit *u = &l->unit[unit];
    if (u->count == u->room) {
        if (u->room >= 4 * l->buckets * l->per) /* of fewer, next to none could go */
            CN_TRY(levels_prune(l, unit, err));
        if (u->count >= u->room / 2) { /* else it would be pruned too often */
            const int32_t room = u->room ? u->room * 2 : FIRST_ROOM;
            level_picture *more = cn_reallocarray(u->held, (size_t)room, sizeof *more);
            CN_CHECK(more, CN_ENOMEM, "out of memory for the levels of a unit");
            u->held = more;
            u->room = room;
        }
    }
    u->held[u->count++] = *p;
done:
    return st;
}

cn_status levels_add(levels *l, int64_t unit, const level_picture *p, cn_error *err)
{
    level_unit *u = &l->unit[unit];
    levels_widen(l, unit, p->value, p->value);
    return refused(l, u, p) ? CN_OK : hold(l, unit, p, err);
}

cn_status levels_merge(levels *l, const levels *part, const int32_t *number, cn_error *err)
{
    cn_status st = CN_OK;
    for (int64_t unit = 0; unit < l->units; unit++) {
        const level_unit *from = &part->unit[unit];
        if (from->any)
            levels_widen(l, unit, from->low, from->high);
        for (int32_t i = 0; i < from->count; i++) {
            level_picture p = from->held[i];
            if (number)
                p.image = number[p.image];
            CN_TRY(hold(l, unit, &p, err));
        }
    }
done:
    return st;
}

void levels_choose(const levels *l, int64_t unit, const level_picture **chosen)
{
    const level_unit *u = &l->unit[unit];
    for (int i = 0; i < l->buckets * l->per; i++)
        chosen[i] = NULL;
    for (int32_t i = 0; i < u->count; i++) {
        const level_picture **list = chosen + (size_t)bucket_of(u->held[i].value, u->low, u->high, l->buckets) * (size_t)l->per;
        int n = 0;
        while (n < l->per && list[n])
            n++;
        keep_smallest(list, &n, l->per, &u->held[i]);
    }
}
