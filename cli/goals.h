/* cli/goals.h -- texts as vectors of length 1, and names for units, as the commands about causes need them. */
#ifndef CLI_GOALS_H
#define CLI_GOALS_H

#include "models.h"

#include <clipneuron/study.h>

/* out: (n, embedding), owned by the caller (free); NULL after a failure, which is reported. */
int goals_embed(const cn_model *model, int64_t threads, const char *const *texts, size_t n, float **out);
/* What a study calls a unit of a site: its name, else its label or nearest word; "" where it has none. Owned by the caller (free). */
char *goals_unit_name(cn_study *study, size_t site, int64_t unit);
/* The site of the study that is a site of the model; false when the study does not have it. */
bool goals_study_site(const cn_study *study, const cn_site *site, size_t *number);

#endif
