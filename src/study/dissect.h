/* study/dissect.h -- CLIP-Dissect's soft WPMI (Oikarinen and Weng, ICLR 2023): which text the strongest pictures of a unit have in
 * common. Pure arithmetic.
 *
 * The k strongest pictures x_1..x_k of a unit are its set B, softly: picture x_i is in it with probability
 * p_i = START - (i - 1)/k (START - END). With P(t|x) the share that the picture gives the text,
 *     log p(t|B) = sum_i log(1 + p_i (P(t|x_i) - 1)),
 *     score      = log p(t|B) - log((1/U) sum_u p(t|B_u)),    over the U units that are not dead:
 * how many nats the unit's pictures speak for the text beyond those of the average unit. */
#ifndef STUDY_DISSECT_H
#define STUDY_DISSECT_H

#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

#define DISSECT_START 0.998
#define DISSECT_END 0.97
#define DISSECT_MOST 100 /* pictures of a unit: the product of as many (1 - START) is still a double */
#define DISSECT_LEAST 10
#define DISSECT_PART 100 /* one picture of so many, between the two */

/* How many pictures of n are a unit's strongest. */
int64_t dissect_pictures(int64_t n);
/* p_i, (k). */
void dissect_members(int64_t k, double *p);
/* The k strongest of n pictures for each unit, strongest first, equal ones in their order. values: (units, n). top: (units, k). */
void dissect_strongest(const float *values, int64_t units, int64_t n, int64_t k, int32_t *top);
/* log p(t|B) of a block of texts for every unit: shares (n, texts) -> out (units, texts). */
void dissect_evidence(const float *shares, int64_t texts, const int32_t *top, int64_t units, int64_t k, double *out);
/* log p(t|B) -> score, in place. out: (units, texts); dead units do not count towards p(t). */
void dissect_scores(double *out, int64_t units, int64_t texts, const bool *dead);

#endif
