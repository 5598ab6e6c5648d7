/* study/modality.c -- what is known of units and concepts in several media, in a table of the study's database that the first of it makes. */
#include "study/modality.h"

#include "base/memory.h"
#include "study/kept.h"
#include "study/schema.h"
#include "study/store.h"

#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static cn_status read_fact(const cn_study *s, sqlite3_stmt *q, results *list, void *row, const void *context, bool *ok, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_unit_ref *ref = context;
    cn_multimodal_fact *f = row;
    f->concept_name = results_text(list, q, 0, ok);
    f->family = results_text(list, q, 1, ok);
    const char *family = (const char *)sqlite3_column_text(q, 1);
    f->sensitive = sqlite3_column_int(q, 2) != 0 && family && *family;
    f->multimodal = sqlite3_column_int(q, 3) != 0;
    f->score = sqlite3_column_double(q, 4);
    f->p = sqlite3_column_double(q, 5);
    f->q = sqlite3_column_double(q, 6);
    f->level = sqlite3_column_double(q, 7);
    f->base_rate = sqlite3_column_double(q, 8);
    f->media = results_text(list, q, 9, ok);
    f->created = results_text(list, q, 10, ok);
    const double shares[] = {f->score, f->p, f->q, f->level, f->base_rate};
    for (size_t i = 0; i < COUNT(shares); i++)
        CN_CHECK(shares[i] >= 0 && shares[i] <= 1, CN_EFORMAT, "%s: the study is damaged: a concept of unit %lld", s->path, (long long)ref->unit);
done:
    return st;
}

cn_status cn_study_multimodal_facts(cn_study *s, cn_unit_ref ref, cn_multimodal_fact **out, size_t *n, cn_error *err)
{
    static const size_t pointers[] = {offsetof(cn_multimodal_fact, concept_name), offsetof(cn_multimodal_fact, family),
                                      offsetof(cn_multimodal_fact, media), offsetof(cn_multimodal_fact, created)};
    static const row_kind rows = {sizeof(cn_multimodal_fact), pointers, COUNT(pointers), read_fact};
    void *block;
    const cn_status st = kept_rows(s, "multimodal", ref, &rows,
                                   "SELECT concept, family, sensitive, multimodal, score, p, q, level, base_rate, media, created FROM multimodal"
                                   " WHERE site = ? AND unit = ? ORDER BY rank LIMIT 16",
                                   &block, n, err);
    *out = block;
    return st;
}

void cn_multimodal_facts_free(cn_multimodal_fact *list)
{
    cn_free(list);
}

static cn_status write_rows(kept_writer *k, size_t site, bool whole, const modality_row *rows, size_t n, cn_error *err)
{
    static const char insert[] = "INSERT INTO multimodal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    cn_status st = CN_OK;
    char date[32];
    store_date(date);
    if (whole)
        CN_TRY(kept_run(k, err, "DELETE FROM multimodal WHERE site = ?", "i", (int64_t)site));
    for (size_t i = 0; !whole && i < n; i++)
        CN_TRY(kept_run(k, err, "DELETE FROM multimodal WHERE site = ? AND unit = ?", "ii", (int64_t)site, rows[i].unit));
    CN_TRY(kept_prepare(k, insert, err));
    for (size_t i = 0; i < n; i++) {
        const cn_multimodal_fact *f = &rows[i].fact;
        CN_TRY(kept_run(k, err, insert, "iiittiidddddtt", (int64_t)site, rows[i].unit,
                        (int64_t)rows[i].rank, f->concept_name, f->family, (int64_t)f->sensitive, (int64_t)f->multimodal, f->score, f->p, f->q, f->level,
                        f->base_rate, f->media, date));
    }
done:
    return st;
}

static cn_status write_families(kept_writer *k, size_t site, bool whole, const family_row *rows, size_t n, cn_error *err)
{
    cn_status st = CN_OK;
    char date[32];
    store_date(date);
    if (whole)
        CN_TRY(kept_run(k, err, "DELETE FROM unit_families WHERE site = ?", "i", (int64_t)site));
    for (size_t i = 0; i < n; i++) {
        const cn_family_fact *f = &rows[i].fact;
        CN_TRY(kept_run(k, err, "INSERT OR REPLACE INTO unit_families VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", "iitiiddddidt", (int64_t)site,
                        rows[i].unit, f->family, (int64_t)f->sensitive, (int64_t)f->belongs, f->auc, f->low, f->high, f->q, f->concepts, f->base_rate, date));
    }
done:
    return st;
}

static cn_status read_family(const cn_study *s, sqlite3_stmt *q, results *list, void *row, const void *context, bool *ok, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_unit_ref *ref = context;
    cn_family_fact *f = row;
    f->family = results_text(list, q, 0, ok);
    f->sensitive = sqlite3_column_int(q, 1) != 0;
    f->belongs = sqlite3_column_int(q, 2) != 0;
    f->auc = sqlite3_column_double(q, 3);
    f->low = sqlite3_column_double(q, 4);
    f->high = sqlite3_column_double(q, 5);
    f->q = sqlite3_column_double(q, 6);
    f->concepts = sqlite3_column_int64(q, 7);
    f->base_rate = sqlite3_column_double(q, 8);
    f->created = results_text(list, q, 9, ok);
    const double shares[] = {f->auc, f->low, f->high, f->q, f->base_rate};
    for (size_t i = 0; i < COUNT(shares); i++)
        CN_CHECK(shares[i] >= 0 && shares[i] <= 1, CN_EFORMAT, "%s: the study is damaged: the family of unit %lld", s->path, (long long)ref->unit);
done:
    return st;
}

cn_status cn_study_family_fact(cn_study *s, cn_unit_ref ref, cn_family_fact **out, cn_error *err)
{
    static const size_t pointers[] = {offsetof(cn_family_fact, family), offsetof(cn_family_fact, created)};
    static const row_kind rows = {sizeof(cn_family_fact), pointers, COUNT(pointers), read_family};
    void *block;
    size_t n;
    const cn_status st = kept_rows(s, "unit_families", ref, &rows,
                                   "SELECT family, sensitive, belongs, auc, low, high, q, concepts, base_rate, created FROM unit_families"
                                   " WHERE site = ? AND unit = ?",
                                   &block, &n, err);
    *out = block;
    return st;
}

void cn_family_fact_free(cn_family_fact *fact)
{
    cn_free(fact);
}

cn_status modality_keep(cn_study *s, size_t site, bool whole, const modality_row *rows, size_t n, const family_row *families, size_t n_families,
                        cn_error *err)
{
    cn_status st = CN_OK;
    kept_writer k = {0};
    CN_TRY(kept_begin(&k, s, SCHEMA_MULTIMODAL SCHEMA_UNIT_FAMILIES, err));
    CN_TRY(write_rows(&k, site, whole, rows, n, err));
    CN_TRY(write_families(&k, site, whole, families, n_families, err));
    CN_TRY(kept_commit(&k, err));
done:
    kept_end(&k);
    return st;
}
