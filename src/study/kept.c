/* study/kept.c -- a look for the table, and a transaction. */
#include "study/kept.h"

#include "base/memory.h"
#include "study/store.h"

#include <stdarg.h>
#include <string.h>

cn_status kept_has(cn_study *s, const char *table, bool *has, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    *has = false;
    CN_TRY(reader_query(s, &q, err, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", ""));
    sqlite3_bind_text(q, 1, table, -1, SQLITE_STATIC);
    CN_TRY(reader_step(s, q, has, err));
done:
    sqlite3_finalize(q);
    return st;
}

cn_status kept_rows(cn_study *s, const char *table, cn_unit_ref ref, const row_kind *kind, const char *sql, void **out, size_t *n, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    void *block = NULL;
    bool has;
    *out = NULL;
    *n = 0;
    CN_TRY(reader_check_unit(s, ref, err));
    CN_TRY(kept_has(s, table, &has, err));
    if (!has)
        goto done;
    CN_TRY(reader_query(s, &q, err, sql, "ii", (int64_t)ref.site, ref.unit));
    CN_TRY(reader_rows(s, q, kind, &ref, &block, n, err));
    *out = block;
done:
    if (st != CN_OK)
        *n = 0;
    return st;
}

cn_status kept_begin(kept_writer *k, const cn_study *s, const char *schema, cn_error *err)
{
    cn_status st = CN_OK;
    int moved = 0;
    *k = (kept_writer){.file = reader_file(s->path)};
    CN_CHECK(k->file, CN_ENOMEM, "out of memory for a study");
    CN_TRY(reader_open_writable(&k->db, k->file, err));
    if (sqlite3_exec(k->db, "PRAGMA synchronous = FULL; BEGIN IMMEDIATE;", NULL, NULL, NULL) != SQLITE_OK)
        CN_TRY(kept_failed(k, err));
    /* Behind the lock, which an exchange waits for (carried.h): pictures have other numbers in another study. */
    sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    CN_CHECK(!moved, CN_EINVAL, "%s: was replaced since it was opened: start again", s->path);
    if (sqlite3_exec(k->db, schema, NULL, NULL, NULL) != SQLITE_OK)
        st = kept_failed(k, err);
done:
    return st;
}

cn_status kept_failed(const kept_writer *k, cn_error *err)
{
    return store_failed(k->db, k->file, err);
}

cn_status kept_prepare(kept_writer *k, const char *sql, cn_error *err)
{
    if (k->last && strcmp(sqlite3_sql(k->last), sql) == 0)
        return CN_OK;
    sqlite3_finalize(k->last);
    k->last = NULL;
    return sqlite3_prepare_v2(k->db, sql, -1, &k->last, NULL) == SQLITE_OK ? CN_OK : kept_failed(k, err);
}

cn_status kept_run(kept_writer *k, cn_error *err, const char *sql, const char *binds, ...)
{
    va_list args;
    cn_status st = kept_prepare(k, sql, err);
    va_start(args, binds);
    for (int i = 0; st == CN_OK && binds[i]; i++) {
        if (binds[i] == 'i')
            sqlite3_bind_int64(k->last, i + 1, va_arg(args, int64_t));
        else if (binds[i] == 'd')
            sqlite3_bind_double(k->last, i + 1, va_arg(args, double));
        else
            sqlite3_bind_text(k->last, i + 1, va_arg(args, const char *), -1, SQLITE_STATIC);
    }
    va_end(args);
    if (st == CN_OK && sqlite3_step(k->last) != SQLITE_DONE)
        st = kept_failed(k, err);
    sqlite3_reset(k->last);
    return st;
}

cn_status kept_commit(const kept_writer *k, cn_error *err)
{
    return sqlite3_exec(k->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK ? CN_OK : kept_failed(k, err);
}

void kept_end(kept_writer *k)
{
    sqlite3_finalize(k->last);
    sqlite3_close(k->db);
    cn_free(k->file);
    *k = (kept_writer){0};
}
