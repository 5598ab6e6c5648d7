/* study/levels.h -- examples from every level of activation, without knowing the levels beforehand.
 *
 * The sample: the range from a unit's minimum to its maximum in equal buckets, and from each the `per` pictures with the smallest
 * keys (sample_key). The range is known at the end only, so more must be kept than is taken in the end, but not much more:
 * a picture is certain to be never taken when `per` pictures with smaller keys lie within half a bucket below it and as many
 * within half a bucket above it. For ranges only grow, and buckets with them: whatever bucket it ends in, that bucket holds one
 * of the two half buckets beside it. What is left over is about 4 * buckets * per pictures a unit, whatever the number of
 * pictures; the sample is exact, and the same whatever the order in which pictures come or parts are put together. */
#ifndef STUDY_LEVELS_H
#define STUDY_LEVELS_H

#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct level_picture {
    uint64_t key;     /* pictures with smaller ones are taken first; ties: the smaller number */
    int32_t image;    /* its number */
    float value, peak; /* finite */
    int32_t position; /* of the peak */
} level_picture;

typedef struct level_unit {
    level_picture *held; /* in no order */
    int32_t count, room;
    bool any;
    float low, high; /* of all values so far, when there are any */
    /* For quick refusals: cells of a range that was, and each cell's per-th smallest key; UINT64_MAX where it has fewer. */
    float cells_low, cells_scale;
    uint64_t low_limit; /* the same for values equal to cells_low */
    uint64_t *limits;
} level_unit;

typedef struct levels {
    int64_t units;
    int buckets, per;
    level_unit *unit;
    uint64_t *limits; /* (units, cells) */
} levels;

/* On failure l holds what levels_free accepts. */
cn_status levels_init(levels *l, int64_t units, int buckets, int per, cn_error *err);
void levels_free(levels *l);

cn_status levels_add(levels *l, int64_t unit, const level_picture *p, cn_error *err);

/* Says that there were values of low..high among those that are not held. */
void levels_widen(levels *l, int64_t unit, float low, float high);

/* Adds what a part of the collection held. number: what the part's pictures are called here (rising), NULL: the same. */
cn_status levels_merge(levels *l, const levels *part, const int32_t *number, cn_error *err);

/* Lets go of what can no longer be taken; levels_add does so by itself now and then. */
cn_status levels_prune(levels *l, int64_t unit, cn_error *err);

/* The sample of a unit: chosen (buckets, per), by bucket and rising by key; NULL behind the last of each. */
void levels_choose(const levels *l, int64_t unit, const level_picture **chosen);

#endif
