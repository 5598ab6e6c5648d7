/* study/store.h -- writes the database of a study or of a scan in work, row by row. A study's is one transaction of a
 * database that nobody else can see yet: no journal, no flushing (studyfolder.c flushes the file before it appears).
 * A scan's is committed now and then, and survives what may come between. */
#ifndef STUDY_STORE_H
#define STUDY_STORE_H

#include "base/check.h"

#include <stdint.h>

typedef enum store_table {
    STORE_META,
    STORE_META_AGAIN, /* the same, replacing what is there */
    STORE_LABELS,
    STORE_MEDIA,
    STORE_IMAGES,
    STORE_FIELDS,
    STORE_THUMBNAILS,
    STORE_FAILURES,
    STORE_RUNS, /* replacing, too */
    STORE_SITES,
    STORE_UNITS,
    STORE_HISTOGRAMS,
    STORE_EXAMPLES,
    STORE_UNIT_LABELS,
    STORE_UNIT_MEDIA,
    STORE_UNIT_LABEL_MEDIA,
    STORE_WORDS,
    STORE_UNIT_WORDS,
    STORE_TABLES
} store_table;

typedef struct store store;

/* Why the last call on a database failed: CN_ENOMEM or CN_EIO with its file and reason. */
struct sqlite3;
cn_status store_failed(struct sqlite3 *db, const char *path, cn_error *err);

typedef enum store_kind {
    STORE_STUDY,     /* a new study */
    STORE_PART,      /* a new scan in work */
    STORE_PART_AGAIN /* one that is there */
} store_kind;

/* path must not exist, or must. */
cn_status store_open(store **out, const char *path, store_kind kind, cn_error *err);
struct sqlite3 *store_db(store *s);
/* One row, all columns in the order of schema.h. format, a letter a column: i int64_t, d double (NaN:
 * NULL), t text (NULL: NULL), r int64_t that is NULL when negative, b const void * and size_t. */
cn_status store_add(store *s, store_table table, cn_error *err, const char *format, ...);
/* What was added holds from now on, whatever happens. */
cn_status store_commit(store *s, cn_error *err);
/* Duplicates, indexes, statistics for the query planner, commit. Frees s in any case. */
cn_status store_finish(store *s, cn_error *err);
/* Now, as databases have it: "2026-11-24T02:30:00Z". SOURCE_DATE_EPOCH, where it is set, makes studies reproducible. */
void store_date(char text[32]);
/* Closes without finishing. Accepts NULL. */
void store_close(store *s);

#endif
