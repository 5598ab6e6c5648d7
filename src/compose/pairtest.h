/* compose/pairtest.h -- units against groups of pictures in several media: AUCs, the best groups of each unit, intervals by the bootstrap, and
 * p-values by shuffling. Knows neither studies nor models: values come from its caller.
 *
 * The statistic of a unit and a group is T = min(the mean AUC over written media, the mean over the others): both have to be high.
 * With `single`, for one medium that is not written, it is (AUC - 1/2) / sqrt((n + 1)/(12 n1 (n - n1))): in standard deviations of the null.
 * Null 1 (p_pictures): pictures are dealt to the groups at random within each medium; drawings of one word stay together.
 * Null 2 (p_names): the groups stay, and another group's writing goes with each group's pictures: a group that is a cluster of like pictures keeps its
 * AUCs, and only what connects pictures and writing is lost. By far the stricter one.
 * Both take the largest T over all groups, so that p pays for having looked at all of them (Westfall and Young 1993), whatever depends on what; the
 * second one is exact and needs no shuffles. Both nulls have to be refused: p is the larger one. */
#ifndef COMPOSE_PAIRTEST_H
#define COMPOSE_PAIRTEST_H

#include "base/check.h"
#include "clipneuron/multimodal.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct pairtest_medium {
    bool written;
    int64_t items, each;   /* pictures are items * each; picture i is of item i / each */
    const int64_t *start;  /* (groups + 1): members of group g are member[start[g]] .. member[start[g + 1] - 1] */
    const int32_t *member; /* items, no item twice in a group */
} pairtest_medium;

/* The values of n units (numbers into pairtest.unit) on all pictures of a medium: out (n, pictures). */
typedef cn_status pairtest_load(void *user, int medium, const int64_t *unit, size_t n, float *out, cn_error *err);

typedef struct pairtest {
    const pairtest_medium *media;
    int n_media; /* at most CN_MAX_MULTIMODAL_MEDIA */
    int64_t groups;
    bool single;
    int64_t least;          /* pictures that a group needs in a medium */
    const int64_t *unit;    /* (n_units) */
    size_t n_units;
    int best;               /* groups reported for each unit, 1 to CN_MAX_MULTIMODAL_BEST */
    int shuffles, resamples; /* 1 or more */
    double confidence, level;
    uint64_t seed;
    pairtest_load *load;
    void *user;
    cn_find_callback *progress; /* NULL: none */
    void *progress_user;
    const char *what; /* for progress */
} pairtest;

typedef struct pairtest_pair {
    int64_t group; /* -1: no group can be tested */
    double score;  /* T */
    double p, p_pictures, p_names; /* p_names: NaN with `single` */
    double matched; /* P(T at least as high) of this group under null 2, exact; NaN with `single` */
    cn_medium_auc media[CN_MAX_MULTIMODAL_MEDIA];
} pairtest_pair;

typedef struct pairtest_result {
    pairtest_pair *pairs; /* (n_units, best), by score, falling; equal ones by group */
    double *mean;         /* (n_units, groups): mean over (written, others) of the mean AUC; NaN: in no medium enough pictures */
    int64_t tested;       /* groups with a T */
    int64_t above;        /* units whose largest T is above the level */
    double by_chance;     /* the mean of that number under null 2; NaN with `single` */
} pairtest_result;

/* CN_ECANCELED, CN_ENOMEM, what load returns. On failure out holds what pairtest_free accepts. */
cn_status pairtest_run(const pairtest *t, pairtest_result *out, cn_error *err);
void pairtest_free(pairtest_result *r);

#endif
