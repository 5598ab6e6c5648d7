/* study/quantiles.c -- what the fine histogram of a unit answers: its bins, quantiles, the pictures in each bucket. */
#include "clipneuron/ask.h"

#include "base/memory.h"
#include "study/finehist.h"

#include <inttypes.h>
#include <math.h>

/* A unit's facts and its histogram, which counts every picture. *row, *h: freed by the caller, also after a failure. */
static cn_status read_both(cn_study *s, cn_unit_ref ref, cn_unit_row **row, finehist **h, cn_error *err)
{
    cn_status st = CN_OK;
    *h = NULL;
    CN_TRY(cn_study_unit(s, ref, row, err));
    *h = cn_malloc(sizeof **h);
    CN_CHECK(*h, CN_ENOMEM, "out of memory for a histogram");
    CN_TRY(finehist_read(*h, s, ref, err));
    const cn_unit_row *r = *row;
    if (r->dead || r->count == 0)
        finehist_single(*h, 0, 0);
    else
        CN_CHECK((*h)->total == r->count && r->rms > 0 && isfinite(r->rms) && isfinite(r->min) && isfinite(r->max) && r->min < r->max,
                 CN_EFORMAT, "%s: the study is damaged: the histogram of unit %" PRId64 " has %" PRId64 " of %" PRId64 " pictures", s->path,
                 ref.unit, (*h)->total, r->count);
done:
    return st;
}

cn_status cn_study_bins(cn_study *s, cn_unit_ref ref, cn_bin **bins, size_t *n, cn_error *err)
{
    cn_status st = CN_OK;
    cn_unit_row *row = NULL;
    finehist *h = NULL;
    cn_bin *list = NULL;
    *bins = NULL;
    *n = 0;
    CN_TRY(read_both(s, ref, &row, &h, err));
    if (!h->n)
        goto done;
    list = cn_calloc(h->n, sizeof *list);
    CN_CHECK(list, CN_ENOMEM, "out of memory for %zu bins", h->n);
    for (size_t i = 0; i < h->n; i++) {
        if (!h->bins[i].count)
            continue;
        cn_bin *b = &list[(*n)++];
        finehist_edges(h->bins[i].bin, row->min, row->max, &b->low, &b->high);
        b->count = h->bins[i].count;
    }
    *bins = list, list = NULL;
done:
    cn_free(list);
    cn_free(h);
    cn_unit_rows_free(row);
    return st;
}

void cn_bins_free(cn_bin *bins)
{
    cn_free(bins);
}

/* The k-th smallest of the values that the histogram counts, k from 1. */
static void find_value(const finehist *h, const cn_unit_row *r, int64_t k, cn_quantile *q)
{
    int64_t before = 0;
    size_t i = 0;
    while (i + 1 < h->n && before + h->bins[i].count < k)
        before += h->bins[i++].count;
    finehist_edges(h->bins[i].bin, r->min, r->max, &q->low, &q->high);
    if (k <= 1) /* both ends are known */
        q->high = q->low = r->min;
    else if (k >= h->total)
        q->high = q->low = r->max;
    q->value = q->low + (q->high - q->low) * ((double)(k - before) - 0.5) / (double)(h->bins[i].count ? h->bins[i].count : 1);
}

cn_status cn_study_quantiles(cn_study *s, cn_unit_ref ref, const double *shares, size_t n, cn_quantile *out, cn_error *err)
{
    cn_status st = CN_OK;
    cn_unit_row *row = NULL;
    finehist *h = NULL;
    CN_TRY(read_both(s, ref, &row, &h, err));
    for (size_t i = 0; i < n; i++) {
        CN_CHECK(shares[i] >= 0 && shares[i] <= 1, CN_EINVAL, "a quantile is a share from 0 to 1");
        cn_quantile q = {.share = shares[i], .value = row->mean, .low = row->min, .high = row->max};
        if (h->n) /* 0.29 * 100 is a little more than 29 */
            find_value(h, row, (int64_t)ceil(shares[i] * (double)h->total * (1 - 1e-12)), &q);
        q.sd = row->rms > 0 ? q.value / row->rms : 0;
        out[i] = q;
    }
done:
    cn_free(h);
    cn_unit_rows_free(row);
    return st;
}

cn_status cn_study_buckets(cn_study *s, cn_unit_ref ref, cn_bucket **list, size_t *n, cn_error *err)
{
    cn_status st = CN_OK;
    cn_unit_row *row = NULL;
    finehist *h = NULL;
    cn_bucket *b = NULL;
    int64_t *counts = NULL;
    const int buckets = s->info.buckets;
    *list = NULL;
    *n = 0;
    CN_TRY(read_both(s, ref, &row, &h, err));
    if (!h->n)
        goto done;
    b = cn_calloc((size_t)buckets, sizeof *b);
    counts = cn_calloc((size_t)buckets, sizeof *counts);
    CN_CHECK(b && counts, CN_ENOMEM, "out of memory for %d buckets", buckets);
    for (size_t i = 0; i < h->n; i++)
        finebins_spread(h->bins[i].bin, h->bins[i].count, row->min, row->max, (size_t)buckets, counts);
    for (int i = 0; i < buckets; i++) {
        b[i].low = row->min + (row->max - row->min) * i / buckets;
        b[i].high = i + 1 == buckets ? row->max : row->min + (row->max - row->min) * (i + 1) / buckets;
        b[i].low_sd = b[i].low / row->rms;
        b[i].high_sd = b[i].high / row->rms;
        b[i].images = counts[i];
    }
    *list = b, b = NULL;
    *n = (size_t)buckets;
done:
    cn_free(b);
    cn_free(counts);
    cn_free(h);
    cn_unit_rows_free(row);
    return st;
}

void cn_buckets_free(cn_bucket *list)
{
    cn_free(list);
}
