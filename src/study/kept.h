/* study/kept.h -- what a study is given after its scan: pictures, names, answers, facts. Each kind has a table that the first row of it makes, so that a
 * study without any has none. */
#ifndef STUDY_KEPT_H
#define STUDY_KEPT_H

#include "study/reader.h"

/* Whether the database has a table of that name. */
cn_status kept_has(cn_study *s, const char *table, bool *has, cn_error *err);
/* All rows that are kept for a unit, none when the table is not there. sql: a query whose two parameters are site and unit; the context that
 * kind->read gets is the unit's cn_unit_ref. CN_EINVAL: no such unit. */
cn_status kept_rows(cn_study *s, const char *table, cn_unit_ref ref, const row_kind *kind, const char *sql, void **out, size_t *n, cn_error *err);

/* A study's database while something is written into it, all of it or nothing. */
typedef struct kept_writer {
    sqlite3 *db;
    char *file;
    sqlite3_stmt *last; /* of kept_run: rows come one after the other by the same statement */
} kept_writer;

/* schema: SQL that makes the tables unless they are there. kept_end in any case. CN_EINVAL: the study was replaced by another since it was opened. */
cn_status kept_begin(kept_writer *k, const cn_study *s, const char *schema, cn_error *err);
/* Why the last call on the database failed. */
cn_status kept_failed(const kept_writer *k, cn_error *err);
/* Makes ready what kept_run is to run next: says whether the table has that shape even where there is no row. */
cn_status kept_prepare(kept_writer *k, const char *sql, cn_error *err);
/* Runs a statement. binds: 'i' int64_t, 't' text (NULL: none), 'd' double, a letter for each parameter. */
cn_status kept_run(kept_writer *k, cn_error *err, const char *sql, const char *binds, ...);
cn_status kept_commit(const kept_writer *k, cn_error *err);
/* What was not committed is gone. Accepts one that never began. */
void kept_end(kept_writer *k);

#endif
