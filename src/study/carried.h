/* study/carried.h -- what people made in a study that a new one is about to replace: answers, categories, notes, names of their own,
 * visualisations. It goes into the new one, or the old one stays. */
#ifndef STUDY_CARRIED_H
#define STUDY_CARRIED_H

#include "base/check.h"
#include "clipneuron/study.h"

#include <stdbool.h>

struct sqlite3;
typedef struct carried {
    cn_scan_kept taken, left;
    struct sqlite3 *lock; /* nobody answers into the old study while it is exchanged */
} carried;

/* Carries from the database `old` into `fresh`, which is complete but for that, and locks the old one until carried_end.
 * Answers follow their picture's bytes, all else its site's name and the number of its unit.
 * CN_EINVAL, with the counts: something has no place in the new study and `discard` is false. CN_EIO: the old one cannot be read or locked. */
cn_status carried_over(carried *c, const char *fresh, const char *old, const char *study, bool discard, cn_error *err);
/* Accepts one that never began. */
void carried_end(carried *c);

#endif
