/* compose/probedata.c -- reads a column, divides the pictures, standardises the units' values. */
#include "compose/probedata.h"

#include "base/memory.h"
#include "study/product.h"
#include "study/rowfile.h"
#include "study/sample.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 16 }; /* rows that are turned into columns together */
#define MOST 1e6       /* sd: no value of a held-out picture counts for more */

/* ---- the column ---- */

/* "label, medium, stars": what a study has, as far as it fits. */
static cn_status list_columns(cn_study *s, char *out, size_t room, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    int used = snprintf(out, room, "%s%s", s->info.labels ? "label" : "", s->info.media ? (s->info.labels ? ", medium" : "medium") : "");
    CN_TRY(reader_query(s, &q, err, "SELECT DISTINCT field FROM fields ORDER BY field", ""));
    for (;;) {
        CN_TRY(reader_step(s, q, &more, err));
        const char *field = more ? (const char *)sqlite3_column_text(q, 0) : NULL;
        if (!more || !field || (size_t)used + strlen(field) + 8 > room)
            break;
        used += snprintf(out + used, room - (size_t)used, "%s%s", used ? ", " : "", field);
    }
done:
    sqlite3_finalize(q);
    return st;
}

static cn_status query_column(cn_study *s, const char *column, sqlite3_stmt **q, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *known = NULL;
    bool field = false;
    if (strcmp(column, "label") == 0 && s->info.labels > 0)
        return reader_query(s, q, err,
                            "SELECT i.id, coalesce(f.path, i.path), l.name, coalesce(f.id, i.id) FROM images i LEFT JOIN images f ON f.id = i.same_as"
                            " LEFT JOIN labels l ON l.id = i.label ORDER BY i.id",
                            "");
    if (strcmp(column, "medium") == 0 && s->info.media > 0)
        return reader_query(s, q, err,
                            "SELECT i.id, coalesce(f.path, i.path), l.name, coalesce(f.id, i.id) FROM images i LEFT JOIN images f ON f.id = i.same_as"
                            " LEFT JOIN media l ON l.id = i.medium ORDER BY i.id",
                            "");
    CN_TRY(reader_query(s, &known, err, "SELECT 1 FROM fields WHERE field = ? LIMIT 1", ""));
    sqlite3_bind_text(known, 1, column, -1, SQLITE_STATIC);
    CN_TRY(reader_step(s, known, &field, err));
    if (!field) {
        char list[400] = "";
        CN_TRY(list_columns(s, list, sizeof list, err));
        CN_CHECK(false, CN_ENOTFOUND, "%s: the study has no column \"%.80s\"; it has %s", s->path, column, *list ? list : "none");
    }
    CN_TRY(reader_query(s, q, err,
                        "SELECT i.id, coalesce(f.path, i.path), x.value, coalesce(f.id, i.id) FROM images i LEFT JOIN images f ON f.id = i.same_as"
                        " LEFT JOIN fields x ON x.image = i.id AND x.field = ? ORDER BY i.id",
                        ""));
    sqlite3_bind_text(*q, 1, column, -1, SQLITE_STATIC);
done:
    sqlite3_finalize(known);
    return st;
}

typedef struct entry {
    char *name;
    int64_t image, first; /* the picture, and the first of its copies */
    uint64_t key;         /* hash of the first copy's path */
    bool several, test;   /* copies are in several classes; held out */
} entry;

static int by_picture(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return x->first != y->first ? x->first < y->first ? -1 : 1 : strcmp(x->name, y->name);
}

/* Classes, in each the copies of a picture side by side and pictures in the order of their hashes. */
static int by_class(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    if (order)
        return order;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x->image < y->image ? -1 : x->image > y->image;
}

/* Every picture with a value. (info.images) entries, `*n` of them used. */
static cn_status read_entries(cn_study *s, const cn_probe_options *o, entry **out, int64_t *n, int64_t *without, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    int64_t seen = 0;
    *n = *without = 0;
    CN_CHECK(s->info.images > 0 && s->info.images <= CN_MAX_STUDY_IMAGES, CN_ENOTFOUND, "%s: the study has no pictures", s->path);
    *out = cn_calloc((size_t)s->info.images, sizeof **out);
    CN_CHECK(*out, CN_ENOMEM, "out of memory for %" PRId64 " pictures", s->info.images);
    CN_TRY(query_column(s, o->column, &q, err));
    for (;; seen++) {
        CN_TRY(reader_step(s, q, &more, err));
        if (!more)
            break;
        const char *path = (const char *)sqlite3_column_text(q, 1), *name = (const char *)sqlite3_column_text(q, 2);
        CN_CHECK(seen < s->info.images && sqlite3_column_int64(q, 0) == seen && path, CN_EFORMAT,
                 "%s: the study is damaged: its images are not numbered 0, 1, 2...", s->path);
        if (!name || !*name) {
            ++*without;
            continue;
        }
        entry *e = &(*out)[(*n)++];
        e->image = seen;
        e->first = sqlite3_column_int64(q, 3);
        e->key = sample_key(o->seed, path);
        e->name = cn_strdup(name);
        CN_CHECK(e->name, CN_ENOMEM, "out of memory for %" PRId64 " pictures", s->info.images);
    }
    CN_CHECK(seen == s->info.images, CN_EFORMAT, "%s: the study is damaged: %" PRId64 " images, not %" PRId64, s->path, seen, s->info.images);
done:
    sqlite3_finalize(q);
    return st;
}

/* ---- the division ---- */

typedef struct member {
    int64_t image;
    int32_t y;
    bool test;
} member;

static int by_image(const void *a, const void *b)
{
    const member *x = a, *y = b;
    return x->image < y->image ? -1 : x->image > y->image;
}

/* Copies of a picture in several classes would be learnt in one and asked for in the other. They only train. */
static void mark_several(entry *e, int64_t n)
{
    qsort(e, (size_t)n, sizeof *e, by_picture);
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i; end < n && e[end].first == e[i].first; end++)
            ;
        for (int64_t k = i; k < end; k++)
            e[k].several = strcmp(e[i].name, e[end - 1].name) != 0;
    }
}

/* Holds out the pictures of a class with the smallest hashes: the share, rounded, but at least one, and `least` remain where the class has
 * more. Copies go together, so more copies than the share are held out only where nothing else would be. Returns how many. */
static int64_t hold_out(entry *e, int64_t n, const cn_probe_options *o)
{
    const int64_t most = n - o->least, share = llround(o->held_out * (double)n), aim = share < 1 ? 1 : share < most ? share : most;
    int64_t held = 0;
    for (int large = 0; large < 2 && held == 0; large++)
        for (int64_t i = 0, end; i < n && (!large || held == 0); i = end) {
            for (end = i; end < n && e[end].first == e[i].first; end++)
                ;
            if (e[i].several || held + end - i > (large ? most : aim) || most < 1)
                continue;
            for (int64_t k = i; k < end; k++)
                e[k].test = true;
            held += end - i;
        }
    return held;
}

static cn_status divide(probedata *d, const cn_study *s, const cn_probe_options *o, entry *e, int64_t n, cn_error *err)
{
    cn_status st = CN_OK;
    member *list = cn_calloc((size_t)n + 1, sizeof *list);
    int64_t count = 0, room = 0;
    CN_CHECK(list, CN_ENOMEM, "out of memory for %" PRId64 " pictures", n);
    mark_several(e, n);
    qsort(e, (size_t)n, sizeof *e, by_class);
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i; end < n && strcmp(e[end].name, e[i].name) == 0; end++)
            ;
        if (end - i < o->least) {
            d->left_classes++;
            d->left_pictures += end - i;
            continue;
        }
        const int64_t train = end - i - hold_out(e + i, end - i, o);
        CN_CHECK(d->classes < CN_MAX_PROBE_CLASSES, CN_ELIMIT, "%s: column %s has more than %d classes", s->path, o->column,
                 CN_MAX_PROBE_CLASSES);
        if (d->classes == room) {
            room = room ? 2 * room : 16;
            char **name = cn_reallocarray(d->name, (size_t)room, sizeof *name);
            if (name)
                d->name = name;
            int64_t *a = name ? cn_reallocarray(d->class_train, (size_t)room, sizeof *a) : NULL;
            if (a)
                d->class_train = a;
            int64_t *b = a ? cn_reallocarray(d->class_test, (size_t)room, sizeof *b) : NULL;
            CN_CHECK(b, CN_ENOMEM, "out of memory for classes");
            d->class_test = b;
        }
        d->class_train[d->classes] = train;
        d->class_test[d->classes] = end - i - train;
        d->n += train;
        d->m += end - i - train;
        for (int64_t k = i; k < end; k++)
            list[count++] = (member){e[k].image, (int32_t)d->classes, e[k].test};
        d->name[d->classes++] = e[i].name;
        e[i].name = NULL;
    }
    CN_CHECK(d->classes >= 2, CN_EINVAL,
             "%s: column %s has %" PRId64 " classes with at least %" PRId64 " training pictures; a probe needs two", s->path, o->column,
             d->classes, o->least);
    CN_CHECK(d->m > 0, CN_EINVAL, "%s: column %s: no class has more than %" PRId64 " pictures, so that none is held out", s->path,
             o->column, o->least);
    qsort(list, (size_t)count, sizeof *list, by_image);
    d->train = cn_calloc((size_t)d->n + 1, sizeof *d->train);
    d->test = cn_calloc((size_t)d->m + 1, sizeof *d->test);
    d->y = cn_calloc((size_t)d->n + 1, sizeof *d->y);
    d->y_test = cn_calloc((size_t)d->m + 1, sizeof *d->y_test);
    CN_CHECK(d->train && d->test && d->y && d->y_test, CN_ENOMEM, "out of memory for %" PRId64 " pictures", n);
    for (int64_t i = 0, a = 0, b = 0; i < count; i++)
        if (list[i].test) {
            d->test[b] = list[i].image;
            d->y_test[b++] = list[i].y;
        } else {
            d->train[a] = list[i].image;
            d->y[a++] = list[i].y;
        }
done:
    cn_free(list);
    return st;
}

/* ---- values ---- */

static cn_status read_row(const rowfile *f, int64_t row, bool relu, float *out, cn_error *err)
{
    const cn_status st = rowfile_read(f, row, out, err);
    for (int64_t u = 0; relu && st == CN_OK && u < f->columns; u++)
        out[u] = out[u] > 0 ? out[u] : 0;
    return st;
}

static cn_status read_values(probedata *d, cn_study *s, const cn_probe_options *o, cn_error *err)
{
    cn_status st = CN_OK;
    rowfile f = {0};
    float *rows = NULL;
    d->units = s->sites[o->site].units;
    CN_TRY(rowfile_open_site(&f, s, o->site, "mean", s->info.images, d->units, err));
    rows = product_floats(AT_ONCE, d->units);
    d->x = product_floats(d->units, d->n);
    d->x_test = product_floats(d->m, d->units);
    d->mean = cn_calloc((size_t)d->units, sizeof *d->mean);
    d->sd = cn_calloc((size_t)d->units, sizeof *d->sd);
    CN_CHECK(rows && d->x && d->x_test && d->mean && d->sd, CN_ENOMEM, "out of memory for %" PRId64 " units on %" PRId64 " pictures", d->units,
             d->n + d->m);
    for (int64_t i = 0; i < d->n; i += AT_ONCE) {
        const int64_t count = d->n - i < AT_ONCE ? d->n - i : AT_ONCE;
        for (int64_t k = 0; k < count; k++)
            CN_TRY(read_row(&f, d->train[i + k], o->relu, rows + k * d->units, err));
        for (int64_t u = 0; u < d->units; u++)
            for (int64_t k = 0; k < count; k++)
                d->x[u * d->n + i + k] = rows[k * d->units + u];
    }
    for (int64_t u = 0; u < d->units; u++) {
        float *x = d->x + u * d->n;
        double sum = 0, power = 0;
        for (int64_t i = 0; i < d->n; i++)
            sum += (double)x[i];
        d->mean[u] = sum / (double)d->n;
        for (int64_t i = 0; i < d->n; i++)
            power += ((double)x[i] - d->mean[u]) * ((double)x[i] - d->mean[u]);
        const double sd = sqrt(power / (double)d->n);
        d->sd[u] = sd > 1e-6 * fabs(d->mean[u]) && sd > 1e-30 ? sd : 0;
        for (int64_t i = 0; i < d->n; i++)
            x[i] = d->sd[u] > 0 ? (float)(((double)x[i] - d->mean[u]) / d->sd[u]) : 0;
    }
    for (int64_t i = 0; i < d->m; i++) {
        float *row = d->x_test + i * d->units;
        CN_TRY(read_row(&f, d->test[i], o->relu, row, err));
        for (int64_t u = 0; u < d->units; u++)
            row[u] = d->sd[u] > 0 ? (float)fmax(-MOST, fmin(MOST, ((double)row[u] - d->mean[u]) / d->sd[u])) : 0;
    }
done:
    rowfile_close(&f);
    cn_free(rows);
    return st;
}

cn_status probedata_read(probedata *d, cn_study *s, const cn_probe_options *o, cn_error *err)
{
    cn_status st = CN_OK;
    entry *entries = NULL;
    int64_t n = 0;
    memset(d, 0, sizeof *d);
    CN_TRY(read_entries(s, o, &entries, &n, &d->without, err));
    CN_TRY(divide(d, s, o, entries, n, err));
    CN_TRY(read_values(d, s, o, err));
done:
    for (int64_t i = 0; i < n; i++)
        cn_free(entries[i].name);
    cn_free(entries);
    return st;
}

void probedata_free(probedata *d)
{
    for (int64_t k = 0; k < d->classes; k++)
        cn_free(d->name[k]);
    cn_free(d->name);
    cn_free(d->class_train);
    cn_free(d->class_test);
    cn_free(d->train);
    cn_free(d->test);
    cn_free(d->y);
    cn_free(d->y_test);
    cn_free(d->x);
    cn_free(d->x_test);
    cn_free(d->mean);
    cn_free(d->sd);
    memset(d, 0, sizeof *d);
}
