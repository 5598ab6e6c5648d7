/* study/coarse.h -- SITE.coarse.npy: (units, images) uint8, each unit's activations in 256 equal levels between its minimum and its maximum.
 * A matrix has a picture's units side by side, so that all pictures of one unit are all of its pages. Here they lie side by side. A level says
 * a value only roughly; which pictures may be among the first, it says surely, and those few are then read in the matrix. */
#ifndef STUDY_COARSE_H
#define STUDY_COARSE_H

#include "base/check.h"
#include "clipneuron/array.h"
#include "study/reader.h"

#define COARSE_LEVELS 256

typedef struct coarse_writer {
    char *path;
    int fd;
    size_t header; /* bytes before the array */
    int64_t units, images, done, block;
    float *low, *scale; /* (units): level = (value - low) * scale */
    uint8_t *rows;      /* (block, units): pictures `done`... of which `held` have come */
    int64_t held;
} coarse_writer;

/* low, high: (units), the ends of all values that will come. On failure w holds what coarse_close accepts. */
cn_status coarse_open(coarse_writer *w, const char *path, int64_t units, int64_t images, const float *low, const float *high, cn_error *err);
/* The next picture's row: (units). */
cn_status coarse_add(coarse_writer *w, const float *row, cn_error *err);
cn_status coarse_finish(coarse_writer *w, cn_error *err);
/* Accepts a zeroed one. The file stays. */
void coarse_close(coarse_writer *w);

/* A unit's levels as sums are made of them: its value / divisor on picture i lies between value[level[i]] and value[level[i]] + width. */
typedef struct coarse_unit {
    const uint8_t *level; /* (images) */
    double value[COARSE_LEVELS], width;
} coarse_unit;

/* *file = NULL, and CN_OK: the study has none of this site (an older program made it). CN_EFORMAT: a damaged one. */
cn_status coarse_file(cn_arrays **file, const cn_study *s, size_t site, cn_error *err);
/* low, high: the unit's extremes as the database has them; half: whether the matrix has float16, which are rounded while levels are not.
 * false: they say nothing. */
bool coarse_unit_of(coarse_unit *u, const cn_arrays *file, int64_t unit, double low, double high, bool half, double divisor);

#endif
