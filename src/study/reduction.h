/* study/reduction.h -- which of a unit's values on a picture a study is about (cn_reduce): names, and what scans keep. */
#ifndef STUDY_REDUCTION_H
#define STUDY_REDUCTION_H

#include "clipneuron/study.h"

#define REDUCTIONS 3

/* false: no reduction has this name. */
bool reduction_named(cn_reduce *how, const char *name);
/* A study has SITE.NAME.npy of the first so many: mean and maximum always, the class token where it is about that. */
int reductions_kept(cn_reduce how);

#endif
