/* study/shelf.h -- the archives of a collection, of which a few at a time are open: a thousand cannot be, and a compressed one takes
 * room for what is in it. Any thread. */
#ifndef STUDY_SHELF_H
#define STUDY_SHELF_H

#include "base/check.h"
#include "file/archive.h"

#define SHELF_OPEN 4

typedef struct shelf shelf;

/* paths: absolute, copied. */
cn_status shelf_make(shelf **out, const char *root, const char *const *paths, size_t n, cn_error *err);
/* Opens it unless it is open; waits while SHELF_OPEN others are in use. */
cn_status shelf_take(shelf *s, size_t archive, bundle **out, cn_error *err);
/* It is not used any longer (by this caller). */
void shelf_return(shelf *s, size_t archive);
/* Accepts NULL. */
void shelf_free(shelf *s);

#endif
