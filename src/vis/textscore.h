/* vis/textscore.h -- cosines of many texts with a direction, in batches of one length. */
#ifndef VIS_TEXTSCORE_H
#define VIS_TEXTSCORE_H

#include "clipneuron/textsee.h"

#define TEXT_BATCH 256

typedef struct text_scorer text_scorer;

/* length: tokens of the longest text, marks included. gradient: text_scorer_gradient will be called. direction: borrowed, of length 1. */
cn_status text_scorer_open(text_scorer **out, const cn_model *model, const float *direction, int64_t length, bool gradient, int threads,
                           cn_precision precision, cn_error *err);
void text_scorer_close(text_scorer *s); /* accepts NULL */
/* rows: n of context_length ids each. */
cn_status text_scorer_run(text_scorer *s, const int32_t *rows, int64_t n, float *cosines, cn_error *err);
/* The same for n <= TEXT_BATCH texts, and d cosine / d token embeddings, (n, length, text width); borrowed until the next call. */
cn_status text_scorer_gradient(text_scorer *s, const int32_t *rows, int64_t n, float *cosines, const float **gradient, cn_error *err);

#endif
