/* compose/texttower.h -- texts as rows of tokens, and their embeddings of length 1; tokens that the model has never seen. */
#ifndef COMPOSE_TEXTTOWER_H
#define COMPOSE_TEXTTOWER_H

#include "base/check.h"
#include "clipneuron/model.h"
#include "clipneuron/tokenizer.h"

#include <stdbool.h>

typedef struct texttower {
    const cn_model *model;
    cn_runner_options options;
    cn_runner *runner; /* made when it is first needed */
    cn_tokenizer *tokenizer;
    bool *unseen; /* (vocabulary): rows of zeros in the embedding table; NULL: none is */
    size_t vocabulary, context;
    int64_t width;
} texttower;

/* On failure t holds what texttower_close accepts. CN_EUNSUPPORTED: a model without a text tower. */
cn_status texttower_open(texttower *t, const cn_model *model, int threads, cn_precision precision, cn_backend backend, cn_error *err);
void texttower_close(texttower *t);
/* row: (context). *used: with both marks. CN_EINVAL for an empty text, CN_ELIMIT for one that is too long. */
cn_status texttower_row(const texttower *t, const char *text, int32_t *row, size_t *used, cn_error *err);
bool texttower_known(const texttower *t, int32_t id);
/* Whether all of its tokens are. */
bool texttower_row_known(const texttower *t, const int32_t *row, size_t used);
typedef bool texttower_go_on(void *user, int64_t done, int64_t total);
/* rows (n, context) -> out (n, width) of length 1. */
cn_status texttower_embed(texttower *t, const int32_t *rows, int64_t n, float *out, texttower_go_on *go_on, void *user, cn_error *err);

#endif
