/* study/unitnames.c -- names of units, in a table of the study's database that the first of them makes. */
#include "study/finder.h"
#include "study/kept.h"
#include "study/schema.h"

#include "base/memory.h"

#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static cn_status read_name(const cn_study *s, sqlite3_stmt *q, results *list, void *row, const void *context, bool *ok, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_unit_ref *ref = context;
    cn_unit_name *n = row;
    n->ref = *ref;
    n->name = results_text(list, q, 0, ok);
    n->others = results_keep(list, "", 1, ok);
    n->method = results_text(list, q, 1, ok);
    n->score = sqlite3_column_double(q, 2);
    n->heldout = sqlite3_column_double(q, 3);
    n->heldout_z = sqlite3_column_double(q, 4);
    n->auc = sqlite3_column_double(q, 5);
    n->created = results_text(list, q, 6, ok);
    CN_CHECK(isfinite(n->score) && fabs(n->heldout) <= 1 && isfinite(n->heldout_z) && n->auc >= 0 && n->auc <= 1, CN_EFORMAT,
             "%s: the study is damaged: a name of unit %lld", s->path, (long long)ref->unit);
done:
    return st;
}

cn_status cn_study_unit_names(cn_study *s, cn_unit_ref ref, cn_unit_name **out, size_t *n, cn_error *err)
{
    static const size_t pointers[] = {offsetof(cn_unit_name, name), offsetof(cn_unit_name, others), offsetof(cn_unit_name, method),
                                      offsetof(cn_unit_name, created)};
    static const row_kind rows = {sizeof(cn_unit_name), pointers, COUNT(pointers), read_name};
    void *block;
    const cn_status st = kept_rows(s, "unit_names", ref, &rows,
                                   "SELECT name, method, score, heldout, heldout_z, auc, created FROM unit_names WHERE site = ? AND unit = ?"
                                   " ORDER BY heldout DESC, method LIMIT 16",
                                   &block, n, err);
    *out = block;
    return st;
}

void cn_unit_names_free(cn_unit_name *list)
{
    cn_free(list);
}

static cn_status write_names(const kept_writer *k, const names_about *a, const cn_unit_name *names, size_t n, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(k->db, "DELETE FROM unit_names WHERE site = ? AND method = ?", -1, &q, NULL) != SQLITE_OK)
        goto failed;
    sqlite3_bind_int64(q, 1, (int64_t)a->site);
    sqlite3_bind_text(q, 2, a->method, -1, SQLITE_STATIC);
    if (sqlite3_step(q) != SQLITE_DONE)
        goto failed;
    sqlite3_finalize(q);
    q = NULL;
    if (sqlite3_prepare_v2(k->db, "INSERT INTO unit_names VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", -1, &q, NULL) != SQLITE_OK)
        goto failed;
    for (size_t i = 0; i < n; i++) {
        sqlite3_bind_int64(q, 1, (int64_t)a->site);
        sqlite3_bind_int64(q, 2, names[i].ref.unit);
        sqlite3_bind_text(q, 3, a->method, -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 4, names[i].name, -1, SQLITE_STATIC);
        sqlite3_bind_double(q, 5, names[i].score);
        sqlite3_bind_double(q, 6, names[i].heldout);
        sqlite3_bind_double(q, 7, names[i].heldout_z);
        sqlite3_bind_double(q, 8, names[i].auc);
        sqlite3_bind_text(q, 9, a->template, -1, SQLITE_STATIC);
        sqlite3_bind_int64(q, 10, a->words);
        sqlite3_bind_int64(q, 11, a->pictures);
        sqlite3_bind_text(q, 12, a->created, -1, SQLITE_STATIC);
        if (sqlite3_step(q) != SQLITE_DONE)
            goto failed;
        sqlite3_reset(q);
    }
    goto done;
failed:
    st = kept_failed(k, err);
done:
    sqlite3_finalize(q);
    return st;
}

cn_status names_keep(cn_study *s, const names_about *about, const cn_unit_name *names, size_t n, cn_error *err)
{
    cn_status st = CN_OK;
    kept_writer k = {0};
    CN_TRY(kept_begin(&k, s, SCHEMA_UNIT_NAMES, err));
    CN_TRY(write_names(&k, about, names, n, err));
    CN_TRY(kept_commit(&k, err));
done:
    kept_end(&k);
    return st;
}
