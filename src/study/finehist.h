/* study/finehist.h -- the fine histogram of a unit as it lies in the study, checked. finebins.h has the bins themselves. */
#ifndef STUDY_FINEHIST_H
#define STUDY_FINEHIST_H

#include "study/finebins.h"
#include "study/reader.h"

typedef struct fine_bin {
    uint32_t bin, count;
} fine_bin;

typedef struct finehist {
    fine_bin bins[FINEBINS]; /* the first n, rising by bin */
    size_t n;
    int64_t total;
} finehist;

/* From the stored bytes; unit: for the message. CN_EFORMAT. */
cn_status finehist_decode(finehist *h, const cn_study *s, int64_t unit, const void *blob, size_t size, cn_error *err);
/* Of one unit; n is 0 when it has none, as dead ones. */
cn_status finehist_read(finehist *h, cn_study *s, cn_unit_ref ref, cn_error *err);
/* A single value that occurs `count` times, as a dead unit has it. */
void finehist_single(finehist *h, double value, int64_t count);
/* The edges of a bin of a unit whose values go from min to max: the outermost bins reach that far, and none reaches further. */
void finehist_edges(uint32_t bin, double min, double max, double *low, double *high);

#endif
