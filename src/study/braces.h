/* study/braces.h -- names written with braces, as WebDataset and shells have them: "shard-{000..127}.tar" is 128 names with as many digits,
 * "{train,test}.tar" two; several braces in a name and braces in braces are expanded, too. Anything else in braces stays. */
#ifndef STUDY_BRACES_H
#define STUDY_BRACES_H

#include "base/check.h"

#include <stddef.h>

#define BRACES_MAX ((size_t)1 << 20) /* names */

/* Appends the names to a list that the caller owns (braces_free). CN_ELIMIT. */
typedef struct name_list {
    char **items;
    size_t count, room;
} name_list;

/* Takes the name (cn_free), whatever happens; NULL: out of memory. */
cn_status name_list_add(name_list *list, char *name, cn_error *err);
cn_status braces_expand(name_list *list, const char *pattern, cn_error *err);
void name_list_free(name_list *list);

#endif
