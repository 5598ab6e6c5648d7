/* study/store.c -- one prepared INSERT a table. */
#include "study/store.h"

#include "base/memory.h"
#include "clipneuron/study.h"
#include "study/schema.h"

#include <math.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct store {
    sqlite3 *db;
    sqlite3_stmt *insert[STORE_TABLES];
    char *path;
};

static const char *const table_names[STORE_TABLES] = {
    [STORE_META] = "meta",
    [STORE_META_AGAIN] = "meta",
    [STORE_LABELS] = "labels",
    [STORE_MEDIA] = "media",
    [STORE_IMAGES] = "images",
    [STORE_FIELDS] = "fields",
    [STORE_THUMBNAILS] = "thumbnails",
    [STORE_FAILURES] = "failures",
    [STORE_RUNS] = "runs",
    [STORE_SITES] = "sites",
    [STORE_UNITS] = "units",
    [STORE_HISTOGRAMS] = "histograms",
    [STORE_EXAMPLES] = "examples",
    [STORE_UNIT_LABELS] = "unit_labels",
    [STORE_UNIT_MEDIA] = "unit_media",
    [STORE_UNIT_LABEL_MEDIA] = "unit_label_media",
    [STORE_WORDS] = "words",
    [STORE_UNIT_WORDS] = "unit_words",
};

cn_status store_failed(sqlite3 *db, const char *path, cn_error *err)
{
    int code = sqlite3_errcode(db) & 0xff;
    return cn_fail(err, code == SQLITE_NOMEM ? CN_ENOMEM : CN_EIO, "%s: %s", path, sqlite3_errmsg(db));
}

static cn_status failed(store *s, cn_error *err)
{
    return store_failed(s->db, s->path, err);
}

static cn_status run(store *s, const char *sql, cn_error *err)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? CN_OK : failed(s, err);
}

cn_status store_open(store **out, const char *path, store_kind kind, cn_error *err)
{
    cn_status st = CN_OK;
    char pragmas[256];
    const int flags = SQLITE_OPEN_READWRITE | (kind == STORE_PART_AGAIN ? 0 : SQLITE_OPEN_CREATE | SQLITE_OPEN_EXCLUSIVE);
    store *s = cn_calloc(1, sizeof *s);
    *out = NULL;
    CN_CHECK(s, CN_ENOMEM, "out of memory for a database");
    s->path = cn_strdup(path);
    CN_CHECK(s->path, CN_ENOMEM, "out of memory for a database");
    const int code = sqlite3_open_v2(path, &s->db, flags, NULL);
    CN_CHECK(code == SQLITE_OK, CN_EIO, "%s: %s", path, s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(code));
    CN_TRY(run(s, kind == STORE_STUDY ? "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"
                                      : "PRAGMA journal_mode = PERSIST; PRAGMA synchronous = FULL;", err));
    if (kind != STORE_PART_AGAIN) {
        snprintf(pragmas, sizeof pragmas, "PRAGMA application_id = %d; PRAGMA user_version = %d; BEGIN;",
                 kind == STORE_STUDY ? SCHEMA_APPLICATION : SCHEMA_PART, CN_STUDY_SCHEMA);
        CN_TRY(run(s, pragmas, err));
        CN_TRY(run(s, SCHEMA_TABLES, err));
    } else {
        CN_TRY(run(s, "BEGIN;", err));
    }
    *out = s, s = NULL;
done:
    store_close(s);
    return st;
}

sqlite3 *store_db(store *s)
{
    return s->db;
}

static cn_status prepare(store *s, store_table table, size_t columns, cn_error *err)
{
    char sql[256];
    size_t at = (size_t)snprintf(sql, sizeof sql, "INSERT%s INTO %s VALUES (",
                                table == STORE_META_AGAIN || table == STORE_RUNS ? " OR REPLACE" : "", table_names[table]);
    for (size_t i = 0; i < columns; i++)
        at += (size_t)snprintf(sql + at, sizeof sql - at, "%s?", i ? "," : "");
    snprintf(sql + at, sizeof sql - at, ")");
    return sqlite3_prepare_v2(s->db, sql, -1, &s->insert[table], NULL) == SQLITE_OK ? CN_OK : failed(s, err);
}

cn_status store_add(store *s, store_table table, cn_error *err, const char *format, ...)
{
    cn_status st = CN_OK;
    va_list args;
    va_start(args, format);
    if (!s->insert[table])
        CN_TRY(prepare(s, table, strlen(format), err));
    sqlite3_stmt *q = s->insert[table];
    int column = 1, code = SQLITE_OK;
    for (const char *f = format; *f; f++, column++) {
        if (*f == 'd') {
            double value = va_arg(args, double);
            code |= isnan(value) ? sqlite3_bind_null(q, column) : sqlite3_bind_double(q, column, value);
        } else if (*f == 't') {
            const char *text = va_arg(args, const char *);
            code |= sqlite3_bind_text(q, column, text, -1, SQLITE_STATIC);
        } else if (*f == 'b') {
            const void *data = va_arg(args, const void *);
            size_t size = va_arg(args, size_t);
            code |= sqlite3_bind_blob64(q, column, data, size, SQLITE_STATIC);
        } else {
            int64_t value = va_arg(args, int64_t);
            code |=
                *f == 'r' && value < 0 ? sqlite3_bind_null(q, column) : sqlite3_bind_int64(q, column, value);
        }
    }
    if (code != SQLITE_OK || sqlite3_step(q) != SQLITE_DONE)
        st = failed(s, err);
    sqlite3_reset(q);
done:
    va_end(args);
    return st;
}

cn_status store_commit(store *s, cn_error *err)
{
    return run(s, "COMMIT; BEGIN;", err);
}

cn_status store_finish(store *s, cn_error *err)
{
    cn_status st = CN_OK;
    CN_TRY(run(s, SCHEMA_DUPLICATES, err));
    CN_TRY(run(s, SCHEMA_INDEXES, err));
    CN_TRY(run(s, "COMMIT; ANALYZE;", err));
    for (int i = 0; i < STORE_TABLES; i++) {
        sqlite3_finalize(s->insert[i]);
        s->insert[i] = NULL;
    }
    CN_CHECK(sqlite3_close(s->db) == SQLITE_OK, CN_EIO, "%s: cannot be closed", s->path);
    s->db = NULL;
done:
    store_close(s);
    return st;
}

void store_close(store *s)
{
    if (!s)
        return;
    for (int i = 0; i < STORE_TABLES; i++)
        sqlite3_finalize(s->insert[i]);
    sqlite3_close(s->db);
    cn_free(s->path);
    cn_free(s);
}

void store_date(char text[32])
{
    const char *fixed = getenv("SOURCE_DATE_EPOCH");
    const time_t now = fixed && *fixed ? (time_t)strtoll(fixed, NULL, 10) : time(NULL);
    struct tm t;
    gmtime_r(&now, &t);
    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &t);
}
