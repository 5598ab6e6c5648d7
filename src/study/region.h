/* study/region.h -- the region of an example's map that answers, for cards and for questions. */
#ifndef STUDY_REGION_H
#define STUDY_REGION_H

#include "clipneuron/study.h"

#include <stdbool.h>

/* weight: 0..1 for every cell, a share of the extreme; inside: which cells are at half of the extreme or beyond and hang together
 * with it. sign -1: the most inhibited. False when there is nothing to mark (no map, a single cell, or no value on that side of zero). */
bool region_mark(const cn_example *e, const cn_study_site *site, int sign, float *weight, bool *inside);

#endif
