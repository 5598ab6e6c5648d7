/* study/ratings.c -- raters' answers in the study's database: which pictures are rated, what was answered. */
#include "study/ratings.h"

#include "base/memory.h"
#include "study/html.h"
#include "study/sample.h"
#include "study/schema.h"
#include "study/store.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- names ---- */

int rating_find(const rating_names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->name[i], name) == 0)
            return (int)i;
    return -1;
}

void rating_add(rating_names *names, const char *name)
{
    snprintf(names->name[names->n++], sizeof names->name[0], "%s", name);
}

const char *rating_list(const rating_names *names, char *text, size_t room)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < names->n && at < room; i++)
        at += (size_t)snprintf(text + at, room - at, "%s%s", i ? ", " : "", names->name[i]);
    return text;
}

/* What a terminal, a page and a CSV show as it is. */
static bool plain(const char *name)
{
    while (*name) {
        size_t length;
        const uint32_t point = utf8_next(name, &length);
        if (point < 0x20 || (point >= 0x7f && point < 0xa0) || (point >= 0x202a && point <= 0x202e) ||
            (point >= 0x2066 && point <= 0x2069) || point == 0xfffd)
            return false;
        name += length;
    }
    return true;
}

cn_status rating_check_name(const char *where, const char *what, const char *name, cn_status status, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t length = strlen(name);
    CN_CHECK(length > 0, status, "%s: an empty name of a %s", where, what);
    CN_CHECK(length <= CN_MAX_RATING_NAME, status, "%s: a name of a %s has %zu bytes, the limit is %d", where, what, length,
             CN_MAX_RATING_NAME);
    CN_CHECK(plain(name), status, "%s: the name of a %s has control characters or is no UTF-8: \"%s\"", where, what, name);
    CN_CHECK(name[0] != ' ' && name[length - 1] != ' ', status, "%s: the name of a %s begins or ends with a blank: \"%s\"", where, what,
             name);
done:
    return st;
}

const char *rating_unit(const cn_study *s, cn_unit_ref ref, char *text, size_t room)
{
    snprintf(text, room, "%s:%" PRId64, s->sites[ref.site].short_name, ref.unit);
    return text;
}

/* ---- pictures ---- */

/* A row of the query; the list keeps its picture alone. */
typedef struct found {
    cn_rating_picture picture;
    int kind;
    uint64_t order;
} found;

typedef struct unit_range {
    float min, max;
    int64_t count;
    double rms;
} unit_range;

static cn_status read_found(const cn_study *s, sqlite3_stmt *q, results *list, void *row, const void *context, bool *ok, cn_error *err)
{
    cn_status st = CN_OK;
    const unit_range *range = context;
    found *f = row;
    cn_rating_picture *p = &f->picture;
    f->kind = sqlite3_column_int(q, 0);
    p->image = sqlite3_column_int64(q, 1);
    p->path = results_text(list, q, 2, ok);
    p->label = results_text(list, q, 3, ok);
    p->medium = results_text(list, q, 4, ok);
    p->value = sqlite3_column_double(q, 6);
    p->sd = p->value / range->rms;
    CN_CHECK(isfinite(p->sd) && p->image >= 0, CN_EFORMAT, "%s: the study is damaged: an example of image %" PRId64, s->path, p->image);
    p->bucket =
        f->kind == CN_EXAMPLE_BUCKET ? sqlite3_column_int(q, 5) : bucket_of((float)p->value, range->min, range->max, s->info.buckets);
    CN_CHECK(p->bucket >= 0 && p->bucket < s->info.buckets, CN_EFORMAT, "%s: the study is damaged: bucket %d", s->path, p->bucket);
    p->thumbnail_type = reader_picture_type(q, 7);
    const void *data = sqlite3_column_blob(q, 8);
    p->thumbnail_size = data ? (size_t)sqlite3_column_bytes(q, 8) : 0;
    p->thumbnail = data ? results_keep(list, data, p->thumbnail_size, ok) : NULL;
done:
    return st;
}

/* All pictures of bucket `first` and above are among the strongest, those of `last` and below among the most inhibiting:
 * whatever lies beyond the weakest of a list is in it. */
static void complete_buckets(const found *rows, size_t n, const unit_range *range, int buckets, int *first, int *last)
{
    int64_t top = 0, bottom = 0;
    int weakest = buckets, least = -1;
    for (size_t i = 0; i < n; i++) {
        const int b = bucket_of((float)rows[i].picture.value, range->min, range->max, buckets);
        if (rows[i].kind == CN_EXAMPLE_TOP) {
            top++;
            weakest = b < weakest ? b : weakest;
        } else if (rows[i].kind == CN_EXAMPLE_BOTTOM) {
            bottom++;
            least = b > least ? b : least;
        }
    }
    *first = top >= range->count ? 0 : top ? weakest + 1 : buckets;
    *last = bottom >= range->count ? buckets - 1 : bottom ? least - 1 : -1;
}

static int by_order(const void *a, const void *b)
{
    const found *x = a, *y = b;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return (x->picture.image > y->picture.image) - (x->picture.image < y->picture.image);
}

static int by_image(const void *a, const void *b)
{
    const found *x = a, *y = b;
    if (x->picture.image != y->picture.image)
        return x->picture.image < y->picture.image ? -1 : 1;
    return y->kind - x->kind; /* the sample's row is kept */
}

static int by_level(const void *a, const void *b)
{
    const cn_rating_picture *x = &((const found *)a)->picture, *y = &((const found *)b)->picture;
    if (x->bucket != y->bucket)
        return x->bucket - y->bucket;
    if (x->value < y->value || x->value > y->value)
        return x->value < y->value ? -1 : 1;
    return (x->image > y->image) - (x->image < y->image);
}

/* Leaves each picture that is rated once; returns how many. */
static size_t choose(found *rows, size_t n, int first, int last)
{
    size_t kept = 0;
    qsort(rows, n, sizeof *rows, by_image);
    for (size_t i = 0; i < n; i++) {
        const int b = rows[i].picture.bucket;
        const bool wanted = rows[i].kind == CN_EXAMPLE_BUCKET || (rows[i].kind == CN_EXAMPLE_TOP && b >= first) ||
                            (rows[i].kind == CN_EXAMPLE_BOTTOM && b <= last);
        if (wanted && (kept == 0 || rows[kept - 1].picture.image != rows[i].picture.image))
            rows[kept++] = rows[i];
    }
    return kept;
}

static cn_status read_range(cn_study *s, cn_unit_ref ref, unit_range *range, cn_error *err)
{
    cn_status st = CN_OK;
    cn_unit_row *row = NULL;
    CN_CHECK(s->info.buckets <= CN_MAX_STUDY_EXAMPLES, CN_EFORMAT, "%s: the study is damaged: %d buckets", s->path, s->info.buckets);
    CN_TRY(cn_study_unit(s, ref, &row, err));
    *range = (unit_range){(float)row->min, (float)row->max, row->count, row->dead ? 0 : row->rms};
    CN_CHECK(row->dead || (row->rms > 0 && isfinite(row->rms) && isfinite(row->min) && row->min < row->max && isfinite(row->max)),
             CN_EFORMAT, "%s: the study is damaged: the range of unit %" PRId64, s->path, ref.unit);
done:
    cn_unit_rows_free(row);
    return st;
}

cn_status rating_pictures(cn_study *s, cn_unit_ref ref, const char *rater, bool thumbnails, cn_rating_picture **out, size_t *n,
                          cn_error *err)
{
    static const size_t pointers[] = {offsetof(found, picture.path), offsetof(found, picture.label), offsetof(found, picture.medium),
                                      offsetof(found, picture.thumbnail)};
    static const row_kind kind = {sizeof(found), pointers, COUNT(pointers), read_found};
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    unit_range range;
    void *block = NULL;
    int first, last;
    *out = NULL;
    *n = 0;
    CN_TRY(read_range(s, ref, &range, err));
    if (!(range.rms > 0))
        goto done;
    CN_TRY(reader_query(
        s, &q, err,
        "SELECT e.kind, e.image, i.path, l.name, m.name, e.bucket, e.value, t.type, CASE WHEN ?3 THEN t.data END FROM examples e"
        " JOIN images i ON i.id = e.image LEFT JOIN labels l ON l.id = i.label LEFT JOIN media m ON m.id = i.medium"
        " LEFT JOIN thumbnails t ON t.image = e.image WHERE e.site = ?1 AND e.unit = ?2 AND e.kind BETWEEN 0 AND 2 LIMIT 4096",
        "iii", (int64_t)ref.site, ref.unit, (int64_t)thumbnails));
    CN_TRY(reader_rows(s, q, &kind, &range, &block, n, err));
    if (!block)
        goto done;
    found *rows = block;
    complete_buckets(rows, *n, &range, s->info.buckets, &first, &last);
    *n = choose(rows, *n, first, last);
    if (rater) {
        const uint64_t seed = sample_key((uint64_t)ref.unit << 8 | ref.site, rater);
        for (size_t i = 0; i < *n; i++)
            rows[i].order = sample_key(seed, rows[i].picture.path);
    }
    qsort(rows, *n, sizeof *rows, rater ? by_order : by_level);
    /* The block's start becomes the list of pictures: their rows are shorter, so nothing is overtaken. */
    for (size_t i = 0; i < *n; i++)
        memmove((char *)block + i * sizeof(cn_rating_picture), &rows[i].picture, sizeof(cn_rating_picture));
    if (*n > 0)
        *out = block;
    else
        cn_free(block);
done:
    return st;
}

cn_status cn_study_rating_pictures(cn_study *s, cn_unit_ref ref, const char *rater, cn_rating_picture **out, size_t *n, cn_error *err)
{
    *out = NULL;
    *n = 0;
    const cn_status st = rater ? rating_check_name(s->path, "rater", rater, CN_EINVAL, err) : CN_OK;
    return st == CN_OK ? rating_pictures(s, ref, rater, true, out, n, err) : st;
}

void cn_rating_pictures_free(cn_rating_picture *p)
{
    cn_free(p);
}

/* ---- reading categories and answers ---- */

/* Whether anybody ever answered. */
static cn_status has_tables(cn_study *s, bool *has, cn_error *err)
{
    const cn_status st = kept_has(s, "ratings", has, err);
    return st == CN_OK && *has ? kept_has(s, "rating_categories", has, err) : st;
}

/* A name from the database, checked like one from a user. */
static cn_status checked(const cn_study *s, sqlite3_stmt *q, int column, const char *what, cn_error *err)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    return rating_check_name(s->path, what, text ? text : "", CN_EFORMAT, err);
}

static cn_status read_category(const cn_study *s, sqlite3_stmt *q, results *list, void *row, const void *context, bool *ok, cn_error *err)
{
    cn_category *c = row;
    (void)context;
    const cn_status st = checked(s, q, 0, "category", err);
    if (st == CN_OK) {
        c->name = results_text(list, q, 0, ok);
        c->answers = sqlite3_column_int64(q, 1);
    }
    return st;
}

cn_status cn_study_categories(cn_study *s, cn_unit_ref ref, cn_category **out, size_t *n, cn_error *err)
{
    static const size_t pointers[] = {offsetof(cn_category, name)};
    static const row_kind kind = {sizeof(cn_category), pointers, COUNT(pointers), read_category};
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    void *block = NULL;
    bool has;
    *out = NULL;
    *n = 0;
    CN_TRY(reader_check_unit(s, ref, err));
    CN_TRY(has_tables(s, &has, err));
    if (!has)
        goto done;
    CN_TRY(reader_query(s, &q, err,
                        "SELECT c.category, (SELECT count(*) FROM ratings r WHERE r.site = ?1 AND r.unit = ?2 AND r.category = c.category)"
                        " FROM rating_categories c WHERE c.site = ?1 AND c.unit = ?2 ORDER BY c.rank LIMIT ?3",
                        "iii", (int64_t)ref.site, ref.unit, (int64_t)CN_MAX_CATEGORIES + 1));
    CN_TRY(reader_rows(s, q, &kind, NULL, &block, n, err));
    CN_CHECK(*n <= CN_MAX_CATEGORIES, CN_EFORMAT, "%s: the study is damaged: unit %" PRId64 " has more than %d categories", s->path,
             ref.unit, CN_MAX_CATEGORIES);
    *out = block, block = NULL;
done:
    if (st != CN_OK)
        *n = 0;
    cn_free(block);
    return st;
}

void cn_categories_free(cn_category *c)
{
    cn_free(c);
}

cn_status rating_categories(cn_study *s, cn_unit_ref ref, rating_names *names, cn_error *err)
{
    cn_category *list = NULL;
    size_t n = 0;
    const cn_status st = cn_study_categories(s, ref, &list, &n, err);
    names->n = 0;
    for (size_t i = 0; i < n; i++)
        rating_add(names, list[i].name);
    cn_free(list);
    return st;
}

static cn_status read_rating(const cn_study *s, sqlite3_stmt *q, results *list, void *row, const void *context, bool *ok, cn_error *err)
{
    cn_status st = CN_OK;
    cn_rating *r = row;
    (void)context;
    CN_TRY(checked(s, q, 2, "rater", err));
    CN_TRY(checked(s, q, 3, "category", err));
    r->image = sqlite3_column_int64(q, 0);
    r->path = results_text(list, q, 1, ok);
    r->rater = results_text(list, q, 2, ok);
    r->category = results_text(list, q, 3, ok);
    r->created = results_text(list, q, 4, ok);
done:
    return st;
}

cn_status cn_study_ratings(cn_study *s, cn_unit_ref ref, const char *rater, cn_rating **out, size_t *n, cn_error *err)
{
    static const size_t pointers[] = {offsetof(cn_rating, path), offsetof(cn_rating, rater), offsetof(cn_rating, category),
                                      offsetof(cn_rating, created)};
    static const row_kind kind = {sizeof(cn_rating), pointers, COUNT(pointers), read_rating};
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    void *block = NULL;
    bool has;
    *out = NULL;
    *n = 0;
    CN_TRY(reader_check_unit(s, ref, err));
    CN_TRY(has_tables(s, &has, err));
    if (!has)
        goto done;
    CN_TRY(reader_query(s, &q, err,
                        "SELECT r.image, i.path, r.rater, r.category, r.created FROM ratings r LEFT JOIN images i ON i.id = r.image"
                        " WHERE r.site = ?1 AND r.unit = ?2 AND (?4 IS NULL OR r.rater = ?4) ORDER BY r.rater, r.image LIMIT ?3",
                        "iii", (int64_t)ref.site, ref.unit, (int64_t)CN_MAX_RATINGS + 1));
    sqlite3_bind_text(q, 4, rater, -1, SQLITE_STATIC);
    CN_TRY(reader_rows(s, q, &kind, NULL, &block, n, err));
    CN_CHECK(*n <= CN_MAX_RATINGS, CN_ELIMIT, "%s: more than %d answers for unit %" PRId64, s->path, CN_MAX_RATINGS, ref.unit);
    *out = block, block = NULL;
done:
    if (st != CN_OK)
        *n = 0;
    cn_free(block);
    return st;
}

void cn_ratings_free(cn_rating *r)
{
    cn_free(r);
}

/* ---- writing ---- */

cn_status rating_begin(rating_writer *w, cn_study *s, cn_unit_ref ref, cn_error *err)
{
    cn_status st = CN_OK;
    *w = (rating_writer){.ref = ref};
    CN_TRY(reader_check_unit(s, ref, err));
    CN_TRY(kept_begin(&w->kept, s, SCHEMA_RATINGS, err));
done:
    return st;
}

/* A statement for the writer's unit: ?1 is its site, ?2 its number, ?3 and ?4 texts (NULL: NULL). */
static cn_status prepare(rating_writer *w, sqlite3_stmt **q, const char *sql, const char *third, const char *fourth, cn_error *err)
{
    if (sqlite3_prepare_v2(w->kept.db, sql, -1, q, NULL) != SQLITE_OK)
        return kept_failed(&w->kept, err);
    sqlite3_bind_int64(*q, 1, (int64_t)w->ref.site);
    sqlite3_bind_int64(*q, 2, w->ref.unit);
    sqlite3_bind_text(*q, 3, third, -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(*q, 4, fourth, -1, SQLITE_TRANSIENT);
    return CN_OK;
}

/* Runs it to its first row or its end, and *row says which. */
static cn_status step(rating_writer *w, sqlite3_stmt *q, bool *row, cn_error *err)
{
    const int code = sqlite3_step(q);
    *row = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? CN_OK : kept_failed(&w->kept, err);
}

static cn_status run(rating_writer *w, const char *sql, const char *third, cn_error *err)
{
    sqlite3_stmt *q = NULL;
    bool row;
    cn_status st = prepare(w, &q, sql, third, NULL, err);
    if (st == CN_OK)
        st = step(w, q, &row, err);
    sqlite3_finalize(q);
    return st;
}

/* An older category that has answers stays. */
static cn_status check_dropped(rating_writer *w, const rating_names *names, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool row;
    CN_TRY(prepare(w, &q, "SELECT category, count(*) FROM ratings WHERE site = ?1 AND unit = ?2 GROUP BY category", NULL, NULL, err));
    for (;;) {
        CN_TRY(step(w, q, &row, err));
        if (!row)
            break;
        const char *name = (const char *)sqlite3_column_text(q, 0);
        CN_CHECK(name && rating_find(names, name) >= 0, CN_EINVAL,
                 "%s: the category \"%s\" has %d answers: name it with the others, or remove its answers first", w->kept.file, name ? name : "",
                 sqlite3_column_int(q, 1));
    }
done:
    sqlite3_finalize(q);
    return st;
}

cn_status rating_set_categories(rating_writer *w, const rating_names *names, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool row;
    CN_TRY(check_dropped(w, names, err));
    CN_TRY(run(w, "DELETE FROM rating_categories WHERE site = ?1 AND unit = ?2", NULL, err));
    for (size_t i = 0; i < names->n; i++) {
        CN_TRY(prepare(w, &q, "INSERT INTO rating_categories (site, unit, category, rank) VALUES (?1, ?2, ?3, ?4)", names->name[i], NULL,
                       err));
        sqlite3_bind_int64(q, 4, (int64_t)i);
        CN_TRY(step(w, q, &row, err));
        sqlite3_finalize(q);
        q = NULL;
    }
done:
    sqlite3_finalize(q);
    return st;
}

cn_status rating_keep(rating_writer *w, int64_t image, const char *rater, const char *category, rating_change *change, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool row;
    char date[32];
    rating_change what = RATING_ADDED;
    CN_TRY(prepare(w, &q, "SELECT category FROM ratings WHERE site = ?1 AND unit = ?2 AND rater = ?3 AND image = ?4", rater, NULL, err));
    sqlite3_bind_int64(q, 4, image);
    CN_TRY(step(w, q, &row, err));
    if (row) {
        const char *old = (const char *)sqlite3_column_text(q, 0);
        what = category && old && strcmp(old, category) == 0 ? RATING_SAME : RATING_CHANGED;
    }
    sqlite3_finalize(q);
    q = NULL;
    if (change)
        *change = what;
    if (what == RATING_SAME)
        goto done;
    store_date(date);
    CN_TRY(prepare(w, &q,
                   category ? "INSERT OR REPLACE INTO ratings (site, unit, rater, category, image, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
                            : "DELETE FROM ratings WHERE site = ?1 AND unit = ?2 AND rater = ?3 AND image = ?5",
                   rater, category, err));
    sqlite3_bind_int64(q, 5, image);
    sqlite3_bind_text(q, 6, date, -1, SQLITE_TRANSIENT);
    CN_TRY(step(w, q, &row, err));
done:
    sqlite3_finalize(q);
    return st;
}

cn_status rating_remove(rating_writer *w, const char *rater, int64_t *removed, cn_error *err)
{
    const cn_status st = run(w, "DELETE FROM ratings WHERE site = ?1 AND unit = ?2 AND (?3 IS NULL OR rater = ?3)", rater, err);
    *removed = st == CN_OK ? sqlite3_changes(w->kept.db) : 0;
    return st;
}

cn_status rating_commit(rating_writer *w, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool row;
    CN_TRY(prepare(w, &q, "SELECT count(DISTINCT rater) FROM ratings WHERE site = ?1 AND unit = ?2", NULL, NULL, err));
    CN_TRY(step(w, q, &row, err));
    CN_CHECK(row && sqlite3_column_int64(q, 0) <= CN_MAX_RATERS, CN_ELIMIT, "%s: more than %d raters for unit %" PRId64, w->kept.file,
             CN_MAX_RATERS, w->ref.unit);
    sqlite3_finalize(q);
    q = NULL;
    CN_TRY(kept_commit(&w->kept, err));
done:
    sqlite3_finalize(q);
    return st;
}

void rating_end(rating_writer *w)
{
    kept_end(&w->kept);
    *w = (rating_writer){0};
}

cn_status cn_study_set_categories(cn_study *s, cn_unit_ref ref, const char *const *names, size_t n, cn_error *err)
{
    cn_status st = CN_OK;
    rating_writer w = {0};
    rating_names list = {0};
    CN_CHECK(n > 0 && n <= CN_MAX_CATEGORIES, CN_EINVAL, "%s: %zu categories; a unit has 1 to %d", s->path, n, CN_MAX_CATEGORIES);
    for (size_t i = 0; i < n; i++) {
        CN_TRY(rating_check_name(s->path, "category", names[i], CN_EINVAL, err));
        CN_CHECK(rating_find(&list, names[i]) < 0, CN_EINVAL, "%s: the category \"%s\" is named twice", s->path, names[i]);
        rating_add(&list, names[i]);
    }
    CN_TRY(rating_begin(&w, s, ref, err));
    CN_TRY(rating_set_categories(&w, &list, err));
    CN_TRY(rating_commit(&w, err));
done:
    rating_end(&w);
    return st;
}

cn_status cn_study_keep_rating(cn_study *s, cn_unit_ref ref, int64_t image, const char *rater, const char *category, cn_error *err)
{
    cn_status st = CN_OK;
    rating_writer w = {0};
    rating_names names;
    cn_rating_picture *pictures = NULL;
    size_t n = 0;
    bool known = false;
    char unit[256], list[1280];
    CN_TRY(reader_check_unit(s, ref, err));
    CN_TRY(rating_check_name(s->path, "rater", rater, CN_EINVAL, err));
    CN_TRY(rating_pictures(s, ref, NULL, false, &pictures, &n, err));
    for (size_t i = 0; pictures && i < n; i++)
        known = known || pictures[i].image == image;
    CN_CHECK(known, CN_EINVAL, "%s: image %" PRId64 " is none of the %zu pictures of %s that are rated", s->path, image, n,
             rating_unit(s, ref, unit, sizeof unit));
    CN_TRY(rating_categories(s, ref, &names, err));
    CN_CHECK(!category || rating_find(&names, category) >= 0, CN_EINVAL, "%s: \"%s\" is no category of %s, which has: %s", s->path,
             category, rating_unit(s, ref, unit, sizeof unit), rating_list(&names, list, sizeof list));
    CN_TRY(rating_begin(&w, s, ref, err));
    CN_TRY(rating_keep(&w, image, rater, category, NULL, err));
    CN_TRY(rating_commit(&w, err));
done:
    rating_end(&w);
    cn_free(pictures);
    return st;
}

cn_status cn_study_remove_ratings(cn_study *s, cn_unit_ref ref, const char *rater, int64_t *removed, cn_error *err)
{
    cn_status st = CN_OK;
    rating_writer w = {0};
    int64_t n = 0;
    if (removed)
        *removed = 0;
    CN_TRY(rating_begin(&w, s, ref, err));
    CN_TRY(rating_remove(&w, rater, &n, err));
    CN_TRY(rating_commit(&w, err));
    if (removed)
        *removed = n;
done:
    rating_end(&w);
    return st;
}
