/* study/tablerows.c -- tables of a study's database and queries, read row by row. A query may read and nothing else: the connection is
 * read-only and defensive, and an authorizer refuses all statements but SELECT. */
#include "study/tablerows.h"

#include "base/memory.h"
#include "study/finehist.h"
#include "study/kept.h"
#include "study/summary.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* What `histograms` looks like when it is decoded. */
static const char *const histogram_names[] = {"site", "unit", "low", "high", "count"};
#define HISTOGRAM_COLUMNS 5

struct cn_rows {
    cn_study *study;
    sqlite3_stmt *q;
    finehist *histogram; /* of the present row of q, when decoding */
    size_t bin;          /* of it, the present row; HISTOGRAM_COLUMNS columns */
};

static int read_only(void *user, int action, const char *a, const char *b, const char *c, const char *d)
{
    (void)user, (void)a, (void)c, (void)d;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE: return SQLITE_OK;
    case SQLITE_FUNCTION: return b && sqlite3_stricmp(b, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
    default: return SQLITE_DENY;
    }
}

static cn_status prepare(cn_rows *r, const char *sql, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3 *db = r->study->db;
    const char *rest = NULL;
    sqlite3_set_authorizer(db, read_only, NULL);
    const int code = sqlite3_prepare_v2(db, sql, -1, &r->q, &rest);
    sqlite3_set_authorizer(db, NULL, NULL);
    CN_CHECK(code != SQLITE_NOMEM, CN_ENOMEM, "out of memory for a query");
    CN_CHECK(code != SQLITE_AUTH, CN_EINVAL, "%s: a query may only read the study (SELECT)", r->study->path);
    CN_CHECK(code == SQLITE_OK, CN_EINVAL, "%s: %s", r->study->path, sqlite3_errmsg(db));
    CN_CHECK(r->q && sqlite3_column_count(r->q) > 0, CN_EINVAL, "%s: the query gives no table", r->study->path);
    while (*rest && (isspace((unsigned char)*rest) || *rest == ';'))
        rest++;
    CN_CHECK(!*rest, CN_EINVAL, "%s: one query at a time: \"%.60s\" follows it", r->study->path, rest);
done:
    return st;
}

static cn_status rows_new(cn_rows **out, cn_study *s, cn_error *err)
{
    *out = cn_calloc(1, sizeof **out);
    if (!*out)
        return cn_fail(err, CN_ENOMEM, "out of memory for a query");
    (*out)->study = s;
    return CN_OK;
}

cn_status cn_study_query(cn_rows **out, cn_study *s, const char *sql, cn_error *err)
{
    cn_status st = CN_OK;
    cn_rows *r = NULL;
    *out = NULL;
    CN_TRY(rows_new(&r, s, err));
    CN_TRY(prepare(r, sql, err));
    *out = r, r = NULL;
done:
    cn_rows_close(r);
    return st;
}

static cn_status no_such_table(cn_study *s, const char *name, cn_error *err)
{
    cn_status st = CN_OK;
    cn_tally *tables = NULL;
    size_t n = 0, at = 0;
    char names[600] = "";
    CN_TRY(cn_study_tables(s, &tables, &n, err));
    for (size_t i = 0; i < n && at + 40 < sizeof names; i++) {
        const int length = snprintf(names + at, sizeof names - at, "%s%.32s", i ? ", " : "", tables[i].name);
        at += length > 0 ? (size_t)length : 0;
    }
    st = cn_fail(err, CN_ENOTFOUND, "%s: has no table \"%s\", but %s", s->path, name, names);
done:
    cn_tallies_free(tables);
    return st;
}

cn_status cn_study_table(cn_rows **out, cn_study *s, const char *name, cn_error *err)
{
    cn_status st = CN_OK;
    cn_rows *r = NULL;
    char sql[256];
    bool has;
    *out = NULL;
    CN_TRY(kept_has(s, name, &has, err));
    if (!has || strlen(name) > 64) {
        st = no_such_table(s, name, err);
        goto done;
    }
    CN_TRY(rows_new(&r, s, err));
    if (strcmp(name, "histograms") == 0) {
        r->histogram = cn_calloc(1, sizeof *r->histogram);
        CN_CHECK(r->histogram, CN_ENOMEM, "out of memory for a histogram");
        CN_TRY(prepare(r,
                       "SELECT h.site, h.unit, u.min, u.max, h.bins FROM histograms h JOIN units u ON u.site = h.site AND u.unit = h.unit"
                       " ORDER BY h.site, h.unit",
                       err));
    } else {
        sqlite3_snprintf(sizeof sql, sql, "SELECT * FROM \"%w\"", name);
        CN_TRY(prepare(r, sql, err));
    }
    *out = r, r = NULL;
done:
    cn_rows_close(r);
    return st;
}

cn_status cn_study_tables(cn_study *s, cn_tally **out, size_t *n, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    void *block;
    *out = NULL;
    *n = 0;
    CN_TRY(reader_query(s, &q, err,
                        "SELECT name, (SELECT count(*) FROM pragma_table_info(t.name)) FROM sqlite_master t"
                        " WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
                        ""));
    CN_TRY(reader_rows(s, q, &summary_tallies, NULL, &block, n, err));
    *out = block;
done:
    return st;
}

void cn_rows_close(cn_rows *r)
{
    if (!r)
        return;
    sqlite3_finalize(r->q);
    cn_free(r->histogram);
    cn_free(r);
}

int cn_rows_columns(const cn_rows *r)
{
    return r->histogram ? HISTOGRAM_COLUMNS : sqlite3_column_count(r->q);
}

const char *cn_rows_name(const cn_rows *r, int column)
{
    const char *name = r->histogram ? histogram_names[column] : sqlite3_column_name(r->q, column);
    return name ? name : "";
}

cn_cell_kind rows_declared(const cn_rows *r, int column)
{
    const char *type = r->histogram ? NULL : sqlite3_column_decltype(r->q, column);
    if (!type)
        return CN_CELL_NULL;
    return sqlite3_stricmp(type, "INTEGER") == 0 ? CN_CELL_INTEGER
           : sqlite3_stricmp(type, "TEXT") == 0  ? CN_CELL_TEXT
           : sqlite3_stricmp(type, "BLOB") == 0  ? CN_CELL_BLOB
                                                 : CN_CELL_REAL;
}

cn_status cn_rows_next(cn_rows *r, bool *more, cn_error *err)
{
    cn_status st = CN_OK;
    *more = false;
    if (r->histogram && ++r->bin < r->histogram->n) {
        *more = true;
        goto done;
    }
    do {
        const int code = sqlite3_step(r->q);
        *more = code == SQLITE_ROW;
        CN_CHECK(code != SQLITE_NOMEM, CN_ENOMEM, "out of memory for a query");
        CN_CHECK(code == SQLITE_ROW || code == SQLITE_DONE, CN_EFORMAT, "%s: %s", r->study->path, sqlite3_errmsg(r->study->db));
        if (*more && r->histogram)
            CN_TRY(finehist_decode(r->histogram, r->study, sqlite3_column_int64(r->q, 1), sqlite3_column_blob(r->q, 4),
                                   (size_t)sqlite3_column_bytes(r->q, 4), err));
        r->bin = 0;
    } while (*more && r->histogram && r->histogram->n == 0);
done:
    if (st != CN_OK)
        *more = false;
    return st;
}

static cn_cell histogram_cell(const cn_rows *r, int column)
{
    const fine_bin *b = &r->histogram->bins[r->bin];
    double low, high;
    if (column < 2)
        return (cn_cell){.kind = CN_CELL_INTEGER, .integer = sqlite3_column_int64(r->q, column)};
    if (column == 4)
        return (cn_cell){.kind = CN_CELL_INTEGER, .integer = b->count};
    finehist_edges(b->bin, sqlite3_column_double(r->q, 2), sqlite3_column_double(r->q, 3), &low, &high);
    return (cn_cell){.kind = CN_CELL_REAL, .real = column == 2 ? low : high};
}

cn_cell cn_rows_cell(const cn_rows *r, int column)
{
    cn_cell c = {.kind = CN_CELL_NULL};
    if (r->histogram)
        return histogram_cell(r, column);
    switch (sqlite3_column_type(r->q, column)) {
    case SQLITE_INTEGER:
        c.kind = CN_CELL_INTEGER;
        c.integer = sqlite3_column_int64(r->q, column);
        break;
    case SQLITE_FLOAT:
        c.kind = CN_CELL_REAL;
        c.real = sqlite3_column_double(r->q, column);
        break;
    case SQLITE_TEXT:
        c.kind = CN_CELL_TEXT;
        c.data = sqlite3_column_text(r->q, column);
        c.size = (size_t)sqlite3_column_bytes(r->q, column);
        if (!c.data) /* out of memory */
            c.data = "", c.size = 0;
        break;
    case SQLITE_BLOB:
        c.kind = CN_CELL_BLOB;
        c.data = sqlite3_column_blob(r->q, column);
        c.size = (size_t)sqlite3_column_bytes(r->q, column);
        break;
    default: break;
    }
    return c;
}
