/* study/units.c -- a study's answers about units: rows, examples, histograms, groups, words. */
#include "study/reader.h"

#include "base/memory.h"
#include "clipneuron/ask.h"
#include "study/finehist.h"
#include "study/float16.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define POINTER(type, member) offsetof(type, member)
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- units ---- */

#define UNIT_SELECT                                                                                       \
    "SELECT u.unit, u.count, u.mean, u.sd, u.rms, u.min, u.max, u.positive, u.kurtosis, u.dead, l.name,"  \
    " u.label_hits, l.images, u.purity, u.surprise, u.label_z, u.media, u.media_count, u.reads, u.score," \
    " w.word, uw.score FROM units u LEFT JOIN labels l ON l.id = u.label"                                 \
    " LEFT JOIN unit_words uw ON uw.site = u.site AND uw.unit = u.unit AND uw.rank = 0"                   \
    " LEFT JOIN words w ON w.id = uw.word"

static const char *order_sql(cn_unit_order order)
{
    switch (order) {
    case CN_ORDER_UNIT: return "";
    case CN_ORDER_PEAK: return "u.max / u.rms DESC, ";
    case CN_ORDER_PURITY: return "u.purity DESC, u.label_z DESC, ";
    case CN_ORDER_KURTOSIS: return "u.kurtosis DESC, ";
    case CN_ORDER_SHARE: return "u.positive, ";
    case CN_ORDER_LABEL: return "l.name IS NULL, l.name, u.purity DESC, ";
    case CN_ORDER_SD: return "u.sd DESC, ";
    case CN_ORDER_MEAN: return "u.mean DESC, ";
    case CN_ORDER_WORD: return "w.word IS NULL, w.word, uw.score DESC, ";
    case CN_ORDER_INTERESTING:
    default: return "u.score DESC, ";
    }
}

static cn_status read_unit(const cn_study *s, sqlite3_stmt *q, results *list, void *row, const void *site, bool *ok, cn_error *err)
{
    cn_unit_row *r = row;
    (void)s, (void)err;
    r->ref = (cn_unit_ref){*(const size_t *)site, sqlite3_column_int64(q, 0)};
    r->count = sqlite3_column_int64(q, 1);
    r->mean = sqlite3_column_double(q, 2);
    r->sd = sqlite3_column_double(q, 3);
    r->rms = sqlite3_column_double(q, 4);
    r->min = sqlite3_column_double(q, 5);
    r->max = sqlite3_column_double(q, 6);
    r->share_positive = r->count > 0 ? sqlite3_column_double(q, 7) / (double)r->count : 0;
    r->kurtosis = sqlite3_column_double(q, 8);
    r->dead = sqlite3_column_int(q, 9) != 0;
    r->peak_sd = r->rms > 0 ? r->max / r->rms : 0;
    r->label = results_text(list, q, 10, ok);
    r->label_hits = sqlite3_column_int64(q, 11);
    r->label_images = sqlite3_column_int64(q, 12);
    r->purity = sqlite3_column_double(q, 13);
    r->surprise = sqlite3_column_double(q, 14);
    r->label_z = sqlite3_column_double(q, 15);
    r->media = results_text(list, q, 16, ok);
    r->media_count = sqlite3_column_int(q, 17);
    r->reads = sqlite3_column_int(q, 18) != 0;
    r->score = sqlite3_column_double(q, 19);
    r->word = results_text(list, q, 20, ok);
    r->word_score = sqlite3_column_double(q, 21);
    return CN_OK;
}

static const size_t unit_pointers[] = {POINTER(cn_unit_row, label), POINTER(cn_unit_row, media), POINTER(cn_unit_row, word)};
static const row_kind unit_rows = {sizeof(cn_unit_row), unit_pointers, COUNT(unit_pointers), read_unit};

/* The label's number; CN_ENOTFOUND with some that there are. */
static cn_status find_label(cn_study *s, const char *label, int64_t *id, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    char names[256] = "";
    CN_TRY(reader_query(s, &q, err, "SELECT id FROM labels WHERE name = ?", ""));
    sqlite3_bind_text(q, 1, label, -1, SQLITE_STATIC);
    CN_TRY(reader_step(s, q, &more, err));
    if (more) {
        *id = sqlite3_column_int64(q, 0);
        goto done;
    }
    sqlite3_finalize(q);
    q = NULL;
    /* those that share a piece with what was asked for come first */
    CN_TRY(reader_query(s, &q, err, "SELECT name FROM labels ORDER BY instr(name, ?1) + instr(?1, name) = 0, name", ""));
    sqlite3_bind_text(q, 1, label, -1, SQLITE_STATIC);
    for (size_t at = 0; at + 40 < sizeof names;) {
        CN_TRY(reader_step(s, q, &more, err));
        if (!more)
            break;
        const char *name = (const char *)sqlite3_column_text(q, 0);
        const int n = snprintf(names + at, sizeof names - at, "%s%.32s", at ? ", " : "", name ? name : "");
        at += n > 0 ? (size_t)n : 0;
    }
    st = cn_fail(err, CN_ENOTFOUND, "%s: no picture has the label \"%s\"%s%s%s", s->path, label, *names ? "; there are " : "", names,
                 more ? "..." : "");
done:
    sqlite3_finalize(q);
    return st;
}

cn_status cn_study_find_units(cn_study *s, size_t site, const cn_unit_query *query, cn_unit_row **out, size_t *n, cn_error *err)
{
    static const cn_unit_query defaults;
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    void *block;
    char sql[1024];
    int64_t label = -1;
    *out = NULL;
    *n = 0;
    query = query ? query : &defaults;
    CN_TRY(reader_check_unit(s, (cn_unit_ref){site, 0}, err));
    CN_CHECK(query->min_purity >= 0 && query->min_purity <= 1, CN_EINVAL, "a purity is a number from 0 to 1");
    if (query->label)
        CN_TRY(find_label(s, query->label, &label, err));
    const int64_t most = query->limit && query->limit < INT64_MAX ? (int64_t)query->limit : -1;
    snprintf(sql, sizeof sql, UNIT_SELECT " WHERE u.site = ?1%s%s%s AND (?3 < 0 OR u.label = ?3) ORDER BY %su.unit LIMIT ?2",
             query->order == CN_ORDER_UNIT ? "" : " AND NOT u.dead", query->order == CN_ORDER_INTERESTING ? " AND u.max > 0" : "",
             query->min_purity > 0 ? " AND u.purity >= ?4" : "", order_sql(query->order));
    CN_TRY(reader_query(s, &q, err, sql, "iii", (int64_t)site, most, label));
    if (query->min_purity > 0)
        sqlite3_bind_double(q, 4, query->min_purity);
    CN_TRY(reader_rows(s, q, &unit_rows, &site, &block, n, err));
    *out = block;
done:
    return st;
}

cn_status cn_study_units(cn_study *s, size_t site, cn_unit_order order, size_t limit, cn_unit_row **out,
                         size_t *n, cn_error *err)
{
    const cn_unit_query query = {.order = order, .limit = limit};
    return cn_study_find_units(s, site, &query, out, n, err);
}

cn_status cn_study_unit(cn_study *s, cn_unit_ref ref, cn_unit_row **out, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    size_t n = 0;
    void *block;
    *out = NULL;
    CN_TRY(reader_check_unit(s, ref, err));
    CN_TRY(reader_query(s, &q, err, UNIT_SELECT " WHERE u.site = ? AND u.unit = ?", "ii", (int64_t)ref.site,
                        ref.unit));
    CN_TRY(reader_rows(s, q, &unit_rows, &ref.site, &block, &n, err));
    *out = block;
    CN_CHECK(n == 1, CN_EFORMAT, "%s: the study is damaged: unit %lld is missing", s->path,
             (long long)ref.unit);
done:
    if (st != CN_OK) {
        cn_free(*out);
        *out = NULL;
    }
    return st;
}

void cn_unit_rows_free(cn_unit_row *r)
{
    cn_free(r);
}

static cn_status read_rms(cn_study *s, cn_unit_ref ref, double *rms, cn_error *err)
{
    cn_unit_row *row = NULL;
    cn_status st = cn_study_unit(s, ref, &row, err);
    if (st == CN_OK)
        *rms = row->rms;
    cn_free(row);
    return st;
}

/* ---- examples ---- */

/* The blob of half floats as floats; NULL when it has not the size of the site's map. */
static const float *keep_map(results *list, const cn_study_site *site, sqlite3_stmt *q, int column, bool *ok)
{
    size_t count = (size_t)site->height * (size_t)site->width;
    const void *blob = sqlite3_column_blob(q, column);
    if (!blob || !count || (size_t)sqlite3_column_bytes(q, column) != count * sizeof(uint16_t))
        return NULL;
    float *map = cn_reallocarray(NULL, count, sizeof *map);
    if (!map) {
        *ok = false;
        return NULL;
    }
    const unsigned char *b = blob;
    for (size_t i = 0; i < count; i++)
        map[i] = float16_to((uint16_t)(b[2 * i] | b[2 * i + 1] << 8));
    const float *kept = results_keep(list, map, count * sizeof *map, ok);
    cn_free(map);
    return kept;
}

const char *reader_picture_type(sqlite3_stmt *q, int column)
{
    const char *type = (const char *)sqlite3_column_text(q, column);
    if (type && strcmp(type, "image/jpeg") == 0)
        return "image/jpeg";
    return type && strcmp(type, "image/png") == 0 ? "image/png" : "";
}

/* What an example's row is read with. */
typedef struct example_context {
    const cn_study_site *site;
    int64_t unit;
    double rms;
} example_context;

static cn_status read_example(const cn_study *s, sqlite3_stmt *q, results *list, void *row, const void *context, bool *ok, cn_error *err)
{
    cn_status st = CN_OK;
    const example_context *c = context;
    cn_example *e = row;
    e->image = sqlite3_column_int64(q, 0);
    e->path = results_text(list, q, 1, ok);
    e->label = results_text(list, q, 2, ok);
    e->medium = results_text(list, q, 3, ok);
    e->caption = results_text(list, q, 4, ok);
    e->bucket = sqlite3_column_type(q, 5) == SQLITE_NULL ? -1 : sqlite3_column_int(q, 5);
    e->value = sqlite3_column_double(q, 6);
    e->sd = c->rms > 0 ? e->value / c->rms : 0;
    e->peak = sqlite3_column_double(q, 7);
    bool placed = sqlite3_column_type(q, 8) != SQLITE_NULL && sqlite3_column_type(q, 9) != SQLITE_NULL;
    e->row = placed ? sqlite3_column_int(q, 8) : -1;
    e->column = placed ? sqlite3_column_int(q, 9) : -1;
    CN_CHECK(e->row < c->site->height && e->column < c->site->width && e->row >= -1 && e->column >= -1 &&
                 e->bucket < s->info.buckets && e->bucket >= -1,
             CN_EFORMAT, "%s: the study is damaged: an example of unit %lld", s->path,
             (long long)c->unit);
    e->map = keep_map(list, c->site, q, 10, ok);
    e->thumbnail_type = reader_picture_type(q, 11);
    const void *data = sqlite3_column_blob(q, 12);
    e->thumbnail_size = data ? (size_t)sqlite3_column_bytes(q, 12) : 0;
    e->thumbnail = data ? results_keep(list, data, e->thumbnail_size, ok) : NULL;
    e->width = sqlite3_column_int(q, 13);
    e->height = sqlite3_column_int(q, 14);
    CN_CHECK(e->width >= 0 && e->height >= 0, CN_EFORMAT, "%s: the study is damaged: the size of picture %lld", s->path, (long long)e->image);
done:
    return st;
}

cn_status cn_study_examples(cn_study *s, cn_unit_ref ref, cn_example_kind kind, cn_example **out, size_t *n,
                            cn_error *err)
{
    static const size_t pointers[] = {POINTER(cn_example, path),   POINTER(cn_example, label),
                                      POINTER(cn_example, medium), POINTER(cn_example, caption),
                                      POINTER(cn_example, map),    POINTER(cn_example, thumbnail)};
    static const row_kind rows = {sizeof(cn_example), pointers, COUNT(pointers), read_example};
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    double rms = 0;
    void *block;
    *out = NULL;
    *n = 0;
    CN_TRY(read_rms(s, ref, &rms, err));
    const example_context context = {&s->sites[ref.site], ref.unit, rms};
    CN_TRY(reader_query(
        s, &q, err,
        "SELECT e.image, i.path, l.name, m.name, i.caption, e.bucket, e.value, e.peak, e.y, e.x, e.map,"
        " t.type, t.data, i.width, i.height FROM examples e JOIN images i ON i.id = e.image"
        " LEFT JOIN labels l ON l.id = i.label LEFT JOIN media m ON m.id = i.medium"
        " LEFT JOIN thumbnails t ON t.image = e.image"
        " WHERE e.site = ? AND e.unit = ? AND e.kind = ? ORDER BY e.rank LIMIT 1024",
        "iii", (int64_t)ref.site, ref.unit, (int64_t)kind));
    CN_TRY(reader_rows(s, q, &rows, &context, &block, n, err));
    *out = block;
done:
    return st;
}

void cn_examples_free(cn_example *e)
{
    cn_free(e);
}

/* ---- histogram ---- */

cn_status cn_study_histogram(cn_study *s, cn_unit_ref ref, double low, double high, size_t bins,
                             int64_t *counts, cn_error *err)
{
    cn_status st = CN_OK;
    finehist *h = NULL;
    double rms = 0;
    CN_CHECK(bins > 0 && low < high && isfinite(low) && isfinite(high), CN_EINVAL,
             "a histogram needs bins and a rising range");
    memset(counts, 0, bins * sizeof *counts);
    CN_TRY(read_rms(s, ref, &rms, err));
    h = cn_malloc(sizeof *h);
    CN_CHECK(h, CN_ENOMEM, "out of memory for a histogram");
    CN_TRY(finehist_read(h, s, ref, err));
    for (size_t i = 0; i < h->n && rms > 0; i++) /* a dead unit has none */
        finebins_spread(h->bins[i].bin, h->bins[i].count, low * rms, high * rms, bins, counts);
done:
    cn_free(h);
    return st;
}

/* ---- groups ---- */

static cn_status read_group(const cn_study *s, sqlite3_stmt *q, results *list, void *row, const void *context, bool *ok, cn_error *err)
{
    const double *rms = context;
    cn_group *g = row;
    (void)s, (void)err;
    g->name = results_text(list, q, 0, ok);
    g->images = sqlite3_column_int64(q, 1);
    g->mean = sqlite3_column_double(q, 2);
    g->mean_sd = *rms > 0 ? g->mean / *rms : 0;
    g->share_positive = sqlite3_column_type(q, 3) == SQLITE_NULL || g->images <= 0
                            ? -1
                            : sqlite3_column_double(q, 3) / (double)g->images;
    g->z = sqlite3_column_double(q, 4);
    return CN_OK;
}

cn_status cn_study_groups(cn_study *s, cn_unit_ref ref, cn_group_kind kind, cn_group **out, size_t *n,
                          cn_error *err)
{
    static const size_t pointers[] = {POINTER(cn_group, name)};
    static const row_kind rows = {sizeof(cn_group), pointers, COUNT(pointers), read_group};
    static const char *const sql[] = {
        [CN_GROUP_LABEL] =
            "SELECT l.name, l.images, g.mean, NULL, g.z FROM unit_labels g JOIN labels l ON l.id = g.label"
            " WHERE g.site = ? AND g.unit = ? ORDER BY g.rank",
        [CN_GROUP_MEDIUM] = "SELECT m.name, m.images, g.mean, g.positive, g.z FROM unit_media g JOIN media m"
                            " ON m.id = g.medium WHERE g.site = ? AND g.unit = ? ORDER BY m.name",
        [CN_GROUP_LABEL_MEDIUM] =
            "SELECT m.name, g.images, g.mean, g.positive, g.z FROM unit_label_media g JOIN media m"
            " ON m.id = g.medium WHERE g.site = ? AND g.unit = ? ORDER BY m.name",
    };
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    double rms = 0;
    void *block;
    *out = NULL;
    *n = 0;
    CN_CHECK((size_t)kind < COUNT(sql), CN_EINVAL, "no such kind of group");
    CN_TRY(read_rms(s, ref, &rms, err));
    CN_TRY(reader_query(s, &q, err, sql[kind], "ii", (int64_t)ref.site, ref.unit));
    CN_TRY(reader_rows(s, q, &rows, &rms, &block, n, err));
    *out = block;
done:
    return st;
}

void cn_groups_free(cn_group *g)
{
    cn_free(g);
}

/* ---- words, failures ---- */

static cn_status read_word(const cn_study *s, sqlite3_stmt *q, results *list, void *row, const void *context, bool *ok, cn_error *err)
{
    cn_word *w = row;
    (void)s, (void)context, (void)err;
    w->word = results_text(list, q, 0, ok);
    w->score = sqlite3_column_double(q, 1);
    w->z = sqlite3_column_double(q, 2);
    w->significant = sqlite3_column_int(q, 3) != 0;
    return CN_OK;
}

cn_status cn_study_words(cn_study *s, cn_unit_ref ref, cn_word **out, size_t *n, cn_error *err)
{
    static const size_t pointers[] = {POINTER(cn_word, word)};
    static const row_kind rows = {sizeof(cn_word), pointers, COUNT(pointers), read_word};
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    void *block;
    *out = NULL;
    *n = 0;
    CN_TRY(reader_check_unit(s, ref, err));
    CN_TRY(reader_query(
        s, &q, err,
        "SELECT w.word, u.score, u.z, u.significant FROM unit_words u JOIN words w ON w.id = u.word"
        " WHERE u.site = ? AND u.unit = ? ORDER BY u.rank",
        "ii", (int64_t)ref.site, ref.unit));
    CN_TRY(reader_rows(s, q, &rows, NULL, &block, n, err));
    *out = block;
done:
    return st;
}

void cn_words_free(cn_word *w)
{
    cn_free(w);
}

static cn_status read_failure(const cn_study *s, sqlite3_stmt *q, results *list, void *row, const void *context, bool *ok, cn_error *err)
{
    cn_failure *f = row;
    (void)s, (void)context, (void)err;
    f->path = results_text(list, q, 0, ok);
    f->reason = results_text(list, q, 1, ok);
    return CN_OK;
}

cn_status cn_study_failures(cn_study *s, cn_failure **out, size_t *n, cn_error *err)
{
    static const size_t pointers[] = {POINTER(cn_failure, path), POINTER(cn_failure, reason)};
    static const row_kind rows = {sizeof(cn_failure), pointers, COUNT(pointers), read_failure};
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    void *block;
    *out = NULL;
    *n = 0;
    CN_TRY(reader_query(s, &q, err, "SELECT path, reason FROM failures ORDER BY path", ""));
    CN_TRY(reader_rows(s, q, &rows, NULL, &block, n, err));
    *out = block;
done:
    return st;
}

void cn_failures_free(cn_failure *f)
{
    cn_free(f);
}
