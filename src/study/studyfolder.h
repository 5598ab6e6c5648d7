/* study/studyfolder.h -- a study's folder appears whole or not at all: it is made under another name beside
 * its place and moved there at the end. Decides what may be replaced. */
#ifndef STUDY_STUDYFOLDER_H
#define STUDY_STUDYFOLDER_H

#include "base/check.h"

#include <stdbool.h>

typedef struct folder {
    char *target;    /* where the study will be */
    char *temporary; /* where it is made; NULL before and after */
    bool replaces;   /* target holds an older study */
} folder;

/* Removes the files in a folder, all but `except` (NULL: none); what cannot be removed stays. */
void folder_empty(const char *path, const char *except);
/* May a study of this model be made here? The same checks as folder_begin. */
cn_status folder_check(const char *target, const char *fingerprint, bool force, cn_error *err);
/* Checks the place and makes the temporary folder. On failure f holds what folder_discard accepts. */
cn_status folder_begin(folder *f, const char *target, const char *fingerprint, bool force, cn_error *err);
/* temporary/name, owned by the caller (cn_free); NULL when out of memory. */
char *folder_path(const folder *f, const char *name);
/* What is in the temporary folder is on the disk from here on. folder_commit does that as well: where this was called before, it is quick. */
cn_status folder_flush(const folder *f, cn_error *err);
/* Flushes and moves to the target. Files in an older study that are not the study's own move along. */
cn_status folder_commit(folder *f, cn_error *err);
/* Removes the temporary folder, if any, and frees f's strings. */
void folder_discard(folder *f);

#endif
