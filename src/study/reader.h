/* study/reader.h -- an open study inside the library, and lists of rows in one piece of memory. */
#ifndef STUDY_READER_H
#define STUDY_READER_H

#include "base/check.h"
#include "clipneuron/study.h"

#include <sqlite3.h>
#include <stddef.h>

struct cn_study {
    sqlite3 *db;
    char *path;
    cn_study_info info;
    cn_study_site *sites;
    size_t n_sites;
    char **strings; /* that info and sites borrow */
    size_t n_strings, strings_room;
};

/* Prepares sql and binds the integers that `binds` names, a letter 'i' each. A failure to prepare means a
 * damaged study. */
cn_status reader_query(cn_study *s, sqlite3_stmt **q, cn_error *err, const char *sql, const char *binds, ...);
/* Moves to the next row; *more = false behind the last. */
cn_status reader_step(cn_study *s, sqlite3_stmt *q, bool *more, cn_error *err);
/* CN_EINVAL unless the study has that unit. */
cn_status reader_check_unit(const cn_study *s, cn_unit_ref ref, cn_error *err);

/* Rows that are growing. What rows point to lies in `bytes`; until the end, pointers are kept as
 * offsets + 1. results_finish puts all into one allocation, which one cn_free releases. */
typedef struct results {
    char *data, *bytes;
    size_t size; /* of a row */
    size_t n, room, used, bytes_room;
} results;

/* A new zeroed row at the end, valid until the next; NULL when out of memory. */
void *results_add(results *r, size_t size);
/* Keeps a copy and returns what to store as the pointer; *ok = false when out of memory. */
const void *results_keep(results *r, const void *data, size_t size, bool *ok);
/* The text of a column, "" for NULL. */
const char *results_text(results *r, sqlite3_stmt *q, int column, bool *ok);
/* pointers: offsets within a row of the pointer members, `n_pointers` of them. Frees r in any case. */
cn_status results_finish(results *r, const size_t *pointers, size_t n_pointers, void **out, size_t *n,
                         cn_error *err);
void results_discard(results *r);

/* How the rows of a query become the rows of a list. `read` fills a zeroed row from the query's present one; what it keeps goes into
 * `list`, and *ok turns false when memory is short. context: whatever the caller wants it to know. */
typedef struct row_kind {
    size_t size;
    const size_t *pointers; /* offsets of the pointer members */
    size_t n_pointers;
    cn_status (*read)(const cn_study *s, sqlite3_stmt *q, results *list, void *row, const void *context, bool *ok, cn_error *err);
} row_kind;
/* All rows of a query as one list, *out NULL when there are none. Finalizes q in any case. */
cn_status reader_rows(cn_study *s, sqlite3_stmt *q, const row_kind *kind, const void *context, void **out, size_t *n, cn_error *err);

/* A column that names a picture's type: "image/png", "image/jpeg", or "" for anything else. */
const char *reader_picture_type(sqlite3_stmt *q, int column);

/* Opens a database that may come from a stranger, to read it. *db: sqlite3_close, also after a failure. */
cn_status reader_open(sqlite3 **db, const char *file, cn_error *err);
/* Opens a study's database to write a little into it, waiting for others that do. *db: sqlite3_close, also after a failure. */
cn_status reader_open_writable(sqlite3 **db, const char *file, cn_error *err);
/* PATH/study.sqlite, owned by the caller (cn_free); NULL when out of memory. */
char *reader_file(const char *path);

#endif
