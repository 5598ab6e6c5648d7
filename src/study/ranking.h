/* study/ranking.h -- what a unit's strongest pictures have in common, and how interesting that is. */
#ifndef STUDY_RANKING_H
#define STUDY_RANKING_H

#include <stdbool.h>
#include <stdint.h>

/* -log10 of the probability that `drawn` of `all` pictures, taken at random, hold at least `hits` of the
 * `marked` ones (hypergeometric). 0 for hits = 0. */
double chance_surprise(int64_t hits, int64_t drawn, int64_t marked, int64_t all);

/* Is this the name of a medium that shows the concept as writing? */
bool medium_is_written(const char *name);

typedef struct rank_facts {
    int64_t label; /* -1: none of the strongest pictures has a label */
    int64_t hits;
    double purity, surprise;
    uint64_t media[4]; /* bit set of media ids (< 256) among the strongest pictures of the label */
    int media_count;
    bool reads;
    double score;
    double spread; /* scratch of rank_spread */
} rank_facts;

/* labels, media: ids of the strongest pictures, -1 for none, n of them (at most CN_STUDY_PURITY_TOP);
 * label_images: pictures of each label in the collection; written: per medium. */
rank_facts rank_unit(const int64_t *labels, const int64_t *media, int n, const int64_t *label_images,
                     int64_t all, const bool *written, int64_t n_media, double peak_sd);

/* Lowers the score of units whose label a better unit has already: the second by a fifth, the third by a fifth of
 * what is left... so that a table of the best shows many concepts. Equal scores: the lower unit is better. */
void rank_spread(rank_facts *ranks, int64_t units);

#endif
