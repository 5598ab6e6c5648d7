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

static cn_status write_names(kept_writer *k, const names_about *a, const cn_unit_name *names, size_t n, cn_error *err)
{
    static const char insert[] = "INSERT INTO unit_names VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    cn_status st = CN_OK;
    CN_TRY(kept_run(k, err, "DELETE FROM unit_names WHERE site = ? AND method = ?", "it", (int64_t)a->site, a->method));
    CN_TRY(kept_prepare(k, insert, err));
    for (size_t i = 0; i < n; i++)
        CN_TRY(kept_run(k, err, insert, "iittddddtiit", (int64_t)a->site, names[i].ref.unit,
                        a->method, names[i].name, names[i].score, names[i].heldout, names[i].heldout_z, names[i].auc, a->template, a->words, a->pictures,
                        a->created));
done:
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
