/* compose/regionflags.h -- what maps read of a cn_region_flags beside its public part. */
#ifndef COMPOSE_REGIONFLAGS_H
#define COMPOSE_REGIONFLAGS_H

#include "compose/wordspace.h"

/* (n, units): what units answer to each country's pictures, in standard deviations over the study's pictures that are no writing; borrowed. */
const float *flags_values(const cn_region_flags *flags);

#endif
