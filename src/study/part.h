/* study/part.h -- what a scan has done so far, on disk: a folder from which it goes on after any interruption, and which is
 * merged with others when the work was divided.
 *
 *   work.sqlite    the tables of a study that fill up while scanning (images, thumbnails, failures, labels, media), and in
 *                  meta the settings and how far it is
 *   work.G.npz     statistics of all units (unitfile.h) and the sample for words (wordsample.h) of generation G
 *   *.raw          matrices so far, by rows
 *
 * The database says which generation holds and how many rows count: its commit is the one moment at which all of it changes.
 * What was written behind it when the power went is cut off. */
#ifndef STUDY_PART_H
#define STUDY_PART_H

#include "base/check.h"
#include "study/store.h"

#include <stdbool.h>
#include <stdint.h>

#define PART_FILE "work.sqlite"
#define PART_SETTINGS 26

/* What must be the same for work to go on or to be merged. */
typedef struct part_settings {
    struct {
        const char *key;
        char *value;
    } items[PART_SETTINGS];
    size_t count;
} part_settings;

/* Takes a copy of the value. */
cn_status part_set(part_settings *s, cn_error *err, const char *key, const char *format, ...) __attribute__((format(printf, 4, 5)));
void part_settings_free(part_settings *s);

typedef struct part_state {
    int64_t next;   /* pictures of the listing that are done */
    int64_t images; /* of them went through the model */
    int64_t failed, labelled;
    int64_t sample_file; /* number of the sample's file */
    int64_t sample_rows; /* in it */
    int64_t complete; /* 1: all of them are done */
    double seconds, network_seconds; /* of all runs together */
    int64_t runs;
} part_state;

typedef struct part {
    char *path;
    int lock;
    store *store; /* NULL: read only */
    struct sqlite3 *db;
    int64_t generation; /* 0: nothing was saved yet */
    part_state state;
} part;

/* Opens the folder for writing: that of an earlier run with the same settings, or a new one (`restart`: a new one in any case).
 * CN_EMISMATCH: it is of a scan with other settings, named; CN_EINVAL: another process works in it. */
cn_status part_begin(part **out, const char *path, const part_settings *settings, bool restart, cn_error *err);
/* Opens a complete part for reading; untrusted. CN_EFORMAT, CN_EINVAL: it is not complete. */
cn_status part_read(part **out, const char *path, cn_error *err);
/* Is there a part in this folder? */
bool part_is_there(const char *path);

/* CN_EMISMATCH, named: it is not of these settings. */
cn_status part_compare(const part *p, const part_settings *settings, cn_error *err);
/* Closes the database of a part that is read, and opens it again: a thousand parts cannot all be open. A part that is written stays open. */
void part_suspend(part *p);
cn_status part_resume(part *p, cn_error *err);

/* Prepares sql; moves to the next row, *more = false behind the last. CN_EFORMAT: damaged. */
struct sqlite3_stmt;
cn_status part_query(const part *p, struct sqlite3_stmt **q, const char *sql, cn_error *err);
cn_status part_step(const part *p, struct sqlite3_stmt *q, bool *more, cn_error *err);
/* out: owned by the caller (cn_free). CN_EFORMAT: it is not there. */
cn_status part_setting(const part *p, const char *key, char **out, cn_error *err);
/* NULL where it is not. */
cn_status part_setting_if_there(const part *p, const char *key, char **out, cn_error *err);
/* path/name; NULL when out of memory. Owned by the caller. */
char *part_file(const part *p, const char *name);
/* The statistics' file: of this generation, or to be written for the next. Owned by the caller. */
char *part_arrays(const part *p, bool next);

/* Everything since the last commit holds from now on, with p->state and the statistics written to part_arrays(p, true). */
cn_status part_commit(part *p, cn_error *err);

/* Accepts NULL. What was not committed is gone. */
void part_close(part *p);
/* Closes, and removes the folder. */
void part_remove(part *p);

#endif
