/* study/unitstats.h -- running statistics of all units of one site: moments, histogram, strongest and
 * most inhibiting examples, examples of every level, sums by group. Pure arithmetic: no model, no files, no threads.
 * Images may come in any order and in parts: all but the last digits of the moments and sums is the same.
 * Equal activations rank by image number. */
#ifndef STUDY_UNITSTATS_H
#define STUDY_UNITSTATS_H

#include "base/check.h"
#include "study/levels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct unit_example {
    int32_t image;
    float value, peak;
    int32_t position; /* of the peak, row-major over the map; -1: not on the map */
    int32_t slot;     /* of its map */
} unit_example;

typedef struct unit_extremes { /* the k largest values (or smallest: stored negated) of each unit */
    int k;
    int32_t *held;          /* (units) */
    unit_example *examples; /* (units, k), best first */
    uint16_t *maps;         /* (units, k, map) half floats, by slot; NULL when map is 0 */
} unit_extremes;

typedef struct unit_groups { /* a partition of (some of) the images */
    int64_t groups;
    int64_t *images;   /* (groups) */
    double *sums;      /* (groups, units) */
    int32_t *positive; /* (groups, units); NULL when not asked for */
} unit_groups;

enum { UNIT_LABELS, UNIT_MEDIA, UNIT_PAIRS, UNIT_PARTITIONS };

typedef struct unitstats {
    int64_t units, map; /* map: values kept of each example, 0 for none */
    int64_t count;
    double *mean, *m2, *m3, *m4; /* (units): mean and central sums of powers */
    float *min, *max;
    int64_t *positive;
    uint32_t *bins; /* (units, FINEBINS) */
    unit_extremes top, bottom;
    levels levels;
    unit_groups partition[UNIT_PARTITIONS];
} unitstats;

typedef struct unit_shape {
    int64_t units, map;
    int top, bottom;                 /* examples kept of each kind */
    int buckets, per_bucket;         /* of the levels */
    int64_t groups[UNIT_PARTITIONS]; /* 0: none */
} unit_shape;

/* On failure s holds what unitstats_free accepts. */
cn_status unitstats_init(unitstats *s, const unit_shape *shape, cn_error *err);
void unitstats_free(unitstats *s);

/* One image's values at the site. Value of unit u at map position p: map[u * unit_stride + p * position_stride]. */
typedef struct unit_values {
    int32_t image;
    uint64_t key;              /* sample_key */
    const float *value, *peak; /* (units), finite */
    const int32_t *position;   /* (units) */
    const float *map;
    int64_t unit_stride, position_stride;
    int64_t group[UNIT_PARTITIONS]; /* -1: in none */
} unit_values;

cn_status unitstats_add(unitstats *s, const unit_values *v, cn_error *err);

/* How a part of a collection calls what the whole calls otherwise. */
typedef struct unit_numbers {
    const int32_t *image;                   /* by the part's number */
    const int64_t *group[UNIT_PARTITIONS];  /* the same; NULL: drop the partition */
} unit_numbers;

/* Adds a part's statistics of the same units. */
cn_status unitstats_merge(unitstats *s, const unitstats *part, const unit_numbers *numbers, cn_error *err);

/* What follows from the sums. */
typedef struct unit_summary {
    int64_t count, positive;
    double mean, sd, rms, min, max, kurtosis;
    bool dead; /* constant, up to rounding */
} unit_summary;
unit_summary unitstats_summary(const unitstats *s, int64_t unit);

/* Examples of a unit, best first; *n of them. Values are the images' own (not negated). */
const unit_example *unitstats_top(const unitstats *s, int64_t unit, int *n);
const unit_example *unitstats_bottom(const unitstats *s, int64_t unit, int *n);
/* The stored map of an example; NULL when maps are not kept. */
const uint16_t *unitstats_top_map(const unitstats *s, int64_t unit, const unit_example *e);
const uint16_t *unitstats_bottom_map(const unitstats *s, int64_t unit, const unit_example *e);

/* How far the mean of a group of n out of N images lies from the mean of all, in standard errors of a
 * random group of that size (drawn without replacement): 0 when that is undefined. */
double group_z(double group_mean, int64_t n, double mean, double sd, int64_t all);

#endif
