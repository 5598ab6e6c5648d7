/* study/gather.h -- parts of a collection put in one order: which picture of which part is which of the study. Pictures are
 * numbered by path, in byte order, however they were divided; labels and media by name. */
#ifndef STUDY_GATHER_H
#define STUDY_GATHER_H

#include "study/part.h"
#include "study/unitstats.h"

typedef struct gathered_image {
    int32_t part, image; /* where it is */
    int32_t label, medium; /* -1: none */
} gathered_image;

typedef struct gathered {
    part **parts; /* borrowed, suspended */
    size_t n_parts;
    int64_t images, failed, labelled;
    gathered_image *image; /* by number */
    int32_t **number;      /* [part][image of it] */
    char **labels, **media;
    size_t n_labels, n_media;
    int64_t *part_labels, *part_media; /* how many a part has */
    int64_t **label, **medium;         /* [part][its number]: the number here */
} gathered;

/* parts: complete, of the same settings but for their share of the collection. CN_EINVAL: a picture is in two of them.
 * On failure g holds what gather_free accepts. */
cn_status gather(gathered *g, part *const *parts, size_t n, cn_error *err);
void gather_free(gathered *g);

/* How many pairs of label and medium are summed up over that many units: all of them, or none when they are too many. */
int64_t gather_pairs(int64_t labels, int64_t media, int64_t units);

#endif
