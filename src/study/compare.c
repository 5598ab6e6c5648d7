/* study/compare.c -- the units of one model on two collections: how far their means, shares and whole distributions lie apart. */
#include "clipneuron/ask.h"

#include "base/memory.h"
#include "study/finehist.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- distances of two histograms ---- */

typedef struct distances {
    double ks, ks_most, js, js_chance;
} distances;

/* One group's share of the divergence: p and q in bits against their mean. */
static double divergence(double p, double q)
{
    const double m = 0.5 * (p + q);
    return 0.5 * ((p > 0 ? p * log2(p / m) : 0) + (q > 0 ? q * log2(q / m) : 0));
}

/* Walks the bins of both at once. Between the edges of a bin that both have, the pictures of one may all come before those of the
 * other: that is how far the true Kolmogorov-Smirnov distance may be above the one at the edges. */
static void compare_histograms(const finehist *a, const finehist *b, distances *d)
{
    const double na = (double)a->total, nb = (double)b->total;
    double p = 0, q = 0, group_p = 0, group_q = 0; /* cumulated; of the present group */
    int groups = 0;
    memset(d, 0, sizeof *d);
    for (size_t i = 0, k = 0; i < a->n || k < b->n;) {
        const uint32_t bin_a = i < a->n ? a->bins[i].bin : UINT32_MAX, bin_b = k < b->n ? b->bins[k].bin : UINT32_MAX;
        const double x = bin_a <= bin_b ? a->bins[i++].count / na : 0, y = bin_b <= bin_a ? b->bins[k++].count / nb : 0;
        if (x > 0 && y > 0) /* else the edges tell all */
            d->ks_most = fmax(d->ks_most, fmax(p + x - q, q + y - p));
        p += x, q += y, group_p += x, group_q += y;
        d->ks = fmax(d->ks, fabs(p - q));
        d->ks_most = fmax(d->ks_most, d->ks);
        const bool last = i == a->n && k == b->n;
        if (0.5 * (p + q) * CN_DIFFERENCE_GROUPS >= groups + 1 - 1e-9 || last) {
            d->js += divergence(group_p, group_q);
            group_p = group_q = 0;
            groups++;
        }
    }
    d->js = fmin(fmax(d->js, 0), 1);
    /* Both samples of one distribution: the divergence is about an eighth of sum (p - q)^2 / m, whose mean is known. */
    d->js_chance = groups > 1 ? (groups - 1) * (1 / na + 1 / nb) / (8 * log(2)) : 0;
}

/* ---- one site ---- */

/* The histograms of a site one after the other, by unit. */
typedef struct stream {
    cn_study *s;
    size_t site;
    sqlite3_stmt *q;
    bool more;
} stream;

static cn_status stream_open(stream *t, cn_study *s, size_t site, cn_error *err)
{
    cn_status st = CN_OK;
    t->s = s;
    t->site = site;
    CN_TRY(reader_query(s, &t->q, err, "SELECT unit, bins FROM histograms WHERE site = ? ORDER BY unit", "i", (int64_t)site));
    CN_TRY(reader_step(s, t->q, &t->more, err));
done:
    return st;
}

static cn_status stream_read(stream *t, const cn_unit_row *r, finehist *h, cn_error *err)
{
    cn_status st = CN_OK;
    if (r->dead) { /* all its pictures have one value */
        finehist_single(h, r->mean, r->count);
        goto done;
    }
    while (t->more && sqlite3_column_int64(t->q, 0) < r->ref.unit)
        CN_TRY(reader_step(t->s, t->q, &t->more, err));
    const bool there = t->more && sqlite3_column_int64(t->q, 0) == r->ref.unit;
    CN_CHECK(there, CN_EFORMAT, "%s: the study is damaged: the histogram of unit %" PRId64 " is missing", t->s->path, r->ref.unit);
    CN_TRY(finehist_decode(h, t->s, r->ref.unit, sqlite3_column_blob(t->q, 1), (size_t)sqlite3_column_bytes(t->q, 1), err));
    CN_CHECK(h->total == r->count && h->total > 0, CN_EFORMAT,
             "%s: the study is damaged: the histogram of unit %" PRId64 " has %" PRId64 " of %" PRId64 " pictures", t->s->path, r->ref.unit,
             h->total, r->count);
done:
    return st;
}

static void compare_means(const cn_unit_row *a, const cn_unit_row *b, cn_unit_difference *d)
{
    const double na = (double)a->count, nb = (double)b->count;
    const double freedom = na + nb - 2, square = na * a->sd * a->sd + nb * b->sd * b->sd;
    const double pooled = freedom > 0 ? sqrt(square / freedom) : 0;
    d->count_a = a->count, d->count_b = b->count;
    d->mean_a = a->mean, d->mean_b = b->mean;
    d->sd_a = a->sd, d->sd_b = b->sd;
    d->share_a = a->share_positive, d->share_b = b->share_positive;
    d->purity_a = a->purity, d->purity_b = b->purity;
    d->dead_a = a->dead, d->dead_b = b->dead;
    if (pooled > 0) {
        d->d = (b->mean - a->mean) / pooled;
        d->d_error = sqrt((na + nb) / (na * nb) + d->d * d->d / (2 * (na + nb)));
        d->z = d->d / d->d_error;
    }
}

static cn_status compare_unit(results *list, const cn_unit_row *a, const cn_unit_row *b, const finehist *ha, const finehist *hb,
                              cn_error *err)
{
    cn_status st = CN_OK;
    bool ok = true;
    distances distance;
    cn_unit_difference *d = results_add(list, sizeof *d);
    CN_CHECK(d, CN_ENOMEM, "out of memory for the differences of units");
    d->a = a->ref, d->b = b->ref;
    compare_means(a, b, d);
    compare_histograms(ha, hb, &distance);
    d->ks = distance.ks, d->ks_most = distance.ks_most;
    d->js = distance.js, d->js_chance = distance.js_chance;
    d->label_changed = strcmp(a->label, b->label) != 0;
    d->label_a = results_keep(list, a->label, strlen(a->label) + 1, &ok);
    d->label_b = results_keep(list, b->label, strlen(b->label) + 1, &ok);
    CN_CHECK(ok, CN_ENOMEM, "out of memory for the differences of units");
done:
    return st;
}

/* All units of a site, by number, with numbers that can be reckoned with. */
static cn_status read_units(cn_study *s, size_t site, cn_unit_row **rows, cn_error *err)
{
    cn_status st = CN_OK;
    size_t n;
    CN_TRY(cn_study_units(s, site, CN_ORDER_UNIT, 0, rows, &n, err));
    bool whole = (int64_t)n == s->sites[site].units;
    for (size_t i = 0; whole && i < n; i++)
        whole = (*rows)[i].ref.unit == (int64_t)i;
    CN_CHECK(whole, CN_EFORMAT, "%s: the study is damaged: units of %s are missing", s->path, s->sites[site].short_name);
    for (size_t i = 0; i < n; i++) {
        const cn_unit_row *r = &(*rows)[i];
        CN_CHECK(fabs(r->mean) < 1e150 && r->sd >= 0 && r->sd < 1e150, CN_EFORMAT, "%s: the study is damaged: mean or sd of unit %" PRId64, s->path,
                 r->ref.unit);
    }
done:
    return st;
}

static cn_status compare_site(results *list, cn_study *a, size_t site_a, cn_study *b, size_t site_b, cn_error *err)
{
    cn_status st = CN_OK;
    cn_unit_row *rows_a = NULL, *rows_b = NULL;
    stream stream_a = {0}, stream_b = {0};
    finehist *h = cn_reallocarray(NULL, 2, sizeof *h);
    const cn_study_site *sa = &a->sites[site_a], *sb = &b->sites[site_b];
    CN_CHECK(h, CN_ENOMEM, "out of memory for histograms");
    CN_CHECK(sa->units == sb->units, CN_EMISMATCH, "%s has %" PRId64 " units in %s and %" PRId64 " in %s", sa->short_name, sa->units,
             a->path, sb->units, b->path);
    CN_TRY(read_units(a, site_a, &rows_a, err));
    CN_TRY(read_units(b, site_b, &rows_b, err));
    CN_TRY(stream_open(&stream_a, a, site_a, err));
    CN_TRY(stream_open(&stream_b, b, site_b, err));
    for (int64_t u = 0; u < sa->units; u++) {
        const cn_unit_row *ra = &rows_a[u], *rb = &rows_b[u];
        if ((ra->dead && rb->dead) || ra->count == 0 || rb->count == 0)
            continue;
        CN_TRY(stream_read(&stream_a, ra, &h[0], err));
        CN_TRY(stream_read(&stream_b, rb, &h[1], err));
        CN_TRY(compare_unit(list, ra, rb, &h[0], &h[1], err));
    }
done:
    sqlite3_finalize(stream_a.q);
    sqlite3_finalize(stream_b.q);
    cn_unit_rows_free(rows_a);
    cn_unit_rows_free(rows_b);
    cn_free(h);
    return st;
}

/* ---- orders ---- */

static double ranked(const cn_unit_difference *d, cn_difference_order order)
{
    switch (order) {
    case CN_DIFFERENCE_Z: return fabs(d->z);
    case CN_DIFFERENCE_SHARE: return fabs(d->share_b - d->share_a);
    case CN_DIFFERENCE_KS: return d->ks;
    case CN_DIFFERENCE_JS: return d->js;
    case CN_DIFFERENCE_LABEL: return d->label_changed ? 1 + fmin(d->purity_a, d->purity_b) : 0;
    case CN_DIFFERENCE_UNIT: return 0;
    case CN_DIFFERENCE_D:
    default: return fabs(d->d);
    }
}

static int by_order(const void *x, const void *y, void *order)
{
    const cn_unit_difference *a = x, *b = y;
    const double ra = ranked(a, *(const cn_difference_order *)order), rb = ranked(b, *(const cn_difference_order *)order);
    if (ra != rb)
        return ra > rb ? -1 : 1;
    if (a->a.site != b->a.site)
        return a->a.site < b->a.site ? -1 : 1;
    return a->a.unit < b->a.unit ? -1 : a->a.unit > b->a.unit;
}

/* ---- two studies ---- */

static bool site_named(const cn_study *s, const char *name, size_t *site)
{
    for (*site = 0; *site < s->n_sites; ++*site)
        if (strcmp(s->sites[*site].name, name) == 0)
            return true;
    return false;
}

static cn_status check_pair(const cn_study *a, const cn_study *b, cn_error *err)
{
    cn_status st = CN_OK;
    CN_CHECK(strcmp(a->info.fingerprint, b->info.fingerprint) == 0, CN_EMISMATCH, "%s and %s are studies of two models (%.12s and %.12s)",
             a->path, b->path, a->info.fingerprint, b->info.fingerprint);
    CN_CHECK(a->info.reduce == b->info.reduce, CN_EMISMATCH, "%s is of scan --reduce %s and %s of --reduce %s: their numbers cannot be compared",
             a->path, cn_reduce_name(a->info.reduce), b->path, cn_reduce_name(b->info.reduce));
done:
    return st;
}

cn_status cn_studies_compare(cn_study *a, cn_study *b, const char *site, cn_difference_order order, size_t limit, cn_unit_difference **out,
                             size_t *n, cn_error *err)
{
    static const size_t pointers[] = {offsetof(cn_unit_difference, label_a), offsetof(cn_unit_difference, label_b)};
    cn_status st = CN_OK;
    results list = {0};
    size_t site_a = 0, site_b, common = 0;
    int64_t unit;
    void *block;
    *out = NULL;
    *n = 0;
    CN_TRY(check_pair(a, b, err));
    if (site) {
        CN_TRY(cn_study_parse_unit(a, site, &site_a, &unit, err));
        CN_CHECK(unit < 0, CN_EINVAL, "\"%s\" is a unit, and whole sites are compared", site);
    }
    for (size_t i = 0; i < a->n_sites; i++) {
        if ((site && i != site_a) || !site_named(b, a->sites[i].name, &site_b))
            continue;
        CN_TRY(compare_site(&list, a, i, b, site_b, err));
        common++;
    }
    CN_CHECK(common || !site, CN_ENOTFOUND, "%s has no site %s, which %s has", b->path, a->sites[site_a].short_name, a->path);
    CN_CHECK(common, CN_EMISMATCH, "%s and %s have no site in common (%s is not in %s)", a->path, b->path, a->sites[0].short_name, b->path);
    if (list.n)
        qsort_r(list.data, list.n, sizeof(cn_unit_difference), by_order, &order);
    if (limit && limit < list.n)
        list.n = limit;
    CN_TRY(results_finish(&list, pointers, COUNT(pointers), &block, n, err));
    *out = block;
done:
    results_discard(&list);
    return st;
}

void cn_unit_differences_free(cn_unit_difference *list)
{
    cn_free(list);
}
