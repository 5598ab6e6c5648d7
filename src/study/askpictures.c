/* study/askpictures.c -- which pictures fire several units, which units a picture fires, and pictures by text. What is asked about all
 * pictures is read from the matrices, memory-mapped; without them the examples are all that is known. Coarse levels say which few rows are worth reading. */
#include "clipneuron/ask.h"

#include "base/memory.h"
#include "base/path.h"
#include "clipneuron/array.h"
#include "study/coarse.h"
#include "study/finehist.h"
#include "study/float16.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- matrices ---- */

/* The activations of a site as its file has them. */
typedef struct site_matrix {
    cn_arrays *file; /* NULL: the study has none */
    const unsigned char *data;
    int64_t units;
    bool half;
    cn_arrays *coarse; /* NULL: none */
} site_matrix;

/* m->file stays NULL, and the status CN_OK, when the study was made without matrices. */
static cn_status matrix_of_site(site_matrix *m, const cn_study *s, size_t site, cn_error *err)
{
    cn_status st = CN_OK;
    char name[300];
    const cn_study_site *info = &s->sites[site];
    char *path = NULL;
    memset(m, 0, sizeof *m);
    CN_CHECK(!strchr(info->short_name, '/'), CN_EFORMAT, "%s: the study is damaged: the site \"%s\"", s->path, info->short_name);
    snprintf(name, sizeof name, "%.256s.%s.npy", info->short_name, cn_reduce_name(s->info.reduce));
    path = path_join(s->path, name);
    CN_CHECK(path, CN_ENOMEM, "out of memory for a name");
    FILE *there = fopen(path, "re");
    if (!there)
        goto done;
    fclose(there);
    CN_TRY(cn_arrays_open(&m->file, path, err));
    CN_CHECK(cn_arrays_count(m->file) == 1, CN_EFORMAT, "%s: is no .npy array", path);
    const cn_tensor *t = cn_arrays_at(m->file, 0);
    CN_CHECK(t->ndim == 2 && t->shape[0] == s->info.images && t->shape[1] == info->units &&
                 (t->dtype == CN_DTYPE_F32 || t->dtype == CN_DTYPE_F16) && (t->count == 0 || t->stride[1] == 1),
             CN_EFORMAT, "%s: is not the matrix of this study: (%" PRId64 ", %" PRId64 ") of float32 or float16 is expected", path,
             s->info.images, info->units);
    m->data = t->data;
    m->units = info->units;
    m->half = t->dtype == CN_DTYPE_F16;
done:
    cn_free(path);
    return st;
}

static void matrix_release(site_matrix *m)
{
    cn_arrays_close(m->coarse);
    cn_arrays_close(m->file);
}

static double matrix_value(const site_matrix *m, int64_t image, int64_t unit)
{
    const int64_t at = image * m->units + unit;
    uint16_t half;
    float value;
    if (m->half) {
        memcpy(&half, m->data + 2 * at, sizeof half);
        return (double)float16_to(half);
    }
    memcpy(&value, m->data + 4 * at, sizeof value);
    return (double)value;
}

static cn_status not_finite(const cn_study *s, int64_t image, cn_error *err)
{
    return cn_fail(err, CN_EFORMAT, "%s: the study is damaged: its matrix has values that are not finite on picture %" PRId64, s->path,
                   image);
}

/* ---- the largest k ---- */

typedef struct scored {
    double score;
    int64_t number;
} scored;

/* A heap whose root is the one to go next: the smallest score, of equal ones the largest number. */
typedef struct best {
    scored *items;
    size_t n, k;
} best;

static bool worse(const scored *a, const scored *b)
{
    return a->score != b->score ? a->score < b->score : a->number > b->number;
}

static void sink(best *b, size_t i)
{
    for (size_t child; (child = 2 * i + 1) < b->n; i = child) {
        if (child + 1 < b->n && worse(&b->items[child + 1], &b->items[child]))
            child++;
        if (!worse(&b->items[child], &b->items[i]))
            return;
        const scored moved = b->items[i];
        b->items[i] = b->items[child];
        b->items[child] = moved;
    }
}

static void best_add(best *b, scored x)
{
    if (b->n == b->k) {
        if (b->k == 0 || !worse(&b->items[0], &x))
            return;
        b->items[0] = x;
        sink(b, 0);
        return;
    }
    size_t i = b->n++;
    for (; i > 0 && worse(&x, &b->items[(i - 1) / 2]); i = (i - 1) / 2)
        b->items[i] = b->items[(i - 1) / 2];
    b->items[i] = x;
}

/* The best first. */
static void best_sort(best *b)
{
    const size_t n = b->n;
    while (b->n > 1) {
        const scored last = b->items[0];
        b->items[0] = b->items[--b->n];
        b->items[b->n] = last;
        sink(b, 0);
    }
    b->n = n;
}

static cn_status best_begin(best *b, size_t limit, int64_t all, cn_error *err)
{
    b->n = 0;
    b->k = limit && limit < (size_t)all ? limit : (size_t)all;
    b->items = cn_reallocarray(NULL, b->k + 1, sizeof *b->items);
    return b->items ? CN_OK : cn_fail(err, CN_ENOMEM, "out of memory for a list of %zu", b->k);
}

/* ---- pictures as rows ---- */

#define PICTURE_SELECT                                                                                                    \
    "SELECT i.id, i.path, l.name, m.name, i.caption FROM images i LEFT JOIN labels l ON l.id = i.label LEFT JOIN media m" \
    " ON m.id = i.medium"

static cn_status read_picture(const cn_study *s, sqlite3_stmt *q, results *list, void *row, const void *context, bool *ok, cn_error *err)
{
    cn_picture *p = row;
    (void)s, (void)context, (void)err;
    p->image = sqlite3_column_int64(q, 0);
    p->path = results_text(list, q, 1, ok);
    p->label = results_text(list, q, 2, ok);
    p->medium = results_text(list, q, 3, ok);
    p->caption = results_text(list, q, 4, ok);
    return CN_OK;
}

static const size_t picture_pointers[] = {offsetof(cn_picture, path), offsetof(cn_picture, label), offsetof(cn_picture, medium),
                                          offsetof(cn_picture, caption), offsetof(cn_picture, sd)};
static const row_kind pictures = {sizeof(cn_picture), picture_pointers, COUNT(picture_pointers), read_picture};

void cn_pictures_free(cn_picture *list)
{
    cn_free(list);
}

/* ---- pictures of units ---- */

typedef struct asked {
    size_t n, n_sites;
    site_matrix matrix[CN_MAX_ASK_UNITS]; /* of each site that is asked for */
    size_t site[CN_MAX_ASK_UNITS];
    struct {
        const site_matrix *matrix;
        int64_t unit;
        double rms, min, max;
    } unit[CN_MAX_ASK_UNITS];
} asked;

static cn_status ask_unit(asked *a, cn_study *s, cn_unit_ref ref, cn_error *err)
{
    cn_status st = CN_OK;
    cn_unit_row *row = NULL;
    size_t m = 0;
    CN_TRY(cn_study_unit(s, ref, &row, err));
    CN_CHECK(!row->dead, CN_EINVAL, "%s: unit %" PRId64 " of %s is constant on the collection: no picture fires it", s->path, ref.unit,
             s->sites[ref.site].short_name);
    CN_CHECK(row->rms > 0 && isfinite(row->rms), CN_EFORMAT, "%s: the study is damaged: the rms of unit %" PRId64, s->path, ref.unit);
    while (m < a->n_sites && a->site[m] != ref.site)
        m++;
    if (m == a->n_sites) {
        a->site[a->n_sites++] = ref.site; /* what is open is closed, also after a failure */
        CN_TRY(matrix_of_site(&a->matrix[m], s, ref.site, err));
        CN_CHECK(a->matrix[m].file, CN_ENOTFOUND,
                 "%s: was made without matrices: scan again without '--matrices none' to ask about all pictures ('clipneuron top' has each "
                 "unit's strongest)",
                 s->path);
        CN_TRY(coarse_file(&a->matrix[m].coarse, s, ref.site, err));
    }
    a->unit[a->n].matrix = &a->matrix[m];
    a->unit[a->n].unit = ref.unit;
    a->unit[a->n].rms = row->rms;
    a->unit[a->n].min = row->min;
    a->unit[a->n].max = row->max;
    a->n++;
done:
    cn_unit_rows_free(row);
    return st;
}

static double asked_sd(const asked *a, size_t unit, int64_t image)
{
    return matrix_value(a->unit[unit].matrix, image, a->unit[unit].unit) / a->unit[unit].rms;
}

/* The pictures that were found, in their order, with what each unit does on them. */
static cn_status list_pictures(cn_study *s, const asked *a, const best *b, cn_picture **out, size_t *n, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    results list = {0};
    bool more, ok = true;
    double sd[CN_MAX_ASK_UNITS];
    void *block;
    CN_TRY(reader_query(s, &q, err, PICTURE_SELECT " WHERE i.id = ?", ""));
    for (size_t i = 0; i < b->n; i++) {
        sqlite3_reset(q);
        sqlite3_bind_int64(q, 1, b->items[i].number);
        CN_TRY(reader_step(s, q, &more, err));
        CN_CHECK(more, CN_EFORMAT, "%s: the study is damaged: picture %" PRId64 " is missing", s->path, b->items[i].number);
        cn_picture *p = results_add(&list, sizeof *p);
        CN_CHECK(p, CN_ENOMEM, "out of memory for pictures");
        CN_TRY(read_picture(s, q, &list, p, NULL, &ok, err));
        for (size_t u = 0; u < a->n; u++)
            sd[u] = asked_sd(a, u, b->items[i].number);
        p->total = b->items[i].score;
        p->sd = results_keep(&list, sd, a->n * sizeof *sd, &ok);
        CN_CHECK(ok, CN_ENOMEM, "out of memory for pictures");
    }
    CN_TRY(results_finish(&list, picture_pointers, COUNT(picture_pointers), &block, n, err));
    *out = block;
done:
    sqlite3_finalize(q);
    results_discard(&list);
    return st;
}

/* The picture's place among the best, by its values in the matrices. */
static cn_status add_exactly(best *b, const cn_study *s, const asked *a, int64_t image, cn_error *err)
{
    double total = 0;
    for (size_t u = 0; u < a->n; u++)
        total += asked_sd(a, u, image);
    if (!isfinite(total))
        return not_finite(s, image, err);
    best_add(b, (scored){total, image});
    return CN_OK;
}

static double least_of(const coarse_unit *levels, size_t n, int64_t image)
{
    double least = 0;
    for (size_t u = 0; u < n; u++)
        least += levels[u].value[levels[u].level[image]];
    return least;
}

/* The least that every picture's sum can be, and the most: k sums are at least as large as the k-th of the least, so what cannot reach that
 * is not among the first k. *known = false: the levels say nothing, and b is untouched. */
static cn_status add_by_levels(best *b, const cn_study *s, const asked *a, bool *known, cn_error *err)
{
    cn_status st = CN_OK;
    best first = {0};
    coarse_unit *levels = cn_calloc(a->n, sizeof *levels);
    double width = 0;
    CN_CHECK(levels, CN_ENOMEM, "out of memory for the levels of %zu units", a->n);
    *known = b->k > 0 && (int64_t)b->k < s->info.images / 2; /* of nearly all pictures the rows are read anyway */
    for (size_t u = 0; u < a->n && *known; u++) {
        const site_matrix *m = a->unit[u].matrix;
        *known = m->coarse && coarse_unit_of(&levels[u], m->coarse, a->unit[u].unit, a->unit[u].min, a->unit[u].max, m->half, a->unit[u].rms);
        width += levels[u].width;
    }
    if (!*known)
        goto done;
    CN_TRY(best_begin(&first, b->k, s->info.images, err));
    for (int64_t image = 0; image < s->info.images; image++)
        best_add(&first, (scored){least_of(levels, a->n, image), image});
    const double wanted = first.items[0].score;
    for (int64_t image = 0; image < s->info.images; image++)
        if (least_of(levels, a->n, image) + width >= wanted)
            CN_TRY(add_exactly(b, s, a, image, err));
done:
    cn_free(levels);
    cn_free(first.items);
    return st;
}

cn_status cn_study_pictures_of_units(cn_study *s, const cn_unit_ref *units, size_t n_units, size_t limit, cn_picture **out, size_t *n,
                                     cn_error *err)
{
    cn_status st = CN_OK;
    best b = {0};
    bool known;
    asked *a = cn_calloc(1, sizeof *a);
    *out = NULL;
    *n = 0;
    CN_CHECK(a, CN_ENOMEM, "out of memory for a question");
    CN_CHECK(n_units > 0 && n_units <= CN_MAX_ASK_UNITS, CN_EINVAL, "pictures are asked for 1 to %d units", CN_MAX_ASK_UNITS);
    for (size_t i = 0; i < n_units; i++)
        CN_TRY(ask_unit(a, s, units[i], err));
    CN_TRY(best_begin(&b, limit, s->info.images, err));
    CN_TRY(add_by_levels(&b, s, a, &known, err));
    for (int64_t image = 0; image < s->info.images && !known; image++)
        CN_TRY(add_exactly(&b, s, a, image, err));
    best_sort(&b);
    CN_TRY(list_pictures(s, a, &b, out, n, err));
done:
    for (size_t i = 0; a && i < a->n_sites; i++)
        matrix_release(&a->matrix[i]);
    cn_free(a);
    cn_free(b.items);
    return st;
}

/* ---- pictures by text ---- */

/* LIKE's pattern for "contains", owned by the caller. */
static char *pattern_of(const char *text, bool open_end)
{
    char *pattern = cn_reallocarray(NULL, strlen(text) + 2, 2), *p = pattern;
    if (!pattern)
        return NULL;
    *p++ = '%';
    for (; *text; text++) {
        if (strchr("%_\\", *text))
            *p++ = '\\';
        *p++ = *text;
    }
    if (open_end)
        *p++ = '%';
    *p = '\0';
    return pattern;
}

cn_status cn_study_search_pictures(cn_study *s, const char *text, size_t limit, cn_picture **out, size_t *n, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    void *block;
    char *pattern = pattern_of(text, true);
    *out = NULL;
    *n = 0;
    CN_CHECK(pattern, CN_ENOMEM, "out of memory for a search");
    CN_CHECK(*text, CN_EINVAL, "nothing to search for");
    /* Labels are few: they are searched first, not with every picture; and where neither a label nor a field has the text, no picture's
     * number is looked for among them. */
#define CONTAINS(column) column " LIKE ?1 ESCAPE '\\'"
    CN_TRY(reader_query(s, &q, err,
                        PICTURE_SELECT " WHERE " CONTAINS("i.path") " OR (i.caption IS NOT NULL AND " CONTAINS("i.caption") ")"
                        " OR (EXISTS (SELECT 1 FROM labels WHERE " CONTAINS("name") ") AND i.label IN (SELECT id FROM labels WHERE " CONTAINS("name") "))"
                        " OR (EXISTS (SELECT 1 FROM fields WHERE " CONTAINS("value") ") AND i.id IN (SELECT image FROM fields WHERE " CONTAINS("value") "))"
                        " ORDER BY i.id LIMIT ?2",
                        ""));
#undef CONTAINS
    sqlite3_bind_text(q, 1, pattern, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, limit && limit < INT64_MAX ? (int64_t)limit : -1);
    CN_TRY(reader_rows(s, q, &pictures, NULL, &block, n, err));
    *out = block;
done:
    cn_free(pattern);
    return st;
}

cn_status cn_study_find_picture(cn_study *s, const char *path, int64_t *image, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    char first[300], *end = NULL;
    CN_TRY(reader_query(s, &q, err, "SELECT id FROM images WHERE path = ?", ""));
    sqlite3_bind_text(q, 1, path, -1, SQLITE_STATIC);
    CN_TRY(reader_step(s, q, &more, err));
    if (more) {
        *image = sqlite3_column_int64(q, 0);
        goto done;
    }
    sqlite3_finalize(q);
    q = NULL;
    end = cn_malloc(strlen(path) + 2);
    CN_CHECK(end, CN_ENOMEM, "out of memory for a name");
    snprintf(end, strlen(path) + 2, "/%s", path);
    CN_TRY(reader_query(s, &q, err, "SELECT id, path FROM images WHERE substr(path, -length(?1)) = ?1 ORDER BY id LIMIT 2", ""));
    sqlite3_bind_text(q, 1, end, -1, SQLITE_STATIC);
    CN_TRY(reader_step(s, q, &more, err));
    CN_CHECK(more, CN_ENOTFOUND,
             "%s: no picture \"%s\": a picture is named by its path in the collection, such as 'clipneuron images --search TEXT' "
             "prints",
             s->path, path);
    const char *name = (const char *)sqlite3_column_text(q, 1);
    const int64_t found = sqlite3_column_int64(q, 0);
    snprintf(first, sizeof first, "%s", name ? name : "");
    CN_TRY(reader_step(s, q, &more, err));
    name = more ? (const char *)sqlite3_column_text(q, 1) : NULL;
    CN_CHECK(!more, CN_EINVAL, "%s: \"%s\" could be several pictures: %s, %.250s...", s->path, path, first, name ? name : "");
    *image = found;
done:
    sqlite3_finalize(q);
    cn_free(end);
    return st;
}

/* ---- units of a picture ---- */

/* What every unit of a site is divided by: rms, 0 for dead ones. */
static cn_status read_scales(cn_study *s, size_t site, double *rms, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    CN_TRY(reader_query(s, &q, err, "SELECT unit, rms FROM units WHERE site = ? AND NOT dead", "i", (int64_t)site));
    for (;;) {
        CN_TRY(reader_step(s, q, &more, err));
        if (!more)
            break;
        const int64_t unit = sqlite3_column_int64(q, 0);
        const double scale = sqlite3_column_double(q, 1);
        CN_CHECK(unit >= 0 && unit < s->sites[site].units && scale > 0 && isfinite(scale), CN_EFORMAT,
                 "%s: the study is damaged: the rms of unit %" PRId64, s->path, unit);
        rms[unit] = scale;
    }
done:
    sqlite3_finalize(q);
    return st;
}

/* Of the examples of all units of a site, those that are this picture. */
static cn_status best_of_examples(best *b, cn_study *s, int64_t image, size_t site, const double *rms, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    CN_TRY(
        reader_query(s, &q, err, "SELECT unit, value FROM examples WHERE image = ? AND site = ? AND kind = 0", "ii", image, (int64_t)site));
    for (;;) {
        CN_TRY(reader_step(s, q, &more, err));
        if (!more)
            break;
        const int64_t unit = sqlite3_column_int64(q, 0);
        const double value = sqlite3_column_double(q, 1);
        CN_CHECK(unit >= 0 && unit < s->sites[site].units && isfinite(value), CN_EFORMAT,
                 "%s: the study is damaged: an example of unit %" PRId64, s->path, unit);
        if (rms[unit] > 0)
            best_add(b, (scored){value / rms[unit], unit});
    }
done:
    sqlite3_finalize(q);
    return st;
}

static cn_status best_of_row(best *b, cn_study *s, const site_matrix *m, int64_t image, const double *rms, cn_error *err)
{
    for (int64_t u = 0; u < m->units; u++) {
        const double value = matrix_value(m, image, u);
        if (!isfinite(value))
            return not_finite(s, image, err);
        if (rms[u] > 0)
            best_add(b, (scored){value / rms[u], u});
    }
    return CN_OK;
}

/* The share of pictures in bins above the value's. */
static cn_status share_above(cn_study *s, finehist *h, cn_unit_ref ref, double value, double *share, cn_error *err)
{
    cn_status st = CN_OK;
    int64_t above = 0;
    CN_TRY(finehist_read(h, s, ref, err));
    const size_t bin = finebins_index((float)value);
    for (size_t i = h->n; i-- > 0 && h->bins[i].bin > bin;)
        above += h->bins[i].count;
    *share = h->total > 0 ? (double)above / (double)h->total : 0;
done:
    return st;
}

static cn_status read_rank(cn_study *s, cn_unit_ref ref, int64_t image, int *rank, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    CN_TRY(reader_query(s, &q, err, "SELECT rank FROM examples WHERE site = ? AND unit = ? AND kind = 0 AND image = ?", "iii",
                        (int64_t)ref.site, ref.unit, image));
    CN_TRY(reader_step(s, q, &more, err));
    *rank = more ? sqlite3_column_int(q, 0) : -1;
done:
    sqlite3_finalize(q);
    return st;
}

static cn_status list_units(cn_study *s, int64_t image, size_t site, const best *b, cn_fired_unit **out, size_t *n, cn_error *err)
{
    static const size_t pointers[] = {offsetof(cn_fired_unit, label), offsetof(cn_fired_unit, word)};
    cn_status st = CN_OK;
    results list = {0};
    cn_unit_row *unit = NULL;
    bool ok = true;
    void *block;
    finehist *h = cn_malloc(sizeof *h);
    CN_CHECK(h, CN_ENOMEM, "out of memory for a histogram");
    for (size_t i = 0; i < b->n; i++) {
        cn_fired_unit *f = results_add(&list, sizeof *f);
        CN_CHECK(f, CN_ENOMEM, "out of memory for units");
        f->ref = (cn_unit_ref){site, b->items[i].number};
        CN_TRY(cn_study_unit(s, f->ref, &unit, err));
        f->sd = b->items[i].score;
        f->value = f->sd * unit->rms;
        CN_TRY(share_above(s, h, f->ref, f->value, &f->share_above, err));
        CN_TRY(read_rank(s, f->ref, image, &f->rank, err));
        f->label = results_keep(&list, unit->label, strlen(unit->label) + 1, &ok);
        f->word = results_keep(&list, unit->word, strlen(unit->word) + 1, &ok);
        CN_CHECK(ok, CN_ENOMEM, "out of memory for units");
        cn_unit_rows_free(unit);
        unit = NULL;
    }
    CN_TRY(results_finish(&list, pointers, COUNT(pointers), &block, n, err));
    *out = block;
done:
    cn_unit_rows_free(unit);
    results_discard(&list);
    cn_free(h);
    return st;
}

cn_status cn_study_units_of_picture(cn_study *s, int64_t image, size_t site, size_t limit, cn_fired_unit **out, size_t *n, bool *complete,
                                    cn_error *err)
{
    cn_status st = CN_OK;
    site_matrix m = {0};
    best b = {0};
    double *rms = NULL;
    *out = NULL;
    *n = 0;
    *complete = false;
    CN_TRY(reader_check_unit(s, (cn_unit_ref){site, 0}, err));
    CN_CHECK(image >= 0 && image < s->info.images, CN_EINVAL, "%s: picture %" PRId64 ": the study has %" PRId64, s->path, image,
             s->info.images);
    rms = cn_calloc((size_t)s->sites[site].units, sizeof *rms);
    CN_CHECK(rms, CN_ENOMEM, "out of memory for %" PRId64 " units", s->sites[site].units);
    CN_TRY(read_scales(s, site, rms, err));
    CN_TRY(matrix_of_site(&m, s, site, err));
    CN_TRY(best_begin(&b, limit, s->sites[site].units, err));
    if (m.file)
        CN_TRY(best_of_row(&b, s, &m, image, rms, err));
    else
        CN_TRY(best_of_examples(&b, s, image, site, rms, err));
    best_sort(&b);
    CN_TRY(list_units(s, image, site, &b, out, n, err));
    *complete = m.file != NULL;
done:
    cn_arrays_close(m.file);
    cn_free(b.items);
    cn_free(rms);
    return st;
}

void cn_fired_units_free(cn_fired_unit *list)
{
    cn_free(list);
}
