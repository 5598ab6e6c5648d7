/* clip/vocabulary.h -- which tokens a model has met in its training. */
#ifndef CLIP_VOCABULARY_H
#define CLIP_VOCABULARY_H

#include "base/check.h"
#include "clipneuron/model.h"

#include <stdbool.h>
#include <stddef.h>

/* Tokens with a row of zeros in the embedding table: training never touched them. *unseen: (*rows), the caller's (cn_free); NULL where the checkpoint has no
 * table, and then all tokens count as seen. */
cn_status vocabulary_unseen(const cn_model *model, bool **unseen, size_t *rows, cn_error *err);

#endif
