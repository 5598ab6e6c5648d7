/* study/visualisations.c -- optimised pictures of units, in a table of the study's database that the first of them makes. */
#include "study/kept.h"
#include "study/schema.h"

#include "base/memory.h"

#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static cn_status read_visualisation(const cn_study *s, sqlite3_stmt *q, results *list, void *row, const void *context, bool *ok, cn_error *err)
{
    cn_visualisation *v = row;
    (void)s, (void)context, (void)err;
    v->facet = results_text(list, q, 0, ok);
    v->objective = results_text(list, q, 1, ok);
    v->settings = results_text(list, q, 2, ok);
    v->value = sqlite3_column_double(q, 3);
    v->sd = sqlite3_column_double(q, 4);
    v->path = sqlite3_column_type(q, 5) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(q, 5);
    v->blocks = results_text(list, q, 6, ok);
    const void *png = sqlite3_column_blob(q, 7);
    v->png_size = (size_t)sqlite3_column_bytes(q, 7);
    if (png)
        v->png = results_keep(list, png, v->png_size, ok);
    return CN_OK;
}

cn_status cn_study_visualisations(cn_study *s, cn_unit_ref ref, cn_visualisation **out, size_t *n, cn_error *err)
{
    static const size_t pointers[] = {offsetof(cn_visualisation, facet), offsetof(cn_visualisation, objective),
                                      offsetof(cn_visualisation, settings), offsetof(cn_visualisation, blocks),
                                      offsetof(cn_visualisation, png)};
    static const row_kind rows = {sizeof(cn_visualisation), pointers, COUNT(pointers), read_visualisation};
    void *block;
    const cn_status st = kept_rows(s, "visualisations", ref, &rows,
                                   "SELECT v.facet, v.objective, v.settings, v.value, v.value / u.rms, v.path, v.blocks, v.png FROM visualisations v"
                                   " JOIN units u ON u.site = v.site AND u.unit = v.unit WHERE v.site = ? AND v.unit = ? ORDER BY v.facet",
                                   &block, n, err);
    *out = block;
    return st;
}

void cn_visualisations_free(cn_visualisation *list)
{
    cn_free(list);
}

/* The latest picture counts, but an ascent that got stuck does not take the place of one that did not. Being stronger alone is no merit: what is
 * made without transforms is the strongest of all, and noise. */
static const char insert_sql[] =
    "INSERT OR REPLACE INTO visualisations SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE NOT EXISTS"
    " (SELECT 1 FROM visualisations v JOIN units u ON u.site = v.site AND u.unit = v.unit WHERE v.site = ?1 AND v.unit = ?2 AND v.facet = ?3"
    " AND v.settings <> ?5 AND v.value > ?6 AND u.max > ?6)";

static cn_status insert(const kept_writer *k, cn_unit_ref ref, const cn_visualisation *v, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(k->db, insert_sql, -1, &q, NULL) != SQLITE_OK) {
        st = kept_failed(k, err);
        goto done;
    }
    sqlite3_bind_int64(q, 1, (int64_t)ref.site);
    sqlite3_bind_int64(q, 2, ref.unit);
    sqlite3_bind_text(q, 3, v->facet ? v->facet : "", -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 4, v->objective ? v->objective : "", -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 5, v->settings ? v->settings : "", -1, SQLITE_STATIC);
    sqlite3_bind_double(q, 6, v->value);
    if (isnan(v->path))
        sqlite3_bind_null(q, 7);
    else
        sqlite3_bind_double(q, 7, v->path);
    sqlite3_bind_text(q, 8, v->blocks ? v->blocks : "", -1, SQLITE_STATIC);
    sqlite3_bind_blob64(q, 9, v->png, v->png_size, SQLITE_STATIC);
    if (sqlite3_step(q) != SQLITE_DONE)
        st = kept_failed(k, err);
done:
    sqlite3_finalize(q);
    return st;
}

cn_status cn_study_keep_visualisation(cn_study *s, cn_unit_ref ref, const cn_visualisation *v, cn_error *err)
{
    cn_status st = CN_OK;
    kept_writer k = {0};
    CN_TRY(reader_check_unit(s, ref, err));
    CN_TRY(kept_begin(&k, s, SCHEMA_VISUALISATIONS, err));
    CN_TRY(insert(&k, ref, v, err));
    CN_TRY(kept_commit(&k, err));
done:
    kept_end(&k);
    return st;
}
