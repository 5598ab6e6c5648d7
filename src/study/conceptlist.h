/* study/conceptlist.h -- concepts and the families they belong to, from a CSV or the built-in file. */
#ifndef STUDY_CONCEPTLIST_H
#define STUDY_CONCEPTLIST_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

#define CONCEPTLIST_MOST 65536 /* lines */

typedef struct conceptlist {
    char **family, **concept; /* (n); family "" where none is named */
    size_t n, room;
} conceptlist;

/* models/families/families.csv, compiled in by the build; (conceptlist_families_size) bytes. */
extern const char conceptlist_families[];
extern const size_t conceptlist_families_size;

/* Lines "family,concept" or "concept", commas in quotes; a header line with these names and lines that begin with # are passed over. Adds to l.
 * CN_EFORMAT names the line; CN_ELIMIT, CN_ENOMEM. what: a name for messages. */
cn_status conceptlist_add(conceptlist *l, const char *text, size_t size, const char *what, cn_error *err);
cn_status conceptlist_add_file(conceptlist *l, const char *path, cn_error *err);
cn_status conceptlist_add_builtin(conceptlist *l, cn_error *err);
cn_status conceptlist_push(conceptlist *l, const char *family, const char *concept, cn_error *err);
/* Accepts a zeroed one. */
void conceptlist_free(conceptlist *l);

#endif
