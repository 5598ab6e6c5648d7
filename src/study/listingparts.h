/* study/listingparts.h -- how a listing comes about; only listing.c, walk.c, lists.c and webdataset.c know. */
#ifndef STUDY_LISTINGPARTS_H
#define STUDY_LISTINGPARTS_H

#include "study/braces.h"
#include "study/listing.h"

#include <stdbool.h>

#define LISTING_MAX_FIELD 4096 /* bytes of a field's value; longer ones are left out */

/* Has it the name of a picture? */
bool picture_name(const char *name);
/* A new item, borrowed until the next is added (out may be NULL). Copies the path. */
cn_status listing_add(listing *l, const char *path, listing_item **out, cn_error *err);
void listing_item_free(listing_item *item);
/* By path; "./" in front is passed over. Only after listing_sort. NULL: there is none. */
listing_item *listing_find(const listing *l, const char *path);
/* By path; of items of the same path the one that comes last in an archive stays. */
void listing_sort(listing *l);

/* Puts a copy of the text in *to, in place of what was there; an empty text changes nothing. false: out of memory. */
bool listing_put(char **to, const char *text);
/* Adds a field. An empty value or name and too long ones are left out. false: out of memory. */
bool listing_put_field(listing_item *item, const char *name, const char *value);
/* Of several fields of one name the first stays. Takes time in proportion to their number (and its logarithm). false: out of memory. */
bool listing_settle_fields(listing_item *item);
/* What the column or key of that name means: a member of the item, or NULL for a field. */
char **listing_member(listing_item *item, const char *name);

/* All pictures below the root, and the archives by their paths. */
cn_status walk_folder(listing *l, name_list *archives, cn_error *err);
/* The label is the folder that holds the picture, by its path below the root. */
cn_status label_by_folder(listing *l, cn_error *err);

/* A text file with a path a line, or a CSV with a column path. */
cn_status lists_read(listing *l, const char *path, cn_error *err);
/* What a CSV says about pictures that are there; rows about others are passed over, as a labels file may serve several folders. Its
 * paths are relative to `prefix` ("": the root); what: its name. */
cn_status lists_label(listing *l, const char *text, size_t size, const char *prefix, const char *what, cn_error *err);
cn_status lists_label_file(listing *l, const char *path, cn_error *err);

/* All pictures of the listing's archives, with what the files beside them say. An archive that is damaged or cannot be opened becomes an item with a
 * fault, unless it is the only one. */
cn_status webdataset_read(listing *l, cn_error *err);

#endif
