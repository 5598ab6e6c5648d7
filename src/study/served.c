/* study/served.c -- the classes that units serve in a probe, and the units that read, in tables of the study's database. */
#include "study/served.h"

#include "base/memory.h"
#include "study/kept.h"
#include "study/schema.h"
#include "study/store.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- classes ---- */

static int by_unit(const void *a, const void *b)
{
    const cn_probe_term *const *x = a, *const *y = b;
    const double p = fabs((*x)->weight), q = fabs((*y)->weight);
    if ((*x)->unit != (*y)->unit)
        return (*x)->unit < (*y)->unit ? -1 : 1;
    return p != q ? (p > q ? -1 : 1) : (*x)->class_index < (*y)->class_index ? -1 : 1;
}

cn_status served_keep(cn_study *s, size_t site, const cn_probe *p, cn_error *err)
{
    cn_status st = CN_OK;
    kept_writer k = {0};
    char date[32];
    const cn_probe_term **terms = cn_calloc(p->n_terms + 1, sizeof *terms);
    CN_CHECK(terms, CN_ENOMEM, "out of memory for a probe's terms");
    for (size_t i = 0; i < p->n_terms; i++) {
        terms[i] = &p->terms[i];
        CN_TRY(reader_check_unit(s, (cn_unit_ref){site, terms[i]->unit}, err));
    }
    if (p->n_terms)
        qsort(terms, p->n_terms, sizeof *terms, by_unit);
    store_date(date);
    CN_TRY(kept_begin(&k, s, SCHEMA_UNIT_CLASSES, err));
    CN_TRY(kept_run(&k, err, "DELETE FROM unit_classes WHERE site = ?", "i", (int64_t)site));
    int64_t rank = 0;
    for (size_t i = 0; i < p->n_terms; i++) {
        rank = i && terms[i]->unit == terms[i - 1]->unit ? rank + 1 : 0;
        CN_TRY(kept_run(&k, err, "INSERT INTO unit_classes VALUES (?, ?, ?, ?, ?, ?, ?, ?)", "iiitddtt", (int64_t)site, terms[i]->unit, rank,
                        p->classes[terms[i]->class_index].name, terms[i]->weight, terms[i]->share, p->column, date));
    }
    CN_TRY(kept_commit(&k, err));
done:
    kept_end(&k);
    cn_free(terms);
    return st;
}

static cn_status read_class(const cn_study *s, sqlite3_stmt *q, results *list, void *row, const void *context, bool *ok, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_unit_ref *ref = context;
    cn_served_class *c = row;
    c->class_name = results_text(list, q, 0, ok);
    c->weight = sqlite3_column_double(q, 1);
    c->share = sqlite3_column_double(q, 2);
    c->column = results_text(list, q, 3, ok);
    c->created = results_text(list, q, 4, ok);
    CN_CHECK(isfinite(c->weight) && c->share >= 0 && c->share <= 1 + 1e-9, CN_EFORMAT, "%s: the study is damaged: a class of unit %lld", s->path,
             (long long)ref->unit);
done:
    return st;
}

cn_status cn_study_served_classes(cn_study *s, cn_unit_ref ref, cn_served_class **out, size_t *n, cn_error *err)
{
    static const size_t pointers[] = {offsetof(cn_served_class, class_name), offsetof(cn_served_class, column), offsetof(cn_served_class, created)};
    static const row_kind rows = {sizeof(cn_served_class), pointers, COUNT(pointers), read_class};
    void *block;
    const cn_status st = kept_rows(s, "unit_classes", ref, &rows,
                                   "SELECT class, weight, share, field, created FROM unit_classes WHERE site = ? AND unit = ? ORDER BY rank LIMIT 64",
                                   &block, n, err);
    *out = block;
    return st;
}

void cn_served_classes_free(cn_served_class *list)
{
    cn_free(list);
}

/* ---- units that read ---- */

cn_status readers_keep(cn_study *s, size_t site, const cn_reader_unit *units, size_t n, cn_error *err)
{
    cn_status st = CN_OK;
    kept_writer k = {0};
    char date[32];
    for (size_t i = 0; i < n; i++)
        CN_TRY(reader_check_unit(s, (cn_unit_ref){site, units[i].unit}, err));
    store_date(date);
    CN_TRY(kept_begin(&k, s, SCHEMA_READERS, err));
    CN_TRY(kept_run(&k, err, "DELETE FROM readers WHERE site = ?", "i", (int64_t)site));
    for (size_t i = 0; i < n; i++)
        CN_TRY(kept_run(&k, err, "INSERT INTO readers VALUES (?, ?, ?, ?, ?, ?, ?, ?)", "iiiddddt", (int64_t)site, units[i].unit, (int64_t)i, units[i].push,
                        units[i].low, units[i].high, units[i].response, date));
    CN_TRY(kept_commit(&k, err));
done:
    kept_end(&k);
    return st;
}

static cn_status read_reader(const cn_study *s, sqlite3_stmt *q, results *list, void *row, const void *context, bool *ok, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_unit_ref *ref = context;
    cn_reader_fact *f = row;
    f->rank = sqlite3_column_int64(q, 0);
    f->of = sqlite3_column_int64(q, 1);
    f->unit = (cn_reader_unit){ref->unit, sqlite3_column_double(q, 2), sqlite3_column_double(q, 3), sqlite3_column_double(q, 4), sqlite3_column_double(q, 5)};
    f->created = results_text(list, q, 6, ok);
    CN_CHECK(f->rank >= 0 && f->rank < f->of && isfinite(f->unit.push) && isfinite(f->unit.low) && isfinite(f->unit.high) && isfinite(f->unit.response),
             CN_EFORMAT, "%s: the study is damaged: what unit %lld reads", s->path, (long long)ref->unit);
done:
    return st;
}

cn_status cn_study_reader_fact(cn_study *s, cn_unit_ref ref, cn_reader_fact **out, cn_error *err)
{
    static const size_t pointers[] = {offsetof(cn_reader_fact, created)};
    static const row_kind rows = {sizeof(cn_reader_fact), pointers, COUNT(pointers), read_reader};
    void *block;
    size_t n;
    const cn_status st = kept_rows(s, "readers", ref, &rows,
                                   "SELECT rank, (SELECT count(*) FROM readers o WHERE o.site = r.site), push, low, high, response, created FROM readers r"
                                   " WHERE site = ? AND unit = ?",
                                   &block, &n, err);
    *out = block;
    return st;
}

void cn_reader_fact_free(cn_reader_fact *fact)
{
    cn_free(fact);
}
