/* study/listing.h -- which pictures a collection has, and what is known of them before any is opened:
 * from a folder, a list or a CSV, tar shards or a zip, with labels from folder names, a CSV, or the files beside a picture. */
#ifndef STUDY_LISTING_H
#define STUDY_LISTING_H

#include "base/check.h"
#include "study/shelf.h"

#include <stddef.h>
#include <stdint.h>

typedef struct listing_item {
    char *path;                       /* relative to the root; unique. In an archive: ARCHIVE/ENTRY */
    char *label, *medium;             /* NULL: none */
    char *caption, *source, *licence; /* NULL: none */
    char *fields;                     /* whatever else is known: name, zero, value, zero, ..., an empty name; NULL: nothing */
    size_t fields_size, fields_room;  /* bytes, without the empty name; the names are unique when the listing is done */
    char *fault;                      /* why it cannot be read, where that is known already; NULL */
    int64_t label_id, medium_id;      /* into labels, media; -1: none */
    int64_t at, size;                 /* in its archive (file/archive.h) */
    int32_t archive;                  /* -1: a file of its own */
} listing_item;

typedef struct listing {
    char *root;          /* absolute folder that paths are relative to */
    char *origin;        /* absolute path of what was asked for */
    char *name;          /* its last part */
    char *origins;       /* of several archives: their absolute paths, a line each; else NULL */
    listing_item *items; /* by path, in byte order */
    size_t count, room;
    char **archives; /* relative to the root */
    size_t n_archives;
    shelf *shelf;           /* on which they are open; NULL without archives */
    char **labels, **media; /* names in byte order; borrowed from the items */
    size_t n_labels, n_media;
    size_t ignored; /* files that are no pictures by their names */
} listing;

/* paths: one folder, list, CSV or archive, or several archives; in names that are not there braces are expanded (braces.h).
 * labels: a CSV, or NULL for labels.csv in or beside a folder, or in an archive, if there is one. Of `shards` parts (at least 1) only
 * number `shard`, from 0, is kept: every shards-th archive where there are that many, else every shards-th picture.
 * On failure l holds what listing_free accepts. */
cn_status listing_read(listing *l, const char *const *paths, size_t n, const char *labels, int shard, int shards, cn_error *err);
/* A sum over all that the listing says, for whether it still says the same. */
cn_status listing_digest(const listing *l, char hex[65], cn_error *err);
void listing_free(listing *l);

/* root/path, owned by the caller (cn_free); an absolute path stays. NULL when out of memory. */
char *listing_path(const listing *l, size_t i);
/* A picture's bytes, from whichever file: *bytes is the caller's (cn_free). Any thread. */
cn_status listing_bytes(const listing *l, size_t i, uint8_t **bytes, size_t *size, cn_error *err);

#endif
