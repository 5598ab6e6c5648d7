/* study/finebins.h -- the histogram that every unit keeps: fixed bins, the same for every unit, site
 * and model, so that histograms of two scans can be added. Bins are equal within an octave: 128 for
 * each of the 24 octaves from 2^-14 to 2^10 of either sign, and one around zero. A bin is less than
 * 0.8% wide. Larger magnitudes are counted in the outermost bins. */
#ifndef STUDY_FINEBINS_H
#define STUDY_FINEBINS_H

#include <stddef.h>
#include <stdint.h>

#define FINEBINS_SIDE 3072 /* 24 octaves * 128 */
#define FINEBINS (2 * FINEBINS_SIDE + 1)
#define FINEBINS_ZERO FINEBINS_SIDE

/* value must not be NaN. */
size_t finebins_index(float value);
/* The edges of bin i, low < high. */
void finebins_edges(size_t i, double *low, double *high);

/* Adds `count` values of bin i to equal bins over low..high; outside goes into the first and last. */
void finebins_spread(size_t i, int64_t count, double low, double high, size_t bins, int64_t *counts);

#endif
