/* study/ratings.h -- what the files about raters' answers share. */
#ifndef STUDY_RATINGS_H
#define STUDY_RATINGS_H

#include "clipneuron/rating.h"
#include "study/kept.h"

/* Names of categories or raters, in order. */
typedef struct rating_names {
    size_t n;
    char name[CN_MAX_RATERS][CN_MAX_RATING_NAME + 1];
} rating_names;

/* The number of a name, or -1. */
int rating_find(const rating_names *names, const char *name);
/* Adds one that has been checked. */
void rating_add(rating_names *names, const char *name);
/* "a, b, c" for messages, cut where the room ends. */
const char *rating_list(const rating_names *names, char *text, size_t room);
/* CN_OK, or `status` with a reason that begins with `where`: what is no name for a `what` ("category", "rater"). */
cn_status rating_check_name(const char *where, const char *what, const char *name, cn_status status, cn_error *err);
/* "layer4.3.add:319"; caller's buffer. */
const char *rating_unit(const cn_study *s, cn_unit_ref ref, char *text, size_t room);

/* As cn_study_rating_pictures, with or without thumbnails. */
cn_status rating_pictures(cn_study *s, cn_unit_ref ref, const char *rater, bool thumbnails, cn_rating_picture **out, size_t *n,
                          cn_error *err);
/* The unit's categories as names. */
cn_status rating_categories(cn_study *s, cn_unit_ref ref, rating_names *names, cn_error *err);

/* One transaction that writes answers. All of it holds after rating_commit, nothing without. */
typedef struct rating_writer {
    kept_writer kept;
    cn_unit_ref ref;
} rating_writer;

cn_status rating_begin(rating_writer *w, cn_study *s, cn_unit_ref ref, cn_error *err);
cn_status rating_set_categories(rating_writer *w, const rating_names *names, cn_error *err);
typedef enum rating_change { RATING_ADDED, RATING_CHANGED, RATING_SAME } rating_change;
/* category NULL: takes it back. change may be NULL. */
cn_status rating_keep(rating_writer *w, int64_t image, const char *rater, const char *category, rating_change *change, cn_error *err);
/* rater NULL: all. */
cn_status rating_remove(rating_writer *w, const char *rater, int64_t *removed, cn_error *err);
cn_status rating_commit(rating_writer *w, cn_error *err);
/* Accepts one that never began or was committed. */
void rating_end(rating_writer *w);

#endif
