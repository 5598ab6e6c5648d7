/* study/finehist.c -- reads the histograms of units. */
#include "study/finehist.h"

#include <math.h>

static uint32_t little(const unsigned char *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

cn_status finehist_decode(finehist *h, const cn_study *s, int64_t unit, const void *blob, size_t size, cn_error *err)
{
    const unsigned char *b = blob;
    h->n = 0;
    h->total = 0;
    bool good = size % 8 == 0 && size / 8 <= FINEBINS && (b || !size);
    for (size_t i = 0; good && i < size / 8; i++) {
        const fine_bin f = {little(b + 8 * i), little(b + 8 * i + 4)};
        good = f.bin < FINEBINS && (i == 0 || f.bin > h->bins[i - 1].bin);
        h->bins[h->n++] = f;
        h->total += f.count;
    }
    return good ? CN_OK : cn_fail(err, CN_EFORMAT, "%s: the study is damaged: the histogram of unit %lld", s->path, (long long)unit);
}

cn_status finehist_read(finehist *h, cn_study *s, cn_unit_ref ref, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    h->n = 0;
    h->total = 0;
    CN_TRY(reader_check_unit(s, ref, err));
    CN_TRY(reader_query(s, &q, err, "SELECT bins FROM histograms WHERE site = ? AND unit = ?", "ii", (int64_t)ref.site, ref.unit));
    CN_TRY(reader_step(s, q, &more, err));
    if (more)
        CN_TRY(finehist_decode(h, s, ref.unit, sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0), err));
done:
    sqlite3_finalize(q);
    return st;
}

void finehist_single(finehist *h, double value, int64_t count)
{
    h->bins[0] = (fine_bin){(uint32_t)finebins_index(isnan(value) ? 0 : (float)value), (uint32_t)count};
    h->n = count > 0;
    h->total = (uint32_t)count;
}

void finehist_edges(uint32_t bin, double min, double max, double *low, double *high)
{
    finebins_edges(bin, low, high);
    if (bin == 0 || *low < min)
        *low = min;
    if (bin == FINEBINS - 1 || *high > max)
        *high = max;
    if (*high < *low) /* a damaged study: its extremes are not those of its histogram */
        *high = *low;
}
